// Rendering of a snapshot; the Python tests check it with independent parsers.
#include "session_buddy/prometheus/exposition.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace session_buddy::prometheus {
namespace {

using testing::HasSubstr;
using testing::Not;

/// With `window` invocations of each skill, half of them completed.
Snapshot snapshot_of(const std::vector<std::pair<std::string, std::int64_t>>& window) {
    std::vector<SkillTable::Entry> entries;
    for (const auto& [name, count] : window) {
        SkillMetrics metrics;
        metrics.skill_name = name;
        metrics.window.invocation_count = count;
        metrics.window.completed_count = count / 2;
        entries.push_back(std::make_shared<const SkillMetrics>(metrics));
    }
    Snapshot snapshot;
    snapshot.skills = std::make_shared<SkillTable>(std::move(entries), nullptr, std::vector<std::uint32_t>{});
    return snapshot;
}

std::shared_ptr<const SkillTotals> totals_of(const std::string& name, std::int64_t completed) {
    return std::make_shared<const SkillTotals>(
        SkillTotals{.skill_name = name, .phases = {{.workflow_phase = "none", .completed = completed}}});
}

std::string text(const Snapshot& snapshot, const Sources& rest) {
    return render({.snapshot = snapshot,
                   .network = rest.network,
                   .intake_rows = rest.intake_rows,
                   .process = rest.process,
                   .started_at = rest.started_at,
                   .now = rest.now},
                  Format::text);
}

std::string text(const Snapshot& snapshot) {
    return text(snapshot, {.snapshot = snapshot});
}

TEST(Exposition, has_no_rate_for_a_skill_without_invocations_in_the_window) {
    Snapshot snapshot = snapshot_of({{"a", 4}, {"b", 0}});
    snapshot.totals = std::make_shared<TotalsTable>(TotalsTable{totals_of("a", 4), totals_of("b", 9)});
    const std::string out = text(snapshot);
    EXPECT_THAT(out, HasSubstr("skill_completion_rate{skill_name=\"a\"} 0.5\n"));
    EXPECT_THAT(out, Not(HasSubstr("skill_completion_rate{skill_name=\"b\"}")));
    EXPECT_THAT(out, HasSubstr("skill_invocations_total{skill_name=\"b\",workflow_phase=\"none\",completed=\"true\","
                               "outcome=\"completed\"} 9\n"));
}

TEST(Exposition, counts_unknown_outcomes_as_completed_with_a_label) {
    Snapshot snapshot;
    snapshot.totals = std::make_shared<TotalsTable>(TotalsTable{std::make_shared<const SkillTotals>(SkillTotals{
        .skill_name = "a", .phases = {{.workflow_phase = "none", .completed = 5, .failed = 2, .unknown = 3}}})});
    const std::string out = text(snapshot);
    for (const char* series :
         {"completed=\"true\",outcome=\"completed\"} 5\n", "completed=\"true\",outcome=\"unknown\"} 3\n",
          "completed=\"false\",outcome=\"failed\"} 2\n"}) {
        EXPECT_THAT(
            out, HasSubstr(std::string("skill_invocations_total{skill_name=\"a\",workflow_phase=\"none\",") + series));
    }
}

TEST(Exposition, has_rates_over_known_outcomes_and_quantiles_of_the_window) {
    const auto skill = [](const char* name, std::int64_t count, std::int64_t completed, std::int64_t unknown) {
        auto metrics = std::make_shared<SkillMetrics>();
        metrics->skill_name = name;
        metrics->window.invocation_count = count;
        metrics->window.completed_count = completed;
        metrics->window.unknown_count = unknown;
        return metrics;
    };
    const auto timed = skill("a", 10, 8, 6);
    timed->window.p50_duration_seconds = 1.5;
    timed->window.p95_duration_seconds = 9.0;
    Snapshot snapshot;
    snapshot.skills = std::make_shared<SkillTable>(
        std::vector<SkillTable::Entry>{timed, skill("b", 3, 3, 3), skill("x", 4, 3, 2), skill("y", 5, 5, 5)}, nullptr,
        std::vector<std::uint32_t>{});
    snapshot.totals = std::make_shared<TotalsTable>(TotalsTable{totals_of("a", 8), totals_of("b", 3)});
    const std::string out = text(snapshot);
    EXPECT_THAT(out, HasSubstr("skill_completion_rate{skill_name=\"a\"} 0.5\n"));
    EXPECT_THAT(out, Not(HasSubstr("skill_completion_rate{skill_name=\"b\"}")));
    EXPECT_THAT(out, HasSubstr("skill_completion_rate{skill_name=\"other\"} 0.5\n"));
    EXPECT_THAT(out, HasSubstr("session_buddy_skill_duration_median_seconds{skill_name=\"a\"} 1.5\n"));
    EXPECT_THAT(out, HasSubstr("session_buddy_skill_duration_p95_seconds{skill_name=\"a\"} 9\n"));
    EXPECT_THAT(out, Not(HasSubstr("_seconds{skill_name=\"b\"")));
}

TEST(Exposition, sums_the_rates_of_skills_without_their_own_series) {
    Snapshot snapshot = snapshot_of({{"a", 2}, {"x", 1}, {"other", 2}, {"y", 1}});
    snapshot.totals = std::make_shared<TotalsTable>(TotalsTable{totals_of("a", 2), totals_of("other", 2)});
    const std::string out = text(snapshot);
    EXPECT_THAT(out, HasSubstr("skill_completion_rate{skill_name=\"other\"} 0.25\n"));
    EXPECT_THAT(out, Not(HasSubstr("\"x\"")));
}

TEST(Exposition, has_open_alerts_by_skill_kind_and_state) {
    const auto alert = [](const char* skill, AlertKind kind) {
        Alert open;
        open.skill_name = skill;
        open.kind = kind;
        return open;
    };
    std::vector<Alert> alerts{alert("a", AlertKind::completion_rate_fell), alert("a", AlertKind::duration_rose),
                              alert("x", AlertKind::duration_rose),        alert("y", AlertKind::duration_rose),
                              alert("b", AlertKind::completion_rate_fell), alert("b", AlertKind::duration_rose)};
    alerts[1].acknowledged_at = TimePoint{};
    alerts[4].acknowledged_at = TimePoint{};
    alerts[4].muted = true;
    alerts[5].ended_at = TimePoint{};
    Snapshot snapshot;
    snapshot.totals = std::make_shared<TotalsTable>(TotalsTable{totals_of("a", 4), totals_of("b", 9)});
    snapshot.alerts = std::make_shared<std::vector<Alert>>(alerts);
    snapshot.collector.alerts_started[static_cast<std::size_t>(AlertKind::duration_fell)] = 3;
    const std::string out = text(snapshot);
    for (const char* series : {"{skill_name=\"a\",kind=\"completion_rate_fell\",state=\"active\"} 1\n",
                               "{skill_name=\"a\",kind=\"duration_rose\",state=\"acknowledged\"} 1\n",
                               "{skill_name=\"b\",kind=\"completion_rate_fell\",state=\"muted\"} 1\n",
                               "{skill_name=\"other\",kind=\"duration_rose\",state=\"active\"} 2\n"}) {
        EXPECT_THAT(out, HasSubstr(std::string("session_buddy_alerts_open") + series));
    }
    EXPECT_THAT(out, Not(HasSubstr("{skill_name=\"b\",kind=\"duration_rose\"")));
    EXPECT_THAT(out, HasSubstr("session_buddy_alerts_started_total{kind=\"duration_fell\"} 3\n"));
    EXPECT_THAT(out, HasSubstr("session_buddy_alerts_started_total{kind=\"silence\"} 0\n"));
}

TEST(Exposition, omits_histograms_without_a_duration) {
    Snapshot snapshot;
    snapshot.totals = std::make_shared<TotalsTable>(TotalsTable{totals_of("a", 1)});
    EXPECT_THAT(text(snapshot), Not(HasSubstr("skill_duration_seconds_count")));
}

TEST(Exposition, has_the_lag_behind_the_database) {
    Snapshot snapshot;
    const TimePoint now{std::chrono::hours{1}};
    EXPECT_THAT(text(snapshot, {.snapshot = snapshot, .now = now}),
                Not(HasSubstr("\nsession_buddy_database_lag_seconds ")));
    snapshot.collector.up_to_date_at = now - std::chrono::milliseconds{1500};
    EXPECT_THAT(text(snapshot, {.snapshot = snapshot, .now = now}),
                HasSubstr("\nsession_buddy_database_lag_seconds 1.5\n"));
    snapshot.collector.up_to_date_at = now + std::chrono::seconds{5};  // the clock was set backward
    EXPECT_THAT(text(snapshot, {.snapshot = snapshot, .now = now}),
                HasSubstr("\nsession_buddy_database_lag_seconds 0\n"));
}

TEST(Exposition, omits_process_metrics_if_the_system_does_not_provide_them) {
    const Snapshot snapshot;
    EXPECT_THAT(text(snapshot), Not(HasSubstr("process_")));
    EXPECT_THAT(text(snapshot, {.snapshot = snapshot, .process = ProcessStats{.open_fds = 12}}),
                HasSubstr("\nprocess_open_fds 12\n"));
}

TEST(Exposition, accumulates_the_buckets_of_server_durations) {
    const Snapshot snapshot;
    NetworkStats network;
    for (const double seconds : {0.00005, 0.0001, 0.002, 7.0}) {
        network.broadcasts.add(seconds);
    }
    const std::string out = text(snapshot, {.snapshot = snapshot, .network = network});
    EXPECT_THAT(out, HasSubstr("session_buddy_broadcast_duration_seconds_bucket{le=\"0.0001\"} 2\n"));
    EXPECT_THAT(out, HasSubstr("session_buddy_broadcast_duration_seconds_bucket{le=\"0.005\"} 3\n"));
    EXPECT_THAT(out, HasSubstr("session_buddy_broadcast_duration_seconds_bucket{le=\"5\"} 3\n"));
    EXPECT_THAT(out, HasSubstr("session_buddy_broadcast_duration_seconds_bucket{le=\"+Inf\"} 4\n"));
    EXPECT_THAT(out, HasSubstr("session_buddy_broadcasts_total 4\n"));
}

}  // namespace
}  // namespace session_buddy::prometheus
