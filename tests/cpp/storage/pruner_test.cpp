// What pruning deletes and keeps, and that metrics and readers do not change.
#include "session_buddy/storage/pruner.hpp"

#include <SQLiteCpp/Backup.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "follower_fixture.hpp"
#include "session_buddy/storage/database.hpp"
#include "session_buddy/storage/event_store.hpp"
#include "session_buddy/storage/hourly_rollup.hpp"
#include "session_buddy/storage/skills_store.hpp"
#include "support/manual_clock.hpp"
#include "support/privileges.hpp"

namespace session_buddy::storage {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Rows = std::vector<std::string>;

constexpr std::chrono::milliseconds kTimeout{200};

using test::at;

const TimePoint kPrunedBefore = at("2026-02-01T00:00:00Z");

class PrunerTest : public FollowerTest {
  protected:
    void SetUp() override { static_cast<void>(open_database(path, {})); }

    PruneResult prune(TimePoint cutoff = kPrunedBefore) const {
        Pruner pruner(path, cutoff, kTimeout);
        int steps = 0;
        while (pruner.step(kNow)) {
            if (++steps > 10000) {
                ADD_FAILURE() << "never done";
                break;
            }
        }
        return pruner.result();
    }
    StorageError prune_error() const {
        try {
            static_cast<void>(prune());
        } catch (const StorageError& error) {
            return error;
        }
        ADD_FAILURE() << "it was pruned";
        return {StorageErrc::io, "", ""};
    }
    void insert_row(const std::string& skill, const std::string& when, const std::string& session = "s1",
                    bool completed = true, const std::string& duration = "NULL") const {
        test::execute(path, test::insertion(skill, when, session, completed, duration));
    }
    /// One row per minute starting at `first`, of three skills and five sessions.
    void insert_many(int count, const std::string& first = "2026-01-01T00:00:00Z") const {
        test::execute(path, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < " +
                                std::to_string(count - 1) +
                                ") INSERT INTO skill_invocation (skill_name, invoked_at, session_id, completed,"
                                " duration_seconds) SELECT 'skill-' || (i % 3),"
                                " strftime('%Y-%m-%dT%H:%M:%SZ', '" +
                                first + "', i || ' minutes'), 's' || (i % 5), i % 4 > 0, i % 7 FROM n");
    }
    void keep_time_series() const {
        HourlyRollup rollup(path, kTimeout);
        while (rollup.step(kNow)) {
        }
    }
    Rows times() const { return test::query(path, "SELECT invoked_at FROM skill_invocation ORDER BY id"); }
    Rows series() const {
        return test::query(path,
                           "SELECT skill_name, timestamp, invocation_count, completion_rate, avg_duration_seconds,"
                           " unique_sessions FROM skill_time_series ORDER BY timestamp, skill_name");
    }
    /// The first `rows` of them.
    Rows series(std::size_t rows) const {
        Rows all = series();
        all.resize(std::min(all.size(), rows));
        return all;
    }
    /// Everything that is computed and stored from the rows.
    Rows aggregates() const {
        Rows all = series();
        for (const char* table : {"skill_metrics", "session_skills", "skill_metrics_cache"}) {
            const Rows rows = test::query(path, std::string("SELECT * FROM ") + table + " ORDER BY 1, 2");
            all.insert(all.end(), rows.begin(), rows.end());
        }
        return all;
    }
    std::string count() const { return test::query_one(path, "SELECT count(*) FROM skill_invocation"); }
};

TEST(PruneCutoff, is_the_start_of_a_day_in_utc) {
    using std::chrono::hours;
    EXPECT_EQ(format_timestamp(prune_cutoff(at("2026-02-10T12:00:00Z"), hours{24})), "2026-02-09T00:00:00Z");
    EXPECT_EQ(format_timestamp(prune_cutoff(at("2026-02-10T12:00:00Z"), hours{13})), "2026-02-09T00:00:00Z");
    EXPECT_EQ(format_timestamp(prune_cutoff(at("2026-02-10T12:00:00Z"), hours{12})), "2026-02-10T00:00:00Z");
    EXPECT_EQ(format_timestamp(prune_cutoff(at("1969-12-31T12:00:00Z"), hours{1})), "1969-12-31T00:00:00Z");
}

TEST_F(PrunerTest, deletes_rows_before_the_cutoff_in_any_time_format) {
    const Rows old{"2025-07-01 10:00:00", "2026-01-31T23:59:59.999999Z", "2026-02-01T05:00:00+05:30",
                   "2026-01-31T18:59:59-05:00"};
    const Rows young{"2026-02-01T00:00:00Z", "2026-01-31T19:00:00-05:00", "2026-02-01 00:00", "2026-02-10T11:00:00Z"};
    for (std::size_t i = 0; i < old.size(); ++i) {
        insert_row("a", old[i]);
        insert_row("a", young[i]);
    }
    const PruneResult result = prune();
    EXPECT_EQ(times(), young);
    EXPECT_EQ(result.rows, 4);
    EXPECT_EQ(format_timestamp(result.from.value()), "2025-07-01T10:00:00Z");
    EXPECT_EQ(format_timestamp(result.to.value()), "2026-01-31T23:59:59Z");
    EXPECT_GT(result.longest_lock.count(), 0);
    EXPECT_EQ(prune().rows, 0);
}

TEST_F(PrunerTest, leaves_every_aggregate_as_it_is) {
    insert_many(3000);
    insert_row("skill-1", kRecent);
    keep_time_series();
    const Rows before = aggregates();
    EXPECT_EQ(prune().rows, 3000);
    EXPECT_EQ(aggregates(), before);
}

TEST_F(PrunerTest, writes_the_hours_of_old_rows_before_deleting_them) {
    insert_many(3000);
    insert_row("skill-1", kRecent);
    EXPECT_THAT(series(), IsEmpty());
    {
        Pruner pruner(path, kPrunedBefore, kTimeout);
        while (count() == "3001" && pruner.step(kNow)) {
        }
    }
    EXPECT_EQ(test::query_one(path, "SELECT sum(invocation_count) FROM skill_time_series"), "3001");
    const Rows before = series();
    prune();
    EXPECT_EQ(series(), before);
}

TEST_F(PrunerTest, the_next_rows_are_counted_on_top) {
    insert_row("a", "2026-01-05T10:00:00Z", "s1", true, "2.0");
    insert_row("a", "2026-01-06T10:00:00Z", "s1", false);
    insert_row("a", kRecent, "s1", true, "4.0");
    prune();
    insert_row("a", "2026-02-10T11:01:00Z", "s1", true, "6.0");
    EXPECT_EQ(test::query_one(path,
                              "SELECT total_invocations, completed_invocations, abandoned_invocations,"
                              " total_duration_seconds, avg_duration_seconds, first_invoked, last_invoked"
                              " FROM skill_metrics"),
              "4|3|1|12.0|4.0|2026-01-05T10:00:00Z|2026-02-10T11:01:00Z");
    EXPECT_EQ(test::query_one(path, "SELECT invocation_count FROM session_skills"), "4");
    SkillsStore store(path, kTimeout);
    std::vector<InvocationRecord> many(20, InvocationRecord{"a", "2026-02-10T11:02:00Z", "s1", true});
    store.store_many(many);
    EXPECT_EQ(store.metrics("a")->total_invocations, 24);
}

TEST_F(PrunerTest, a_late_row_of_a_pruned_hour_is_added_to_it) {
    insert_row("a", "2026-01-05T10:00:00Z", "s1", true, "2.0");
    insert_row("a", "2026-01-05T10:01:00Z", "s1", true, "4.0");
    insert_row("a", kRecent);
    prune();
    HourlyRollup rollup(path, kTimeout);
    const auto keep = [&] {
        while (rollup.step(kNow)) {
        }
    };
    keep();
    insert_row("a", "2026-01-05T10:30:00Z", "s2", false);
    insert_row("a", "2026-01-05T10:31:00Z", "s2", true, "9.0");
    insert_row("b", "2026-01-05T10:32:00Z", "s3", false);
    keep();
    const Rows expected{"a|2026-01-05T10:00:00Z|4|0.75|5.0|2", "b|2026-01-05T10:00:00Z|1|0.0|NULL|1"};
    EXPECT_EQ(series(2), expected);
    keep_time_series();  // as another process, or after a restart
    insert_row("a", "2026-02-10T10:00:00Z");
    keep();
    EXPECT_EQ(series(2), expected) << "added twice";
    EXPECT_EQ(prune().rows, 3);
    EXPECT_EQ(series(2), expected);
}

TEST_F(PrunerTest, a_rollup_with_a_dirty_hour_does_not_count_it_from_the_remaining_rows) {
    insert_row("a", "2026-02-10T11:10:00Z");
    insert_row("a", "2026-02-10T11:20:00Z");
    HourlyRollup rollup(path, kTimeout);
    while (rollup.step(at("2026-02-10T11:30:00Z"))) {
    }
    insert_row("a", "2026-02-12T11:00:00Z");
    const TimePoint later = at("2026-02-12T12:00:00Z");
    Pruner pruner(path, at("2026-02-11T00:00:00Z"), kTimeout);
    while (pruner.step(later)) {
    }
    EXPECT_EQ(count(), "1");
    insert_row("a", "2026-02-10T11:40:00Z");
    while (rollup.step(later)) {
    }
    EXPECT_EQ(series().front(), "a|2026-02-10T11:00:00Z|3|1.0|NULL|2");
}

TEST_F(PrunerTest, a_late_row_is_kept_until_its_hour_counts_it) {
    insert_row("a", "2026-01-05T10:00:00Z");
    insert_row("a", kRecent);
    Pruner pruner(path, kPrunedBefore, kTimeout);
    while (count() == "2" && pruner.step(kNow)) {
    }
    insert_row("a", "2026-01-05T10:30:00Z");
    insert_row("a", kRecent);
    while (pruner.step(kNow)) {
    }
    EXPECT_EQ(pruner.result().rows, 1);
    EXPECT_EQ(prune().rows, 1);
    EXPECT_EQ(series().front(), "a|2026-01-05T10:00:00Z|2|1.0|NULL|2");
}

TEST_F(PrunerTest, a_larger_number_of_late_rows_is_added_once) {
    insert_row("skill-0", "2026-01-01T00:00:00Z");
    insert_row("skill-0", kRecent);
    prune();
    insert_many(40000);
    insert_row("skill-0", kRecent);
    keep_time_series();
    EXPECT_EQ(test::query_one(path, "SELECT sum(invocation_count) FROM skill_time_series"), "40003");
    EXPECT_EQ(test::query_one(path,
                              "SELECT invocation_count, unique_sessions FROM skill_time_series"
                              " WHERE timestamp = '2026-01-01T01:00:00Z' AND skill_name = 'skill-0'"),
              "20|5");
}

TEST_F(PrunerTest, a_longer_retention_afterwards_reverts_nothing) {
    insert_row("a", "2026-01-05T10:00:00Z");
    insert_row("a", "2026-01-25T10:00:00Z");
    insert_row("a", kRecent);
    prune();
    insert_row("a", "2026-01-05T10:30:00Z");
    insert_row("a", "2026-01-25T10:30:00Z");
    insert_row("a", kRecent);
    EXPECT_EQ(prune(at("2026-01-20T00:00:00Z")).rows, 1);
    EXPECT_EQ(series(2), (Rows{"a|2026-01-05T10:00:00Z|2|1.0|NULL|2", "a|2026-01-25T10:00:00Z|2|1.0|NULL|2"}));
}

TEST_F(PrunerTest, an_event_reported_again_does_not_restore_a_pruned_row) {
    EventStore store(path, {.busy_timeout = kTimeout});
    const std::vector<SkillEvent> events{
        {.kind = SkillEvent::Kind::invocation, .key = "key-1", .record = {"a", "2026-01-05T10:00:00Z", "s1", true}},
        {.kind = SkillEvent::Kind::command, .key = "key-2", .record = {"a", "2026-01-05T10:00:01Z", "s1", true}},
        {.kind = SkillEvent::Kind::invocation, .key = "key-3", .record = {"a", kRecent, "s1", true}}};
    for (const EventStore::Result& result : store.ingest(events, Source::hook, {})) {
        EXPECT_TRUE(result.is_new);
    }
    EXPECT_EQ(prune().rows, 2);
    for (const EventStore::Result& result : store.ingest(events, Source::transcript, {})) {
        EXPECT_FALSE(result.is_new);
    }
    EXPECT_EQ(count(), "1");
    EXPECT_EQ(test::query_one(path, "SELECT total_invocations FROM skill_metrics"), "3");
}

TEST_F(PrunerTest, keeps_rows_without_a_time_and_the_newest_one) {
    for (const char* unreadable : {"", "0000", "yesterday", "2025-02-30T00:00:00Z"}) {
        insert_row("a", unreadable);
    }
    insert_row("a", "2026-01-05T10:00:00Z");
    insert_row("a", "2026-01-04T10:00:00Z");
    EXPECT_EQ(prune().rows, 1);
    EXPECT_EQ(times(), (Rows{"", "0000", "yesterday", "2025-02-30T00:00:00Z", "2026-01-04T10:00:00Z"}));
}

TEST_F(PrunerTest, keeps_rows_without_an_entry_in_skill_metrics) {
    insert_row("a", "2026-01-05T10:00:00Z");
    test::execute(path, "DROP TRIGGER trg_skill_metrics_after_insert; DROP TRIGGER trg_metrics_cache_after_insert");
    for (int i = 0; i < 200; ++i) {
        insert_row("unknown", "2026-01-05T10:00:00Z");
    }
    insert_row("a", "2026-01-05T10:00:00Z");
    insert_row("a", kRecent);
    const PruneResult result = prune();
    EXPECT_EQ(result.rows, 2);
    EXPECT_EQ(result.kept_rows, 200);
    EXPECT_EQ(count(), "201");
}

TEST_F(PrunerTest, deletes_the_same_rows_from_the_full_text_index) {
    for (const char* when : {"2026-01-05T10:00:00Z", "2026-01-06T10:00:00Z", kRecent}) {
        test::execute(path, test::insertion("a", when));
    }
    test::execute(path,
                  "UPDATE skill_invocation SET user_query = 'run the tests ' || id;"
                  "INSERT INTO skill_invocation_fts (skill_invocation_fts) VALUES ('rebuild');");
    test::execute(path, test::insertion("a", "2026-01-07T10:00:00Z"));  // not in the index
    test::execute(path, test::insertion("a", kRecent));
    EXPECT_EQ(prune().rows, 3);
    EXPECT_EQ(test::query(path, "SELECT rowid FROM skill_invocation_fts WHERE skill_invocation_fts MATCH 'tests'"),
              Rows{"3"});
    test::execute(path, "INSERT INTO skill_invocation_fts (skill_invocation_fts) VALUES ('integrity-check')");
}

TEST_F(PrunerTest, a_trigger_of_another_tool_does_not_lower_the_totals) {
    insert_many(10);
    insert_row("skill-1", kRecent);
    test::execute(path,
                  "CREATE TRIGGER theirs AFTER DELETE ON skill_invocation BEGIN UPDATE skill_metrics"
                  " SET total_invocations = total_invocations - 1 WHERE skill_name = OLD.skill_name; END;");
    EXPECT_EQ(prune().rows, 10);
    EXPECT_EQ(test::query_one(path, "SELECT sum(total_invocations) FROM skill_metrics"), "11");
}

TEST_F(PrunerTest, is_rejected_if_a_trigger_recounts_the_rows) {
    insert_many(10);
    test::execute(path,
                  "CREATE TRIGGER theirs AFTER INSERT ON skill_invocation BEGIN UPDATE skill_metrics SET"
                  " total_invocations = (SELECT count(*) FROM\n\"skill_invocation\" WHERE skill_name = NEW.skill_name)"
                  " WHERE skill_name = NEW.skill_name; END;");
    const StorageError error = prune_error();
    EXPECT_EQ(error.code(), StorageErrc::incompatible);
    EXPECT_THAT(error.what(), HasSubstr("trigger theirs"));
    EXPECT_THAT(error.what(), HasSubstr("drop or change it"));
    EXPECT_EQ(count(), "10");
    test::execute(path,
                  "DROP TRIGGER theirs; DROP TRIGGER trg_skill_metrics_after_insert; CREATE TRIGGER"
                  " trg_skill_metrics_after_insert AFTER INSERT ON skill_invocation BEGIN INSERT OR REPLACE INTO"
                  " skill_metrics (skill_name, total_invocations) SELECT skill_name, count(*) from skill_invocation"
                  " GROUP BY 1; END;");
    EXPECT_THAT(prune_error().what(), HasSubstr("replace_triggers"));
}

TEST_F(PrunerTest, prunes_a_database_of_other_tools_and_of_an_older_version) {
    for (const int version : {1, 4}) {
        path = dir.file("theirs" + std::to_string(version) + ".db");
        test::make_theirs(path, version);
        insert_many(500);
        insert_row("skill-1", kRecent);
        EXPECT_EQ(prunable_rows(path, kPrunedBefore, kTimeout).rows, 500);
        EXPECT_EQ(prune().rows, 500);
        EXPECT_EQ(test::query_one(path, "SELECT sum(total_invocations) FROM skill_metrics"), "501");
        insert_row("skill-1", kRecent);
        EXPECT_EQ(test::query_one(path, "SELECT sum(total_invocations) FROM skill_metrics"), "502");
    }
}

TEST_F(PrunerTest, can_be_stopped_after_any_step_and_restarted) {
    insert_many(3000);
    insert_row("skill-1", kRecent);
    std::int64_t deleted = 0;
    for (bool more = true; more;) {
        Pruner pruner(path, kPrunedBefore, kTimeout);
        // As many steps as are needed to make progress.
        while (more && pruner.result().rows == 0) {
            more = pruner.step(kNow);
        }
        deleted += pruner.result().rows;
        EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_invocation"), std::to_string(3001 - deleted));
        if (deleted > 0) {
            EXPECT_EQ(test::query_one(path, "SELECT value FROM session_buddy_state WHERE key = 'pruned_rows'"),
                      std::to_string(deleted));
        }
        EXPECT_EQ(test::query_one(path, "SELECT sum(total_invocations) FROM skill_metrics"), "3001");
    }
    EXPECT_EQ(deleted, 3000);
    EXPECT_EQ(test::query_one(path, "SELECT sum(invocation_count) FROM skill_time_series"), "3001");
}

TEST_F(PrunerTest, a_stop_while_it_completes_the_hours_deletes_nothing_and_the_next_one_continues) {
    insert_many(5000);
    int asked = 0;
    EXPECT_TRUE(Pruner(path, kPrunedBefore, kTimeout).step(kNow, [&] { return ++asked == 3; }));
    EXPECT_EQ(asked, 3) << "reads no row after the stop";
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_invocation"), "5000");
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_time_series"), "0");
    EXPECT_EQ(prune().rows, 4999) << "all but the newest";
    EXPECT_EQ(test::query_one(path, "SELECT sum(invocation_count) FROM skill_time_series"), "5000");
}

TEST_F(PrunerTest, a_process_that_is_killed_leaves_a_sound_database) {
    insert_many(20000, "2025-12-01T00:00:00Z");
    insert_row("skill-1", kRecent);
    std::string before = count();
    for (int round = 0; before != "1" && round < 100; ++round) {
        const pid_t child = ::fork();
        if (child == 0) {
            try {
                Pruner pruner(path, kPrunedBefore, kTimeout);
                while (pruner.step(kNow)) {
                }
            } catch (const std::exception& error) {
                std::fprintf(stderr, "child: %s\n", error.what());
            }
            ::_exit(0);
        }
        // After it started to delete.
        int status = 0;
        while (count() == before && ::waitpid(child, &status, WNOHANG) == 0) {
        }
        ::kill(child, SIGKILL);
        ::waitpid(child, &status, 0);
        before = count();
        EXPECT_EQ(test::query_one(path,
                                  "SELECT (SELECT count(*) FROM skill_invocation) + coalesce((SELECT value FROM"
                                  " session_buddy_state WHERE key = 'pruned_rows'), 0)"),
                  "20001");
    }
    static_cast<void>(prune());  // the rest, if the disk was slow
    EXPECT_EQ(count(), "1");
    EXPECT_EQ(test::query_one(path, "PRAGMA integrity_check"), "ok");
    EXPECT_EQ(test::query_one(path, "SELECT sum(invocation_count) FROM skill_time_series"), "20001");
}

TEST_F(PrunerTest, the_log_does_not_grow_with_the_number_of_deleted_rows) {
    insert_many(40000);
    insert_row("skill-1", kRecent);
    SQLite::Database reader(path, SQLite::OPEN_READWRITE);
    EXPECT_EQ(test::query(reader, "SELECT 1 FROM skill_invocation LIMIT 1").size(),
              1U);  // keeps the log from being removed at the end
    EXPECT_EQ(prune(at("2026-02-09T00:00:00Z")).rows, 40000);
    EXPECT_LT(std::filesystem::file_size(path + "-wal"), 10U * 1024 * 1024);
}

TEST_F(PrunerTest, counting_agrees_with_pruning_and_writes_nothing) {
    insert_many(1000, "2026-01-31T15:00:00Z");
    const auto files = dir.contents();
    const PrunableRows found = prunable_rows(path, kPrunedBefore, kTimeout);
    EXPECT_TRUE(dir.contents() == files);
    EXPECT_EQ(found.rows, 540);
    const PruneResult result = prune();
    EXPECT_EQ(result.rows, found.rows);
    EXPECT_EQ(result.from, found.from);
    EXPECT_EQ(result.to, found.to);
    EXPECT_EQ(prunable_rows(path, kPrunedBefore, kTimeout).rows, 0);
    EXPECT_FALSE(prunable_rows(path, kPrunedBefore, kTimeout).from.has_value());
}

TEST_F(PrunerTest, reports_why_it_cannot_prune) {
    insert_many(10);
    {
        SQLite::Database other(path, SQLite::OPEN_READWRITE);
        other.exec("BEGIN IMMEDIATE");
        EXPECT_EQ(prune_error().code(), StorageErrc::busy);
    }
    {
        const test::WriteProtected file(path);
        EXPECT_EQ(prune_error().code(), StorageErrc::read_only);
    }
    EXPECT_EQ(count(), "10");
    path = dir.file("none.db");
    EXPECT_EQ(prune_error().code(), StorageErrc::missing);
    EXPECT_THROW(static_cast<void>(prunable_rows(path, kPrunedBefore, kTimeout)), StorageError);
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(PrunerTest, stops_when_the_database_was_replaced) {
    insert_many(2000);
    Pruner pruner(path, kPrunedBefore, kTimeout);
    while (pruner.result().rows == 0 && pruner.step(kNow)) {
    }
    remove_database();
    static_cast<void>(open_database(path, {}));
    insert_many(2000);
    EXPECT_THROW(static_cast<void>(pruner.step(kNow)), StorageError);
    EXPECT_EQ(count(), "2000");
}

class PrunedFollower : public PrunerTest {
  protected:
    /// Long enough for the next audit.
    void expect_nothing_new() {
        for (int i = 0; i < 5000; ++i) {
            const Batch batch = poll();
            ASSERT_FALSE(batch.rebuilt);
            ASSERT_THAT(batch.rows, IsEmpty());
        }
    }
};

TEST_F(PrunedFollower, does_not_rebuild) {
    insert_many(500);
    insert_row("skill-1", kRecent);
    start();
    static_cast<void>(poll());
    EXPECT_EQ(prune().rows, 500);
    expect_nothing_new();
    insert_row("skill-0", kRecent);
    const Batch batch = poll();
    EXPECT_FALSE(batch.rebuilt);
    EXPECT_THAT(ids(batch), ElementsAre(502));
    EXPECT_EQ(lifetime(batch, "skill-0")->total_invocations, 168);
    EXPECT_EQ(prune(at("2026-02-02T00:00:00Z")).rows, 0);
    expect_nothing_new();
}

TEST_F(PrunedFollower, is_not_disturbed_by_any_single_step) {
    insert_many(500);
    insert_row("skill-1", kRecent);
    start();
    static_cast<void>(poll());
    Pruner pruner(path, kPrunedBefore, kTimeout);
    while (pruner.step(kNow)) {
        const Batch batch = poll();
        ASSERT_FALSE(batch.rebuilt);
        ASSERT_THAT(batch.rows, IsEmpty());
    }
    EXPECT_EQ(count(), "1");
}

TEST_F(PrunedFollower, continues_when_its_last_row_was_pruned) {
    insert_row("a", kRecent);
    insert_row("late", "2026-01-05T10:00:00Z");
    start();
    static_cast<void>(poll());
    insert_row("a", kRecent);
    EXPECT_EQ(prune().rows, 1) << "the last one that was read";
    const Batch batch = poll();
    EXPECT_FALSE(batch.rebuilt);
    EXPECT_THAT(ids(batch), ElementsAre(3));
    expect_nothing_new();
}

TEST_F(PrunedFollower, rebuilds_if_rows_were_pruned_that_it_never_read) {
    insert_row("a", kRecent);
    start();
    static_cast<void>(poll());
    insert_row("b", "2026-01-05T10:00:00Z");
    insert_row("a", kRecent);
    EXPECT_EQ(prune().rows, 1);
    const Batch batch = poll();
    EXPECT_TRUE(batch.rebuilt);
    EXPECT_EQ(lifetime(batch, "b")->total_invocations, 1);
}

TEST_F(PrunedFollower, still_detects_rows_deleted_by_others) {
    insert_many(50);
    insert_row("skill-1", kRecent);
    insert_row("skill-1", kRecent);
    start();
    static_cast<void>(poll());
    EXPECT_EQ(prune().rows, 50);
    static_cast<void>(poll());
    test::execute(path, "DELETE FROM skill_invocation WHERE id = 51");
    EXPECT_TRUE(poll_until_rebuilt().rebuilt);
}

TEST_F(PrunedFollower, detects_a_copy_from_before_the_pruning) {
    insert_many(50);
    insert_row("skill-1", kRecent);
    start();
    static_cast<void>(poll());
    const std::string copy = dir.file("copy.db");
    {
        SQLite::Database source(path, SQLite::OPEN_READWRITE);
        SQLite::Database target(copy, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
        SQLite::Backup(target, source).executeStep();
    }
    EXPECT_EQ(prune().rows, 50);
    static_cast<void>(poll());
    {
        SQLite::Database source(copy, SQLite::OPEN_READWRITE);
        SQLite::Database target(path, SQLite::OPEN_READWRITE);
        SQLite::Backup(target, source).executeStep();
    }
    EXPECT_TRUE(poll_until_rebuilt().rebuilt);
    expect_nothing_new();
}

}  // namespace
}  // namespace session_buddy::storage
