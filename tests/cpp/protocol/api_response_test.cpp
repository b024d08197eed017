// Responses of the HTTP API that need no database: order, pages, and the volatile part.
#include "session_buddy/protocol/api_response.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "protocol/sample_snapshot.hpp"
#include "session_buddy/protocol/entities.hpp"

namespace session_buddy::protocol {
namespace {

using nlohmann::json;
using test::kNoon;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

SkillMetrics skill_metrics(std::string name, std::int64_t count, std::int64_t completed, double mean, TimePoint last) {
    SkillMetrics result;
    result.skill_name = std::move(name);
    result.window = {count, completed, mean, last, completed};
    result.lifetime = {count * 10, completed * 10, mean, last};
    return result;
}

Snapshot three_skills() {
    using std::chrono::minutes;
    Snapshot snapshot;
    snapshot.sequence = 1;
    snapshot.at = kNoon;
    snapshot.database = {true, ""};
    snapshot.skills = test::table_of({skill_metrics("Beta", 4, 1, 9.0, kNoon - minutes{3}),
                                      skill_metrics("alpha", 2, 2, 1.0, kNoon - minutes{1}),
                                      skill_metrics("gamma/x", 0, 0, 0.0, kNoon - minutes{2})});
    auto anomalies = std::make_shared<std::vector<Anomaly>>();
    anomalies->push_back(test::anomaly("alpha", AnomalyType::performance_drop, 0.9, 0.1, 5.0));
    snapshot.anomalies = anomalies;
    return snapshot;
}

std::vector<std::string> names(const Snapshot& snapshot, const SkillsRequest& request) {
    std::vector<std::string> found;
    for (const auto* skill : matching_skills(snapshot, request)) {
        found.push_back(skill->skill_name);
    }
    return found;
}

TEST(SkillsResponse, sorts_by_every_key_and_missing_values_last) {
    const Snapshot snapshot = three_skills();
    const auto sorted = [&](SkillSort sort, bool descending) {
        return names(snapshot, {.sort = sort, .descending = descending});
    };
    EXPECT_THAT(sorted(SkillSort::invocation_count, true), ElementsAre("Beta", "alpha", "gamma/x"));
    EXPECT_THAT(sorted(SkillSort::invocation_count, false), ElementsAre("gamma/x", "alpha", "Beta"));
    EXPECT_THAT(sorted(SkillSort::skill_name, false), ElementsAre("Beta", "alpha", "gamma/x"));
    EXPECT_THAT(sorted(SkillSort::skill_name, true), ElementsAre("gamma/x", "alpha", "Beta"));
    EXPECT_THAT(sorted(SkillSort::completion_rate, true), ElementsAre("alpha", "Beta", "gamma/x"));
    EXPECT_THAT(sorted(SkillSort::completion_rate, false), ElementsAre("Beta", "alpha", "gamma/x"));
    EXPECT_THAT(sorted(SkillSort::avg_duration, false), ElementsAre("alpha", "Beta", "gamma/x"));
    EXPECT_THAT(sorted(SkillSort::last_invocation_at, true), ElementsAre("alpha", "gamma/x", "Beta"));
    EXPECT_THAT(sorted(SkillSort::deviation_score, true), ElementsAre("alpha", "Beta", "gamma/x"));
    EXPECT_THAT(sorted(SkillSort::total_invocations, true), ElementsAre("Beta", "alpha", "gamma/x"));
}

TEST(SkillsResponse, sorts_by_quantiles_and_unknown_outcomes) {
    auto fast = skill_metrics("fast", 4, 4, 1.0, kNoon);
    fast.window.p50_duration_seconds = 1.0;
    fast.window.p95_duration_seconds = 9.0;
    fast.window.unknown_count = 3;
    auto slow = skill_metrics("slow", 4, 4, 3.0, kNoon);
    slow.window.p50_duration_seconds = 3.0;
    slow.window.p95_duration_seconds = 3.0;
    Snapshot snapshot;
    snapshot.skills = test::table_of({skill_metrics("none", 1, 0, 0.0, kNoon), fast, slow});
    EXPECT_THAT(names(snapshot, {.sort = SkillSort::p50_duration}), ElementsAre("slow", "fast", "none"));
    EXPECT_THAT(names(snapshot, {.sort = SkillSort::p95_duration}), ElementsAre("fast", "slow", "none"));
    EXPECT_THAT(names(snapshot, {.sort = SkillSort::unknown_count}), ElementsAre("fast", "none", "slow"));
}

TEST(SkillsResponse, has_rates_over_known_outcomes) {
    auto mixed = skill_metrics("mixed", 10, 8, 1.0, kNoon);
    mixed.window.unknown_count = 6;
    mixed.lifetime.unknown_invocations = 60;
    auto unknown = skill_metrics("unknown", 3, 3, 1.0, kNoon);
    unknown.window.unknown_count = 3;
    unknown.lifetime.unknown_invocations = 30;
    Snapshot snapshot;
    snapshot.skills = test::table_of({mixed, unknown});
    const auto response = json::parse(skills_response(snapshot, {.page = {.limit = 9}}, nullptr).text);
    const auto& window = response.at("skills").at(0).at("window");
    EXPECT_EQ(window.at("completed_count"), 8);
    EXPECT_EQ(window.at("unknown_count"), 6);
    EXPECT_EQ(window.at("completion_rate"), 0.5);
    EXPECT_NEAR(window.at("completion_rate_low").get<double>(), 0.1500, 1e-4);  // of 2 of 4
    EXPECT_NEAR(window.at("completion_rate_high").get<double>(), 0.8500, 1e-4);
    EXPECT_EQ(response.at("skills").at(0).at("lifetime").at("completion_rate"), 0.5);
    EXPECT_EQ(response.at("skills").at(0).at("lifetime").at("unknown_invocations"), 60);
    for (const char* key : {"completion_rate", "completion_rate_low", "completion_rate_high"}) {
        EXPECT_TRUE(response.at("skills").at(1).at("window").at(key).is_null()) << key;
    }
    EXPECT_TRUE(response.at("skills").at(1).at("lifetime").at("completion_rate").is_null());

    const auto server = json::parse(server_response(snapshot, Config{}, {}).text);
    EXPECT_EQ(server.at("unknown_count"), 9);
    EXPECT_EQ(server.at("lifetime").at("unknown_invocations"), 90);
    EXPECT_EQ(server.at("lifetime").at("completion_rate"), 0.5);
}

TEST(SkillsResponse, finds_substrings_in_any_case_and_active_skills) {
    const Snapshot snapshot = three_skills();
    EXPECT_THAT(names(snapshot, {.search = "BET"}), ElementsAre("Beta"));
    EXPECT_THAT(names(snapshot, {.search = "/X"}), ElementsAre("gamma/x"));
    EXPECT_THAT(names(snapshot, {.search = "zeta"}), ElementsAre());
    EXPECT_THAT(names(snapshot, {.active = true}), ElementsAre("Beta", "alpha"));
}

TEST(SkillsResponse, returns_the_requested_page_and_null_for_unknown_values) {
    const Snapshot snapshot = three_skills();
    const auto body = skills_response(snapshot, {.page = {.limit = 2, .offset = 2}}, nullptr);
    const auto response = json::parse(body.text);
    EXPECT_EQ(response.at("total"), 3);
    ASSERT_EQ(response.at("skills").size(), 1U);
    const auto& skill = response.at("skills").at(0);
    EXPECT_EQ(skill.at("skill_name"), "gamma/x");
    for (const char* key :
         {"completion_rate", "completion_rate_low", "completion_rate_high", "avg_duration", "last_invocation_at"}) {
        EXPECT_TRUE(skill.at("window").at(key).is_null()) << key;
    }
    EXPECT_EQ(json::parse(skills_response(snapshot, {.page = {.limit = 2, .offset = 1000}}, nullptr).text).at("skills"),
              json::array());
}

TEST(SkillsResponse, has_zeros_for_a_skill_without_invocations) {
    Sparklines sparklines{.from = kNoon, .by_skill = {}};
    sparklines.by_skill["alpha"].back() = {.invocation_count = 3, .completed_count = 2};
    const auto response =
        json::parse(skills_response(three_skills(), {.search = "a", .page = {.limit = 9}}, &sparklines).text);
    for (const auto& skill : response.at("skills")) {
        const auto& sparkline = skill.at("sparkline");
        EXPECT_EQ(sparkline.at("invocation_count").size(), 24U);
        EXPECT_EQ(sparkline.at("invocation_count").at(23), skill.at("skill_name") == "alpha" ? 3 : 0);
        EXPECT_EQ(sparkline.at("completed_count").at(23), skill.at("skill_name") == "alpha" ? 2 : 0);
    }
}

TEST(ServerResponse, differs_only_in_its_age_and_has_no_path) {
    Snapshot snapshot = three_skills();
    Config config;
    config.db_path = "/home/me/skills.db";
    const auto body_at = [&](std::chrono::seconds later) {
        snapshot.at = kNoon + later;
        return server_response(snapshot, config, {.started_at = kNoon, .now = snapshot.at + later, .clients = 2});
    };
    const auto first = body_at(std::chrono::seconds{0});
    const auto second = body_at(std::chrono::seconds{10});
    const auto fixed = [](const ApiBody& body) {
        return body.text.substr(0, body.volatile_begin) + body.text.substr(body.volatile_end);
    };
    EXPECT_NE(first.text, second.text);
    EXPECT_EQ(fixed(first), fixed(second));
    EXPECT_EQ(json::parse(second.text).at("age_seconds"), 10.0);

    snapshot.database = {false, R"(cannot read database "/home/me/skills.db": file is locked)"};
    auto reason =
        json::parse(server_response(snapshot, config, {}).text).at("database").at("reason").get<std::string>();
    EXPECT_EQ(reason, "cannot read database: file is locked");
    snapshot.database.reason = R"(cannot open "/home/me/skills.db": the folder "/home/me" is write-protected)";
    reason = json::parse(server_response(snapshot, config, {}).text).at("database").at("reason").get<std::string>();
    EXPECT_THAT(reason, Not(HasSubstr("/")));
    EXPECT_FALSE(json::parse(server_response(snapshot, config, {}).text).at("database").contains("path"));
    const auto with_path =
        json::parse(server_response(snapshot, config, {.started_at = kNoon, .now = kNoon, .show_path = true}).text)
            .at("database");
    EXPECT_EQ(with_path.at("path"), "/home/me/skills.db");
    EXPECT_EQ(with_path.at("reason"), reason);

    const Snapshot nothing;
    const auto before_the_first = json::parse(server_response(nothing, config, {}).text);
    EXPECT_TRUE(before_the_first.at("at").is_null());
    EXPECT_TRUE(before_the_first.at("age_seconds").is_null());
}

TEST(ServerResponse, lists_the_limits_that_are_reached) {
    Snapshot snapshot;
    const auto named = [&] { return json::parse(server_response(snapshot, Config{}, {}).text).at("limits_reached"); };
    EXPECT_EQ(named(), json::array());
    snapshot.tracked_sessions = {.count = 50, .rows_in_other = 1};
    snapshot.tracked_error_types = {.count = 50};
    EXPECT_EQ(named(), json::array({"max_tracked_sessions"}));
    snapshot.tracked_skills.rows_in_other = 2;
    snapshot.tracked_error_types.rows_in_other = 3;
    EXPECT_EQ(named(), json::array({"max_tracked_skills", "max_tracked_sessions", "max_tracked_error_types"}));
}

// ---- Anomalies

StoredEpisode stored(std::int64_t id, std::string skill, std::string type, TimePoint at,
                     std::optional<TimePoint> end = std::nullopt) {
    return {.id = id,
            .skill_name = std::move(skill),
            .anomaly_type = std::move(type),
            .baseline_value = 0.5,
            .observed_value = 0.4,
            .deviation_score = 2.0,
            .detected_at = at,
            .resolved_at = end};
}

TEST(AnomaliesResponse, has_current_values_for_open_episodes_and_stored_ones_for_the_rest) {
    const auto body = anomalies_response(
        three_skills(), {.page = {.limit = 10}},
        {stored(2, "alpha", "performance_drop", kNoon), stored(1, "alpha", "performance_drop", kNoon, kNoon)});
    const auto episodes = json::parse(body.text).at("anomalies");
    ASSERT_EQ(episodes.size(), 2U);
    EXPECT_EQ(episodes.at(0).at("id"), 2);
    EXPECT_EQ(episodes.at(0).at("deviation_score"), 5.0);
    EXPECT_TRUE(episodes.at(0).at("details").is_object());
    EXPECT_EQ(episodes.at(1).at("deviation_score"), 2.0);
    EXPECT_TRUE(episodes.at(1).at("details").is_null());
}

TEST(AnomaliesResponse, adds_anomalies_missing_in_the_database_if_they_match) {
    const auto response = [](const AnomaliesRequest& request) {
        return json::parse(anomalies_response(three_skills(), request, {}).text).at("anomalies");
    };
    const auto all = response({.page = {.limit = 10}});
    ASSERT_EQ(all.size(), 1U);
    EXPECT_TRUE(all.at(0).at("id").is_null());
    EXPECT_EQ(response({.state = EpisodeState::open, .page = {.limit = 10}}).size(), 1U);
    EXPECT_EQ(response({.state = EpisodeState::resolved, .page = {.limit = 10}}).size(), 0U);
    EXPECT_EQ(response({.skill_name = "Beta", .page = {.limit = 10}}).size(), 0U);
    EXPECT_EQ(response({.type = AnomalyType::pattern_shift, .page = {.limit = 10}}).size(), 0U);
}

TEST(AnomaliesResponse, sorts_open_episodes_by_score_and_the_rest_by_time) {
    using std::chrono::minutes;
    const auto order = [](EpisodeState state) {
        std::vector<int> ids;
        const auto body = anomalies_response(
            three_skills(), {.state = state, .page = {.limit = 10}},
            {stored(3, "Beta", "pattern_shift", kNoon), stored(2, "alpha", "performance_drop", kNoon - minutes{1})});
        const auto response = json::parse(body.text);
        for (const auto& episode : response.at("anomalies")) {
            ids.push_back(episode.at("id").get<int>());
        }
        return ids;
    };
    EXPECT_THAT(order(EpisodeState::all), ElementsAre(3, 2));
    EXPECT_THAT(order(EpisodeState::open), ElementsAre(2, 3));
}

Alert stored_alert(const std::string& skill_name, std::int64_t id, TimePoint detected_at) {
    Alert alert = test::alert(skill_name, AlertKind::completion_rate_fell, id);
    alert.detected_at = detected_at;
    return alert;
}

TEST(AlertsResponse, has_the_stored_page_with_the_current_values_of_open_alerts_and_what_people_set) {
    using std::chrono::minutes;
    Snapshot snapshot;
    snapshot.sequence = 1;
    snapshot.at = kNoon;
    Alert current = stored_alert("a", 2, kNoon - minutes{5});
    current.failures_in_a_row = 9;
    snapshot.alerts = std::make_shared<std::vector<Alert>>(1, current);
    AlertPage stored{.total = 7,
                     .alerts = {stored_alert("a", 2, kNoon - minutes{5}), stored_alert("a", 1, kNoon - minutes{9})},
                     .mutes = {}};
    stored.alerts[0].note = "known";
    stored.alerts[0].acknowledged_at = kNoon;
    stored.alerts[0].muted = true;
    stored.alerts[1].ended_at = kNoon;
    stored.alerts[1].end = AlertEnd::recovered;
    stored.mutes = {{.skill_name = "a", .muted_at = kNoon, .until = kNoon + minutes{1}, .reason = "r"},
                    {.skill_name = "b", .muted_at = kNoon, .reason = ""}};
    const auto body = alerts_response(snapshot, {.page = {.limit = 2, .offset = 3}}, "1/week", stored);
    EXPECT_EQ(body.text.substr(body.volatile_begin, body.volatile_end - body.volatile_begin),
              R"("at":"2026-02-10T12:00:00Z")");
    const auto response = json::parse(body.text);
    EXPECT_EQ(response.at("budget"), "1/week");
    EXPECT_EQ(response.at("total"), 7);
    EXPECT_EQ(response.at("limit"), 2);
    EXPECT_EQ(response.at("offset"), 3);
    const auto& alerts = response.at("alerts");
    ASSERT_EQ(alerts.size(), 2U);
    EXPECT_EQ(alerts[0].at("id"), 2);
    EXPECT_EQ(alerts[0].at("failures_in_a_row"), 9);
    EXPECT_EQ(alerts[0].at("note"), "known");
    EXPECT_EQ(alerts[0].at("acknowledged_at"), "2026-02-10T12:00:00Z");
    EXPECT_EQ(alerts[0].at("muted"), true);
    EXPECT_EQ(alerts[1].at("id"), 1);
    EXPECT_EQ(alerts[1].at("end"), "recovered");
    EXPECT_EQ(response.at("mutes").dump(),
              R"([{"muted_at":"2026-02-10T12:00:00Z","reason":"r","skill_name":"a","until":"2026-02-10T12:01:00Z"},)"
              R"({"muted_at":"2026-02-10T12:00:00Z","reason":"","skill_name":"b","until":null}])");
}

TEST(AlertsResponse, begins_with_the_alerts_that_could_not_be_stored) {
    using std::chrono::minutes;
    Snapshot snapshot;
    snapshot.sequence = 1;
    snapshot.at = kNoon;
    snapshot.alerts = std::make_shared<std::vector<Alert>>(
        std::vector<Alert>{stored_alert("n", 0, kNoon), stored_alert("m", 0, kNoon - minutes{1}),
                           stored_alert("stored", 5, kNoon - minutes{2})});
    const auto page = [&](std::int64_t limit, std::int64_t offset, std::vector<Alert> rows) {
        return json::parse(alerts_response(snapshot, {.page = {.limit = limit, .offset = offset}}, "off",
                                           {.total = 3, .alerts = std::move(rows), .mutes = {}})
                               .text);
    };
    const auto skills = [](const json& response) {
        std::vector<std::string> found;
        for (const auto& alert : response.at("alerts")) {
            found.push_back(alert.at("skill_name"));
        }
        return found;
    };
    const Alert first = stored_alert("stored", 5, kNoon - minutes{2});
    const Alert second = stored_alert("older", 4, kNoon - minutes{3});
    EXPECT_THAT(skills(page(1, 0, {first})), ElementsAre("n"));
    EXPECT_THAT(skills(page(3, 1, {first, second})), ElementsAre("m", "stored", "older"));
    EXPECT_THAT(skills(page(1, 3, {second})), ElementsAre("older"));
    EXPECT_EQ(page(3, 1, {first}).at("total"), 5);
    // Stored by a cycle after the snapshot, or detected again after a restart at another time.
    const auto again = page(4, 0, {stored_alert("n", 6, kNoon - minutes{30}), first});
    EXPECT_THAT(skills(again), ElementsAre("m", "n", "stored"));
    EXPECT_EQ(again.at("total"), 4);
}

TEST(AlertsResponse, filters_the_alerts_that_could_not_be_stored) {
    using std::chrono::minutes;
    Snapshot snapshot;
    Alert ended = stored_alert("b", 0, kNoon - minutes{9});
    ended.ended_at = kNoon - minutes{5};
    ended.kind = AlertKind::duration_fell;
    snapshot.alerts = std::make_shared<std::vector<Alert>>(std::vector<Alert>{stored_alert("a", 0, kNoon), ended});
    const auto count = [&](const AlertsRequest& request) { return unstored_alerts(snapshot, request).size(); };
    EXPECT_EQ(count({}), 2U);
    EXPECT_EQ(count({.state = AlertState::open}), 1U);
    EXPECT_EQ(count({.state = AlertState::ended}), 1U);
    EXPECT_EQ(count({.skill_name = "a"}), 1U);
    EXPECT_EQ(count({.kind = AlertKind::duration_fell}), 1U);
    EXPECT_EQ(count({.kind = AlertKind::silence}), 0U);
    EXPECT_EQ(count({.from = kNoon - minutes{5}}), 2U);
    EXPECT_EQ(count({.from = kNoon - minutes{4}}), 1U);
    EXPECT_EQ(count({.to = kNoon}), 1U);
    EXPECT_EQ(count({.to = kNoon - minutes{9}}), 0U);
}

}  // namespace
}  // namespace session_buddy::protocol
