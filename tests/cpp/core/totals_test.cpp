// Assignment of invocations to series, and change tracking.
#include "session_buddy/core/totals.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace session_buddy {
namespace {

using testing::ElementsAre;

Invocation invocation_of(const std::string& skill, bool completed = true,
                         std::optional<double> seconds = std::nullopt) {
    return {.id = 1,
            .skill_name = skill,
            .invoked_at = {},
            .session_id = "s",
            .completed = completed,
            .duration_seconds = seconds,
            .error_type = {}};
}

std::vector<std::string> names(const TotalsTable& table) {
    std::vector<std::string> result;
    for (const auto& skill : table) {
        result.push_back(skill->skill_name);
    }
    return result;
}

TEST(Totals, count_by_skill_phase_and_outcome) {
    Totals totals;
    totals.add(invocation_of("a"), "setup");
    totals.add(invocation_of("a", false), "setup");
    totals.add(invocation_of("a"), "");
    const auto table = totals.table();
    ASSERT_EQ(names(*table), std::vector<std::string>{"a"});
    const auto& phases = table->front()->phases;
    ASSERT_EQ(phases.size(), 2U);
    EXPECT_EQ(phases[0], (PhaseTotals{.workflow_phase = "setup", .completed = 1, .failed = 1}));
    EXPECT_EQ(phases[1], (PhaseTotals{.workflow_phase = "none", .completed = 1}));
}

TEST(Totals, count_a_duration_in_the_bucket_whose_bound_it_does_not_exceed) {
    Totals totals;
    for (const double seconds : {0.0, 0.1, 0.100001, 300.0, 300.5, 1e9}) {
        totals.add(invocation_of("a", true, seconds), "");
    }
    EXPECT_THAT(totals.table()->front()->phases.front().durations, ElementsAre(2, 1, 0, 0, 0, 0, 0, 0, 1, 2));
}

TEST(Totals, count_durations_of_completed_invocations_only) {
    Totals totals;
    totals.add(invocation_of("a", false, 5.0), "");
    totals.add(invocation_of("a", true, 2.0), "");
    const PhaseTotals& phase = totals.table()->front()->phases.front();
    EXPECT_EQ(phase.durations[3], 1);
    EXPECT_EQ(phase.duration_seconds, 2.0);
}

TEST(Totals, sum_skills_beyond_the_limit_and_one_named_other) {
    Totals totals({.skills = 2});
    for (const char* skill : {"other", "a", "b", "c", "a", "d"}) {
        totals.add(invocation_of(skill), "");
    }
    totals.add_anomaly("d", AnomalyType::pattern_shift);
    const auto table = totals.table();
    EXPECT_THAT(names(*table), ElementsAre("other", "a", "b"));
    EXPECT_EQ(table->at(0)->phases.front().completed, 3);
    EXPECT_EQ(table->at(0)->anomalies[2], 1);
    EXPECT_EQ(table->at(1)->phases.front().completed, 2);
}

TEST(Totals, keep_restored_skills_beyond_the_limit) {
    Totals totals({.skills = 1});
    totals.restore("a", PhaseTotals{.workflow_phase = "none", .completed = 7});
    totals.restore("b", PhaseTotals{.workflow_phase = "none", .completed = 8});
    EXPECT_TRUE(totals.unwritten().empty());
    totals.add(invocation_of("b"), "");
    totals.add(invocation_of("c"), "");
    const auto table = totals.table();
    EXPECT_THAT(names(*table), ElementsAre("a", "b", "other"));
    EXPECT_EQ(table->at(1)->phases.front().completed, 9);
}

TEST(Totals, sum_phases_beyond_the_limit_and_invalid_ones) {
    constexpr std::uint32_t kPhases = 4;
    Totals totals({.phases = kPhases});
    for (std::size_t i = 0; i < kPhases + 3; ++i) {
        totals.add(invocation_of("a"), "phase" + std::to_string(i));
    }
    totals.add(invocation_of("a"), "two\nlines");
    totals.add(invocation_of("a"), std::string(300, 'x'));
    totals.add(invocation_of("a"), "");
    totals.add(invocation_of("a"), "phase0");
    const auto& phases = totals.table()->front()->phases;
    ASSERT_EQ(phases.size(), kPhases + 2);
    EXPECT_EQ(phases.front().completed, 2);
    EXPECT_EQ(phases[kPhases].workflow_phase, "other");
    EXPECT_EQ(phases[kPhases].completed, 5);
    EXPECT_EQ(phases.back().workflow_phase, "none");
}

TEST(Totals, keep_restored_phases_beyond_the_limit) {
    Totals totals({.phases = 1});
    totals.restore("a", PhaseTotals{.workflow_phase = "build", .completed = 7});
    totals.restore("a", PhaseTotals{.workflow_phase = "test", .completed = 8});
    totals.add(invocation_of("a"), "test");
    totals.add(invocation_of("a"), "deploy");
    const auto& phases = totals.table()->front()->phases;
    ASSERT_EQ(phases.size(), 3U);
    EXPECT_EQ(phases[1].completed, 9);
    EXPECT_EQ(phases[2], (PhaseTotals{.workflow_phase = "other", .completed = 1}));
}

TEST(Totals, report_changes_since_the_last_write) {
    Totals totals;
    totals.add(invocation_of("a"), "setup");
    totals.add(invocation_of("a"), "");
    totals.confirm_written();
    totals.add(invocation_of("a"), "");
    totals.add_anomaly("b", AnomalyType::performance_drop);
    const auto changes = totals.unwritten();
    ASSERT_EQ(changes.size(), 2U);
    EXPECT_EQ(changes[0].skill->skill_name, "a");
    EXPECT_THAT(*changes[0].phases, ElementsAre(false, true));
    EXPECT_FALSE(changes[0].anomalies);
    EXPECT_TRUE(changes[1].phases->empty());
    EXPECT_TRUE(changes[1].anomalies);
}

TEST(Totals, never_change_a_published_table) {
    Totals totals;
    totals.add(invocation_of("a"), "");
    totals.add(invocation_of("b"), "");
    const auto before = totals.table();
    EXPECT_EQ(totals.table(), before);
    totals.add(invocation_of("a"), "");
    const auto after = totals.table();
    EXPECT_EQ(before->at(0)->phases.front().completed, 1);
    EXPECT_EQ(after->at(0)->phases.front().completed, 2);
    EXPECT_EQ(after->at(1), before->at(1)) << "unchanged entries are shared";
}

TEST(Totals, count_an_anomaly_once_that_is_recorded_late) {
    Totals totals;
    const auto count = [&totals] { return totals.table()->front()->anomalies[0]; };
    totals.add_unrecorded_anomaly("a", AnomalyType::performance_drop);
    EXPECT_EQ(count(), 1);
    totals.add_anomaly("a", AnomalyType::performance_drop);
    EXPECT_EQ(count(), 1);
    totals.add_anomaly("a", AnomalyType::performance_drop);
    EXPECT_EQ(count(), 2);
}

}  // namespace
}  // namespace session_buddy
