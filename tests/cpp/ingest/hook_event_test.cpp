// Valid hook events from Claude Code, and invalid ones.
#include "session_buddy/ingest/hook_event.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/ingest/error_class.hpp"
#include "support/agent_events.hpp"
#include "support/resources.hpp"

namespace session_buddy::ingest {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using Kind = AgentEvent::Kind;
using HookEvent = test::ResolvedEvent;

const TimePoint kReceivedAt = parse_timestamp("2026-02-10T12:00:00Z").value();

/// A secret in fields that must not be stored.
const std::string kPrivate = "private-9f3b";

std::variant<std::vector<AgentEvent>, BadEvent> read(std::string_view text) {
    static const SkillNamer kNamer;
    return read_hook_event(text, kNamer, kReceivedAt);
}

/// The fields that every event has.
json event(const char* name) {
    return {{"hook_event_name", name},
            {"session_id", "s1"},
            {"transcript_path", "/home/" + kPrivate + "/t.jsonl"},
            {"cwd", "/home/" + kPrivate},
            {"permission_mode", kPrivate}};
}

json tool_event(const char* name, const char* tool = "Read", json input = json::object()) {
    json made = event(name);
    made["tool_name"] = tool;
    made["tool_input"] = std::move(input);
    made["tool_use_id"] = "toolu_1";
    return made;
}

json with(json made, const char* field, json value) {
    made[field] = std::move(value);
    return made;
}

json without(json made, const char* field) {
    made.erase(field);
    return made;
}

HookEvent must_read_text(std::string_view text) {
    auto outcome = read(text);
    if (const auto* bad = std::get_if<BadEvent>(&outcome)) {
        ADD_FAILURE() << bad->reason << " in " << text.substr(0, 300);
        return {};
    }
    auto& events = std::get<std::vector<AgentEvent>>(outcome);
    if (events.size() != 1) {
        ADD_FAILURE() << events.size() << " events in " << text.substr(0, 300);
        return {};
    }
    return test::resolved(std::move(events[0]));
}
HookEvent must_read(const json& made) {
    return must_read_text(made.dump());
}

BadEvent fault_of_text(std::string_view text) {
    auto outcome = read(text);
    if (auto* bad = std::get_if<BadEvent>(&outcome)) {
        return *bad;
    }
    ADD_FAILURE() << "no fault in " << text.substr(0, 300);
    return {};
}
BadEvent fault_of(const json& made) {
    return fault_of_text(made.dump());
}

bool ignored(const json& made) {
    const auto outcome = read(made.dump());
    const auto* events = std::get_if<std::vector<AgentEvent>>(&outcome);
    return events != nullptr && events->empty();
}

// ---- Valid events

TEST(HookEvents, a_use_begins) {
    const HookEvent use = must_read(tool_event("PreToolUse", "Skill", {{"skill", "pdf"}, {"args", kPrivate}}));
    EXPECT_EQ(use.kind, Kind::use);
    EXPECT_FALSE(use.evidence.is_settled());
    EXPECT_EQ(use.evidence.started.value, kReceivedAt);
    EXPECT_EQ(use.key, "toolu_1");
    EXPECT_EQ(use.skill_name, "pdf");
    EXPECT_EQ(use.session_id, "s1");
    EXPECT_FALSE(use.completed);
    EXPECT_EQ(use.duration_seconds, std::nullopt);
    EXPECT_EQ(use.error_type, "");
}

TEST(HookEvents, a_use_succeeds) {
    const HookEvent use = must_read(with(tool_event("PostToolUse"), "duration_ms", 1234));
    EXPECT_EQ(use.kind, Kind::use);
    EXPECT_TRUE(use.evidence.is_settled());
    EXPECT_EQ(use.key, "toolu_1");
    EXPECT_EQ(use.skill_name, "Read");
    EXPECT_TRUE(use.completed);
    EXPECT_EQ(use.duration_seconds, 1.234);
    EXPECT_EQ(use.error_type, "");
}

TEST(HookEvents, a_use_fails_and_only_its_error_type_is_kept) {
    const json failure = with(tool_event("PostToolUseFailure", "Bash"), "duration_ms", 8);
    const struct {
        json error;
        json interrupt;
        const char* expected;
    } cases[] = {
        {"Exit code 1\n" + kPrivate, nullptr, "exit_code"},
        {kPrivate, nullptr, "tool_error"},
        {kPrivate, true, "interrupted"},
        {kPrivate, false, "tool_error"},
        {kPrivate, "true", "tool_error"},  // another type: ignored
        {kPrivate, 1, "tool_error"},
        {"", nullptr, "tool_error"},
        {nullptr, nullptr, "tool_error"},
        {json::array({"Exit code 1"}), nullptr, "tool_error"},
        {json{{"message", "Exit code 1"}}, nullptr, "tool_error"},
    };
    for (const auto& [error, interrupt, expected] : cases) {
        const HookEvent use = must_read(with(with(failure, "error", error), "is_interrupt", interrupt));
        EXPECT_EQ(use.kind, Kind::use);
        EXPECT_TRUE(use.evidence.is_settled());
        EXPECT_FALSE(use.completed);
        EXPECT_EQ(use.error_type, expected) << error;
        EXPECT_EQ(use.duration_seconds, 0.008);
    }
    EXPECT_EQ(must_read(without(failure, "error")).error_type, "tool_error");
}

TEST(HookEvents, error_fields_of_a_successful_use_are_ignored) {
    const HookEvent use =
        must_read(with(with(tool_event("PostToolUse"), "error", "Exit code 1"), "is_interrupt", true));
    EXPECT_TRUE(use.completed);
    EXPECT_EQ(use.error_type, "");
}

TEST(HookEvents, a_command_is_typed) {
    json typed = event("UserPromptExpansion");
    typed["command_args"] = kPrivate;
    for (const auto& [name, skill] : {std::pair{"review", "review"}, std::pair{"/review", "review"},
                                      std::pair{" /plugin:do it ", "plugin:do"}, std::pair{"/", "unknown"}}) {
        const HookEvent command = must_read(with(typed, "command_name", name));
        EXPECT_EQ(command.kind, Kind::command);
        EXPECT_EQ(command.skill_name, skill);
        EXPECT_EQ(command.key, "");
        EXPECT_EQ(command.session_id, "s1");
        EXPECT_TRUE(command.completed);
    }
}

TEST(HookEvents, a_session_ends) {
    const HookEvent end = must_read(with(event("SessionEnd"), "reason", kPrivate));
    EXPECT_EQ(end.kind, Kind::session_end);
    EXPECT_EQ(end.session_id, "s1");
    EXPECT_EQ(end.skill_name, "");
    EXPECT_EQ(end.key, "");
}

TEST(HookEvents, other_events_are_ignored) {
    for (const char* name : {"SessionStart", "Stop", "SubagentStart", "SubagentStop", "Notification", "PreCompact",
                             "PermissionRequest", "UserPromptSubmit", "SomethingNew", "pretooluse", "PreToolUse2"}) {
        EXPECT_TRUE(ignored(event(name))) << name;
        EXPECT_TRUE(ignored({{"hook_event_name", name}})) << name << ": its content does not matter";
    }
}

TEST(HookEvents, custom_rules_apply) {
    const std::vector<ToolRule> rules{{.command = "just test", .skill = "just-test"}};
    const auto outcome =
        read_hook_event(tool_event("PreToolUse", "Bash", {{"command", "cd x && just -q test " + kPrivate}}).dump(),
                        SkillNamer(rules), kReceivedAt);
    EXPECT_EQ(std::get<std::vector<AgentEvent>>(outcome).at(0).skill_name, "just-test");
}

TEST(HookEvents, a_tool_input_of_another_type_counts_as_empty) {
    for (const json& input :
         {json(nullptr), json(kPrivate), json(7), json::array(), json::array({json{{"skill", kPrivate}}}),
          json{{"skill", nullptr}}, json{{"skill", json{{"skill", kPrivate}}}},
          json{{"skill", json::array({kPrivate})}}, json{{"other", json{{"skill", kPrivate}}}}}) {
        EXPECT_EQ(must_read(tool_event("PreToolUse", "Skill", input)).skill_name, "Skill") << input;
        EXPECT_EQ(must_read(tool_event("PreToolUse", "Agent", input)).skill_name, "Agent") << input;
        EXPECT_EQ(must_read(tool_event("PreToolUse", "Bash", input)).skill_name, "Bash") << input;
    }
    EXPECT_EQ(must_read(without(tool_event("PreToolUse", "Skill"), "tool_input")).skill_name, "Skill");
}

TEST(HookEvents, are_parsed_in_linear_time) {
    std::string parts = "{}";
    while (parts.size() < std::size_t{1} << 20U) {
        parts += ",{}";
    }
    const double begin = test::processor_seconds();
    EXPECT_EQ(fault_of_text('[' + parts + ']').reason, "A hook event must be a JSON object");
    json use = tool_event("PostToolUse", "Skill", {{"skill", "pdf"}});
    std::string text = use.dump();
    text.insert(text.size() - 1, ",\"tool_response\":[" + parts + "],\"error\":[" + parts + "]");
    EXPECT_EQ(must_read_text(text).skill_name, "pdf");
    EXPECT_LT(test::processor_seconds() - begin, 20.0);
}

// ---- Errors

TEST(HookEvents, invalid_json_is_reported) {
    for (const std::string& text :
         {std::string(), std::string(" "), std::string("{"), std::string("nonsense"), std::string("{}{}"),
          std::string("{'a':1}"), std::string("\xff\xfe"), tool_event("PreToolUse").dump() + "x",
          std::string("{\"hook_event_name\":\"Stop\0\"}", 26), tool_event("PreToolUse").dump() + '\0',
          tool_event("PreToolUse").dump() + '\0' + "x", std::string("{\"a\":\"\xc3\x28\"}"),
          std::string("{\"a\":\"\xed\xa0\x80\"}"), std::string("{\"a\":\"line\nbreak\"}"), std::string("{\"a\":1e999}"),
          std::string("{\"a\":NaN}"), std::string("{\"a\":Infinity}")}) {
        const BadEvent bad = fault_of_text(text);
        EXPECT_EQ(bad.reason, "A hook event must be JSON") << text;
        EXPECT_EQ(bad.field, "");
    }
}

TEST(HookEvents, a_non_object_is_reported) {
    for (const char* text : {"[]", "null", "true", "7", "\"PreToolUse\"", "[{\"hook_event_name\":\"Stop\"}]", "[[]]"}) {
        const BadEvent bad = fault_of_text(text);
        EXPECT_EQ(bad.reason, "A hook event must be a JSON object") << text;
        EXPECT_EQ(bad.field, "");
    }
}

struct Required {
    const char* event;
    const char* field;
};
class RequiredField : public testing::TestWithParam<Required> {
  protected:
    static json whole() { return with(tool_event(GetParam().event), "command_name", "review"); }
    static void expect_fault(const BadEvent& bad, const json& value) {
        EXPECT_EQ(bad.field, GetParam().field) << value;
        EXPECT_THAT(bad.reason, testing::StartsWith(std::string(GetParam().field) + " must be a ")) << value;
        EXPECT_THAT(bad.reason, Not(HasSubstr(kPrivate))) << value;
    }
};
TEST_P(RequiredField, is_named_in_the_error_if_missing_or_of_another_type) {
    static_cast<void>(must_read(whole()));
    expect_fault(fault_of(without(whole(), GetParam().field)), nullptr);
    for (const json& value : {json(nullptr), json(""), json(7), json(true), json(1.5), json::array({kPrivate}),
                              json{{"skill", kPrivate}}, json::object()}) {
        expect_fault(fault_of(with(whole(), GetParam().field, value)), value);
    }
}
INSTANTIATE_TEST_SUITE_P(
    Of, RequiredField,
    testing::Values(Required{"PreToolUse", "hook_event_name"}, Required{"PreToolUse", "session_id"},
                    Required{"PreToolUse", "tool_name"}, Required{"PreToolUse", "tool_use_id"},
                    Required{"PostToolUse", "session_id"}, Required{"PostToolUse", "tool_name"},
                    Required{"PostToolUse", "tool_use_id"}, Required{"PostToolUseFailure", "session_id"},
                    Required{"PostToolUseFailure", "tool_name"}, Required{"PostToolUseFailure", "tool_use_id"},
                    Required{"UserPromptExpansion", "session_id"}, Required{"UserPromptExpansion", "command_name"},
                    Required{"SessionEnd", "session_id"}),
    [](const auto& of) { return std::string(of.param.event) + "_" + of.param.field; });

TEST(HookEvents, a_key_is_used_unchanged_or_rejected) {
    const json use = tool_event("PreToolUse");
    for (const std::string& key : {std::string(" k "), std::string(kMaxEventKeyBytes, 'k'), std::string("schlüssel")}) {
        EXPECT_EQ(must_read(with(use, "tool_use_id", key)).key, key);
    }
    for (const std::string& key : {std::string(kMaxEventKeyBytes + 1, 'k'), std::string("a\nb"), std::string("\0", 1),
                                   std::string("a\x7f"), std::string("\xc2\x80")}) {
        EXPECT_EQ(fault_of(with(use, "tool_use_id", key)).field, "tool_use_id") << key.size();
    }
}

TEST(HookEvents, names_are_sanitized) {
    const json use = tool_event("PreToolUse");
    EXPECT_EQ(must_read(with(use, "session_id", "  s\n1\x1b ")).session_id, "s1");
    EXPECT_EQ(must_read(with(use, "session_id", "\n\t")).session_id, "unknown");
    EXPECT_EQ(must_read(with(use, "tool_name", "Re\nad")).skill_name, "Read");
    const std::string characters(200, 'x');
    const std::string huge = characters + std::string(1U << 20U, 'y');
    EXPECT_EQ(must_read(with(use, "session_id", huge)).session_id, huge.substr(0, kMaxSkillNameBytes));
    EXPECT_EQ(must_read(with(use, "tool_name", huge)).skill_name, huge.substr(0, kMaxSkillNameBytes));
    const json skill = tool_event("PreToolUse", "Skill", {{"skill", "é" + huge}});
    EXPECT_TRUE(is_valid_skill_name(must_read(skill).skill_name));
    EXPECT_EQ(must_read(tool_event("PreToolUse", "Agent", {{"subagent_type", huge}})).skill_name,
              ("agent:" + huge).substr(0, kMaxSkillNameBytes));
}

// ---- Odd JSON

TEST(HookEvents, the_last_of_duplicate_fields_counts) {
    const HookEvent use = must_read_text(
        R"({"session_id":"first","hook_event_name":"Stop","tool_name":"Skill","tool_use_id":"t1","duration_ms":1,)"
        R"("tool_input":{"skill":"first","skill":"last"},"tool_use_id":"t2","hook_event_name":"PostToolUse",)"
        R"("session_id":"last","duration_ms":2000})");
    EXPECT_EQ(use.session_id, "last");
    EXPECT_EQ(use.key, "t2");
    EXPECT_EQ(use.skill_name, "last");
    EXPECT_EQ(use.duration_seconds, 2.0);
    EXPECT_EQ(fault_of_text(R"({"hook_event_name":"SessionEnd","session_id":"s","session_id":7})").field, "session_id");
    EXPECT_EQ(
        must_read_text(R"({"hook_event_name":"PreToolUse","session_id":"s","tool_name":"Skill","tool_use_id":"t",)"
                       R"("tool_input":{"skill":"x"},"tool_input":["junk"]})")
            .skill_name,
        "Skill");
}

TEST(HookEvents, fields_with_these_names_elsewhere_are_ignored) {
    const json inner = {{"hook_event_name", "SessionEnd"}, {"session_id", kPrivate}, {"tool_use_id", kPrivate},
                        {"tool_name", kPrivate},           {"duration_ms", 99},      {"skill", kPrivate}};
    json use =
        tool_event("PostToolUse", "Skill", {{"skill", "pdf"}, {"tool_input", inner}, {"deeper", {{"x", inner}}}});
    use["tool_response"] = {inner, {{"tool_input", inner}}, json::array({inner})};
    use["skill"] = kPrivate;
    use["zz"] = inner;
    const HookEvent read_use = must_read(use);
    EXPECT_EQ(read_use.session_id, "s1");
    EXPECT_EQ(read_use.key, "toolu_1");
    EXPECT_EQ(read_use.skill_name, "pdf");
    EXPECT_EQ(read_use.duration_seconds, std::nullopt);
}

std::string nested(std::size_t depth, std::string_view open, std::string_view close) {
    std::string text;
    for (std::size_t i = 0; i < depth; ++i) {
        text += open;
    }
    text += "null";
    for (std::size_t i = 0; i < depth; ++i) {
        text += close;
    }
    return text;
}

TEST(HookEvents, deep_nesting_is_harmless_in_any_field) {
    constexpr std::size_t kDepth = 500'000;  // would overflow the stack
    const std::string arrays = nested(kDepth, "[", "]");
    const std::string objects = nested(kDepth, "{\"skill\":", "}");
    const std::string mixed = nested(kDepth, "[{\"tool_input\":", "}]");
    for (const std::string& deep : {arrays, objects, mixed}) {
        for (const char* field : {"tool_response", "tool_input", "zz", "duration_ms", "error", "is_interrupt"}) {
            const std::string text =
                R"({"hook_event_name":"PostToolUse","session_id":"s","tool_use_id":"t","tool_name":"Skill",")" +
                std::string(field) + "\":" + deep + "}";
            const HookEvent use = must_read_text(text);
            EXPECT_EQ(use.skill_name, "Skill") << field;
            EXPECT_EQ(use.duration_seconds, std::nullopt) << field;
        }
        EXPECT_EQ(fault_of_text(R"({"hook_event_name":"SessionEnd","session_id":)" + deep + "}").field, "session_id");
        static_cast<void>(fault_of_text(deep));
        EXPECT_EQ(fault_of_text(deep.substr(0, deep.size() / 2)).reason, "A hook event must be JSON");
    }
}

TEST(HookEvents, a_lone_surrogate_is_replaced_and_a_pair_is_a_character) {
    const auto end_of = [](const std::string& session) {
        return must_read_text(R"({"hook_event_name":"SessionEnd","session_id":")" + session + "\"}").session_id;
    };
    const std::string replacement = "\xef\xbf\xbd";
    EXPECT_EQ(end_of("\\ud83d\\ude00"), "\xf0\x9f\x98\x80");
    EXPECT_EQ(end_of("a\\ud83d"), "a" + replacement);
    EXPECT_EQ(end_of("\\ude00b"), replacement + "b");
    EXPECT_EQ(end_of("\\ud83d\\ud83d\\ude00"), replacement + "\xf0\x9f\x98\x80");
    EXPECT_EQ(end_of("\\uD83D\\u0041"), replacement + "A");
    EXPECT_EQ(end_of("\\\\ud83d"), "\\ud83d") << "a backslash and letters";
    EXPECT_EQ(end_of("\\ud83d\\\\ude00"), replacement + "\\ude00");
    EXPECT_EQ(fault_of_text(R"({"hook_event_name":"SessionEnd","session_id":"\ud83)").reason,
              "A hook event must be JSON");
    EXPECT_EQ(fault_of_text(R"({"hook_event_name":"SessionEnd","session_id":"\ud83"})").reason,
              "A hook event must be JSON");
    EXPECT_EQ(fault_of_text(R"({"hook_event_name":"SessionEnd","session_id":"\)").reason, "A hook event must be JSON");
}

class DurationField : public testing::TestWithParam<std::pair<const char*, std::optional<double>>> {};
TEST_P(DurationField, is_used_if_valid) {
    const auto& [text, expected] = GetParam();
    const HookEvent use = must_read_text(
        R"({"hook_event_name":"PostToolUse","session_id":"s","tool_use_id":"t","tool_name":"Read","duration_ms":)" +
        std::string(text) + "}");
    EXPECT_EQ(use.duration_seconds, expected);
    EXPECT_EQ(use.bad_duration, !expected && text != std::string_view("null"));
    EXPECT_EQ(must_read_text(R"({"hook_event_name":"PreToolUse","session_id":"s","tool_use_id":"t","tool_name":"Read",)"
                             R"("duration_ms":)" +
                             std::string(text) + "}")
                  .duration_seconds,
              std::nullopt)
        << "a started use has none";
}
INSTANTIATE_TEST_SUITE_P(Values, DurationField,
                         testing::Values(std::pair("0", 0.0), std::pair("-0", 0.0), std::pair("-0.0", 0.0),
                                         std::pair("1500", 1.5), std::pair("0.5", 0.0005), std::pair("1e3", 1.0),
                                         std::pair("1e11", 1e8), std::pair("1.0001e11", std::nullopt),
                                         std::pair("1e308", std::nullopt),
                                         std::pair("18446744073709551615", std::nullopt), std::pair("4.9e-324", 0.0),
                                         std::pair("-1", std::nullopt), std::pair("-1e308", std::nullopt),
                                         std::pair("-0.0001", std::nullopt), std::pair("null", std::nullopt),
                                         std::pair("true", std::nullopt), std::pair("\"12\"", std::nullopt),
                                         std::pair("\"NaN\"", std::nullopt), std::pair("[12]", std::nullopt),
                                         std::pair("{\"ms\":12}", std::nullopt)));

// ---- Background, batches, built-in commands

std::vector<test::ResolvedEvent> events_of(const json& made) {
    auto outcome = read(made.dump());
    std::vector<test::ResolvedEvent> all;
    if (auto* events = std::get_if<std::vector<AgentEvent>>(&outcome)) {
        for (AgentEvent& event : *events) {
            all.push_back(test::resolved(std::move(event)));
        }
    } else {
        ADD_FAILURE() << std::get<BadEvent>(outcome).reason;
    }
    return all;
}

TEST(HookEvents, a_use_that_starts_something_in_the_background_stays_open) {
    for (const auto& [tool, response] :
         {std::pair{"Bash", json{{"stdout", ""}, {"backgroundTaskId", "b7"}}},
          std::pair{"Bash", json{{"backgroundTaskId", "b7"}, {"backgroundedByUser", true}}},
          std::pair{"Agent", json{{"isAsync", true}, {"status", "async_launched"}, {"agentId", "a1"}}},
          std::pair{"Agent", json{{"status", "async_launched"}}},
          std::pair{"Bash", json("Command running in background with ID: b7. Output is written to x")},
          std::pair{"Task", json::array({json{{"type", "text"}, {"text", "Async agent launched successfully."}}})}}) {
        const HookEvent use =
            must_read(with(with(tool_event("PostToolUse", tool), "tool_response", response), "duration_ms", 12));
        EXPECT_FALSE(use.evidence.is_settled()) << response;
        EXPECT_TRUE(use.is_unknown) << response;
    }
    for (const json& response : {json{{"stdout", "Command running in background with ID: b7"}},
                                 json{{"isAsync", false}, {"status", "completed"}}, json{{"backgroundTaskId", ""}}}) {
        EXPECT_TRUE(must_read(with(tool_event("PostToolUse", "Bash"), "tool_response", response)).completed)
            << response;
    }
}

json prompt_event(const std::string& prompt) {
    return with(event("UserPromptSubmit"), "prompt", prompt);
}

std::string notification(const std::string& status, const std::string& summary, const std::string& rest = "") {
    return "<task-notification>\n<task-id>b7</task-id>\n<tool-use-id>toolu_9</tool-use-id>\n<status>" + status +
           "</status>\n<summary>" + summary + "</summary>\n" + rest + "</task-notification>";
}

TEST(HookEvents, a_prompt_reports_the_end_of_a_background_task) {
    const struct {
        std::string text;
        const char* name;
        bool completed;
        const char* error_type;
        std::optional<double> seconds;
    } cases[] = {
        {notification("completed", "Agent \"x\" finished",
                      "<result>" + kPrivate + "<status>failed</status></result>\n" +
                          "<usage><duration_ms>3997</duration_ms></usage>"),
         "Agent", true, "", 3.997},
        {notification("failed", "Agent \"x\" failed: 529", "<usage>total_tokens: 9\nduration_ms: 300000</usage>"),
         "Agent", false, "tool_error", 300.0},
        {notification("failed", "Background command \"run\" failed with exit code 4"), "Bash", false, "exit_code",
         std::nullopt},
        {notification("completed", "Background command \"exit code 4\" completed (exit code 0)"), "Bash", true, "",
         std::nullopt},
        {notification("killed", "Background command \"x\" was stopped"), "Bash", false, "interrupted", std::nullopt},
    };
    for (const auto& one : cases) {
        const HookEvent end = must_read(prompt_event(" \n" + one.text));
        EXPECT_EQ(end.key, "toolu_9") << one.text;
        EXPECT_TRUE(end.is_supplement);
        EXPECT_TRUE(end.evidence.is_settled());
        EXPECT_EQ(end.skill_name, one.name) << one.text;
        EXPECT_EQ(end.evidence.name_basis, NameBasis::placeholder);
        EXPECT_EQ(end.completed, one.completed) << one.text;
        EXPECT_EQ(end.error_type, one.error_type) << one.text;
        EXPECT_EQ(end.duration_seconds, one.seconds) << one.text;
    }
    EXPECT_EQ(events_of(prompt_event(notification("completed", "x") + "\n" + notification("failed", "y"))).size(), 2U);
}

TEST(HookEvents, a_prompt_of_the_user_is_ignored) {
    for (const std::string& prompt :
         {kPrivate, "look: " + notification("failed", "x"), notification("running", "x"), std::string(),
          std::string("<task-notification><status>failed</status></task-notification>"),
          std::string("<task-notification>")}) {
        EXPECT_TRUE(ignored(prompt_event(prompt))) << prompt;
    }
}

TEST(HookEvents, a_batch_reports_the_calls_that_never_ran) {
    json batch = event("PostToolBatch");
    const auto call = [](const char* id, const char* tool, json response) {
        return json{{"tool_name", tool},
                    {"tool_use_id", id},
                    {"tool_input", {{"command", "pytest " + kPrivate}}},
                    {"tool_response", std::move(response)}};
    };
    batch["tool_calls"] = json::array(
        {call("t1", "Edit", "<tool_use_error>String to replace not found in file.</tool_use_error>"),
         call("t2", "Bash", "Permission to use Bash with command x has been denied."),
         call("t3", "Bash", "fine: 3 passed"), call("t4", "Bash", "Exit code 7"),
         call("t5", "Agent", json::array({json{{"type", "text"}, {"text", "<tool_use_error>x</tool_use_error>"}}})),
         call("", "Edit", "<tool_use_error>x</tool_use_error>"), json(7), json{{"tool_use_id", "t6"}}});
    const auto calls = events_of(batch);
    ASSERT_EQ(calls.size(), 3U);
    EXPECT_EQ(calls[0].key, "t1");
    EXPECT_EQ(calls[0].skill_name, "Edit");
    EXPECT_EQ(calls[0].session_id, "s1");
    EXPECT_EQ(calls[0].error_type, "tool_error");
    EXPECT_EQ(calls[0].evidence.result.outcome.source, EvidenceSource::batch);
    EXPECT_EQ(calls[1].key, "t2");
    EXPECT_EQ(calls[1].skill_name, "pytest-run");
    EXPECT_EQ(calls[1].error_type, "rejected");
    EXPECT_EQ(calls[1].duration_seconds, std::nullopt);
    EXPECT_EQ(calls[2].key, "t5");
    EXPECT_EQ(fault_of(without(batch, "tool_calls")).field, "tool_calls");
    EXPECT_EQ(fault_of(with(batch, "tool_calls", "x")).field, "tool_calls");
}

TEST(HookEvents, of_a_batch_at_most_the_maximum_is_read) {
    json batch = event("PostToolBatch");
    for (std::size_t i = 0; i < kMaxBatchCalls + 10; ++i) {
        batch["tool_calls"].push_back({{"tool_name", "Edit"},
                                       {"tool_use_id", "t" + std::to_string(i)},
                                       {"tool_response", "<tool_use_error>x</tool_use_error>"}});
    }
    EXPECT_EQ(events_of(batch).size(), kMaxBatchCalls);
}

TEST(HookEvents, a_builtin_command_is_recorded_only_if_wanted) {
    const json typed = with(event("UserPromptExpansion"), "command_name", "init");
    const SkillNamer namer;
    for (const auto& [source, is_recorded] :
         {std::pair{json("builtin"), false}, std::pair{json("projectSettings"), true},
          std::pair{json(nullptr), false}}) {
        const json made = with(typed, "command_source", source);
        EXPECT_EQ(events_of(made).size(), is_recorded ? 1U : 0U) << source;
        const auto all = read_hook_event(made.dump(), namer, kReceivedAt, /*builtin_commands=*/true);
        EXPECT_EQ(std::get<std::vector<AgentEvent>>(all).size(), 1U) << source;
    }
}

TEST(HookEvents, two_reports_of_a_typed_command_have_the_same_key) {
    const json typed = with(with(event("UserPromptExpansion"), "command_name", "review"), "prompt_id", "p-1");
    EXPECT_EQ(must_read(typed).key, "prompt:p-1:review");
    EXPECT_EQ(must_read(typed).key, must_read(typed).key);
    EXPECT_EQ(must_read(with(typed, "prompt_id", std::string(kMaxEventKeyBytes, 'p'))).key, "");
}

TEST(HookEvents, a_masked_failure_is_read_from_the_end_of_the_output) {
    const std::string noise(std::size_t{3} << 20U, 'x');
    json use = tool_event("PostToolUse", "Bash", {{"command", "pytest 2>&1 | tail -5"}});
    use["tool_response"] = {{"stdout", noise + "\n=== 1 failed, 3 passed in 0.52s ===\n"}, {"stderr", ""}};
    const HookEvent failed = must_read(use);
    EXPECT_TRUE(failed.evidence.is_masked);
    EXPECT_EQ(failed.error_type, "exit_code");
    use["tool_response"] = {{"stdout", noise}, {"stderr", "=== 3 passed in 0.52s ===\n"}};
    EXPECT_TRUE(must_read(use).completed);
    use["tool_response"] = {{"stdout", noise}};
    EXPECT_TRUE(must_read(use).is_unknown);
}

// ---- Privacy

void expect_nothing_private(const HookEvent& event, const std::string& where) {
    const std::string encoded = encode(event.evidence);
    for (const std::string* member : {&event.key, &event.skill_name, &event.session_id, &event.error_type, &encoded}) {
        EXPECT_THAT(*member, Not(HasSubstr(kPrivate))) << where;
    }
}

TEST(HookEvents, contain_nothing_private) {
    const char* texts[] = {"prompt",
                           "command_args",
                           "command_source",
                           "expansion_type",
                           "tool_response",
                           "error",
                           "transcript_path",
                           "cwd",
                           "permission_mode",
                           "reason",
                           "message",
                           "title",
                           "custom_instructions",
                           "agent_id",
                           "model",
                           "is_interrupt",
                           "duration_ms"};
    for (const char* name : {"PreToolUse", "PostToolUse", "PostToolUseFailure", "UserPromptExpansion", "SessionEnd"}) {
        for (const char* tool : {"Read", "Edit", "Bash", "Skill", "Agent", "Task", "WebFetch", "mcp__a__b"}) {
            json made = tool_event(name, tool,
                                   {{"file_path", kPrivate},
                                    {"prompt", kPrivate},
                                    {"args", kPrivate},
                                    {"description", kPrivate},
                                    {"content", {{kPrivate, kPrivate}}},
                                    {kPrivate, kPrivate}});
            made["command_name"] = "review";
            for (const char* field : texts) {
                made[field] = kPrivate;
            }
            if (std::string_view(tool) == "Bash") {
                made["tool_input"]["command"] = "X=" + kPrivate + " pytest " + kPrivate + " && cat " + kPrivate;
            } else {
                made["tool_input"]["command"] = std::string_view(tool) == "Skill" ? "pdf" : kPrivate;
            }
            made[kPrivate] = kPrivate;
            expect_nothing_private(must_read(made), std::string(name) + ' ' + tool);
        }
    }
}

TEST(HookEvents, errors_contain_nothing_of_the_input) {
    const json use = with(tool_event("PreToolUse"), "prompt", kPrivate);
    for (const json& made : {with(use, "tool_use_id", kPrivate + "\n"), with(use, "session_id", {{kPrivate, kPrivate}}),
                             with(use, "tool_name", json::array({kPrivate})), json(kPrivate), json::array({kPrivate}),
                             with(use, "hook_event_name", {{kPrivate, 1}}), json{{kPrivate, kPrivate}}}) {
        const BadEvent bad = fault_of(made);
        EXPECT_THAT(bad.reason, Not(HasSubstr(kPrivate)));
        EXPECT_THAT(bad.field, Not(HasSubstr(kPrivate)));
    }
    EXPECT_THAT(fault_of_text("{\"" + kPrivate + "\":").reason, Not(HasSubstr(kPrivate)));
}

}  // namespace
}  // namespace session_buddy::ingest
