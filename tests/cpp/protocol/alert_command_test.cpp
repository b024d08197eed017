// Bodies of commands about alerts: values, limits, and the field that an error names.
#include "session_buddy/protocol/alert_command.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace session_buddy::protocol {
namespace {

using ParsedBody = std::variant<AlertCommand, BadBody>;
using testing::HasSubstr;

template <typename Command>
Command command_of(const ParsedBody& parsed) {
    const auto* const bad = std::get_if<BadBody>(&parsed);
    EXPECT_EQ(bad, nullptr) << bad->detail;
    return bad == nullptr ? std::get<Command>(std::get<AlertCommand>(parsed)) : Command{};
}

BadBody fault_of(const ParsedBody& parsed) {
    const auto* const bad = std::get_if<BadBody>(&parsed);
    EXPECT_NE(bad, nullptr);
    return bad != nullptr ? *bad : BadBody{};
}

TEST(AlertCommandBody, to_acknowledge_has_an_id_and_an_optional_note) {
    EXPECT_EQ(command_of<AcknowledgeAlert>(parse_acknowledge_body(R"({"id":12})")), (AcknowledgeAlert{12, ""}));
    EXPECT_EQ(command_of<AcknowledgeAlert>(parse_acknowledge_body(R"( {"note":"known \u00e4","id":12} )")),
              (AcknowledgeAlert{12, "known \xC3\xA4"}));
    EXPECT_EQ(command_of<AcknowledgeAlert>(parse_acknowledge_body(R"({"id":9223372036854775807,"note":null})")),
              (AcknowledgeAlert{INT64_MAX, ""}));
    const std::string longest(kMaxAlertNote, 'x');
    EXPECT_EQ(command_of<AcknowledgeAlert>(parse_acknowledge_body(R"({"id":1,"note":")" + longest + "\"}")).note,
              longest);
}

TEST(AlertCommandBody, to_mute_has_a_skill_and_an_optional_duration_and_reason) {
    EXPECT_EQ(command_of<MuteSkill>(parse_mute_body(R"({"skill_name":"a b"})")), (MuteSkill{"a b", std::nullopt, ""}));
    EXPECT_EQ(command_of<MuteSkill>(parse_mute_body(R"({"skill_name":"a","seconds":null,"reason":null})")),
              (MuteSkill{"a", std::nullopt, ""}));
    EXPECT_EQ(command_of<MuteSkill>(parse_mute_body(R"({"skill_name":"a","seconds":86400,"reason":"moving"})")),
              (MuteSkill{"a", std::chrono::hours{24}, "moving"}));
    EXPECT_EQ(command_of<MuteSkill>(parse_mute_body(R"({"skill_name":"a","seconds":31622400})")).time,
              std::chrono::days{366});
}

struct BadBodyCase {
    std::string body;
    std::string field;
    std::string detail;
};

TEST(AlertCommandBody, that_is_invalid_is_rejected_with_the_field) {
    for (const auto& [body, field, detail] :
         {BadBodyCase{"", "", "not JSON"},
          BadBodyCase{"{\"id\":1", "", "not JSON"},
          BadBodyCase{std::string("{\"id\":1}\0", 9), "", "not JSON"},
          BadBodyCase{R"({"id":1} x)", "", "not JSON"},
          BadBodyCase{"[]", "", "JSON object"},
          BadBodyCase{"1", "", "JSON object"},
          BadBodyCase{"null", "", "JSON object"},
          BadBodyCase{"{}", "id", "required"},
          BadBodyCase{R"({"id":null})", "id", "required"},
          BadBodyCase{R"({"id":0})", "id", "from 1"},
          BadBodyCase{R"({"id":-1})", "id", "from 1"},
          BadBodyCase{R"({"id":1.0})", "id", "integer"},
          BadBodyCase{R"({"id":"1"})", "id", "integer"},
          BadBodyCase{R"({"id":9223372036854775808})", "id", "integer"},
          BadBodyCase{R"({"id":1,"note":2})", "note", "at most 500 bytes"},
          BadBodyCase{R"({"id":1,"note":"a\u001bb"})", "note", "control characters"},
          BadBodyCase{R"({"id":1,"note":")" + std::string(501, 'x') + "\"}", "note", "at most 500 bytes"},
          BadBodyCase{"{\"id\":1,\"note\":\"\xff\"}", "", "not JSON"},
          BadBodyCase{R"({"id":1,"skill_name":"a"})", "skill_name", "Unknown field 'skill_name'"},
          BadBodyCase{R"({"id":1,"a\u001b":2})", "", "Unknown field ''"},
          BadBodyCase{R"({"id":1,")" + std::string(100, 'x') + "\":2}", std::string(64, 'x'), "Unknown field"}}) {
        const auto bad = fault_of(parse_acknowledge_body(body));
        EXPECT_EQ(bad.field, field) << body;
        EXPECT_THAT(bad.detail, HasSubstr(detail)) << body;
    }
    for (const auto& [body, field, detail] :
         {BadBodyCase{"{}", "skill_name", "required"},
          BadBodyCase{R"({"skill_name":""})", "skill_name", "1 to 256 bytes"},
          BadBodyCase{R"({"skill_name":"a\nb"})", "skill_name", "control characters"},
          BadBodyCase{R"({"skill_name":["a"]})", "skill_name", "a string"},
          BadBodyCase{R"({"skill_name":"a","seconds":0})", "seconds", "from 1 to 31622400"},
          BadBodyCase{R"({"skill_name":"a","seconds":31622401})", "seconds", "from 1 to 31622400"},
          BadBodyCase{R"({"skill_name":"a","seconds":1e3})", "seconds", "integer"},
          BadBodyCase{R"({"skill_name":"a","reason":{}})", "reason", "a string"},
          BadBodyCase{R"({"skill_name":"a","until":1})", "until", "Unknown field 'until'"}}) {
        const auto bad = fault_of(parse_mute_body(body));
        EXPECT_EQ(bad.field, field) << body;
        EXPECT_THAT(bad.detail, HasSubstr(detail)) << body;
    }
}

TEST(AlertCommandBody, with_deep_nesting_is_rejected) {
    EXPECT_EQ(fault_of(parse_mute_body(std::string(8192, '['))).detail, "The body is not JSON");
    const std::string deep = std::string(4000, '[') + std::string(4000, ']');
    EXPECT_EQ(fault_of(parse_acknowledge_body(R"({"id":)" + deep + "}")).field, "id");
}

}  // namespace
}  // namespace session_buddy::protocol
