// Parsing and validation of the query strings of the HTTP API.
#include "session_buddy/protocol/api_request.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "session_buddy/protocol/entities.hpp"
#include "support/manual_clock.hpp"

namespace session_buddy::protocol {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::HasSubstr;

using test::at;

const TimePoint kNow = at("2026-02-10T12:34:56Z");

template <typename Request>
Request accepted(const ApiRequest<Request>& read) {
    const auto* bad = std::get_if<BadParameter>(&read);
    EXPECT_EQ(bad, nullptr) << bad->parameter << ": " << bad->detail;
    return std::get<Request>(read);
}

template <typename Request>
BadParameter rejected(const ApiRequest<Request>& read) {
    const auto* bad = std::get_if<BadParameter>(&read);
    EXPECT_NE(bad, nullptr);
    return bad != nullptr ? *bad : BadParameter{};
}

TEST(ApiRequest, of_skills_has_defaults) {
    EXPECT_EQ(accepted(parse_skills_request("")), (SkillsRequest{.search = "",
                                                                 .sort = SkillSort::invocation_count,
                                                                 .descending = true,
                                                                 .active = false,
                                                                 .sparkline = false,
                                                                 .page = {.limit = 50, .offset = 0}}));
    EXPECT_FALSE(accepted(parse_skills_request("sort=skill_name")).descending);
    EXPECT_TRUE(accepted(parse_skills_request("sort=skill_name&order=desc")).descending);
}

TEST(ApiRequest, parses_every_parameter_of_skills) {
    EXPECT_EQ(accepted(parse_skills_request(
                  "&search=a&&sort=deviation_score&order=asc&active=true&sparkline=true&limit=100&offset=7&")),
              (SkillsRequest{.search = "a",
                             .sort = SkillSort::deviation_score,
                             .descending = false,
                             .active = true,
                             .sparkline = true,
                             .page = {.limit = 100, .offset = 7}}));
}

TEST(ApiRequest, parses_every_parameter_of_groups) {
    EXPECT_EQ(accepted(parse_groups_request("")), (GroupsRequest{.active = false, .page = {.limit = 50, .offset = 0}}));
    EXPECT_EQ(accepted(parse_groups_request("active=true&limit=500&offset=7")),
              (GroupsRequest{.active = true, .page = {.limit = 500, .offset = 7}}));
    EXPECT_EQ(rejected(parse_groups_request("limit=501")).parameter, "limit");
    EXPECT_EQ(rejected(parse_groups_request("sort=group")).parameter, "sort");
}

TEST(ApiRequest, decodes_percent_and_plus_in_names_and_values) {
    EXPECT_EQ(accepted(parse_skill_request("skill%5Fname=a%2Fb+c%26d%3De=f%C3%a4")).skill_name, "a/b c&d=e=f\xC3\xA4");
    EXPECT_EQ(accepted(parse_skill_request("skill_name=a/../b?c")).skill_name, "a/../b?c");
}

TEST(ApiRequest, names_the_invalid_parameter) {
    struct Case {
        const char* query;
        const char* parameter;
        const char* detail;
    };
    for (const auto& [query, parameter, detail] : {Case{"serch=x", "serch", "Unknown parameter"},
                                                   Case{"limit=1&limit=2", "limit", "once"},
                                                   Case{"limit=0", "limit", "1 to 500"},
                                                   Case{"limit=501", "limit", "1 to 500"},
                                                   Case{"limit=101&sparkline=true", "limit", "1 to 100"},
                                                   Case{"limit=1.0", "limit", "integer"},
                                                   Case{"limit=", "limit", "integer"},
                                                   Case{"limit", "limit", "integer"},
                                                   Case{"limit=+1", "limit", "integer"},
                                                   Case{"limit=99999999999999999999", "limit", "integer"},
                                                   Case{"offset=-1", "offset", "0 to"},
                                                   Case{"sort=name", "sort", "skill_name"},
                                                   Case{"order=up", "order", "asc, desc"},
                                                   Case{"active=1", "active", "true or false"},
                                                   Case{"sparkline=TRUE", "sparkline", "true or false"},
                                                   Case{"search=", "search", "1 to 256"},
                                                   Case{"search=%", "search", "%"},
                                                   Case{"search=%4", "search", "%"},
                                                   Case{"search=%zz", "search", "%"},
                                                   Case{"search=%ff", "search", "UTF-8"},
                                                   Case{"%ff=1", "\xff", "UTF-8"},
                                                   Case{"=1", "", "Unknown parameter"}}) {
        const auto bad = rejected(parse_skills_request(query));
        EXPECT_EQ(bad.parameter, parameter) << query;
        EXPECT_THAT(bad.detail, HasSubstr(detail)) << query;
    }
    EXPECT_EQ(rejected(parse_skills_request("search=" + std::string(257, 'a'))).parameter, "search");
    EXPECT_EQ(rejected(parse_skills_request(std::string(300, 'x') + "=1")).parameter.size(), 64U);
    EXPECT_EQ(rejected(parse_sessions_request("a%1b%5B1m%C2%9B%C3%A4=1")).detail,
              "Unknown parameter 'a?[1m?\xC3\xA4'; accepted are limit");
    EXPECT_THAT(rejected(parse_sessions_request(std::string(300, 'x') + "=1")).detail,
                HasSubstr('\'' + std::string(64, 'x') + '\''));
}

TEST(ApiRequest, of_a_skill_requires_a_name) {
    EXPECT_THAT(rejected(parse_skill_request("")).detail, HasSubstr("is required"));
    for (const auto& name : {std::string(), std::string("a%0Ab"), std::string("a%00"), std::string(257, 'a')}) {
        EXPECT_EQ(rejected(parse_skill_request("skill_name=" + name)).parameter, "skill_name") << name;
    }
}

TEST(ApiRequest, parses_steps_in_every_unit) {
    for (const auto& [text, length] :
         {std::pair{"10", 10}, std::pair{"30s", 30}, std::pair{"5m", 300}, std::pair{"1h", 3600},
          std::pair{"31d", 2'678'400}, std::pair{"2678400", 2'678'400}}) {
        EXPECT_EQ(accepted(parse_series_request(std::string("step=") + text)).step, seconds{length}) << text;
    }
    for (const char* text : {"", "9", "9s", "0", "-5m", "32d", "745h", "2678401", "1w", "m", "1.5h", "5 m",
                             "9223372036854775807d", "99999999999999999999s"}) {
        EXPECT_EQ(rejected(parse_series_request(std::string("step=") + text)).parameter, "step") << text;
    }
}

TEST(ApiRequest, parses_times_and_rejects_an_empty_range) {
    const auto request =
        accepted(parse_series_request("from=2026-02-10T00:00:00%2B01:00&to=2026-02-10%2000:00:00&skill_name=a"));
    EXPECT_EQ(request.from, at("2026-02-09T23:00:00Z"));
    EXPECT_EQ(request.to, at("2026-02-10T00:00:00Z"));
    EXPECT_EQ(request.skill_name, "a");
    EXPECT_EQ(rejected(parse_series_request("from=2026-02-10&to=2026-02-10")).parameter, "from");
    // An offset with an unencoded +.
    EXPECT_THAT(rejected(parse_series_request("to=2026-02-10T00:00:00+01:00")).detail, HasSubstr("%2B"));
    EXPECT_EQ(rejected(parse_anomalies_request("from=2026-02-11&to=2026-02-10")).parameter, "from");
}

TEST(ApiRequest, parses_every_parameter_of_anomalies_and_sessions) {
    const auto request = accepted(parse_anomalies_request(
        "state=open&skill_name=a&anomaly_type=pattern_shift&from=2026-02-10&limit=500&offset=1"));
    EXPECT_EQ(request.state, EpisodeState::open);
    EXPECT_EQ(request.skill_name, "a");
    EXPECT_EQ(request.type, AnomalyType::pattern_shift);
    EXPECT_EQ(request.from, at("2026-02-10"));
    EXPECT_FALSE(request.to);
    EXPECT_EQ(request.page.limit, 500);
    EXPECT_EQ(accepted(parse_anomalies_request("")).page.limit, 100);
    EXPECT_EQ(rejected(parse_anomalies_request("anomaly_type=drop")).parameter, "anomaly_type");
    EXPECT_EQ(accepted(parse_sessions_request("limit=1000")).limit, 1000);
    EXPECT_EQ(rejected(parse_sessions_request("limit=1001")).parameter, "limit");
    EXPECT_EQ(accepted(parse_server_request("&")), ServerRequest{});
    EXPECT_EQ(rejected(parse_server_request("a=1")).parameter, "a");
}

TEST(ApiRequest, parses_every_parameter_of_alerts_and_names_an_invalid_one) {
    const auto request = accepted(parse_alerts_request(
        "state=ended&skill_name=a&kind=duration_rose&from=2026-02-10&to=2026-02-11&limit=500&offset=1"));
    EXPECT_EQ(request.state, AlertState::ended);
    EXPECT_EQ(request.skill_name, "a");
    EXPECT_EQ(request.kind, AlertKind::duration_rose);
    EXPECT_EQ(request.from, at("2026-02-10"));
    EXPECT_EQ(request.to, at("2026-02-11"));
    EXPECT_EQ(request.page, (Page{500, 1}));
    EXPECT_EQ(accepted(parse_alerts_request("")), (AlertsRequest{.page = {.limit = 100}}));
    for (const auto& [query, parameter] :
         {std::pair{"state=resolved", "state"}, std::pair{"kind=drop", "kind"}, std::pair{"kind=", "kind"},
          std::pair{"limit=501", "limit"}, std::pair{"offset=-1", "offset"}, std::pair{"skill_name=", "skill_name"},
          std::pair{"from=2026-02-11&to=2026-02-10", "from"}, std::pair{"to=yesterday", "to"},
          std::pair{"anomaly_type=pattern_shift", "anomaly_type"}, std::pair{"state=open&state=all", "state"}}) {
        EXPECT_EQ(rejected(parse_alerts_request(query)).parameter, parameter) << query;
    }
}

TEST(ApiRequest, to_unmute_requires_a_skill) {
    EXPECT_EQ(accepted(parse_unmute_request("skill_name=a+b")).skill_name, "a b");
    EXPECT_THAT(rejected(parse_unmute_request("")).detail, HasSubstr("is required"));
    EXPECT_EQ(rejected(parse_unmute_request("skill_name=")).parameter, "skill_name");
    EXPECT_EQ(rejected(parse_unmute_request("skill_name=a&id=1")).parameter, "id");
}

// ---- The steps of a series

TEST(SeriesPlan, covers_24_hours_in_whole_steps_by_default) {
    const auto plan = accepted(plan_series({}, kNow, TimePoint::min()));
    EXPECT_EQ(plan.step, seconds{300});
    EXPECT_EQ(plan.from, at("2026-02-09T12:30:00Z"));
    EXPECT_EQ(plan.to(), at("2026-02-10T12:35:00Z"));
    EXPECT_EQ(plan.points, 289U);
}

TEST(SeriesPlan, does_not_start_a_step_at_its_end) {
    const auto plan = accepted(
        plan_series({.from = at("2026-02-10"), .to = at("2026-02-11"), .step = hours{1}}, kNow, TimePoint::min()));
    EXPECT_EQ(plan.points, 24U);
    EXPECT_EQ(plan.to(), at("2026-02-11"));
}

TEST(SeriesPlan, aligns_steps_to_1970_also_before_1970) {
    const auto plan = accepted(
        plan_series({.from = at("1969-12-31T23:59:55Z"), .to = at("1970-01-01T00:00:05Z"), .step = seconds{10}}, kNow,
                    TimePoint::min()));
    EXPECT_EQ(plan.from, at("1969-12-31T23:59:50Z"));
    EXPECT_EQ(plan.points, 2U);
}

TEST(SeriesPlan, uses_the_shortest_usual_step_with_at_most_300_points) {
    for (const auto& [from, step] :
         {std::pair{"2026-02-10T12:00:00Z", 10}, std::pair{"2026-02-10T10:00:00Z", 60}, std::pair{"2026-02-03", 3600},
          std::pair{"2026-01-11", 10'800}, std::pair{"2025-02-10", 172'800}, std::pair{"2001-02-10", 2'678'400}}) {
        const auto plan = accepted(plan_series({.from = at(from)}, kNow, TimePoint::min()));
        EXPECT_EQ(plan.step, seconds{step}) << from;
        EXPECT_LE(plan.points, 300U);
    }
}

TEST(SeriesPlan, rejects_too_many_points_and_times_outside_the_calendar) {
    EXPECT_EQ(rejected(plan_series({.step = seconds{10}}, kNow, TimePoint::min())).parameter, "step");
    EXPECT_EQ(rejected(plan_series({.from = at("0001-01-01")}, kNow, TimePoint::min())).parameter, "step");
    EXPECT_EQ(rejected(plan_series({.from = at("2027-01-01")}, kNow, TimePoint::min())).parameter, "from");
    EXPECT_EQ(rejected(plan_series({.from = at("0001-01-01"), .to = at("0001-01-02"), .step = std::chrono::days{31}},
                                   kNow, TimePoint::min()))
                  .parameter,
              "from");
    EXPECT_EQ(rejected(plan_series({.from = at("9999-12-31"), .to = at("9999-12-31T23:59:59Z"), .step = hours{24}},
                                   kNow, TimePoint::min()))
                  .parameter,
              "to");
    EXPECT_EQ(accepted(plan_series({.to = at("0001-01-01T12:00:00Z")}, kNow, TimePoint::min())).from, at("0001-01-01"));
}

TEST(SeriesPlan, has_whole_hours_if_rows_were_deleted) {
    const TimePoint pruned = at("2026-02-10T00:00:00Z");
    EXPECT_EQ(accepted(plan_series({}, kNow, pruned)).step, hours{1});
    EXPECT_EQ(accepted(plan_series({.from = pruned}, kNow, pruned)).step, seconds{300});
    EXPECT_EQ(accepted(plan_series({.step = hours{2}}, kNow, pruned)).step, hours{2});
    const auto bad = rejected(plan_series({.step = seconds{5400}}, kNow, pruned));
    EXPECT_EQ(bad.parameter, "step");
    EXPECT_THAT(bad.detail, HasSubstr("2026-02-10T00:00:00Z"));
}

}  // namespace
}  // namespace session_buddy::protocol
