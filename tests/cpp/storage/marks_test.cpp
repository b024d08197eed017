// How the marks of invocations are read, by the follower and by MarkReader itself.
#include "storage/marks.hpp"

#include <SQLiteCpp/Transaction.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "follower_fixture.hpp"
#include "storage/change_counter.hpp"

namespace session_buddy::storage {
namespace {

/// As the event store creates it, maybe in another process.
constexpr const char* kMarkTable =
    "CREATE TABLE IF NOT EXISTS session_buddy_mark (invocation_id INTEGER PRIMARY KEY, marks INTEGER NOT NULL);";

std::string mark(std::int64_t id, std::int64_t marks) {
    return "INSERT OR REPLACE INTO session_buddy_mark VALUES (" + std::to_string(id) + ", " + std::to_string(marks) +
           ");";
}

TEST_F(FollowerTest, reads_the_marks_of_new_rows_from_a_table_that_is_created_later) {
    start();
    insert("a");
    Batch batch = poll();
    ASSERT_EQ(batch.rows.size(), 1U);
    EXPECT_FALSE(batch.rows[0].outcome_is_unknown);
    EXPECT_FALSE(batch.rows[0].duration_is_bound);

    test::execute(path, std::string("BEGIN;") + kMarkTable + test::insertion("a", kRecent) +
                            test::insertion("a", kRecent) + test::insertion("a", kRecent) +
                            test::insertion("a", kRecent) + mark(2, 1) + mark(3, 2) + mark(4, 7) + "COMMIT;");
    batch = poll();
    EXPECT_FALSE(batch.rebuilt);
    ASSERT_EQ(batch.rows.size(), 4U);
    EXPECT_TRUE(batch.rows[0].outcome_is_unknown);
    EXPECT_FALSE(batch.rows[0].duration_is_bound);
    EXPECT_FALSE(batch.rows[1].outcome_is_unknown);
    EXPECT_TRUE(batch.rows[1].duration_is_bound);
    EXPECT_TRUE(batch.rows[2].outcome_is_unknown);
    EXPECT_TRUE(batch.rows[2].duration_is_bound);
    EXPECT_FALSE(batch.rows[3].outcome_is_unknown);
    EXPECT_FALSE(batch.rows[3].duration_is_bound);
}

TEST_F(FollowerTest, reads_more_marks_than_one_batch_of_them_in_a_rebuild) {
    start();
    constexpr int kRows = 700;
    std::string sql = std::string("BEGIN;") + kMarkTable;
    for (int id = 1; id <= kRows; ++id) {
        sql += test::insertion("a", kRecent) + (id % 3 == 0 ? mark(id, 1) : "");
    }
    test::execute(path, sql + "COMMIT;");
    const Batch batch = poll();
    ASSERT_EQ(batch.rows.size(), kRows);
    for (const Invocation& row : batch.rows) {
        EXPECT_EQ(row.outcome_is_unknown, row.id % 3 == 0) << row.id;
    }
}

TEST_F(FollowerTest, a_row_that_another_program_stored_as_failed_has_no_unknown_outcome) {
    start();
    test::execute(path, kMarkTable + test::insertion("a", kRecent, "s", false) + mark(1, 1));
    const Batch batch = poll();
    ASSERT_EQ(batch.rows.size(), 1U);
    EXPECT_FALSE(batch.rows[0].outcome_is_unknown);
}

TEST_F(FollowerTest, a_changed_mark_is_a_rebuild_if_it_was_counted) {
    start();
    test::execute(path, kMarkTable + test::insertion("a", kRecent) + mark(1, 1));
    ASSERT_TRUE(poll().rows.at(0).outcome_is_unknown);
    SQLite::Database other(path, SQLite::OPEN_READWRITE, 5000);
    SQLite::Transaction transaction(other);
    other.exec("DELETE FROM session_buddy_mark");  // the row itself stays as it is
    count_change(other);
    transaction.commit();
    const Batch batch = poll_until_rebuilt();
    ASSERT_EQ(batch.rows.size(), 1U);
    EXPECT_FALSE(batch.rows[0].outcome_is_unknown);
}

TEST_F(FollowerTest, reads_marks_in_any_order_on_a_read_only_connection) {
    start();
    test::execute(path, kMarkTable + mark(3, 2) + mark(7, 1));
    SQLite::Database database(path, SQLite::OPEN_READONLY);
    MarkReader marks(database);
    for (const auto& [id, expected] : {std::pair{5, 0}, {7, 1}, {3, 2}, {1, 0}, {8, 0}, {4, 0}, {3, 2}, {2, 0}}) {
        EXPECT_EQ(marks.of(id), expected) << id;
    }
    test::execute(path, mark(5, 3));
    EXPECT_EQ(marks.of(5), 0) << "as of the first read";
    marks.restart();
    EXPECT_EQ(marks.of(5), 3);
}

TEST_F(FollowerTest, lifetimes_count_unknown_outcomes_from_a_table_that_is_created_later) {
    start();
    insert("a");
    EXPECT_EQ(lifetime(poll(), "a")->unknown_invocations, 0);
    test::execute(path,
                  "CREATE TABLE IF NOT EXISTS session_buddy_unknown (skill_name TEXT PRIMARY KEY, invocations INTEGER"
                  " NOT NULL) WITHOUT ROWID; INSERT INTO session_buddy_unknown VALUES ('a', 1), ('b', 5);" +
                      test::insertion("a", kRecent) + test::insertion("b", kRecent) + test::insertion("c", kRecent));
    const Batch batch = poll();
    EXPECT_EQ(lifetime(batch, "a")->unknown_invocations, 1);
    EXPECT_EQ(lifetime(batch, "b")->unknown_invocations, 1) << "not more than the completed ones";
    EXPECT_EQ(lifetime(batch, "c")->unknown_invocations, 0);
    follower->request_rebuild();
    const Batch all = poll();
    EXPECT_EQ(lifetime(all, "a")->unknown_invocations, 1);
    EXPECT_EQ(lifetime(all, "c")->unknown_invocations, 0);
}

}  // namespace
}  // namespace session_buddy::storage
