// What HistoryQueries finds with either index, and how it reads rows that other programs wrote.
#include "session_buddy/storage/history_queries.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "session_buddy/storage/database.hpp"
#include "session_buddy/storage/pruner.hpp"
#include "storage/change_counter.hpp"
#include "support/manual_clock.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::storage {
namespace {

using test::execute;
using test::insertion;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

using test::at;

class History : public testing::Test {
  protected:
    History() { static_cast<void>(open_database(path, {})); }

    std::vector<std::string> invocations(const std::optional<std::string>& skill, const char* from, const char* to) {
        std::vector<std::string> found;
        queries.read_series(
            skill, at(from), at(to), now,
            {.invocation =
                 [&](const storage::InvocationView& invocation) {
                     found.push_back(std::string(invocation.skill_name) + ' ' + format_timestamp(invocation.at));
                     return true;
                 },
             .hour =
                 [&](const RollupRow& hour) {
                     found.push_back("hour " + format_timestamp(hour.hour) + ' ' +
                                     std::to_string(hour.invocation_count) + '/' +
                                     std::to_string(hour.completed_count));
                 }});
        return found;
    }

    test::TempDir dir;
    std::string path = dir.file("skills.db");
    TimePoint now = TimePoint::max();
    bool is_cancelled = false;
    HistoryQueries queries{path, std::chrono::milliseconds{100}, [this] { return is_cancelled; }};
};

TEST_F(History, finds_invocations_of_a_time_range_in_any_time_format) {
    execute(path, insertion("a", "2026-02-10T12:00:00Z") + insertion("a", "2026-02-11T01:30:00+14:00") +
                      insertion("a", "2026-02-09 23:30:00-12:00") + insertion("a", "2026-02-10 11:59:59.999999") +
                      insertion("a", "2026-02-10T13:00:00Z") + insertion("b", "2026-02-10T12:30:00Z") +
                      insertion("a", "no time") + insertion("", "2026-02-10T12:00:00Z") +
                      insertion("a\nb", "2026-02-10T12:00:00Z"));
    EXPECT_THAT(invocations(std::nullopt, "2026-02-10T11:30:00Z", "2026-02-10T13:00:00Z"),
                UnorderedElementsAre("a 2026-02-10T12:00:00Z", "a 2026-02-10T11:30:00Z", "a 2026-02-10T11:30:00Z",
                                     "a 2026-02-10T11:59:59Z", "b 2026-02-10T12:30:00Z"));
}

TEST_F(History, finds_the_same_by_the_index_of_the_skill_and_by_that_of_the_time) {
    std::string script;
    for (int i = 0; i < 300; ++i) {
        const std::string hour = (i % 24 < 10 ? "0" : "") + std::to_string(i % 24);
        const std::string day = std::to_string(10 + i / 24 % 15);
        script += insertion(i % 50 == 0 ? "rare" : "usual", "2026-02-" + day + "T" + hour + ":00:00Z");
    }
    execute(path, "BEGIN;" + script + "COMMIT;");
    for (const char* skill : {"rare", "usual"}) {
        for (const char* to : {"2026-02-11T00:00:00Z", "2026-03-11T00:00:00Z"}) {
            std::vector<std::string> expected;
            for (const std::string& invocation : invocations(std::nullopt, "2026-02-01", to)) {
                if (invocation.starts_with(skill)) {
                    expected.push_back(invocation);
                }
            }
            EXPECT_FALSE(expected.empty());
            EXPECT_THAT(invocations(skill, "2026-02-01", to), testing::UnorderedElementsAreArray(expected))
                << skill << to;
        }
    }
}

TEST_F(History, reads_hours_for_pruned_rows_and_then_invocations) {
    execute(path, insertion("a", "2026-02-01T10:10:00Z") + insertion("a", "2026-02-01T10:20:00Z", "s", false) +
                      insertion("a", "2026-02-01T11:00:00Z") + insertion("b", "2026-02-01T10:00:00Z") +
                      insertion("a", "2026-02-20T10:00:00Z"));
    EXPECT_EQ(queries.pruned_before(), TimePoint::min());
    Pruner pruner(path, at("2026-02-10"), std::chrono::milliseconds{200});
    while (pruner.step(at("2026-02-21"))) {
    }
    EXPECT_EQ(queries.pruned_before(), at("2026-02-10"));
    EXPECT_THAT(invocations("a", "2026-02-01T10:00:00Z", "2026-02-21"),
                UnorderedElementsAre("hour 2026-02-01T10:00:00Z 2/1", "hour 2026-02-01T11:00:00Z 1/1",
                                     "a 2026-02-20T10:00:00Z"));
    EXPECT_THAT(invocations(std::nullopt, "2026-02-01T10:00:00Z", "2026-02-01T11:00:00Z"),
                UnorderedElementsAre("hour 2026-02-01T10:00:00Z 2/1", "hour 2026-02-01T10:00:00Z 1/1"));
}

TEST_F(History, counts_no_hour_twice_that_another_program_has_written_too) {
    execute(path, insertion("a", "2026-02-01T10:10:00Z") + insertion("a", "2026-02-20T10:00:00Z"));
    Pruner pruner(path, at("2026-02-10"), std::chrono::milliseconds{200});
    while (pruner.step(at("2026-02-21"))) {
    }
    execute(
        path,
        "INSERT INTO skill_time_series (skill_name, timestamp, invocation_count, completion_rate) VALUES"
        " ('a', '2026-02-01T10:00:00Z', 7, 1), ('a', '2026-02-01T10:00:00', 7, 1), ('a', '2026-02-01 10:00:00', 7, 1),"
        " ('a', '2026-02-01T10:30:00Z', 7, 1), ('a', '2026-02-01T10:00:00+00:00', 7, 1)");
    EXPECT_THAT(invocations("a", "2026-02-01T10:00:00Z", "2026-02-02"), ElementsAre("hour 2026-02-01T10:00:00Z 1/1"));
}

TEST_F(History, reads_recent_invocations_again_after_manual_changes) {
    {
        const auto database = open_database(path, {});
        install_change_counter(*database);
    }
    execute(path, insertion("a", "2026-02-10T10:00:00Z") + insertion("a", "2026-02-10T11:00:00Z"));
    std::optional<HistoryQueries::Cursor> cursor;
    const auto read = [&] {
        std::string found;
        queries.read_recent(
            cursor, at("2026-02-10"), [&] { found += "restart "; },
            [&](const storage::InvocationView& invocation) {
                found += std::string(invocation.skill_name) + (invocation.completed ? "+ " : "- ");
            });
        return found;
    };
    EXPECT_EQ(read(), "restart a+ a+ ");
    EXPECT_EQ(read(), "");
    execute(path, "UPDATE skill_invocation SET completed = 0 WHERE id = 1");
    EXPECT_EQ(read(), "restart a+ a- ");
    execute(path, "DELETE FROM skill_invocation WHERE id = 1");
    EXPECT_EQ(read(), "restart a+ ");
    // As if a copy without the row was restored, and another program had written to it.
    execute(path,
            "CREATE TEMP TABLE counter AS SELECT seq FROM sqlite_sequence WHERE name = 'session_buddy_changes';"
            "DELETE FROM skill_invocation WHERE id = 2;" +
                insertion("b", "2026-02-10T11:00:00Z") + insertion("b", "2026-02-10T11:00:00Z") +
                "UPDATE sqlite_sequence SET seq = (SELECT seq FROM counter) WHERE name = 'session_buddy_changes'");
    EXPECT_EQ(read(), "restart b+ b+ ");
}

TEST_F(History, lists_no_episode_as_open_that_nothing_here_ends) {
    execute(path, insertion("a", "2026-02-10T10:00:00Z") +
                      "INSERT INTO skill_anomalies (skill_name, detected_at, anomaly_type) VALUES"
                      " ('a', '2026-02-10T10:00:00Z', 'drop'), ('a', '2026-02-10T10:00:00Z', 'performance_drop');"
                      "INSERT INTO skill_anomalies (skill_name, detected_at, anomaly_type, resolved_at) VALUES"
                      " ('a', '2026-02-10T10:00:00Z', 'spike', '2026-02-10T11:00:00Z')");
    EXPECT_EQ(queries.episodes({}).size(), 2U);
    const auto open = queries.episodes({.open = true});
    ASSERT_EQ(open.size(), 1U);
    EXPECT_EQ(open.front().anomaly_type, "performance_drop");
}

TEST_F(History, counts_errors_and_phases_of_the_window) {
    const auto row = [](const char* when, bool completed, const std::string& error, const std::string& phase,
                        const std::string& seconds) {
        return "INSERT INTO skill_invocation (skill_name, invoked_at, session_id, completed, error_type, "
               "workflow_phase,"
               " duration_seconds) VALUES ('a', '" +
               std::string(when) + "', 's', " + (completed ? "1" : "0") + ", " + error + ", " + phase + ", " + seconds +
               ");";
    };
    execute(path, row("2026-02-09T12:00:00Z", false, "'old'", "'plan'", "1") +
                      row("2026-02-10T12:00:00Z", false, "'timeout'", "'plan'", "NULL") +
                      row("2026-02-10T12:00:00Z", false, "'timeout'", "NULL", "NULL") +
                      row("2026-02-10T12:00:00Z", false, "'killed'", "'plan'", "9") +
                      row("2026-02-10T12:00:00Z", true, "'not counted'", "'plan'", "2") +
                      row("2026-02-10T12:00:00Z", true, "''", "'plan'", "'no number'") +
                      row("2026-02-10T12:00:00Z", false, "''", "NULL", "NULL") +
                      row("2026-02-10T12:00:00Z", false, "x'" + std::string(2000, '6') + "'", "'plan'", "NULL"));
    const auto history = queries.skill_history("a", at("2026-02-09T12:00:00Z"), 2, 10);
    EXPECT_EQ(history.first_invocation_at, at("2026-02-09T12:00:00Z"));
    ASSERT_EQ(history.errors.size(), 2U);
    EXPECT_EQ(history.errors[0].error_type, "timeout");
    EXPECT_EQ(history.errors[0].count, 2);
    EXPECT_EQ(history.errors[1].error_type.size(), 256U) << "a long text is truncated";
    ASSERT_EQ(history.phases.size(), 2U);
    EXPECT_EQ(history.phases[0].workflow_phase, "plan");
    EXPECT_EQ(history.phases[0].invocation_count, 5);
    EXPECT_EQ(history.phases[0].completed_count, 2);
    EXPECT_EQ(history.phases[0].avg_duration_seconds, 2.0);
    EXPECT_FALSE(history.phases[1].workflow_phase);
    EXPECT_FALSE(history.phases[1].avg_duration_seconds);
}

TEST_F(History, finds_episodes_that_overlap_a_time_the_newest_first) {
    execute(path,
            insertion("a", "2026-02-10T12:00:00Z") + insertion("b", "2026-02-10T12:00:00Z") +
                "INSERT INTO skill_anomalies (skill_name, detected_at, anomaly_type, baseline_value, observed_value,"
                " deviation_score, resolved_at) VALUES"
                " ('a', '2026-02-10T12:00:00Z', 'performance_drop', 0.9, 0.5, 3.0, '2026-02-10T13:00:00Z'),"
                " ('a', '2026-02-10 14:00:00', 'pattern_shift', NULL, 'x', 1, NULL),"
                " ('b', '2026-02-10T13:30:00Z', 'custom', 1, 2, 3, 'no time'),"
                " ('b', 'no time', 'custom', 1, 2, 3, NULL)");
    const auto ids = [&](const EpisodeFilter& filter) {
        std::vector<std::int64_t> found;
        for (const StoredEpisode& episode : queries.episodes(filter)) {
            found.push_back(episode.id);
        }
        return found;
    };
    EXPECT_THAT(ids({}), ElementsAre(2, 3, 1));
    EXPECT_THAT(ids({.open = true}), ElementsAre(2));
    EXPECT_THAT(ids({.open = false}), ElementsAre(3, 1));
    EXPECT_THAT(ids({.skill_name = "a", .anomaly_type = "performance_drop"}), ElementsAre(1));
    EXPECT_THAT(ids({.from = at("2026-02-10T13:00:00Z")}), ElementsAre(2, 3, 1));
    EXPECT_THAT(ids({.from = at("2026-02-10T13:00:01Z")}), ElementsAre(2, 3));
    EXPECT_THAT(ids({.to = at("2026-02-10T14:00:00Z")}), ElementsAre(3, 1));
    const auto episodes = queries.episodes({.open = true});
    EXPECT_FALSE(episodes[0].baseline_value);
    EXPECT_FALSE(episodes[0].observed_value);
    EXPECT_EQ(queries.episodes({.anomaly_type = "custom"})[0].resolved_at, at("2026-02-10T13:30:00Z"));
}

TEST_F(History, stops_when_cancelled_and_works_afterwards) {
    std::string script;
    for (int i = 0; i < 3000; ++i) {
        script += insertion("a", "2026-02-10T12:00:00Z");
    }
    execute(path, "BEGIN;" + script + "COMMIT;");
    is_cancelled = true;
    EXPECT_THROW(static_cast<void>(invocations(std::nullopt, "2026-02-10", "2026-02-11")), StorageError);
    is_cancelled = false;
    EXPECT_EQ(invocations(std::nullopt, "2026-02-10", "2026-02-11").size(), 3000U);
}

TEST_F(History, writes_nothing_and_reopens_a_replaced_file) {
    execute(path, insertion("a", "2026-02-10T12:00:00Z"));
    EXPECT_EQ(invocations(std::nullopt, "2026-02-10", "2026-02-11").size(), 1U);
    const std::string other = dir.file("other.db");
    static_cast<void>(open_database(other, {}));
    std::filesystem::rename(other, path);
    std::filesystem::remove(path + "-wal");
    std::filesystem::remove(path + "-shm");
    EXPECT_EQ(invocations(std::nullopt, "2026-02-10", "2026-02-11").size(), 0U);
    queries.close();
    std::filesystem::remove(path);
    EXPECT_THROW(static_cast<void>(queries.pruned_before()), StorageError);
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(History, reports_a_locked_and_a_damaged_file_and_recovers) {
    execute(path, insertion("a", "2026-02-10T12:00:00Z") + "PRAGMA wal_checkpoint(TRUNCATE);");
    {
        SQLite::Database locker(path, SQLite::OPEN_READWRITE);
        locker.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;");
        EXPECT_THROW(static_cast<void>(queries.pruned_before()), StorageError);
    }
    EXPECT_EQ(invocations(std::nullopt, "2026-02-10", "2026-02-11").size(), 1U);
    queries.close();
    const auto copy = dir.file("copy.db");
    std::filesystem::copy_file(path, copy);
    std::ofstream(path, std::ios::binary | std::ios::trunc) << std::string(8192, 'x');
    EXPECT_THROW(static_cast<void>(queries.pruned_before()), StorageError);
    std::filesystem::rename(copy, path);
    EXPECT_EQ(invocations(std::nullopt, "2026-02-10", "2026-02-11").size(), 1U);
}

constexpr const char* kCreateMarks =
    "CREATE TABLE IF NOT EXISTS session_buddy_mark (invocation_id INTEGER PRIMARY KEY, marks INTEGER NOT NULL);";

TEST_F(History, a_row_from_the_future_counts_as_now_in_a_range_that_includes_now) {
    now = at("2026-02-10T12:00:00Z");
    execute(path, insertion("a", "2099-01-01T00:00:00Z") + insertion("a", "2026-02-10T12:04:00Z") +
                      insertion("a", "2026-02-10T11:59:00Z"));
    EXPECT_THAT(invocations("a", "2026-02-10T11:00:00Z", "2026-02-10T12:05:00Z"),
                UnorderedElementsAre("a 2026-02-10T12:00:00Z", "a 2026-02-10T12:00:00Z", "a 2026-02-10T11:59:00Z"));
    EXPECT_THAT(invocations("a", "2026-02-10T11:00:00Z", "2026-02-10T12:00:00Z"),
                UnorderedElementsAre("a 2026-02-10T11:59:00Z"));
    EXPECT_THAT(invocations("a", "2098-01-01T00:00:00Z", "2100-01-01T00:00:00Z"), testing::IsEmpty());
}

TEST_F(History, marks_of_rows_and_of_pruned_rows_are_counted) {
    execute(path, kCreateMarks + insertion("a", "2026-02-01T10:10:00Z", "s", true, "900") +  // 1: upper bound
                      insertion("a", "2026-02-01T10:20:00Z", "s", true, "3") +               // 2: unknown
                      insertion("a", "2026-02-01T10:30:00Z", "s", false) +                   // 3
                      insertion("a", "2026-02-01T11:00:00Z", "s", true, "900") +             // 4: unknown, upper bound
                      insertion("a", "2026-02-20T10:00:00Z", "s", true, "5") +               // 5: unknown
                      insertion("a", "2026-02-20T10:00:00Z", "s", true, "7") +               // 6: upper bound
                      "INSERT INTO session_buddy_mark VALUES (1, 2), (2, 1), (4, 3), (5, 1), (6, 2);");
    Pruner pruner(path, at("2026-02-10"), std::chrono::milliseconds{200});
    while (pruner.step(at("2026-02-21"))) {
    }
    EXPECT_EQ(test::query(path, "SELECT count(*) FROM skill_invocation"), (std::vector<std::string>{"2"}));
    EXPECT_EQ(test::query(path, "SELECT invocation_id FROM session_buddy_mark"), (std::vector<std::string>{"5", "6"}));
    std::vector<std::string> found;
    queries.read_series(
        "a", at("2026-02-01"), at("2026-02-21"), at("2026-02-21"),
        {.invocation =
             [&](const storage::InvocationView& row) {
                 found.push_back(std::string(row.outcome_is_unknown ? "unknown" : "known") +
                                 (row.duration_is_bound ? " bound" : ""));
                 return true;
             },
         .hour =
             [&](const RollupRow& hour) {
                 found.push_back(std::to_string(hour.invocation_count) + '/' + std::to_string(hour.completed_count) +
                                 '/' + std::to_string(hour.unknown_count) + '/' + std::to_string(hour.bound_count) +
                                 ' ' + std::to_string(std::lround(hour.avg_duration_seconds.value_or(0.0))));
             }});
    EXPECT_THAT(found, UnorderedElementsAre("3/2/1/1 3", "1/1/1/1 900", "unknown", "known bound"));
}

TEST_F(History, phases_count_unknown_outcomes_and_prefer_measured_durations) {
    execute(path, kCreateMarks + insertion("a", "2026-02-10T10:00:00Z", "s", true, "900") +
                      insertion("a", "2026-02-10T10:00:00Z", "s", true, "3") +
                      insertion("a", "2026-02-10T10:00:00Z", "s", false) +
                      "INSERT INTO session_buddy_mark VALUES (1, 3), (3, 1);");
    const SkillHistory history = queries.skill_history("a", at("2026-02-10"), 10, 10);
    ASSERT_EQ(history.phases.size(), 1U);
    EXPECT_EQ(history.phases[0].invocation_count, 3);
    EXPECT_EQ(history.phases[0].completed_count, 2);
    EXPECT_EQ(history.phases[0].unknown_count, 1) << "a failed row has a known outcome";
    EXPECT_EQ(history.phases[0].avg_duration_seconds, 3.0);
}

}  // namespace
}  // namespace session_buddy::storage
