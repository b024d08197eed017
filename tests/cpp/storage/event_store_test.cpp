// An invocation is one row, even if several sources report it, in any order.
#include "session_buddy/storage/event_store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "session_buddy/core/duration.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "support/privileges.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::storage {
namespace {

using Kind = SkillEvent::Kind;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TimePoint at_time(const char* time) {
    return parse_timestamp(std::string("2026-02-10T") + time + "Z").value();
}

SkillEvent event(Kind kind, const std::string& key, const char* time, const std::string& skill = "a",
                 bool completed = true) {
    SkillEvent made;
    made.kind = kind;
    made.key = key;
    made.at = at_time(time);
    made.record.skill_name = skill;
    made.record.session_id = "s1";
    made.record.completed = completed;
    return made;
}

class Events : public testing::Test {
  protected:
    test::TempDir dir;
    std::string path = dir.file("skills.db");
    EventStore store{path, {.busy_timeout = std::chrono::milliseconds{200}}};

    EventStore::Result ingest(const SkillEvent& one, Source source = Source::hook) {
        return store.ingest({&one, 1}, source).at(0);
    }
    std::vector<std::string> rows() const {
        return test::query(path,
                           "SELECT skill_name, invoked_at, completed, duration_seconds, error_type"
                           " FROM skill_invocation ORDER BY invoked_at, id");
    }
    std::string first_or_none(const std::string& query) const {
        const auto found = test::query(path, query);
        return found.empty() ? "(none)" : found.front();
    }
    std::string marks() const { return first_or_none("SELECT * FROM session_buddy_mark"); }
    std::string unknown() const { return first_or_none("SELECT * FROM session_buddy_unknown"); }
    std::string open_invocations() const {
        return test::query_one(path, "SELECT count(*) FROM session_buddy_open_use");
    }
};

TEST_F(Events, an_invocation_is_stored_once_and_every_source_of_it_is_remembered) {
    const SkillEvent first[] = {event(Kind::invocation, "k1", "12:00:00"), event(Kind::invocation, "k2", "12:00:01"),
                                event(Kind::invocation, "k1", "12:00:00")};
    const auto stored = store.ingest(first, Source::transcript);
    ASSERT_EQ(stored.size(), 3U);
    EXPECT_TRUE(stored[0].is_new && stored[1].is_new);
    EXPECT_FALSE(stored[2].is_new);
    EXPECT_EQ(stored[2].id, stored[0].id);

    const auto again = ingest(event(Kind::invocation, "k2", "12:00:01"));
    EXPECT_FALSE(again.is_new);
    EXPECT_EQ(again.id, stored[1].id);
    EXPECT_EQ(again.seen_before, static_cast<Sources>(Source::transcript));
    EXPECT_EQ(test::query(path, "SELECT key, invocation_id, seen_by FROM session_buddy_source ORDER BY key"),
              (std::vector<std::string>{"k1|1|4", "k2|2|5"}));
    EXPECT_EQ(rows().size(), 2U);
}

TEST_F(Events, invocations_without_a_key_are_always_new) {
    const SkillEvent nameless = event(Kind::invocation, "", "12:00:00");
    EXPECT_TRUE(ingest(nameless, Source::http).is_new);
    EXPECT_TRUE(ingest(nameless, Source::http).is_new);
    EXPECT_EQ(rows().size(), 2U);
}

TEST_F(Events, results_of_many_invocations_with_repeats_are_in_order) {
    std::vector<SkillEvent> many;
    for (int i = 0; i < 40; ++i) {
        many.push_back(event(Kind::invocation, "k" + std::to_string(i % 30), "12:00:00"));
    }
    const auto results = store.ingest(many, Source::http);
    ASSERT_EQ(results.size(), 40U);
    for (std::size_t i = 0; i < 40; ++i) {
        EXPECT_EQ(results[i].id, static_cast<std::int64_t>(i % 30 + 1));
        EXPECT_EQ(results[i].is_new, i < 30);
    }
    EXPECT_EQ(rows().size(), 30U);
}

TEST_F(Events, a_start_and_an_end_are_one_row_with_the_time_between_them) {
    EXPECT_EQ(ingest(event(Kind::started, "t1", "12:00:00.250")).id, 0);
    EXPECT_THAT(rows(), IsEmpty());
    EventStore other(path, {.busy_timeout = std::chrono::milliseconds{200}});  // as another process
    const SkillEvent end = event(Kind::finished, "t1", "12:00:02.750");
    EXPECT_TRUE(other.ingest({&end, 1}, Source::hook).at(0).is_new);
    EXPECT_THAT(rows(), ElementsAre("a|2026-02-10T12:00:00.250Z|1|2.5|NULL"));
    EXPECT_EQ(open_invocations(), "0");
}

TEST_F(Events, a_measured_duration_wins_over_the_time_between_start_and_end) {
    ingest(event(Kind::started, "t1", "12:00:00"));
    SkillEvent end = event(Kind::finished, "t1", "12:00:10");
    end.record.duration_seconds = 1.5;  // without the wait for permission
    ingest(end);
    EXPECT_THAT(rows(), ElementsAre("a|2026-02-10T12:00:00.000Z|1|1.5|NULL"));
}

TEST_F(Events, an_end_without_a_start_is_a_row_that_started_a_duration_earlier) {
    SkillEvent end = event(Kind::finished, "t1", "12:00:10", "a", false);
    end.record.duration_seconds = 4.0;
    end.record.error_type = "exit_code";
    EXPECT_TRUE(ingest(end).is_new);
    ingest(event(Kind::started, "t1", "12:00:06"));  // reported late, from the spool
    EXPECT_TRUE(ingest(event(Kind::finished, "t2", "12:00:11")).is_new);
    EXPECT_THAT(rows(),
                ElementsAre("a|2026-02-10T12:00:06.000Z|0|4.0|exit_code", "a|2026-02-10T12:00:11.000Z|1|NULL|NULL"));
    EXPECT_EQ(open_invocations(), "0");
}

TEST_F(Events, a_clock_that_was_set_back_gives_no_negative_duration) {
    ingest(event(Kind::started, "t1", "12:00:10"));
    ingest(event(Kind::finished, "t1", "12:00:00"));
    EXPECT_THAT(rows(), ElementsAre("a|2026-02-10T12:00:10.000Z|1|0.0|NULL"));
}

TEST_F(Events, an_invocation_that_never_finished_expires_with_an_unknown_outcome) {
    ingest(event(Kind::started, "t1", "12:00:00"));
    ingest(event(Kind::started, "t2", "12:30:00"));
    EXPECT_EQ(store.expire(at_time("12:30:00")), 1U);
    EXPECT_EQ(store.expire(at_time("12:30:00")), 0U);
    EXPECT_THAT(rows(), ElementsAre("a|2026-02-10T12:00:00.000Z|1|NULL|NULL"));
    EXPECT_EQ(marks(), "1|1") << "the row and its mark";
    EXPECT_EQ(unknown(), "a|1");

    const auto late = ingest(event(Kind::finished, "t1", "13:00:00", "a", false));
    EXPECT_FALSE(late.is_new);
    ASSERT_TRUE(late.correction);
    EXPECT_EQ(late.correction->before.outcome, Outcome::unknown);
    EXPECT_EQ(late.correction->after.outcome, Outcome::failed);
    EXPECT_THAT(rows(), ElementsAre("a|2026-02-10T12:00:00.000Z|0|3600.0|NULL"));
    EXPECT_EQ(marks(), "1|2") << "the duration may include a wait";
    EXPECT_EQ(unknown(), "(none)");
}

TEST_F(Events, the_end_of_a_session_ends_only_its_open_invocations) {
    ingest(event(Kind::started, "t1", "12:00:00"));
    SkillEvent other = event(Kind::started, "t2", "12:00:01");
    other.record.session_id = "s2";
    ingest(other);
    SkillEvent end;
    end.kind = Kind::session_end;
    end.at = at_time("12:01:00");
    end.record.session_id = "s1";
    EXPECT_EQ(ingest(end).id, 0);
    EXPECT_THAT(rows(), ElementsAre("a|2026-02-10T12:00:00.000Z|1|NULL|NULL"));
    EXPECT_EQ(marks(), "1|1");
    EXPECT_EQ(open_invocations(), "1");
}

TEST_F(Events, a_transcript_that_reports_an_open_invocation_closes_it) {
    ingest(event(Kind::started, "t1", "12:00:00"));
    const SkillEvent invocation = event(Kind::invocation, "t1", "12:00:00");
    EXPECT_TRUE(ingest(invocation, Source::transcript).is_new);
    EXPECT_EQ(open_invocations(), "0");
    EXPECT_EQ(store.expire(at_time("23:00:00")), 0U);
    EXPECT_EQ(ingest(event(Kind::finished, "t1", "12:00:01")).seen_before, static_cast<Sources>(Source::transcript));
    EXPECT_EQ(rows().size(), 1U);
}

TEST_F(Events, a_command_is_deduplicated_by_session_name_and_time_across_sources) {
    const auto hook = ingest(event(Kind::command, "h1", "12:00:00.5", "review"));
    EXPECT_TRUE(hook.is_new);
    const auto same = ingest(event(Kind::command, "command:u1", "12:00:01", "review"), Source::transcript);
    EXPECT_FALSE(same.is_new);
    EXPECT_EQ(same.id, hook.id);
    EXPECT_EQ(same.seen_before, static_cast<Sources>(Source::hook));
    EXPECT_FALSE(ingest(event(Kind::command, "command:u1", "12:00:01", "review"), Source::transcript).is_new);

    EXPECT_TRUE(ingest(event(Kind::command, "command:u2", "12:00:30", "review"), Source::transcript).is_new)
        << "too far away";
    EXPECT_TRUE(ingest(event(Kind::command, "command:u3", "12:00:01", "commit"), Source::transcript).is_new)
        << "another name";
}

TEST_F(Events, a_command_typed_twice_quickly_is_two_rows_for_both_sources) {
    EXPECT_TRUE(ingest(event(Kind::command, "h1", "12:00:00", "review")).is_new);
    EXPECT_TRUE(ingest(event(Kind::command, "h2", "12:00:02", "review")).is_new);
    EXPECT_FALSE(ingest(event(Kind::command, "command:u1", "12:00:00", "review"), Source::transcript).is_new);
    EXPECT_FALSE(ingest(event(Kind::command, "command:u2", "12:00:02", "review"), Source::transcript).is_new);
    EXPECT_EQ(rows().size(), 2U);
}

TEST_F(Events, offsets_are_saved_in_the_transaction_of_their_events) {
    EXPECT_THAT(store.transcript_offsets(), IsEmpty());
    const TranscriptOffset offset{.file = "1:2:3", .offset = 17};
    store.ingest({}, Source::transcript, {&offset, 1});
    const SkillEvent bad[] = {event(Kind::invocation, "k", "12:00:00", "bad\nname")};
    const TranscriptOffset later{.file = "1:2:3", .offset = 99};
    EXPECT_THROW(store.ingest(bad, Source::transcript, {&later, 1}), StorageError);
    EXPECT_THAT(store.transcript_offsets(), ElementsAre(testing::Pair("1:2:3", 17)));
}

TEST_F(Events, an_invalid_event_is_rejected_with_its_index_and_field_and_nothing_is_stored) {
    const auto rejection = [&](const SkillEvent& bad) -> std::string {
        const SkillEvent both[] = {event(Kind::invocation, "good", "12:00:00"), bad};
        try {
            store.ingest(both, Source::http);
        } catch (const StorageError& error) {
            EXPECT_EQ(error.code(), StorageErrc::invalid_argument);
            return error.what();
        }
        return "(accepted)";
    };
    EXPECT_THAT(rejection(event(Kind::started, "", "12:00:00")), HasSubstr("record 1: key"));
    EXPECT_THAT(rejection(event(Kind::invocation, std::string(1025, 'k'), "12:00:00")), HasSubstr("record 1: key"));
    EXPECT_THAT(rejection(event(Kind::invocation, "k", "12:00:00", "")), HasSubstr("record 1: skill_name"));
    EXPECT_THAT(rows(), IsEmpty());
}

TEST_F(Events, a_side_table_of_an_earlier_release_is_used) {
    const std::string old = dir.file("old.db");
    { EventStore made(old, {}); }
    test::execute(
        old,
        "CREATE TABLE session_buddy_source (key TEXT PRIMARY KEY, invocation_id INTEGER NOT NULL) WITHOUT ROWID;"
        "INSERT INTO session_buddy_source VALUES ('k1', 1);" +
            test::insertion("a", "2026-02-10T12:00:00Z"));
    EventStore again(old, {});
    const SkillEvent known = event(Kind::invocation, "k1", "12:00:00");
    const auto result = again.ingest({&known, 1}, Source::hook).at(0);
    EXPECT_FALSE(result.is_new);
    EXPECT_EQ(result.seen_before, static_cast<Sources>(Source::transcript));
}

TEST_F(Events, a_locked_database_stores_nothing_of_a_batch_and_can_be_retried) {
    SQLite::Database other(path, SQLite::OPEN_READWRITE, 100);
    other.exec("BEGIN IMMEDIATE");
    const SkillEvent end = event(Kind::finished, "t1", "12:00:00");
    try {
        ingest(end);
        FAIL() << "stored in a locked database";
    } catch (const StorageError& error) {
        EXPECT_EQ(error.code(), StorageErrc::busy);
    }
    other.exec("ROLLBACK");
    EXPECT_TRUE(ingest(end).is_new);
}

/// A trigger of another tool that takes milliseconds for each row.
void make_slow(const std::string& path) {
    test::execute(path,
                  "CREATE TRIGGER slow AFTER INSERT ON skill_invocation BEGIN SELECT count(*) FROM (WITH RECURSIVE"
                  " n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i FROM n); END");
}

TEST_F(Events, a_batch_that_takes_long_is_stored_in_parts_and_each_row_once) {
    make_slow(path);
    std::vector<SkillEvent> events;
    for (int i = 0; i < 60; ++i) {
        events.push_back(event(Kind::invocation, "k" + std::to_string(i / 2), "12:00:00"));  // each of them twice
    }
    events.push_back(event(Kind::started, "u", "12:00:00"));
    std::size_t parts = 0;
    std::size_t fresh = 0;
    for (std::size_t done = 0; done < events.size(); ++parts) {
        const auto results =
            store.ingest_some(std::span(events).subspan(done), Source::http, std::chrono::milliseconds{5});
        ASSERT_GE(results.size(), 1U);
        for (const auto& result : results) {
            fresh += result.is_new ? 1U : 0U;
        }
        EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_invocation"), std::to_string(fresh)) << "committed";
        done += results.size();
    }
    EXPECT_GT(parts, 2U);
    EXPECT_EQ(fresh, 30U);
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM session_buddy_source"), "30");
    EXPECT_EQ(open_invocations(), "1");
}

TEST_F(Events, many_events_are_stored_in_one_batch_if_no_trigger_is_slow) {
    const std::vector<SkillEvent> events(1500, event(Kind::invocation, "", "12:00:00"));
    EXPECT_EQ(store.ingest_some(events, Source::http, std::chrono::minutes{1}).size(), events.size());
    EXPECT_TRUE(store.ingest_some({}, Source::http).empty());
}

class BoundedValues : public testing::TestWithParam<std::size_t> {};

TEST_P(BoundedValues, of_a_skill_are_stored_and_further_ones_become_other) {
    const test::TempDir dir;
    const std::string path = dir.file("skills.db");
    EventStore store(path, {.max_values_per_skill = 20});
    std::vector<SkillEvent> events;
    for (int i = 0; i < 100; ++i) {
        events.push_back(event(Kind::invocation, "", "12:00:00", "a", false));
        events.back().record.error_type = "error_" + std::to_string(i % 50);
        events.back().record.workflow_path = "path " + std::to_string(i);
    }
    events.push_back(event(Kind::invocation, "", "12:00:00", "b", false));
    events.back().record.error_type = "error_40";
    events.push_back(event(Kind::invocation, "", "12:00:00", "a", false));
    events.back().record.error_type = "other";
    for (std::size_t done = 0; done < events.size(); done += GetParam()) {
        const std::size_t count = std::min(GetParam(), events.size() - done);
        EXPECT_EQ(store.ingest(std::span(events).subspan(done, count), Source::http).size(), count);
    }
    const auto count = [&path](const std::string& column, const std::string& skill) {
        return test::query_one(path,
                               "SELECT count(*) || ' ' || sum(value) || ' ' || max(CASE key WHEN 'other' THEN value"
                               " ELSE 0 END) FROM skill_metrics, json_each(" +
                                   column + ") WHERE skill_name = '" + skill + "'");
    };
    EXPECT_EQ(count("common_errors", "a"), "21 101 61");
    EXPECT_EQ(count("workflow_paths", "a"), "21 100 80");
    EXPECT_EQ(count("common_errors", "b"), "1 1 0") << "another skill";
    EXPECT_EQ(test::query_one(path, "SELECT count(DISTINCT error_type) FROM skill_invocation"), "22")
        << "rows as well, because their readers keep each class in memory, too";
}
INSTANTIATE_TEST_SUITE_P(OneByOneAndTogether, BoundedValues, testing::Values(1, 7, 64, 1000));

TEST_F(Events, a_database_with_more_values_than_the_limit_gets_no_further_ones) {
    std::string names = "{\"0\":1";
    for (int i = 1; i < 3000; ++i) {
        names += ",\"" + std::to_string(i) + "\":1";
    }
    ingest(event(Kind::invocation, "", "12:00:00"));
    test::execute(path, "UPDATE skill_metrics SET common_errors = '" + names + "}'");
    std::vector<SkillEvent> events(40, event(Kind::invocation, "", "12:00:00", "a", false));
    for (std::size_t i = 0; i < events.size(); ++i) {
        events[i].record.error_type = i < 20 ? "7" : "new" + std::to_string(i);
    }
    store.ingest(events, Source::http);
    EXPECT_EQ(test::query(path,
                          "SELECT key, value FROM skill_metrics, json_each(common_errors)"
                          " WHERE value <> 1 OR key NOT GLOB '[0-9]*'"),
              (std::vector<std::string>{"7|21", "other|20"}));
}

TEST_F(Events, the_end_of_a_session_stores_a_limited_number_of_open_invocations) {
    std::vector<SkillEvent> starts;
    for (std::size_t i = 0; i < EventStore::kMaxExpired + 10; ++i) {
        starts.push_back(event(Kind::started, "u" + std::to_string(i), "12:00:00"));
    }
    store.ingest(starts, Source::hook);
    ingest(event(Kind::session_end, "", "12:00:01"));
    EXPECT_EQ(open_invocations(), "10");
    EXPECT_EQ(store.expire(at_time("12:30:00")), 10U) << "the remaining ones expire";
}

TEST_F(Events, a_replaced_file_is_reopened) {
    ingest(event(Kind::started, "t1", "12:00:00"));
    for (const char* ending : {"", "-wal", "-shm"}) {
        std::filesystem::remove(path + ending);
    }
    EXPECT_TRUE(ingest(event(Kind::finished, "t1", "12:00:01")).is_new);
    EXPECT_THAT(rows(), ElementsAre("a|2026-02-10T12:00:01.000Z|1|NULL|NULL"));
}

TEST_F(Events, a_duration_that_is_too_long_is_rejected_and_named) {
    SkillEvent end = event(Kind::finished, "t", "12:00:10");
    for (const double duration : {1e308, 1.0001e8, -0.1, std::numeric_limits<double>::quiet_NaN()}) {
        end.record.duration_seconds = duration;
        try {
            ingest(end);
            ADD_FAILURE() << duration;
        } catch (const StorageError& error) {
            EXPECT_THAT(error.what(), HasSubstr("duration_seconds must be a number of seconds from 0 to 100000000"));
        }
    }
    EXPECT_THAT(rows(), IsEmpty());
    end.record.duration_seconds = kMaxDurationSeconds;
    EXPECT_TRUE(ingest(end).is_new);
    EXPECT_THAT(rows(), ElementsAre("a|2022-12-11T02:13:30.000Z|1|100000000.0|NULL"));
}

TEST_F(Events, an_invocation_that_ends_years_after_its_start_has_no_duration) {
    SkillEvent start = event(Kind::started, "t", "12:00:00");
    start.at -= std::chrono::years{4};  // before the clock of the machine was set
    ingest(start);
    ingest(event(Kind::finished, "t", "12:00:10"));
    EXPECT_EQ(test::query_one(path, "SELECT count(*), count(duration_seconds) FROM skill_invocation"), "1|0");
}

/// A process that writes one row.
class ShortLivedStore : public testing::Test {
  protected:
    test::TempDir dir;
    std::string path = dir.file("skills.db");

    void ingest_short_lived(const std::string& key) const {
        EventStore store(path, {.busy_timeout = std::chrono::milliseconds{200}, .short_lived = true});
        const SkillEvent end = event(Kind::finished, key, "12:00:00");
        EXPECT_TRUE(store.ingest({&end, 1}, Source::hook).at(0).is_new);
    }
    std::string count() const { return test::query_one(path, "SELECT count(*) FROM skill_invocation"); }
    void migrate() const { static_cast<void>(open_database(path, {})); }
};

TEST_F(ShortLivedStore, creates_its_side_tables_if_they_are_missing) {
    migrate();
    ASSERT_EQ(test::query_one(path, "SELECT count(*) FROM sqlite_master WHERE name LIKE 'session_buddy%'"), "0");
    ingest_short_lived("t1");
    EXPECT_EQ(test::query_one(path, "SELECT key FROM session_buddy_source"), "t1");
    for (const char* table :
         {"session_buddy_source", "session_buddy_open_use", "session_buddy_command", "session_buddy_transcript"}) {
        test::execute(path, std::string("DROP TABLE ") + table);
        ingest_short_lived(table);
    }
    EXPECT_EQ(count(), "5");
}

TEST_F(ShortLivedStore, repairs_a_database_that_lost_tables_a_row_needs) {
    int number = 0;
    for (const char* damage : {"DROP TABLE skill_metrics", "DROP TABLE skill_metrics_cache",
                               "DROP TABLE session_skills", "DROP TABLE skill_invocation"}) {
        path = dir.file(std::to_string(++number) + ".db");
        migrate();
        test::execute(path, damage);
        ingest_short_lived("t1");
        EXPECT_EQ(count(), "1") << damage;
        EXPECT_EQ(test::query_one(path, "SELECT skill_name, total_invocations FROM skill_metrics"), "a|1") << damage;
        EXPECT_EQ(test::query_one(path, "SELECT skill_name FROM skill_metrics_cache"), "a") << damage;
    }
}

TEST_F(ShortLivedStore, stores_the_row_if_a_trigger_is_missing) {
    migrate();
    for (const std::string& trigger : test::query(path, "SELECT name FROM sqlite_master WHERE type = 'trigger'")) {
        test::execute(path, "DROP TRIGGER " + trigger);
    }
    ingest_short_lived("t1");
    EXPECT_EQ(count(), "1");
}

TEST_F(ShortLivedStore, creates_the_database_and_says_why_one_cannot_be_used) {
    path = dir.file("new.db");
    ingest_short_lived("t1");
    EXPECT_EQ(count(), "1");
    path = dir.file("text.db");
    std::ofstream(path) << std::string(5000, 'x');
    try {
        ingest_short_lived("t2");
        FAIL() << "opened a text";
    } catch (const StorageError& error) {
        EXPECT_EQ(error.code(), StorageErrc::not_a_database);
    }
}

TEST_F(ShortLivedStore, is_rejected_by_a_write_protected_database) {
    migrate();
    test::WriteProtected protection(path);
    try {
        ingest_short_lived("t1");
        FAIL() << "wrote to a write-protected file";
    } catch (const StorageError& error) {
        EXPECT_EQ(error.code(), StorageErrc::read_only) << error.what();
    }
}

TEST_F(ShortLivedStore, does_not_wait_long_for_a_lock) {
    migrate();
    SQLite::Database other(path, SQLite::OPEN_READWRITE, 100);
    other.exec("BEGIN IMMEDIATE");
    try {
        ingest_short_lived("t1");
        FAIL() << "stored in a locked database";
    } catch (const StorageError& error) {
        EXPECT_EQ(error.code(), StorageErrc::busy);
    }
}

}  // namespace
}  // namespace session_buddy::storage
