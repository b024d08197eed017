// What SkillsQueries finds, in which order, and how it reads columns with values of other types.
#include "session_buddy/storage/skills_queries.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "session_buddy/storage/skills_store.hpp"
#include "support/manual_clock.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::storage {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

class Queries : public testing::Test {
  protected:
    test::TempDir dir;
    std::string path = dir.file("skills.db");
    SkillsStore store{path, std::chrono::milliseconds{200}};
    SkillsQueries& queries = store.queries();

    std::int64_t add(const std::string& skill, const std::string& at, const std::string& session = "s1",
                     bool completed = true, std::optional<double> seconds = std::nullopt,
                     std::optional<std::string> phase = std::nullopt, std::optional<std::string> error = std::nullopt) {
        return store.store({.skill_name = skill,
                            .invoked_at = at,
                            .session_id = session,
                            .completed = completed,
                            .duration_seconds = seconds,
                            .error_type = std::move(error),
                            .workflow_phase = std::move(phase)});
    }
    std::vector<std::int64_t> ids(const InvocationFilter& filter, TimeOrder order = TimeOrder::oldest_first,
                                  std::int64_t limit = 100) {
        std::vector<std::int64_t> found;
        for (const StoredInvocation& row : queries.invocations(filter, order, limit)) {
            found.push_back(row.id);
        }
        return found;
    }
};

using test::at;

TEST_F(Queries, returns_every_column) {
    InvocationRecord record{.skill_name = "a",
                            .invoked_at = "2026-02-10 13:00:00+01:00",
                            .session_id = "s1",
                            .completed = true,
                            .duration_seconds = 2.5,
                            .workflow_path = "quick",
                            .user_query = "",
                            .alternatives_considered = "[\"b\"]",
                            .selection_rank = 2,
                            .follow_up_actions = "[]",
                            .error_type = "exit_code",
                            .embedding = std::vector<std::uint8_t>{0, 255},
                            .workflow_phase = "setup",
                            .workflow_step_id = "7"};
    const std::int64_t id = store.store(record);
    const auto row = queries.invocation(id);
    ASSERT_TRUE(row.has_value());
    EXPECT_EQ(row->id, id);
    EXPECT_EQ(row->record.skill_name, "a");
    EXPECT_EQ(row->record.invoked_at, "2026-02-10 13:00:00+01:00");
    EXPECT_EQ(row->record.session_id, "s1");
    EXPECT_TRUE(row->record.completed);
    EXPECT_EQ(row->record.duration_seconds, 2.5);
    EXPECT_EQ(row->record.workflow_path, "quick");
    EXPECT_EQ(row->record.user_query, "");
    EXPECT_EQ(row->record.alternatives_considered, "[\"b\"]");
    EXPECT_EQ(row->record.selection_rank, 2);
    EXPECT_EQ(row->record.follow_up_actions, "[]");
    EXPECT_EQ(row->record.error_type, "exit_code");
    EXPECT_EQ(row->record.embedding, (std::vector<std::uint8_t>{0, 255}));
    EXPECT_EQ(row->record.workflow_phase, "setup");
    EXPECT_EQ(row->record.workflow_step_id, "7");
    EXPECT_FALSE(queries.invocation(id + 1).has_value());
}

TEST_F(Queries, sorts_by_time_in_any_format) {
    const auto late = add("a", "2026-02-10T12:00:00Z");
    const auto early = add("a", "2026-02-10T14:30:00+03:00");
    const auto middle = add("a", "2026-02-10 11:45:00");
    const auto same = add("a", "2026-02-10T11:45:00Z");
    EXPECT_THAT(ids({}), ElementsAre(early, middle, same, late));
    EXPECT_THAT(ids({}, TimeOrder::newest_first), ElementsAre(late, same, middle, early));
    EXPECT_THAT(ids({}, TimeOrder::newest_first, 2), ElementsAre(late, same));
    EXPECT_THAT(ids({}, TimeOrder::newest_first, 0), IsEmpty());
}

TEST_F(Queries, filters_by_each_field_and_by_all) {
    const auto first = add("a", "2026-02-10T10:00:00Z", "s1", true, 1.0, "setup");
    const auto second = add("b", "2026-02-10T11:00:00Z", "s1", false, 2.0, "execution", "exit_code");
    const auto third = add("a", "2026-02-10T12:00:00Z", "s2", false, std::nullopt, std::nullopt, "timeout");
    EXPECT_THAT(ids({.skill_name = "a"}), ElementsAre(first, third));
    EXPECT_THAT(ids({.session_id = "s1"}), ElementsAre(first, second));
    EXPECT_THAT(ids({.workflow_phase = "execution"}), ElementsAre(second));
    EXPECT_THAT(ids({.error_type = "timeout"}), ElementsAre(third));
    EXPECT_THAT(ids({.completed = true}), ElementsAre(first));
    EXPECT_THAT(ids({.completed = false}), ElementsAre(second, third));
    EXPECT_THAT(ids({.since = at("2026-02-10T11:00:00Z")}), ElementsAre(second, third));
    EXPECT_THAT(ids({.until = at("2026-02-10T11:00:00Z")}), ElementsAre(first));
    EXPECT_THAT(ids({.skill_name = "a", .session_id = "s1", .completed = false}), IsEmpty());
    EXPECT_THAT(ids({.skill_name = "a' OR 1 = 1 --"}), IsEmpty());
}

TEST_F(Queries, a_time_limit_respects_the_utc_offset_of_a_row) {
    const auto inside = add("a", "2026-02-09T23:30:00-01:00");  // half an hour into the tenth
    add("a", "2026-02-10T00:30:00+01:00");                      // still the ninth
    EXPECT_THAT(ids({.since = at("2026-02-10")}), ElementsAre(inside));
    EXPECT_THAT(ids({.since = at("0001-01-01"), .until = at("2026-02-10")}), testing::SizeIs(1));
}

TEST_F(Queries, sums_up_a_session) {
    EXPECT_FALSE(queries.session_summary("s1").has_value());
    add("b", "2026-02-10T12:00:00+01:00", "s1", true, 1.5);
    add("a", "2026-02-10T11:30:00Z", "s1", false, 2.0);
    add("a", "2026-02-10T11:15:00.250Z", "s1");
    add("a", "2026-02-10T09:00:00Z", "s2");
    test::execute(path, test::insertion("c", "some day", "s1", true, "'long'"));
    const auto summary = queries.session_summary("s1");
    ASSERT_TRUE(summary.has_value());
    EXPECT_EQ(summary->unique_skills, 3);
    EXPECT_EQ(summary->total_invocations, 4);
    EXPECT_EQ(summary->completed_count, 3);
    EXPECT_EQ(summary->abandoned_count, 1);
    EXPECT_DOUBLE_EQ(summary->total_duration_seconds, 3.5);
    EXPECT_EQ(summary->first_skill_at, at("2026-02-10T11:00:00Z"));
    EXPECT_EQ(summary->last_skill_at, at("2026-02-10T11:30:00Z"));
    EXPECT_THAT(summary->skills, ElementsAre(Pair("a", 2), Pair("b", 1), Pair("c", 1)));
}

TEST_F(Queries, counts_by_the_hour) {
    add("a", "2026-02-10T10:00:00Z", "s1", true, 1.0);
    add("a", "2026-02-10T11:59:59.999999+01:00", "s2", false, 9.0);
    add("a", "2026-02-10T10:30:00Z", "s2", true, 2.0);
    add("b", "2026-02-10T10:30:00Z");
    add("a", "2026-02-10T11:00:00Z");
    add("a", "1969-12-31T23:30:00Z");
    const auto hours = queries.hourly_aggregates({}, 100);
    ASSERT_EQ(hours.size(), 4U);
    EXPECT_EQ(format_timestamp(hours[0].hour), "1969-12-31T23:00:00Z");
    EXPECT_EQ(format_timestamp(hours[1].hour), "2026-02-10T10:00:00Z");
    EXPECT_EQ(hours[1].skill_name, "a");
    EXPECT_EQ(hours[1].invocation_count, 3);
    EXPECT_EQ(hours[1].completed_count, 2);
    EXPECT_DOUBLE_EQ(hours[1].completion_rate.value(), 2.0 / 3.0);
    EXPECT_EQ(hours[1].avg_duration_seconds, 1.5);
    EXPECT_EQ(hours[1].unique_sessions, 2);
    EXPECT_EQ(hours[2].skill_name, "b");
    EXPECT_FALSE(hours[2].avg_duration_seconds.has_value());
    EXPECT_EQ(format_timestamp(hours[3].hour), "2026-02-10T11:00:00Z");
    // With a limit, the newest ones, still ordered by time.
    const auto newest = queries.hourly_aggregates({.skill_name = "a"}, 2);
    ASSERT_EQ(newest.size(), 2U);
    EXPECT_EQ(format_timestamp(newest[0].hour), "2026-02-10T10:00:00Z");
    EXPECT_EQ(format_timestamp(newest[1].hour), "2026-02-10T11:00:00Z");
}

TEST_F(Queries, agrees_with_the_view_on_phases) {
    add("a", "2026-02-10T10:00:00Z", "s1", true, 1.0, "setup");
    add("a", "2026-02-10T10:01:00Z", "s1", false, 4.0, "setup", "exit_code");
    add("b", "2026-02-10T10:02:00Z", "s2", true, std::nullopt, "execution");
    add("c", "2026-02-10T10:03:00Z", "s2", true, 1.0);
    std::vector<std::string> found;
    for (const PhaseEffectiveness& row : queries.phase_effectiveness({}, 100)) {
        const auto text = [](const std::optional<double>& value) { return value ? std::to_string(*value) : "NULL"; };
        found.push_back(row.skill_name + "|" + row.workflow_phase + "|" + std::to_string(row.total_invocations) + "|" +
                        std::to_string(row.completed_count) + "|" + std::to_string(row.abandoned_count) + "|" +
                        text(row.avg_duration_seconds) + "|" + text(row.avg_completion_time) + "|" +
                        text(row.completion_rate));
    }
    EXPECT_THAT(found,
                ElementsAre("b|execution|1|1|0|NULL|NULL|100.000000", "a|setup|2|1|1|2.500000|1.000000|50.000000"));
    EXPECT_EQ(found,
              test::query(path,
                          "SELECT skill_name, workflow_phase, total_invocations, completed_count, abandoned_count,"
                          " iif(avg_duration_seconds IS NULL, NULL, printf('%.6f', avg_duration_seconds)),"
                          " iif(avg_completion_time IS NULL, NULL, printf('%.6f', avg_completion_time)),"
                          " printf('%.6f', completion_rate)"
                          " FROM v_skill_effectiveness_by_phase ORDER BY workflow_phase"));
    EXPECT_DOUBLE_EQ(queries.phase_effectiveness({.session_id = "s1"}, 100).at(0).total_duration_seconds, 5.0);
    EXPECT_EQ(queries.phase_effectiveness({.session_id = "s1"}, 100).at(0).timed_count, 2);
}

TEST_F(Queries, counts_errors_of_what_was_not_completed) {
    add("a", "2026-02-10T10:00:00Z", "s1", false, std::nullopt, std::nullopt, "timeout");
    for (int i = 0; i < 2; ++i) {
        add("a", "2026-02-10T10:00:00Z", "s1", false, std::nullopt, std::nullopt, "exit_code");
        add("a", "2026-02-10T10:00:00Z", "s1", true, std::nullopt, std::nullopt, "retried");
    }
    const auto counts = queries.error_counts({.session_id = "s1"}, 100);
    ASSERT_EQ(counts.size(), 2U);
    EXPECT_EQ(counts[0].error_type, "exit_code");
    EXPECT_EQ(counts[0].count, 2);
    EXPECT_EQ(counts[1].error_type, "timeout");
    EXPECT_EQ(queries.error_counts({}, 1).size(), 1U);
    EXPECT_THAT(queries.error_counts({.session_id = "other"}, 100), IsEmpty());
}

TEST_F(Queries, tolerates_columns_of_any_type) {
    test::execute(path,
                  "INSERT INTO skill_invocation (skill_name, invoked_at, session_id, completed, duration_seconds,"
                  " selection_rank, embedding, user_query) VALUES (7, 12, x'ff', 'yes', -1.0, 'first', 'text', 3.5)");
    const auto row = queries.invocation(1);
    ASSERT_TRUE(row.has_value());
    EXPECT_EQ(row->record.skill_name, "7");
    EXPECT_EQ(row->record.invoked_at, "12");
    EXPECT_EQ(row->record.user_query, "3.5");
    EXPECT_FALSE(row->record.completed);
    EXPECT_FALSE(row->record.duration_seconds.has_value());
    EXPECT_FALSE(row->record.selection_rank.has_value());
    EXPECT_FALSE(row->record.embedding.has_value());
    EXPECT_THAT(ids({}), ElementsAre(1));
    EXPECT_THAT(queries.hourly_aggregates({}, 100), IsEmpty());
}

TEST_F(Queries, rejects_a_negative_limit_and_a_closed_storage) {
    const auto rejected = [](const auto& work) {
        try {
            work();
        } catch (const StorageError& error) {
            return error.code() == StorageErrc::invalid_argument;
        }
        return false;
    };
    EXPECT_TRUE(rejected([&] { static_cast<void>(queries.invocations({}, TimeOrder::newest_first, -1)); }));
    EXPECT_TRUE(rejected([&] { static_cast<void>(queries.hourly_aggregates({}, -1)); }));
    EXPECT_TRUE(rejected([&] { static_cast<void>(queries.phase_effectiveness({}, -1)); }));
    EXPECT_TRUE(rejected([&] { static_cast<void>(queries.error_counts({}, -1)); }));
    store.close();
    queries.close();
    EXPECT_TRUE(rejected([&] { static_cast<void>(queries.invocation(1)); }));
}

TEST_F(Queries, reads_the_file_that_replaced_the_first) {
    add("a", "2026-02-10T10:00:00Z");
    EXPECT_THAT(ids({}), ElementsAre(1));
    const std::string other = dir.file("other.db");
    {
        SkillsStore second(other, std::chrono::milliseconds{200});
        second.store({.skill_name = "z", .invoked_at = "2026-02-10T10:00:00Z", .session_id = "s9"});
    }
    std::filesystem::rename(other, path);
    EXPECT_EQ(queries.invocation(1).value().record.skill_name, "z");
}

TEST_F(Queries, an_index_that_was_removed_stops_neither_reading_nor_writing) {
    add("a", "2026-02-10T10:00:00Z");
    EXPECT_THAT(ids({}), ElementsAre(1));
    std::filesystem::remove(path + "-shm");
    add("a", "2026-02-10T10:00:01Z");  // while nothing reads
    EXPECT_THAT(ids({}), ElementsAre(1, 2));
    std::filesystem::remove(path + "-shm");
    EXPECT_THAT(ids({}), ElementsAre(1, 2));  // while nothing writes
    add("a", "2026-02-10T10:00:02Z");
    EXPECT_THAT(ids({}), ElementsAre(1, 2, 3));
}

TEST_F(Queries, threads_share_it_while_another_writes) {
    std::jthread writer([this] {
        for (int i = 0; i < 200; ++i) {
            add("a", "2026-02-10T10:00:00Z");
        }
    });
    std::vector<std::jthread> readers;
    for (int reader = 0; reader < 3; ++reader) {
        readers.emplace_back([this] {
            std::int64_t seen = 0;
            while (seen < 200) {
                const auto summary = queries.session_summary("s1");
                const std::int64_t now = summary ? summary->total_invocations : 0;
                EXPECT_GE(now, seen);
                seen = now;
            }
        });
    }
}

TEST_F(Queries, rates_leave_unknown_outcomes_out_and_means_prefer_measured_durations) {
    add("a", "2026-02-10T10:00:00Z", "s1", true, 900.0, "test");   // 1: unknown, upper bound
    add("a", "2026-02-10T10:10:00Z", "s1", true, 3.0, "test");     // 2
    add("a", "2026-02-10T10:20:00Z", "s1", false, 5.0, "test");    // 3
    add("b", "2026-02-10T10:00:00Z", "s1", true, 900.0, "setup");  // 4: unknown, upper bound
    EXPECT_EQ(queries.invocation(1)->outcome, Outcome::completed) << "there are no marks yet";
    test::execute(path,
                  "CREATE TABLE IF NOT EXISTS session_buddy_mark (invocation_id INTEGER PRIMARY KEY, marks INTEGER NOT "
                  "NULL); INSERT INTO session_buddy_mark VALUES (1, 3), (3, 1), (4, 3)");
    EXPECT_EQ(queries.invocation(1)->outcome, Outcome::unknown);
    EXPECT_TRUE(queries.invocation(1)->duration_is_bound);
    EXPECT_EQ(queries.invocation(2)->outcome, Outcome::completed);
    EXPECT_FALSE(queries.invocation(2)->duration_is_bound);
    EXPECT_EQ(queries.invocation(3)->outcome, Outcome::failed) << "another program stored it as failed";
    EXPECT_EQ(queries.session_summary("s1")->unknown_count, 2);
    const auto hours = queries.hourly_aggregates({}, 10);
    ASSERT_EQ(hours.size(), 2U);
    EXPECT_EQ(hours[0].completed_count, 2);
    EXPECT_EQ(hours[0].unknown_count, 1);
    EXPECT_EQ(hours[0].completion_rate, 0.5);
    EXPECT_EQ(hours[0].avg_duration_seconds, 3.0);
    EXPECT_EQ(hours[1].completion_rate, std::nullopt) << "no outcome is known";
    EXPECT_EQ(hours[1].avg_duration_seconds, 900.0);
    const auto phases = queries.phase_effectiveness({}, 10);
    ASSERT_EQ(phases.size(), 2U);
    EXPECT_EQ(phases[0].completion_rate, std::nullopt);
    EXPECT_EQ(phases[1].completion_rate, 50.0);
    EXPECT_EQ(phases[1].unknown_count, 1);
    EXPECT_EQ(phases[1].avg_duration_seconds, 4.0);
    EXPECT_EQ(phases[1].avg_completion_time, 3.0);
    const auto metrics = store.real_time_metrics(10, std::chrono::hours{24}, at("2026-02-10T11:00:00Z"));
    ASSERT_EQ(metrics.size(), 2U);
    EXPECT_EQ(metrics[0].window.unknown_count, 1);
    EXPECT_EQ(metrics[0].window.measured_count, 1);
    EXPECT_EQ(metrics[0].window.timed_count, 2);
    EXPECT_EQ(metrics[0].window.avg_duration_seconds, 3.0);
    EXPECT_EQ(metrics[1].window.avg_duration_seconds, 900.0);
}

}  // namespace
}  // namespace session_buddy::storage
