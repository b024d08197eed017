// parse_request() on well-formed, unusual and hostile messages.
#include "session_buddy/protocol/request.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "session_buddy/core/invocation.hpp"

namespace session_buddy::protocol {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

template <typename T>
T parsed_as(std::string_view text) {
    auto request = parse_request(text);
    if (const auto* error = std::get_if<ErrorReply>(&request); error != nullptr && !std::is_same_v<T, ErrorReply>) {
        ADD_FAILURE() << "rejected: " << error->message << " for " << text.substr(0, 200);
        return T{};
    }
    if (!std::holds_alternative<T>(request)) {
        ADD_FAILURE() << "another kind of request: " << text.substr(0, 200);
        return T{};
    }
    return std::get<T>(std::move(request));
}

struct SubscribeCase {
    const char* text;
    NameKey name_key;
    std::vector<std::string> names;
    std::vector<std::string> as_sent;
};
void PrintTo(const SubscribeCase& tested, std::ostream* out) {
    *out << tested.text;
}

class ParseSubscribe : public testing::TestWithParam<SubscribeCase> {};

TEST_P(ParseSubscribe, parses_names_and_the_key_that_was_used) {
    const auto request = parsed_as<Subscribe>(GetParam().text);
    EXPECT_EQ(request.name_key, GetParam().name_key);
    EXPECT_EQ(request.subscription.names(), GetParam().names);
    EXPECT_EQ(request.names_as_sent, GetParam().as_sent);
    EXPECT_EQ(request.subscription.all(), GetParam().names.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Requests, ParseSubscribe,
    testing::Values(
        SubscribeCase{
            R"({"type":"subscribe","skill_name":"pytest-run"})", NameKey::skill_name, {"pytest-run"}, {"pytest-run"}},
        SubscribeCase{R"({"skill_name":"a b","type":"subscribe"})", NameKey::skill_name, {"a b"}, {"a b"}},
        SubscribeCase{R"({"type":"subscribe","skill_name":null})", NameKey::skill_name, {}, {}},
        SubscribeCase{R"({"type":"subscribe"})", NameKey::skill_name, {}, {}},
        SubscribeCase{R"({"type":"subscribe","skill":"old"})", NameKey::skill, {"old"}, {"old"}},
        SubscribeCase{R"({"type":"subscribe","skill":null})", NameKey::skill, {}, {}},
        SubscribeCase{
            R"({"type":"subscribe","skill":"old","skill_name":"new"})", NameKey::skill_name, {"new"}, {"new"}},
        SubscribeCase{R"({"type":"subscribe","skill":"old","skill_name":null})", NameKey::skill_name, {}, {}},
        SubscribeCase{
            R"({"type":"subscribe","skill_names":["b","a","b"]})", NameKey::skill_names, {"a", "b"}, {"b", "a", "b"}},
        SubscribeCase{R"({"type":"subscribe","skill_names":["one"]})", NameKey::skill_names, {"one"}, {"one"}},
        SubscribeCase{R"({"type":"subscribe","skill_name":"caf\u00e9 \ud83d\ude00"})",
                      NameKey::skill_name,
                      {"café 😀"},
                      {"café 😀"}},
        SubscribeCase{
            R"({"type":"subscribe","skill_name":"x","unknown":{"type":"ping","skill_name":["y",{"skill":1}]},"n":-1.5e3})",
            NameKey::skill_name,
            {"x"},
            {"x"}},
        SubscribeCase{R"({"type":"ping","type":"subscribe","skill_name":"x","skill_name":"y"})",
                      NameKey::skill_name,
                      {"y"},
                      {"y"}}));

struct ViewCase {
    const char* text;
    std::optional<double> min_deviation;
    std::optional<bool> details;
    AnomalyView view;
};
void PrintTo(const ViewCase& tested, std::ostream* out) {
    *out << tested.text;
}

class ParseAnomalyView : public testing::TestWithParam<ViewCase> {};

TEST_P(ParseAnomalyView, parses_the_given_values_and_defaults) {
    const auto request = parsed_as<Subscribe>(GetParam().text);
    EXPECT_EQ(request.min_deviation, GetParam().min_deviation);
    EXPECT_EQ(request.details, GetParam().details);
    EXPECT_EQ(request.subscription.anomalies(), GetParam().view);
}

INSTANTIATE_TEST_SUITE_P(
    Requests, ParseAnomalyView,
    testing::Values(
        ViewCase{R"({"type":"subscribe"})", std::nullopt, std::nullopt, {0.0, false}},
        ViewCase{R"({"type":"subscribe","min_deviation":2.5})", 2.5, std::nullopt, {2.5, false}},
        ViewCase{R"({"type":"subscribe","min_deviation":3})", 3.0, std::nullopt, {3.0, false}},
        ViewCase{R"({"type":"subscribe","min_deviation":0})", 0.0, std::nullopt, {0.0, false}},
        ViewCase{R"({"type":"subscribe","min_deviation":-0.0})", 0.0, std::nullopt, {0.0, false}},
        ViewCase{R"({"type":"subscribe","min_deviation":1e300})", 1e300, std::nullopt, {1e300, false}},
        ViewCase{R"({"type":"subscribe","min_deviation":123456789012345678901234567890})",
                 123456789012345678901234567890.0,
                 std::nullopt,
                 {123456789012345678901234567890.0, false}},
        ViewCase{R"({"type":"subscribe","details":true})", std::nullopt, true, {0.0, true}},
        ViewCase{R"({"type":"subscribe","details":false})", std::nullopt, false, {0.0, false}},
        ViewCase{
            R"({"details":true,"skill_name":"x","min_deviation":4.25,"type":"subscribe"})", 4.25, true, {4.25, true}},
        ViewCase{R"({"type":"subscribe","skill":"x","details":true})", std::nullopt, true, {0.0, true}},
        ViewCase{
            R"({"type":"subscribe","skill_names":["b","a"],"min_deviation":2,"details":true})", 2.0, true, {2.0, true}},
        ViewCase{R"({"type":"subscribe","min_deviation":"x","min_deviation":2,"details":1,"details":true})",
                 2.0,
                 true,
                 {2.0, true}},
        ViewCase{R"({"type":"subscribe","x":{"min_deviation":3,"details":true},"y":[7,true]})",
                 std::nullopt,
                 std::nullopt,
                 {0.0, false}}));

TEST(ParseRequest, reads_the_anomaly_view_in_subscribe_only) {
    EXPECT_EQ(parsed_as<Ping>(R"({"type":"ping","min_deviation":"x","details":7,"request_id":"1"})").request_id, "1");
    EXPECT_EQ(parsed_as<GetMetrics>(R"({"type":"get_metrics","skill_name":"x","details":7})").skill_name, "x");
}

TEST(ParseRequest, parses_every_other_type) {
    EXPECT_EQ(parsed_as<Unsubscribe>(R"({"type":"unsubscribe","request_id":"1"})").request_id, "1");
    EXPECT_EQ(parsed_as<Ping>(R"({"type":"ping","request_id":""})").request_id, "");
    EXPECT_EQ(parsed_as<Ping>(R"( {"type":"ping"} )").request_id, std::nullopt);
    EXPECT_EQ(parsed_as<SubscribeSessions>(R"({"type":"subscribe_sessions","request_id":"s"})").request_id, "s");
    const auto metrics = parsed_as<GetMetrics>(R"({"type":"get_metrics","skill_name":"x","request_id":"g"})");
    EXPECT_EQ(metrics.skill_name, "x");
    EXPECT_FALSE(metrics.legacy_key);
    EXPECT_EQ(metrics.request_id, "g");
    EXPECT_TRUE(parsed_as<GetMetrics>(R"({"type":"get_metrics","skill":"x"})").legacy_key);
}

TEST(ParseRequest, accepts_a_request_id_of_up_to_64_bytes) {
    const std::string longest(kMaxRequestIdBytes, 'i');
    EXPECT_EQ(parsed_as<Ping>(R"({"type":"ping","request_id":")" + longest + R"("})").request_id, longest);
    const auto error = parsed_as<ErrorReply>(R"({"type":"ping","request_id":"i)" + longest + R"("})");
    EXPECT_EQ(error.code, ErrorCode::invalid_message);
    EXPECT_EQ(error.request_id, std::nullopt);
}

TEST(ParseRequest, accepts_up_to_50_names) {
    std::string names = R"("s0")";
    for (std::size_t i = 1; i < kMaxSkillNames; ++i) {
        names += R"(,"s)" + std::to_string(i) + '"';
    }
    const std::string head = R"({"type":"subscribe","skill_names":[)";
    EXPECT_EQ(parsed_as<Subscribe>(head + names + "]}").subscription.names().size(), kMaxSkillNames);
    EXPECT_EQ(parsed_as<ErrorReply>(head + names + R"(,"s0"]})").code, ErrorCode::invalid_message);
}

struct RejectedCase {
    std::string text;
    ErrorCode code;
    std::string message_part;
    RequestId request_id = std::nullopt;
};
void PrintTo(const RejectedCase& tested, std::ostream* out) {
    *out << tested.text.substr(0, 100);
}

class ParseRejected : public testing::TestWithParam<RejectedCase> {};

TEST_P(ParseRejected, returns_the_code_and_the_request_id) {
    const auto error = parsed_as<ErrorReply>(GetParam().text);
    EXPECT_EQ(to_string(error.code), to_string(GetParam().code));
    EXPECT_THAT(error.message, HasSubstr(GetParam().message_part));
    EXPECT_EQ(error.request_id, GetParam().request_id);
}

INSTANTIATE_TEST_SUITE_P(
    Json, ParseRejected,
    testing::Values(RejectedCase{"", ErrorCode::invalid_json, "Invalid JSON"},
                    RejectedCase{"{", ErrorCode::invalid_json, "Invalid JSON"},
                    RejectedCase{"nope", ErrorCode::invalid_json, "Invalid JSON"},
                    RejectedCase{R"({"type":"ping"} x)", ErrorCode::invalid_json, "Invalid JSON"},
                    RejectedCase{R"({"type":"ping",})", ErrorCode::invalid_json, "Invalid JSON"},
                    RejectedCase{R"({"type":"ping","n":NaN})", ErrorCode::invalid_json, "Invalid JSON"},
                    RejectedCase{R"({"type":"ping","s":"\ud800"})", ErrorCode::invalid_json, "Invalid JSON"},
                    RejectedCase{std::string(R"({"type":"ping"})") + '\0' + "{", ErrorCode::invalid_json,
                                 "Invalid JSON"},
                    RejectedCase{"{\"type\":\"\xff\"}", ErrorCode::invalid_json, "Invalid JSON"},
                    RejectedCase{std::string(65536, '['), ErrorCode::invalid_json, "Invalid JSON"}));

INSTANTIATE_TEST_SUITE_P(
    Messages, ParseRejected,
    testing::Values(
        RejectedCase{"[]", ErrorCode::invalid_message, "object"},
        RejectedCase{R"([{"type":"ping"}])", ErrorCode::invalid_message, "object"},
        RejectedCase{R"("ping")", ErrorCode::invalid_message, "object"},
        RejectedCase{"null", ErrorCode::invalid_message, "object"},
        RejectedCase{"12345678901234567890123", ErrorCode::invalid_message, "object"},
        RejectedCase{"{}", ErrorCode::invalid_message, "type"},
        RejectedCase{R"({"type":7,"request_id":"a"})", ErrorCode::invalid_message, "type", "a"},
        RejectedCase{R"({"type":{"type":"ping"}})", ErrorCode::invalid_message, "type"},
        RejectedCase{R"({"type":"ping","request_id":7})", ErrorCode::invalid_message, "request_id"},
        RejectedCase{R"({"type":"ping","request_id":null})", ErrorCode::invalid_message, "request_id"},
        RejectedCase{R"({"type":"ping","request_id":["a"]})", ErrorCode::invalid_message, "request_id"},
        RejectedCase{R"({"type":"dance","request_id":"a"})", ErrorCode::unknown_type, "Unknown message type: dance",
                     "a"},
        RejectedCase{R"({"type":""})", ErrorCode::unknown_type, "Unknown message type: "},
        RejectedCase{R"({"type":"subscribe","skill_name":7})", ErrorCode::invalid_message, "skill_name"},
        RejectedCase{R"({"type":"subscribe","skill_name":["a"]})", ErrorCode::invalid_message, "skill_name"},
        RejectedCase{R"({"type":"subscribe","skill":false})", ErrorCode::invalid_message, "skill"},
        RejectedCase{R"({"type":"subscribe","skill_names":[]})", ErrorCode::invalid_message, "skill_names"},
        RejectedCase{R"({"type":"subscribe","skill_names":"a"})", ErrorCode::invalid_message, "skill_names"},
        RejectedCase{R"({"type":"subscribe","skill_names":null})", ErrorCode::invalid_message, "skill_names"},
        RejectedCase{R"({"type":"subscribe","skill_names":["a",7]})", ErrorCode::invalid_message, "skill_names"},
        RejectedCase{R"({"type":"subscribe","skill_names":["a",["b"]]})", ErrorCode::invalid_message, "skill_names"},
        RejectedCase{R"({"type":"subscribe","skill_names":[{"skill_name":"b"}]})", ErrorCode::invalid_message,
                     "skill_names"},
        RejectedCase{R"({"type":"subscribe","skill_names":["a"],"skill_name":"b"})", ErrorCode::invalid_message,
                     "not both"},
        RejectedCase{R"({"type":"subscribe","skill_names":["a"],"skill":"b"})", ErrorCode::invalid_message, "not both"},
        RejectedCase{R"({"type":"subscribe","min_deviation":"2"})", ErrorCode::invalid_message,
                     "min_deviation must be a number of 0 or more"},
        RejectedCase{R"({"type":"subscribe","min_deviation":null})", ErrorCode::invalid_message, "min_deviation must"},
        RejectedCase{R"({"type":"subscribe","min_deviation":true})", ErrorCode::invalid_message, "min_deviation must"},
        RejectedCase{R"({"type":"subscribe","min_deviation":[2]})", ErrorCode::invalid_message, "min_deviation must"},
        RejectedCase{R"({"type":"subscribe","min_deviation":{"a":2}})", ErrorCode::invalid_message,
                     "min_deviation must"},
        RejectedCase{R"({"type":"subscribe","min_deviation":-1})", ErrorCode::invalid_message, "min_deviation must"},
        RejectedCase{R"({"type":"subscribe","min_deviation":-1e-300,"request_id":"a"})", ErrorCode::invalid_message,
                     "min_deviation must", "a"},
        RejectedCase{R"({"type":"subscribe","skill_names":["a"],"min_deviation":"2"})", ErrorCode::invalid_message,
                     "min_deviation must"},
        // Out of range of every number type: the parser has no value for it.
        RejectedCase{R"({"type":"subscribe","min_deviation":1e400})", ErrorCode::invalid_json, "Invalid JSON"},
        RejectedCase{R"({"type":"subscribe","details":1})", ErrorCode::invalid_message,
                     "details must be true or false"},
        RejectedCase{R"({"type":"subscribe","details":"true"})", ErrorCode::invalid_message, "details must"},
        RejectedCase{R"({"type":"subscribe","details":null})", ErrorCode::invalid_message, "details must"},
        RejectedCase{R"({"type":"subscribe","details":[true],"request_id":"a"})", ErrorCode::invalid_message,
                     "details must", "a"},
        RejectedCase{R"({"type":"subscribe","skill":"a","details":{}})", ErrorCode::invalid_message, "details must"},
        RejectedCase{R"({"type":"get_metrics"})", ErrorCode::invalid_message, "skill_name"},
        RejectedCase{R"({"type":"get_metrics","skill_name":null,"request_id":"a"})", ErrorCode::invalid_message,
                     "skill_name", "a"}));

INSTANTIATE_TEST_SUITE_P(Names, ParseRejected,
                         testing::Values(RejectedCase{R"({"type":"subscribe","skill_name":""})",
                                                      ErrorCode::invalid_skill_name, "Invalid skill name: "},
                                         RejectedCase{R"({"type":"subscribe","skill_name":"a\nb","request_id":"i"})",
                                                      ErrorCode::invalid_skill_name, "a\nb", "i"},
                                         RejectedCase{R"({"type":"subscribe","skill":"\u0000"})",
                                                      ErrorCode::invalid_skill_name, "Invalid skill name: "},
                                         RejectedCase{R"({"type":"subscribe","skill_names":["a",""]})",
                                                      ErrorCode::invalid_skill_name, "Invalid skill name: "},
                                         RejectedCase{R"({"type":"get_metrics","skill_name":""})",
                                                      ErrorCode::invalid_skill_name, "Invalid skill name: "},
                                         RejectedCase{
                                             R"({"type":"get_metrics","skill_name":")" + std::string(257, 'x') + "\"}",
                                             ErrorCode::invalid_skill_name, "Invalid skill name: xxx"}));

TEST(ParseRequest, skips_deep_nesting_in_a_message) {
    const std::size_t depth = 30000;
    const auto text = R"({"junk":)" + std::string(depth, '[') + std::string(depth, ']') + R"(,"type":"ping"})";
    parsed_as<Ping>(text);
    std::string objects = R"({"type":"ping","junk":)";
    for (int i = 0; i < 10000; ++i) {
        objects += R"({"a":)";
    }
    parsed_as<Ping>(objects + "1" + std::string(10001, '}'));
}

TEST(ParseRequest, accepts_names_of_up_to_256_bytes) {
    const std::string longest(kMaxSkillNameBytes, 'n');
    EXPECT_EQ(parsed_as<GetMetrics>(R"({"type":"get_metrics","skill_name":")" + longest + R"("})").skill_name, longest);
}

TEST(InvalidSkillName, echoes_at_most_256_bytes_cut_between_characters) {
    const std::string prefix = "Invalid skill name: ";
    EXPECT_EQ(invalid_skill_name("short", "id").message, prefix + "short");
    EXPECT_EQ(invalid_skill_name("short", "id").request_id, "id");
    EXPECT_EQ(invalid_skill_name(std::string(300, 'x'), {}).message, prefix + std::string(256, 'x'));
    // The 256th byte is the first of a two-byte character.
    EXPECT_EQ(invalid_skill_name(std::string(255, 'x') + "éé", {}).message, prefix + std::string(255, 'x'));
}

TEST(UnknownType, is_echoed_truncated) {
    const auto error = parsed_as<ErrorReply>(R"({"type":")" + std::string(1000, 't') + R"("})");
    EXPECT_LT(error.message.size(), 100U);
}

TEST(Subscription, is_the_same_for_the_same_set_of_names) {
    EXPECT_EQ(Subscription({"b", "a", "b"}), Subscription({"a", "b"}));
    EXPECT_EQ(Subscription({"b", "a", "b"}).key(), Subscription({"a", "b"}).key());
    EXPECT_NE(Subscription({"a", "b"}).key(), Subscription({"ab"}).key());
    EXPECT_NE(Subscription({"a"}).key(), Subscription().key());
    EXPECT_THAT(Subscription({"b", "a"}).names(), ElementsAre("a", "b"));
}

TEST(Subscription, differs_by_its_anomaly_view) {
    // Names may contain the characters that encode a view.
    const std::vector<Subscription> different{Subscription(),
                                              Subscription({}, {2.0, false}),
                                              Subscription({}, {2.0, true}),
                                              Subscription({}, {0.0, true}),
                                              Subscription({}, {2.0000000000000004, false}),
                                              Subscription({"2.0"}),
                                              Subscription({"2.0"}, {2.0, false}),
                                              Subscription({"2.0", "+"}),
                                              Subscription({"+"}),
                                              Subscription({"a"}),
                                              Subscription({"a"}, {2.0, false}),
                                              Subscription({"a"}, {2.0, true}),
                                              Subscription({"a"}, {0.0, true})};
    for (std::size_t i = 0; i < different.size(); ++i) {
        for (std::size_t j = 0; j < different.size(); ++j) {
            EXPECT_EQ(different[i] == different[j], i == j) << i << ' ' << j;
            EXPECT_EQ(different[i].key() == different[j].key(), i == j) << i << ' ' << j;
        }
    }
}

TEST(Subscription, is_the_same_for_a_view_that_filters_nothing) {
    EXPECT_EQ(Subscription({"a"}, {0.0, false}).key(), Subscription({"a"}).key());
    EXPECT_EQ(Subscription({"a"}, {-0.0, false}).key(), Subscription({"a"}).key());
    EXPECT_EQ(Subscription({"a"}, {-0.0, false}), Subscription({"a"}));
}

}  // namespace
}  // namespace session_buddy::protocol
