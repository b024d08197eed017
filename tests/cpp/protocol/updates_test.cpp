// metrics_update and session_update: exact text, and which skills a subscription receives.
#include "session_buddy/protocol/updates.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "protocol/sample_snapshot.hpp"

namespace session_buddy::protocol {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;
using test::alert;
using test::anomaly;
using test::kNoon;
using test::numbered;
using test::skill;
using test::snapshot_of;
using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> names(const Json& items) {
    std::vector<std::string> found;
    for (const auto& item : items) {
        found.push_back(item.at("skill_name"));
    }
    return found;
}

Json update(const SnapshotPtr& snapshot, const Subscription& subscription) {
    return Json::parse(metrics_update(snapshot, subscription)).at("data");
}

class MetricsUpdate : public testing::Test {
  protected:
    MetricsUpdate() {
        std::vector<SkillMetrics> skills;
        for (int i = 0; i < 12; ++i) {
            skills.push_back(skill(numbered("s", i), 100 - i));
        }
        skills.push_back(skill("idle", 0));
        snapshot_ = snapshot_of(1, skills);
        snapshot_->anomalies = std::make_shared<std::vector<Anomaly>>(
            std::vector<Anomaly>{anomaly("s11", AnomalyType::pattern_shift, 5.0, 15.0, 9.0),
                                 anomaly("s1", AnomalyType::performance_drop, 0.85, 0.62, 2.3),
                                 anomaly("s11", AnomalyType::performance_spike, 0.8, 0.95, 2.1)});
    }
    std::shared_ptr<Snapshot> snapshot_;
};

TEST_F(MetricsUpdate, for_all_skills_has_the_top_skills_and_every_anomaly) {
    const auto data = update(snapshot_, Subscription());
    EXPECT_THAT(names(data.at("top_skills")), ElementsAre("s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9"));
    EXPECT_THAT(names(data.at("anomalies")), ElementsAre("s11", "s1", "s11"));
}

TEST_F(MetricsUpdate, for_one_skill_has_only_that_skill_regardless_of_its_rank) {
    const auto data = update(snapshot_, Subscription({"s11"}));
    EXPECT_THAT(names(data.at("top_skills")), ElementsAre("s11"));
    EXPECT_THAT(names(data.at("anomalies")), ElementsAre("s11", "s11"));
    EXPECT_EQ(data.at("anomalies").at(0).at("anomaly_type"), "pattern_shift");
}

TEST_F(MetricsUpdate, for_a_skill_without_activity_is_empty) {
    for (const char* name : {"idle", "never-seen"}) {
        const auto data = update(snapshot_, Subscription({name}));
        EXPECT_THAT(data.at("top_skills"), IsEmpty());
        EXPECT_THAT(data.at("anomalies"), IsEmpty());
    }
}

TEST_F(MetricsUpdate, for_several_skills_has_their_union_in_the_documented_order) {
    const auto data = update(snapshot_, Subscription({"s11", "s10", "never-seen", "s1", "idle"}));
    EXPECT_THAT(names(data.at("top_skills")), ElementsAre("s1", "s10", "s11"));
    EXPECT_THAT(names(data.at("anomalies")), ElementsAre("s11", "s1", "s11"));
}

struct UpdateViewCase {
    std::vector<std::string> names;
    AnomalyView view;
    std::vector<double> scores;
};
void PrintTo(const UpdateViewCase& tested, std::ostream* out) {
    *out << testing::PrintToString(tested.names) << ' ' << tested.view.min_deviation;
}

class MetricsUpdateView : public MetricsUpdate, public testing::WithParamInterface<UpdateViewCase> {};

TEST_P(MetricsUpdateView, has_the_anomalies_at_or_above_its_deviation_largest_first) {
    const auto data = update(snapshot_, Subscription(GetParam().names, GetParam().view));
    std::vector<double> scores;
    for (const auto& written : data.at("anomalies")) {
        scores.push_back(written.at("deviation_score"));
        EXPECT_EQ(written.contains("details"), GetParam().view.details);
        EXPECT_EQ(written.size(), GetParam().view.details ? 6U : 5U);
    }
    EXPECT_EQ(scores, GetParam().scores);
    EXPECT_EQ(names(data.at("top_skills")), names(update(snapshot_, Subscription(GetParam().names)).at("top_skills")));
    for (const auto& written : data.at("top_skills")) {
        EXPECT_EQ(written.size(), GetParam().view.details ? 9U : 5U);
    }
}

INSTANTIATE_TEST_SUITE_P(
    Views, MetricsUpdateView,
    testing::Values(UpdateViewCase{{}, {0.0, false}, {9.0, 2.3, 2.1}}, UpdateViewCase{{}, {2.3, false}, {9.0, 2.3}},
                    UpdateViewCase{{}, {2.3000000000000003, false}, {9.0}}, UpdateViewCase{{}, {9.5, false}, {}},
                    UpdateViewCase{{}, {0.0, true}, {9.0, 2.3, 2.1}}, UpdateViewCase{{}, {2.2, true}, {9.0, 2.3}},
                    UpdateViewCase{{"s11"}, {2.2, false}, {9.0}}, UpdateViewCase{{"s11"}, {2.1, true}, {9.0, 2.1}},
                    UpdateViewCase{{"s1", "s11"}, {2.2, false}, {9.0, 2.3}},
                    UpdateViewCase{{"s1", "s0"}, {3.0, true}, {}}));

TEST(MetricsUpdateOrder, is_count_then_recency_then_name) {
    const auto snapshot = snapshot_of(1, {skill("z", 5, kNoon), skill("newer", 5, kNoon + 1us), skill("a", 5, kNoon),
                                          skill("busy", 6, kNoon - 1h), skill("rare", 1, kNoon + 1h)});
    const auto data = update(snapshot, Subscription({"a", "busy", "newer", "rare", "z"}));
    EXPECT_THAT(names(data.at("top_skills")), ElementsAre("busy", "newer", "a", "z", "rare"));
}

TEST(MetricsUpdateText, has_the_documented_keys_in_their_order_and_no_others) {
    SkillMetrics run;
    run.skill_name = "pytest-run";
    run.window = {42, 38, 5.2, kNoon};
    run.window.unknown_count = 7;
    run.window.measured_count = 9;
    run.window.p50_duration_seconds = 4.0;
    const auto snapshot = snapshot_of(0, {run});
    snapshot->anomalies = std::make_shared<std::vector<Anomaly>>(
        std::vector<Anomaly>{anomaly("mypy", AnomalyType::performance_drop, 0.85, 0.62, 2.3)});
    snapshot->sessions = std::make_shared<std::vector<SessionMetrics>>(1);
    EXPECT_EQ(
        metrics_update(snapshot, Subscription()),
        R"({"type":"metrics_update","timestamp":"2026-02-10T12:00:00Z","data":{"top_skills":[{"skill_name":"pytest-run",)"
        R"("invocation_count":42,"completed_count":38,"avg_duration":5.2,"last_invocation_at":"2026-02-10T12:00:00Z"}],)"
        R"("anomalies":[{"skill_name":"mypy","anomaly_type":"performance_drop","baseline_value":0.85,)"
        R"("observed_value":0.62,"deviation_score":2.3}]}})");
}

TEST(MetricsUpdateText, has_details_if_requested) {
    const auto snapshot = snapshot_of(0, {});
    Anomaly drop = anomaly("mypy", AnomalyType::performance_drop, 0.85, 0.62, 2.3);
    drop.baseline_samples = 120;
    drop.observed_samples = 13;
    drop.z_score = -2.3;
    drop.tail_probability = 0.0107;
    drop.since = kNoon - 90s;
    drop.common_errors = {{"Timeout", 4}, {"a\"b", 1}};
    Anomaly bare = anomaly("ruff", AnomalyType::pattern_shift, 5.0, 15.0, 2.0);
    bare.since = kNoon;
    snapshot->anomalies = std::make_shared<std::vector<Anomaly>>(std::vector<Anomaly>{drop, bare});
    EXPECT_EQ(
        metrics_update(snapshot, Subscription({}, {0.0, true})),
        R"({"type":"metrics_update","timestamp":"2026-02-10T12:00:00Z","data":{"top_skills":[],)"
        R"("anomalies":[{"skill_name":"mypy","anomaly_type":"performance_drop","baseline_value":0.85,)"
        R"("observed_value":0.62,"deviation_score":2.3,"details":{"baseline_samples":120,"observed_samples":13,)"
        R"("z_score":-2.3,"tail_probability":0.0107,"since":"2026-02-10T11:58:30Z",)"
        R"("common_errors":[{"error_type":"Timeout","count":4},{"error_type":"a\"b","count":1}],)"
        R"("alert":null}},)"
        R"({"skill_name":"ruff","anomaly_type":"pattern_shift","baseline_value":5.0,)"
        R"("observed_value":15.0,"deviation_score":2.0,"details":{"baseline_samples":0,"observed_samples":0,)"
        R"("z_score":0.0,"tail_probability":1.0,"since":"2026-02-10T12:00:00Z","common_errors":[],"alert":null}}],)"
        R"("alerts":[]}})");
}

TEST(MetricsUpdateText, has_details_of_each_skill_if_requested) {
    SkillMetrics run;
    run.skill_name = "pytest-run";
    run.window = {42, 38, 5.2, kNoon};
    run.window.unknown_count = 7;
    run.window.measured_count = 9;
    run.window.p50_duration_seconds = 4.0;
    run.window.p95_duration_seconds = 12.5;
    SkillMetrics bare;
    bare.skill_name = "mypy";
    bare.window = {1, 0, 0.0, kNoon};
    constexpr const char* kText =
        R"({"type":"metrics_update","timestamp":"2026-02-10T12:00:00Z","data":{"top_skills":[)"
        R"({"skill_name":"pytest-run","invocation_count":42,"completed_count":38,"avg_duration":5.2,)"
        R"("last_invocation_at":"2026-02-10T12:00:00Z","unknown_count":7,"p50_duration":4.0,"p95_duration":12.5,)"
        R"("measured_count":9},{"skill_name":"mypy","invocation_count":1,"completed_count":0,"avg_duration":0.0,)"
        R"("last_invocation_at":"2026-02-10T12:00:00Z","unknown_count":0,"p50_duration":null,"p95_duration":null,)"
        R"("measured_count":0}],"anomalies":[],"alerts":[]}})";
    const auto snapshot = snapshot_of(0, {run, bare});
    EXPECT_EQ(metrics_update(snapshot, Subscription({}, {0.0, true})), kText);
    EXPECT_EQ(metrics_update(snapshot, Subscription({"mypy", "pytest-run"}, {0.0, true})), kText);
}

TEST(MetricsUpdateText, has_alerts_with_the_documented_keys_in_their_order_if_requested) {
    const auto snapshot = snapshot_of(0, {});
    Alert fell = alert("mypy", AlertKind::completion_rate_fell, 12);
    fell.since_low = kNoon - 90s;
    fell.before = {0.85, 0.82, 0.88, 812};
    fell.after = {0.62, 0.36, 0.82, 13};
    fell.once_in_seconds = 24'192'000.0;
    fell.failures_in_a_row = 3;
    fell.errors = {{"timeout", 0.01, 0.31, 4}};
    fell.session_id = "morning";
    fell.session_share = 0.6;
    fell.sessions = 4;
    fell.note = "known";
    fell.acknowledged_at = kNoon;
    Alert faster = alert("ruff", AlertKind::duration_fell, 0);
    faster.ended_at = kNoon;
    faster.end = AlertEnd::accepted;
    faster.muted = true;
    snapshot->alerts = std::make_shared<std::vector<Alert>>(std::vector<Alert>{fell, faster});
    EXPECT_EQ(metrics_update(snapshot, Subscription({}, {0.0, true})),
              R"({"type":"metrics_update","timestamp":"2026-02-10T12:00:00Z","data":{"top_skills":[],"anomalies":[],)"
              R"("alerts":[{"id":12,"skill_name":"mypy","kind":"completion_rate_fell",)"
              R"("detected_at":"2026-02-10T12:00:00Z","since":"2026-02-10T12:00:00Z",)"
              R"("since_low":"2026-02-10T11:58:30Z","since_high":"2026-02-10T12:00:00Z",)"
              R"("before":{"value":0.85,"low":0.82,"high":0.88,"samples":812},)"
              R"("after":{"value":0.62,"low":0.36,"high":0.82,"samples":13},"once_in_seconds":24192000.0,)"
              R"("failures_in_a_row":3,"errors":[{"error_type":"timeout","before":0.01,"after":0.31,"count":4}],)"
              R"("session_id":"morning","session_share":0.6,"sessions":4,"ended_at":null,"end":null,)"
              R"("acknowledged_at":"2026-02-10T12:00:00Z","note":"known","muted":false},)"
              R"({"id":null,"skill_name":"ruff","kind":"duration_fell",)"
              R"("detected_at":"2026-02-10T12:00:00Z","since":"2026-02-10T12:00:00Z",)"
              R"("since_low":"2026-02-10T12:00:00Z","since_high":"2026-02-10T12:00:00Z",)"
              R"("before":{"value":0.0,"low":0.0,"high":0.0,"samples":0},)"
              R"("after":{"value":0.0,"low":0.0,"high":0.0,"samples":0},"once_in_seconds":0.0,)"
              R"("failures_in_a_row":0,"errors":[],"session_id":null,"session_share":0.0,"sessions":0,)"
              R"("ended_at":"2026-02-10T12:00:00Z","end":"accepted","acknowledged_at":null,"note":"",)"
              R"("muted":true}]}})");
}

TEST(MetricsUpdateAlerts, are_those_of_the_subscribed_skills_regardless_of_min_deviation_and_only_with_details) {
    const auto snapshot = snapshot_of(0, {});
    snapshot->alerts = std::make_shared<std::vector<Alert>>(
        std::vector<Alert>{alert("b", AlertKind::silence, 3), alert("a", AlertKind::duration_rose, 2),
                           alert("b", AlertKind::completion_rate_fell, 1)});
    const auto named = [&snapshot](std::vector<std::string> skills) {
        return names(update(snapshot, Subscription(std::move(skills), {9.0, true})).at("alerts"));
    };
    EXPECT_THAT(named({}), ElementsAre("b", "a", "b"));
    EXPECT_THAT(named({"b", "c"}), ElementsAre("b", "b"));
    EXPECT_THAT(named({"c"}), IsEmpty());
    EXPECT_FALSE(update(snapshot, Subscription()).contains("alerts"));
}

TEST(MetricsUpdateAlerts, explain_the_anomaly_of_their_skill_and_side_while_they_are_open) {
    const auto snapshot = snapshot_of(0, {});
    Alert ended = alert("d", AlertKind::completion_rate_fell, 9);
    ended.ended_at = kNoon;
    snapshot->alerts = std::make_shared<std::vector<Alert>>(std::vector<Alert>{
        alert("a", AlertKind::duration_rose, 1), alert("a", AlertKind::completion_rate_fell, 2),
        alert("b", AlertKind::duration_fell, 3), alert("c", AlertKind::completion_rate_rose, 4), ended});
    snapshot->anomalies = std::make_shared<std::vector<Anomaly>>(
        std::vector<Anomaly>{anomaly("a", AnomalyType::performance_drop, 0.9, 0.5, 9.0),
                             anomaly("a", AnomalyType::pattern_shift, 1.0, 2.0, 8.0),
                             anomaly("b", AnomalyType::pattern_shift, 2.0, 1.0, 7.0),
                             anomaly("b", AnomalyType::performance_drop, 0.9, 0.5, 6.0),
                             anomaly("c", AnomalyType::performance_spike, 0.5, 0.9, 5.0),
                             anomaly("c", AnomalyType::performance_drop, 0.9, 0.5, 4.0),
                             anomaly("d", AnomalyType::performance_drop, 0.9, 0.5, 3.0)});
    std::vector<int> ids;
    const auto message = update(snapshot, Subscription({}, {0.0, true}));  // keeps the document alive during the loop
    for (const auto& written : message.at("anomalies")) {
        const auto& found = written.at("details").at("alert");
        ids.push_back(found.is_null() ? 0 : found.at("id").get<int>());
    }
    EXPECT_THAT(ids, ElementsAre(2, 1, 3, 0, 4, 0, 0));
}

TEST(MetricsUpdateText, has_finite_numbers_for_any_snapshot) {
    using Limits = std::numeric_limits<double>;
    const auto snapshot = snapshot_of(0, {});
    for (const double value : {Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN()}) {
        Anomaly odd = anomaly("x", AnomalyType::pattern_shift, value, value, value);
        odd.z_score = value;
        odd.tail_probability = value;
        snapshot->anomalies = std::make_shared<std::vector<Anomaly>>(std::vector<Anomaly>{odd});
        const auto message =
            update(snapshot, Subscription({}, {0.0, true}));  // keeps the document alive during the loop
        for (const auto& written : message.at("anomalies")) {
            for (const char* key : {"baseline_value", "observed_value", "deviation_score"}) {
                EXPECT_EQ(written.at(key), 0.0) << key;
            }
            EXPECT_EQ(written.at("details").at("z_score"), 0.0);
            EXPECT_EQ(written.at("details").at("tail_probability"), 0.0);
        }
    }
}

TEST(MetricsUpdateText, of_an_empty_snapshot_has_empty_arrays) {
    EXPECT_EQ(
        metrics_update(snapshot_of(0, {}), Subscription()),
        R"({"type":"metrics_update","timestamp":"2026-02-10T12:00:00Z","data":{"top_skills":[],"anomalies":[]}})");
}

TEST(SessionUpdateText, lists_the_active_sessions) {
    auto snapshot = snapshot_of(0, {});
    snapshot->sessions = std::make_shared<std::vector<SessionMetrics>>(
        std::vector<SessionMetrics>{{"f3b1", kNoon - 1h, kNoon, 17, 16, 4, 2}, {"\xff", kNoon, kNoon, 1, 0, 1}});
    EXPECT_EQ(
        session_update(*snapshot),
        R"({"type":"session_update","timestamp":"2026-02-10T12:00:00Z","data":{"active_sessions":[{"session_id":"f3b1",)"
        R"("first_activity_at":"2026-02-10T11:00:00Z","last_activity_at":"2026-02-10T12:00:00Z","invocations":17,)"
        R"("completed":16,"distinct_skills":4,"unknown":2},{"session_id":")"
        "\xEF\xBF\xBD"
        R"(","first_activity_at":"2026-02-10T12:00:00Z","last_activity_at":"2026-02-10T12:00:00Z","invocations":1,)"
        R"("completed":0,"distinct_skills":1,"unknown":0}]}})");
}

}  // namespace
}  // namespace session_buddy::protocol
