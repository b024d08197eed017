// The exact text of each reply: key order, escapes, numbers.
#include "session_buddy/protocol/reply.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string>

namespace session_buddy::protocol {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;

constexpr TimePoint kAfterNoon = std::chrono::sys_days{std::chrono::February / 10 / 2026} + 12h + 999ms;

Subscribe subscribe(std::vector<std::string> names, NameKey name_key, RequestId id = std::nullopt) {
    return {Subscription(names), name_key, names, std::move(id)};
}

SkillMetrics metrics_with(double average) {
    SkillMetrics skill;
    skill.skill_name = "pytest-run";
    skill.lifetime = {1600, 1472, average, kAfterNoon};
    return skill;
}

TEST(SubscriptionConfirmed, uses_the_name_key_of_the_request) {
    EXPECT_EQ(
        subscription_confirmed(subscribe({"pytest-run"}, NameKey::skill_name)),
        R"({"type":"subscription_confirmed","skill_name":"pytest-run","message":"Subscribed to updates for pytest-run"})");
    EXPECT_EQ(
        subscription_confirmed(subscribe({}, NameKey::skill_name, "7")),
        R"({"type":"subscription_confirmed","skill_name":null,"message":"Subscribed to updates for all skills","request_id":"7"})");
    EXPECT_EQ(
        subscription_confirmed(subscribe({"x"}, NameKey::skill)),
        R"({"type":"subscription_confirmed","skill_name":"x","skill":"x","message":"Subscribed to updates for x"})");
    EXPECT_EQ(
        subscription_confirmed(subscribe({}, NameKey::skill)),
        R"({"type":"subscription_confirmed","skill_name":null,"skill":null,"message":"Subscribed to updates for all skills"})");
    EXPECT_EQ(
        subscription_confirmed(subscribe({"b", "a", "b"}, NameKey::skill_names)),
        R"({"type":"subscription_confirmed","skill_names":["b","a","b"],"message":"Subscribed to updates for 2 skills"})");
    EXPECT_EQ(subscription_confirmed(subscribe({"a"}, NameKey::skill_names)),
              R"({"type":"subscription_confirmed","skill_names":["a"],"message":"Subscribed to updates for a"})");
}

TEST(SubscriptionConfirmed, repeats_the_anomaly_view_of_the_request) {
    auto request = subscribe({"a"}, NameKey::skill_name, "7");
    request.min_deviation = 3.0;
    EXPECT_EQ(
        subscription_confirmed(request),
        R"({"type":"subscription_confirmed","skill_name":"a","min_deviation":3.0,"message":"Subscribed to updates for a","request_id":"7"})");
    request.details = true;
    EXPECT_EQ(
        subscription_confirmed(request),
        R"({"type":"subscription_confirmed","skill_name":"a","min_deviation":3.0,"details":true,"message":"Subscribed to updates for a","request_id":"7"})");
    request = subscribe({"a", "b"}, NameKey::skill_names);
    request.details = false;
    EXPECT_EQ(
        subscription_confirmed(request),
        R"({"type":"subscription_confirmed","skill_names":["a","b"],"details":false,"message":"Subscribed to updates for 2 skills"})");
    request = subscribe({}, NameKey::skill);
    request.min_deviation = 0.0;
    EXPECT_EQ(
        subscription_confirmed(request),
        R"({"type":"subscription_confirmed","skill_name":null,"skill":null,"min_deviation":0.0,"message":"Subscribed to updates for all skills"})");
}

TEST(SimpleReplies, have_a_type_a_message_and_the_request_id) {
    EXPECT_EQ(pong({}), R"({"type":"pong"})");
    EXPECT_EQ(pong({"1"}), R"({"type":"pong","request_id":"1"})");
    EXPECT_EQ(Json::parse(unsubscribed({"1"})).at("type"), "unsubscribed");
    EXPECT_EQ(Json::parse(unsubscribed({"1"})).at("request_id"), "1");
    EXPECT_EQ(Json::parse(sessions_subscribed({})).at("type"), "sessions_subscribed");
    EXPECT_FALSE(Json::parse(sessions_subscribed({})).contains("request_id"));
}

TEST(ErrorReplyText, has_message_before_code) {
    EXPECT_EQ(error({ErrorCode::invalid_json, "Invalid JSON", std::nullopt}),
              R"({"type":"error","message":"Invalid JSON","code":"invalid_json"})");
    EXPECT_EQ(
        error(invalid_skill_name("unknown_skill", "9")),
        R"({"type":"error","message":"Invalid skill name: unknown_skill","code":"invalid_skill_name","request_id":"9"})");
}

TEST(ErrorReplyText, escapes_all_characters_of_a_name) {
    const std::string name = "a\"b\\c\n\x01\x7f é😀";
    const auto message = Json::parse(error(invalid_skill_name(name, {}))).at("message").get<std::string>();
    EXPECT_EQ(message, "Invalid skill name: " + name);
}

TEST(ErrorReplyText, is_valid_json_for_bytes_that_are_not_utf8) {
    const auto message =
        Json::parse(error({ErrorCode::invalid_message, "\xff\xc3", std::nullopt})).at("message").get<std::string>();
    EXPECT_EQ(message, "\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(MetricsResponse, has_the_lifetime_metrics_in_the_documented_order) {
    EXPECT_EQ(
        metrics_response({"pytest-run", false, std::nullopt}, metrics_with(5.3)),
        R"({"type":"metrics_response","data":{"skill_name":"pytest-run","total_invocations":1600,"completion_rate":0.92,)"
        R"("avg_duration_seconds":5.3,"last_invocation_at":"2026-02-10T12:00:00Z"}})");
    EXPECT_EQ(
        metrics_response({"pytest-run", true, "1"}, metrics_with(5.0)),
        R"({"type":"metrics_response","data":{"skill_name":"pytest-run","skill":"pytest-run","total_invocations":1600,)"
        R"("completion_rate":0.92,"avg_duration_seconds":5.0,"last_invocation_at":"2026-02-10T12:00:00Z"},"request_id":"1"})");
}

TEST(MetricsResponse, has_null_for_an_unreadable_time_and_zero_without_data) {
    SkillMetrics skill;
    skill.skill_name = "x";
    const auto data = Json::parse(metrics_response({"x", false, std::nullopt}, skill)).at("data");
    EXPECT_TRUE(data.at("last_invocation_at").is_null());
    EXPECT_EQ(data.at("completion_rate"), 0.0);
    EXPECT_EQ(data.at("total_invocations"), 0);
}

TEST(MetricsResponse, round_trips_every_number) {
    using Limits = std::numeric_limits<double>;
    for (const double value : {0.0, 0.1, 1.0 / 3.0, 1e21, 1e-7, 123456789.0, 5e-324, Limits::max()}) {
        const auto text = metrics_response({"x", false, std::nullopt}, metrics_with(value));
        const auto written = Json::parse(text).at("data").at("avg_duration_seconds");
        EXPECT_TRUE(written.is_number_float()) << text;
        EXPECT_EQ(written.get<double>(), value) << text;
    }
    for (const double value : {Limits::quiet_NaN(), Limits::infinity(), -Limits::infinity()}) {
        EXPECT_EQ(Json::parse(metrics_response({"x", false, std::nullopt}, metrics_with(value)))
                      .at("data")
                      .at("avg_duration_seconds"),
                  0.0);
    }
}

}  // namespace
}  // namespace session_buddy::protocol
