// How the follower returns new rows and skips unreadable ones.
#include "session_buddy/storage/follower.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "follower_fixture.hpp"
#include "session_buddy/core/log.hpp"
#include "session_buddy/storage/cycle_writer.hpp"
#include "session_buddy/storage/database.hpp"

namespace session_buddy::storage {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// Captures log lines during its lifetime.
class LogCapture {
  public:
    LogCapture() {
        log::set_sink([this](const log::Record& record) { lines.emplace_back(record.message); });
    }
    ~LogCapture() { log::reset_sink(); }
    LogCapture(const LogCapture&) = delete;
    LogCapture& operator=(const LogCapture&) = delete;
    std::vector<std::string> lines;
};

TEST_F(FollowerTest, starts_with_a_rebuild) {
    start();
    Batch batch = poll();
    EXPECT_TRUE(batch.rebuilt);
    EXPECT_THAT(batch.rows, IsEmpty());
    EXPECT_FALSE(batch.more);
    batch = poll();
    EXPECT_FALSE(batch.rebuilt);
}

TEST_F(FollowerTest, reads_every_column_of_a_row) {
    start();
    static_cast<void>(poll());
    test::execute(
        path,
        "INSERT INTO skill_invocation (skill_name, invoked_at, session_id, completed, duration_seconds, error_type)"
        " VALUES ('pytest-run', '2026-02-10 13:00:00.25+02:00', 's9', 0, 2.5, 'timeout')");
    const Batch batch = poll();
    ASSERT_EQ(batch.rows.size(), 1U);
    const Invocation& row = batch.rows.front();
    EXPECT_EQ(row.id, 1);
    EXPECT_EQ(row.skill_name, "pytest-run");
    EXPECT_EQ(row.invoked_at, parse_timestamp("2026-02-10T11:00:00.25Z"));
    EXPECT_EQ(row.session_id, "s9");
    EXPECT_FALSE(row.completed);
    EXPECT_EQ(row.duration_seconds, 2.5);
    EXPECT_EQ(row.error_type, "timeout");
    ASSERT_THAT(names(batch), ElementsAre("pytest-run"));
    EXPECT_EQ(batch.lifetimes.front().second.total_invocations, 1);
    EXPECT_EQ(batch.lifetimes.front().second.completed_invocations, 0);
    EXPECT_EQ(batch.lifetimes.front().second.last_invocation_at, row.invoked_at);
}

TEST_F(FollowerTest, returns_each_row_once_and_nothing_if_there_is_none) {
    start();
    insert("a");
    EXPECT_THAT(ids(poll()), ElementsAre(1));
    for (int i = 0; i < 3; ++i) {
        const Batch nothing = poll();
        EXPECT_FALSE(nothing.rebuilt);
        EXPECT_THAT(nothing.rows, IsEmpty());
        EXPECT_THAT(nothing.lifetimes, IsEmpty());
    }
    insert("b");
    insert("a", "2020-01-01");
    const Batch batch = poll();
    EXPECT_FALSE(batch.rebuilt);
    EXPECT_THAT(ids(batch), ElementsAre(2, 3)) << "late rows are returned too";
    EXPECT_THAT(names(batch), ElementsAre("a", "b"));
    EXPECT_EQ(lifetime(batch, "a")->total_invocations, 2);
}

TEST_F(FollowerTest, rebuilds_from_the_rows_of_the_lookback_in_any_time_format) {
    bool first = true;
    for (const char* at : {
             "2026-02-09T12:00:00Z",         // 1: exactly at the edge
             "2026-02-09T11:59:59.999999Z",  // 2: just outside
             "2026-02-09T12:30:00+01:00",    // 3: outside, though its text is later
             "2026-02-08T12:30:00-23:59",    // 4: inside, though its date is two days back
             "2026-02-10",                   // 5
             "2026-02-11T11:00:00+23:30",    // 6
             "2030-01-01T00:00:00Z",         // 7: the future is inside
             "2026-02-01T00:00:00Z",         // 8
             "2026-02-10 11:59:59,5",        // 9
         }) {
        if (first) {
            static_cast<void>(open_database(path, {}));
            first = false;
        }
        insert("a", at);
    }
    start();
    const Batch batch = poll();
    EXPECT_TRUE(batch.rebuilt);
    EXPECT_THAT(ids(batch), ElementsAre(1, 4, 5, 6, 7, 9));
    ASSERT_THAT(names(batch), ElementsAre("a"));
    EXPECT_EQ(lifetime(batch, "a")->total_invocations, 9) << "the lifetime is not limited to the lookback";
    EXPECT_EQ(batch.skipped_rows, 0);
}

TEST_F(FollowerTest, splits_a_rebuild_and_many_new_rows_into_batches) {
    static_cast<void>(open_database(path, {}));
    SQLite::Database writer(path, SQLite::OPEN_READWRITE);
    writer.exec("BEGIN");
    std::vector<std::int64_t> wanted;
    for (int i = 1; i <= 1000; ++i) {
        const bool old = i % 200 < 100;  // gaps that are large enough to skip
        writer.exec(test::insertion("a", old ? "2020-01-01" : kRecent));
        if (!old) {
            wanted.push_back(i);
        }
    }
    writer.exec("COMMIT");
    start(130);
    std::vector<std::int64_t> got;
    int rebuilds = 0;
    for (bool more = true; more;) {
        const Batch batch = poll();
        rebuilds += batch.rebuilt ? 1 : 0;
        EXPECT_LE(batch.rows.size(), 130U);
        for (const std::int64_t id : ids(batch)) {
            got.push_back(id);
        }
        if (got.size() > 100 && got.size() < 400) {  // rows inserted during a rebuild are returned after it
            writer.exec(test::insertion("b", kRecent));
            wanted.push_back(writer.getLastInsertRowid());
        }
        more = batch.more;
    }
    EXPECT_EQ(rebuilds, 1);
    EXPECT_EQ(got, wanted);

    writer.exec("BEGIN");
    for (int i = 0; i < 300; ++i) {
        writer.exec(test::insertion("c", kRecent));
    }
    writer.exec("COMMIT");
    EXPECT_EQ(poll().rows.size(), 130U);
    EXPECT_EQ(poll().rows.size(), 130U);
    const Batch rest = poll();
    EXPECT_EQ(rest.rows.size(), 40U);
    EXPECT_FALSE(rest.more);
    EXPECT_EQ(lifetime(rest, "c")->total_invocations, 300);
}

TEST_F(FollowerTest, skips_unreadable_rows_and_logs_it_once) {
    LogCapture captured;
    start();
    static_cast<void>(poll());
    test::execute(
        path, "DROP TRIGGER trg_session_skills_after_insert;" + test::insertion("a", "garbage") +
                  test::insertion(std::string(257, 'x'), kRecent) + test::insertion("", kRecent) +
                  test::insertion("line\nbreak", kRecent) + test::insertion("ok", kRecent, "s", true, "'abc'") +
                  test::insertion("ok", kRecent, "s", true, "-1") + test::insertion("ok", kRecent, "s", true, "9e999") +
                  test::insertion("ok", kRecent, "s", true, "x'FF'") + test::insertion("ok", kRecent, "s", true, "0") +
                  "INSERT INTO skill_invocation (skill_name, invoked_at, session_id, completed) VALUES"
                  " (x'6162', '2026-02-10', 's', 1), ('ok', x'6162', 's', 1), ('ok', 20260210, 's', 1),"
                  " ('ok', '2026-02-10T11:00:00Z', x'FFFE', 'yes'), ('ok', '2026-02-10T11:00:00Z', 7, 2)");
    const Batch batch = poll();
    EXPECT_EQ(batch.skipped_rows, 7);
    EXPECT_THAT(ids(batch), ElementsAre(5, 6, 7, 8, 9, 13, 14));
    for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(batch.rows[i].duration_seconds, std::nullopt) << i;
    }
    EXPECT_EQ(batch.rows[4].duration_seconds, 0.0);
    EXPECT_EQ(batch.rows[5].session_id, "");
    EXPECT_FALSE(batch.rows[5].completed);
    EXPECT_EQ(batch.rows[6].session_id, "7");
    EXPECT_TRUE(batch.rows[6].completed);
    EXPECT_THAT(names(batch), ElementsAre("a", "ok"));
    insert("a", "garbage");
    EXPECT_EQ(poll().skipped_rows, 1);
    EXPECT_THAT(captured.lines, ElementsAre(testing::HasSubstr("row 1 of skill_invocation")));
}

TEST_F(FollowerTest, counts_lifetimes_from_rows_if_skill_metrics_lacks_a_skill) {
    static_cast<void>(open_database(path, {}));
    test::execute(path, "DROP TRIGGER trg_skill_metrics_after_insert; DROP TRIGGER trg_metrics_cache_after_insert;" +
                            test::insertion("a", kRecent, "s", true, "2.0") +
                            test::insertion("a", "2020-01-01", "s", true, "4.0") +
                            test::insertion("a", "2026-02-10T12:30:00+01:00", "s", false, "90.0") +
                            test::insertion("a", "bad"));
    start(2);
    Batch batch = poll();
    ASSERT_NE(lifetime(batch, "a"), nullptr);
    EXPECT_EQ(lifetime(batch, "a")->total_invocations, 4);
    EXPECT_EQ(lifetime(batch, "a")->completed_invocations, 3);
    EXPECT_EQ(lifetime(batch, "a")->avg_duration_seconds, 3.0);
    EXPECT_EQ(lifetime(batch, "a")->last_invocation_at, parse_timestamp("2026-02-10T11:30:00Z"));
    while (poll().more) {
    }
    test::execute(path, test::insertion("a", kRecent, "s", true, "6.0") + test::insertion("b", kRecent) +
                            test::insertion("a", kRecent, "s", false));
    batch = poll();
    EXPECT_EQ(lifetime(batch, "a")->total_invocations, 6) << "like an entry, it counts a row that is not read yet";
    EXPECT_EQ(lifetime(batch, "a")->avg_duration_seconds, 4.0);
    EXPECT_EQ(lifetime(batch, "b")->total_invocations, 1);
    batch = poll();
    EXPECT_EQ(lifetime(batch, "a")->total_invocations, 6);
    EXPECT_EQ(lifetime(batch, "a")->completed_invocations, 4);
}

TEST_F(FollowerTest, reads_odd_values_of_skill_metrics) {
    static_cast<void>(open_database(path, {}));
    insert("a");
    test::execute(
        path,
        "UPDATE skill_metrics SET total_invocations = 5, completed_invocations = 9, avg_duration_seconds = 'x',"
        " last_invoked = 'never'");
    start();
    const Batch batch = poll();
    ASSERT_NE(lifetime(batch, "a"), nullptr);
    EXPECT_EQ(*lifetime(batch, "a"), (LifetimeMetrics{.total_invocations = 5,
                                                      .completed_invocations = 5,
                                                      .avg_duration_seconds = 0.0,
                                                      .last_invocation_at = std::nullopt}));
}

TEST_F(FollowerTest, corrects_triggers_that_divide_by_rows_without_a_duration) {
    test::make_theirs(path, 4);
    test::execute(path, test::insertion("a", kRecent, "s", true, "6.0") + test::insertion("a", kRecent) +
                            test::insertion("a", kRecent, "s", false, "90.0") +
                            test::insertion("a", "2020-01-01", "s", true, "2.0"));
    start();
    Batch batch = poll();
    EXPECT_EQ(*lifetime(batch, "a"), (LifetimeMetrics{.total_invocations = 4,
                                                      .completed_invocations = 3,
                                                      .avg_duration_seconds = 4.0,
                                                      .last_invocation_at = parse_timestamp(kRecent)}));
    test::execute(path, test::insertion("a", "2021-01-01", "s", true, "1.0"));
    batch = poll();
    EXPECT_EQ(lifetime(batch, "a")->total_invocations, 5);
    EXPECT_EQ(lifetime(batch, "a")->avg_duration_seconds, 3.0);
    EXPECT_EQ(lifetime(batch, "a")->last_invocation_at, parse_timestamp(kRecent));
    // Only skill_metrics counts deleted rows: half of the remaining completed rows have a duration.
    test::execute(path, "DELETE FROM skill_invocation WHERE id IN (4, 5)");
    batch = poll();
    EXPECT_EQ(lifetime(batch, "a")->total_invocations, 5);
    EXPECT_EQ(lifetime(batch, "a")->completed_invocations, 4);
    EXPECT_EQ(lifetime(batch, "a")->avg_duration_seconds, 9.0 / (4 * 0.5));
    EXPECT_EQ(lifetime(batch, "a")->last_invocation_at, parse_timestamp(kRecent));
}

TEST_F(FollowerTest, does_not_treat_its_own_writes_as_changes) {
    start();
    insert("a");
    static_cast<void>(poll());
    const CacheRow rows[] = {{.skill_name = "a", .last_invocation_at = kNow, .invocation_count_1h = 1}};
    follower->writer()->write({.cache = rows}, kNow);
    const Batch batch = poll();
    EXPECT_FALSE(batch.rebuilt);
    EXPECT_THAT(batch.lifetimes, IsEmpty());
    EXPECT_EQ(test::query_one(path, "SELECT invocation_count_1h FROM skill_metrics_cache"), "1");
}

TEST_F(FollowerTest, tolerates_triggers_that_reject_rows) {
    test::make_theirs(path, 4);
    start();
    static_cast<void>(poll());
    EXPECT_THROW(test::execute(path,
                               "INSERT INTO skill_invocation (skill_name, invoked_at, session_id, error_type)"
                               " VALUES ('a', '2026-02-10', 's', '[Errno 2]')"),
                 SQLite::Exception);
    insert("a");
    EXPECT_EQ(poll().rows.size(), 1U);
}

TEST_F(FollowerTest, reopens_only_an_existing_file) {
    follower.emplace(path, FollowerOptions{});
    EXPECT_EQ(poll_error(), StorageErrc::missing);
    EXPECT_TRUE(dir.contents().empty());
    static_cast<void>(open_database(path, {}));
    EXPECT_TRUE(poll().rebuilt);
}

}  // namespace
}  // namespace session_buddy::storage
