// Counting in parts and writing the totals; app/collector_totals_test.cpp tests them in a server.
#include "session_buddy/storage/totals_store.hpp"

#include <SQLiteCpp/Transaction.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "session_buddy/storage/database.hpp"
#include "storage/change_counter.hpp"
#include "storage/invocation_aggregates.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::storage {
namespace {

using std::chrono::steady_clock;
using namespace std::chrono_literals;

class TotalsStoreTest : public testing::Test {
  protected:
    void insert(int rows) {
        database->exec("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
                       std::to_string(rows) +
                       ") INSERT INTO skill_invocation (skill_name, invoked_at, session_id, completed)"
                       " SELECT 'a', '2026-02-10T12:00:00Z', 's1', 1 FROM n");
    }
    static std::int64_t counted(const TotalsTracker& tracker) {
        return tracker.table()->empty() ? 0 : tracker.table()->front()->phases.front().completed;
    }
    bool write(TotalsTracker& tracker) {
        SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::IMMEDIATE);
        const bool written = store.write(tracker.pending());
        transaction.commit();
        tracker.confirm_written(written);
        return written;
    }

    test::TempDir folder;
    std::unique_ptr<SQLite::Database> database = open_database(folder.file("skills.db"), {});
    TotalsStore store{*database};
};

TEST_F(TotalsStoreTest, counts_many_rows_in_parts_that_a_restart_continues) {
    constexpr int kRows = 30'000;
    insert(kRows);
    std::int64_t before = 0;
    int pieces = 0;
    for (bool more = true; more; ++pieces) {
        ASSERT_LT(pieces, kRows);
        TotalsTracker tracker;  // as after a restart
        more = tracker.advance(store, steady_clock::now() + 200us);
        EXPECT_GE(counted(tracker), before);
        before = counted(tracker);
        EXPECT_EQ(tracker.uncounted_rows(), more ? kRows - before : 0);
        EXPECT_TRUE(write(tracker));
    }
    EXPECT_EQ(before, kRows);
    EXPECT_GT(pieces, 2);
}

TEST_F(TotalsStoreTest, has_nothing_to_write_until_something_is_counted) {
    TotalsTracker tracker;
    EXPECT_TRUE(tracker.pending().empty());
    EXPECT_FALSE(tracker.advance(store, steady_clock::now() + 1s));
    EXPECT_TRUE(tracker.pending().empty());
    insert(1);
    tracker.request_recheck();
    EXPECT_FALSE(tracker.advance(store, steady_clock::now() + 1s));
    EXPECT_FALSE(tracker.pending().empty());
    EXPECT_TRUE(write(tracker));
    EXPECT_TRUE(tracker.pending().empty());
}

TEST_F(TotalsStoreTest, does_not_overwrite_the_totals_of_another_process) {
    insert(5);
    TotalsTracker first;
    TotalsTracker second;
    first.advance(store, steady_clock::now() + 1s);
    second.advance(store, steady_clock::now() + 1s);
    EXPECT_TRUE(write(first));
    EXPECT_FALSE(write(second));
    insert(1);
    second.advance(store, steady_clock::now() + 1s);
    EXPECT_EQ(counted(second), 6);
    EXPECT_TRUE(write(second));
    EXPECT_EQ(test::query(*database, "SELECT completed FROM session_buddy_totals").front(), "6");
}

/// The counts of skill `a`: completed, failed and unknown ones, and the debt.
std::string series_of(SQLite::Database& database) {
    return test::query(database, "SELECT completed, failed, unknown, debt FROM session_buddy_totals").at(0);
}

TEST_F(TotalsStoreTest, a_corrected_row_makes_a_debt_that_later_rows_work_off) {
    install_change_counter(*database);
    insert(3);
    TotalsTracker tracker;
    tracker.advance(store, steady_clock::now() + 1s);
    EXPECT_TRUE(write(tracker));
    {
        SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::IMMEDIATE);
        InvocationAggregates aggregates(*database);
        const auto before = aggregates.read(2);
        database->exec("UPDATE skill_invocation SET completed = 0 WHERE id = 2");
        aggregates.move(2, *before, *aggregates.read(2));
        transaction.commit();
    }
    EXPECT_EQ(series_of(*database), "3|1|0|[1,0,0,0.0,0,0,0,0,0,0,0,0,0,0]");
    tracker.request_recheck();
    tracker.advance(store, steady_clock::now() + 1s);
    EXPECT_EQ(counted(tracker), 3);
    insert(1);
    tracker.request_recheck();
    tracker.advance(store, steady_clock::now() + 1s);
    EXPECT_EQ(counted(tracker), 3) << "as many as there are";
    insert(1);
    tracker.request_recheck();
    tracker.advance(store, steady_clock::now() + 1s);
    EXPECT_EQ(counted(tracker), 4);
    EXPECT_TRUE(write(tracker));
    EXPECT_EQ(series_of(*database), "4|1|0|NULL");
}

TEST_F(TotalsStoreTest, a_row_corrected_before_its_count_was_written_does_not_lower_what_was_shown) {
    install_change_counter(*database);
    insert(3);
    TotalsTracker tracker;
    tracker.advance(store, steady_clock::now() + 1s);
    EXPECT_TRUE(write(tracker));
    insert(2);
    tracker.request_recheck();
    tracker.advance(store, steady_clock::now() + 1s);
    EXPECT_EQ(counted(tracker), 5);
    database->exec("UPDATE skill_invocation SET completed = 0 WHERE id = 5");
    EXPECT_FALSE(write(tracker)) << "rows were changed";
    tracker.advance(store, steady_clock::now() + 1s);
    EXPECT_EQ(counted(tracker), 5);
    EXPECT_TRUE(write(tracker));
    EXPECT_EQ(series_of(*database), "5|1|0|[1,0,0,0.0,0,0,0,0,0,0,0,0,0,0]");
}

TEST_F(TotalsStoreTest, totals_of_an_earlier_version_have_no_unknown_outcomes_and_no_debt) {
    insert(2);
    {
        TotalsTracker tracker;
        tracker.advance(store, steady_clock::now() + 1s);
        EXPECT_TRUE(write(tracker));
    }
    database->exec(
        "ALTER TABLE session_buddy_totals DROP COLUMN unknown; ALTER TABLE session_buddy_totals DROP COLUMN debt");
    insert(1);
    TotalsStore again(*database);
    TotalsTracker tracker;
    tracker.advance(again, steady_clock::now() + 1s);
    EXPECT_EQ(counted(tracker), 3);
    SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::IMMEDIATE);
    EXPECT_TRUE(again.write(tracker.pending()));
    transaction.commit();
    EXPECT_EQ(series_of(*database), "3|0|0|NULL");
}

TEST_F(TotalsStoreTest, creates_its_tables_again_after_a_rollback) {
    insert(5);
    TotalsTracker tracker;
    tracker.advance(store, steady_clock::now() + 1s);
    {
        const SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::IMMEDIATE);
        EXPECT_TRUE(store.write(tracker.pending()));
    }
    store.rolled_back();
    EXPECT_TRUE(write(tracker));
    EXPECT_EQ(store.position()->counted_id, 5);
}

}  // namespace
}  // namespace session_buddy::storage
