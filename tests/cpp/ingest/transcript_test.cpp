// Parsing transcripts: pairing, naming, deduplication, error types, and malformed lines and files.
#include "session_buddy/ingest/transcript.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>

#include "session_buddy/core/invocation.hpp"
#include "support/agent_events.hpp"

namespace session_buddy::ingest {
namespace {

using nlohmann::json;

/// `second` of a fixed minute, as Claude Code writes times.
std::string at(double second) {
    char text[40];
    std::snprintf(text, sizeof text, "2026-02-12T14:00:%06.3fZ", second);
    return text;
}

json use_block(const std::string& id, const std::string& name, const json& input = json::object()) {
    return {{"type", "tool_use"}, {"id", id}, {"name", name}, {"input", input}};
}

json result_block(const std::string& id, const json& content = "fine") {
    return {{"type", "tool_result"}, {"tool_use_id", id}, {"content", content}};
}

json error_block(const std::string& id, const json& content) {
    json block = result_block(id, content);
    block["is_error"] = true;
    return block;
}

json line(const std::string& type, const std::string& timestamp, json content) {
    return {{"type", type},
            {"timestamp", timestamp},
            {"sessionId", "session-1"},
            {"uuid", "uuid-" + timestamp},
            {"message", {{"role", type}, {"content", std::move(content)}}}};
}

json use_line(double second, const std::string& id, const std::string& name, const json& input = json::object()) {
    return line("assistant", at(second), json::array({use_block(id, name, input)}));
}

json result_line(double second, const std::string& id, const json& content = "fine") {
    return line("user", at(second), json::array({result_block(id, content)}));
}

class TranscriptTest : public testing::Test {
  protected:
    void read(const json& value) { ASSERT_TRUE(reader.read_line(value.dump(), "fallback")); }

    SkillNamer namer;
    void add(AgentEvent&& event) { found.push_back(test::resolved(std::move(event))); }

    std::vector<test::ResolvedEvent> found;
    TranscriptReader reader{namer, [this](AgentEvent&& event) { add(std::move(event)); }, {.builtin_commands = true}};
};

TEST_F(TranscriptTest, a_use_and_its_result_make_an_invocation) {
    read(use_line(1, "toolu_1", "Bash", {{"command", "uv run pytest"}, {"description", "tests"}}));
    EXPECT_TRUE(found.empty());
    EXPECT_EQ(reader.counts().unfinished, 1);
    read(result_line(3.5, "toolu_1"));
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].key, "toolu_1");
    EXPECT_EQ(found[0].skill_name, "pytest-run");
    EXPECT_EQ(found[0].invoked_at, at(1));
    EXPECT_EQ(found[0].session_id, "session-1");
    EXPECT_TRUE(found[0].completed);
    EXPECT_EQ(found[0].error_type, "");
    ASSERT_TRUE(found[0].duration_seconds);
    EXPECT_DOUBLE_EQ(*found[0].duration_seconds, 2.5);
    EXPECT_EQ(reader.counts().unfinished, 0);
    EXPECT_EQ(reader.counts().found, 1);
}

TEST_F(TranscriptTest, a_measured_duration_takes_precedence) {
    for (const char* key : {"durationMs", "duration_ms"}) {
        read(use_line(1, key, "Glob"));
        json result = result_line(9, key);
        result["toolUseResult"] = {{key, 250}, {"filenames", json::array({"a", "b"})}};
        read(result);
        ASSERT_TRUE(found.back().duration_seconds);
        EXPECT_DOUBLE_EQ(*found.back().duration_seconds, 0.25) << key;
    }
}

TEST_F(TranscriptTest, an_implausible_measured_duration_is_ignored) {
    for (const json& value : {json(-5), json("250"), json(nullptr), json::array()}) {
        const std::string id = "id" + value.dump();
        read(use_line(1, id, "Glob"));
        json result = result_line(2, id);
        result["toolUseResult"] = {{"durationMs", value}};
        read(result);
        EXPECT_DOUBLE_EQ(found.back().duration_seconds.value_or(-1), 1.0) << value;
    }
}

TEST_F(TranscriptTest, a_measured_duration_of_a_line_with_two_results_belongs_to_neither) {
    read(line("assistant", at(1), json::array({use_block("a", "Glob"), use_block("b", "Grep")})));
    json result = line("user", at(2), json::array({result_block("a"), result_block("b")}));
    result["toolUseResult"] = {{"durationMs", 250}};
    read(result);
    ASSERT_EQ(found.size(), 2U);
    EXPECT_DOUBLE_EQ(found[0].duration_seconds.value_or(-1), 1.0);
    EXPECT_DOUBLE_EQ(found[1].duration_seconds.value_or(-1), 1.0);
}

TEST_F(TranscriptTest, a_result_before_its_use_has_no_duration) {
    read(use_line(5, "a", "Read"));
    read(result_line(4, "a"));
    ASSERT_EQ(found.size(), 1U);
    EXPECT_FALSE(found[0].duration_seconds);
}

TEST_F(TranscriptTest, a_result_without_a_time_has_no_duration) {
    read(use_line(5, "a", "Read"));
    json result = result_line(6, "a");
    result["timestamp"] = "soon";
    read(result);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_FALSE(found[0].duration_seconds);
}

TEST_F(TranscriptTest, a_result_that_is_read_before_its_use_is_paired) {
    read(result_line(3, "a"));
    EXPECT_EQ(reader.counts().results_without_use, 1);
    read(use_line(1, "a", "Read"));
    ASSERT_EQ(found.size(), 1U);
    EXPECT_DOUBLE_EQ(found[0].duration_seconds.value_or(-1), 2.0);
    EXPECT_EQ(reader.counts().results_without_use, 0);
}

TEST_F(TranscriptTest, a_use_counts_once_however_often_it_is_replayed) {
    read(use_line(1, "a", "Read"));
    read(use_line(1, "a", "Read"));
    read(result_line(2, "a"));
    read(use_line(1, "a", "Read"));
    read(result_line(2, "a"));
    EXPECT_EQ(found.size(), 1U);
    EXPECT_EQ(reader.counts().replayed, 2);
    EXPECT_EQ(reader.counts().unfinished, 0);
    EXPECT_EQ(reader.counts().results_without_use, 0);
}

TEST_F(TranscriptTest, an_error_is_classified_and_its_text_dropped) {
    const struct {
        json content;
        const char* expected;
    } cases[] = {
        {"Exit code 1\nsecret", "exit_code"},
        {json::array({{{"type", "text"}, {"text", "Exit code 2"}}}), "exit_code"},
        {"[Request interrupted by user for tool use]", "interrupted"},
        {"The user doesn't want to proceed with this tool use. secret", "rejected"},
        {"Command timed out after 2m 0.0s", "timeout"},
        {"<tool_use_error>secret</tool_use_error>", "tool_error"},
        {json(), "tool_error"},
        {json::array({"odd", 3}), "tool_error"},
    };
    int number = 0;
    for (const auto& c : cases) {
        const std::string id = "id" + std::to_string(++number);
        read(use_line(1, id, "Bash"));
        read(line("user", at(2), json::array({error_block(id, c.content)})));
        EXPECT_FALSE(found.back().completed);
        EXPECT_EQ(found.back().error_type, c.expected) << c.content;
    }
}

TEST_F(TranscriptTest, an_interrupted_flag_decides_only_where_there_is_an_error) {
    json flagged = result_line(2, "a");
    flagged["toolUseResult"] = {{"interrupted", true}, {"stdout", "x"}};
    read(use_line(1, "a", "Bash"));
    read(flagged);
    EXPECT_TRUE(found.back().completed);

    flagged["message"]["content"] = json::array({error_block("b", "Exit code 137")});
    read(use_line(1, "b", "Bash"));
    read(flagged);
    EXPECT_EQ(found.back().error_type, "interrupted");
}

TEST_F(TranscriptTest, is_error_counts_only_if_true) {
    for (const json& value : {json(false), json(nullptr), json("true")}) {
        json block = result_block(value.dump(), "Exit code 1");
        block["is_error"] = value;
        read(use_line(1, value.dump(), "Bash"));
        read(line("user", at(2), json::array({block})));
        EXPECT_TRUE(found.back().completed) << value;
        EXPECT_EQ(found.back().error_type, "");
    }
}

TEST_F(TranscriptTest, typed_commands_are_invocations) {
    read(line("user", at(1), "<command-message>x</command-message>\n<command-name>/handy:make-it</command-name>"));
    read(line("user", at(2), json::array({{{"type", "text"}, {"text", "<command-name>/clear</command-name>"}}})));
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].skill_name, "handy:make-it");
    EXPECT_EQ(found[0].key, "command:uuid-" + at(1));
    EXPECT_EQ(found[0].invoked_at, at(1));
    EXPECT_TRUE(found[0].completed);
    EXPECT_FALSE(found[0].duration_seconds);
    EXPECT_EQ(found[1].skill_name, "clear");
    EXPECT_EQ(reader.counts().found_commands, 2);
}

TEST_F(TranscriptTest, text_that_resembles_a_typed_command_is_ignored) {
    for (const char* text :
         {"no command", "<command-name>clear</command-name>", "<command-name>/</command-name>", "<command-name>/clear",
          "<command-name>/a b</command-name>", "<command-name></command-name>"}) {
        read(line("user", at(1), text));
    }
    const char* real = "<command-name>/clear</command-name>";
    read(line("assistant", at(1), real));
    read({{"type", "system"}, {"timestamp", at(1)}, {"uuid", "u"}, {"content", real}});
    read(result_line(1, "a", real));  // the output of a tool that showed a transcript
    for (const char* flag : {"isSidechain", "isCompactSummary"}) {
        json repeated = line("user", at(1), real);
        repeated[flag] = true;
        read(repeated);
    }
    EXPECT_TRUE(found.empty());
}

TEST_F(TranscriptTest, a_typed_command_counts_once) {
    read(line("user", at(1), "<command-name>/x</command-name>"));
    read(line("user", at(1), "<command-name>/x</command-name>"));
    json without_uuid = line("user", at(2), "<command-name>/x</command-name>");
    without_uuid.erase("uuid");
    read(without_uuid);
    read(without_uuid);
    EXPECT_EQ(found.size(), 2U);
    EXPECT_EQ(reader.counts().replayed, 2);
}

TEST_F(TranscriptTest, progress_lines_and_unknown_kinds_are_skipped) {
    read({{"type", "progress"}, {"timestamp", at(1)}, {"data", {{"message", use_line(1, "nested", "Read")}}}});
    json progress_with_message = use_line(1, "nested", "Read");
    progress_with_message["type"] = "progress";
    read(progress_with_message);
    read({{"type", "of-tomorrow"}, {"message", 3}});
    read({{"type", "assistant"}, {"message", nullptr}});
    read(json::object());
    read(json::array({1, 2}));
    read("text");
    read(line("assistant", at(1), nullptr));
    read(line("assistant", at(1), {{"type", "tool_use"}}));
    read(line("assistant", at(1), json::array({1, nullptr, {{"type", "thinking"}}, {{"type", "tool_use"}}})));
    EXPECT_TRUE(found.empty());
    EXPECT_EQ(reader.counts().progress_lines, 2);
    EXPECT_EQ(reader.counts().other_lines, 5);
    EXPECT_EQ(reader.counts().lines, 10);
    EXPECT_EQ(reader.counts().unfinished, 0);
}

TEST_F(TranscriptTest, blocks_of_the_wrong_role_are_ignored) {
    read(line("user", at(1), json::array({use_block("a", "Read")})));
    read(line("assistant", at(1), json::array({result_block("b")})));
    EXPECT_EQ(reader.counts().unfinished, 0);
    EXPECT_EQ(reader.counts().results_without_use, 0);
}

TEST_F(TranscriptTest, a_use_without_a_readable_time_is_ignored_and_counted) {
    json use = use_line(1, "a", "Read");
    use["timestamp"] = "yesterday";
    read(use);
    json command = line("user", at(1), "<command-name>/x</command-name>");
    command.erase("timestamp");
    read(command);
    EXPECT_EQ(reader.counts().without_time, 2);
    EXPECT_EQ(reader.counts().unfinished, 0);
    EXPECT_TRUE(found.empty());
}

TEST_F(TranscriptTest, a_line_without_a_session_belongs_to_the_session_of_its_file) {
    for (const json& value : {json(""), json(7), json("\n")}) {
        json use = use_line(1, value.dump(), "Read");
        use["sessionId"] = value;
        read(use);
        read(result_line(2, value.dump()));
        EXPECT_EQ(found.back().session_id, "fallback");
    }
}

TEST_F(TranscriptTest, every_name_is_valid_for_any_transcript) {
    read(use_line(1, "a", std::string(1000, 'n')));
    read(result_line(2, "a"));
    read(use_line(1, "b", "bad\nname"));
    read(result_line(2, "b"));
    read(use_line(1, "c", ""));
    read(result_line(2, "c"));
    ASSERT_EQ(found.size(), 3U);
    for (const auto& invocation : found) {
        EXPECT_TRUE(is_valid_skill_name(invocation.skill_name)) << invocation.skill_name;
    }
}

TEST_F(TranscriptTest, a_line_with_a_lone_surrogate_is_read) {
    std::string text = use_line(1, "a", "Bash", {{"command", "pytest HERE"}}).dump();
    text.replace(text.find("HERE"), 4, R"(\ud83d \\ud83d \ud83d\ude00 \ude00 \u12 end)");
    EXPECT_FALSE(reader.read_line(text, "s"));  // \u12 is not valid JSON in any parser
    text.erase(text.find(R"(\u12 )"), 5);
    EXPECT_TRUE(reader.read_line(text, "s"));
    read(result_line(2, "a"));
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].skill_name, "pytest-run");
}

TEST_F(TranscriptTest, malformed_lines_are_rejected_and_not_counted) {
    for (const char* text : {"", "{", "{\"type\":\"user\"", "nonsense", "{\"a\":1}}", "\x01", "{\"a\":\"\xFF\"}"}) {
        EXPECT_FALSE(reader.read_line(text, "s")) << text;
    }
    EXPECT_EQ(reader.counts().lines, 0);
}

TEST_F(TranscriptTest, deeply_nested_lines_are_read) {
    const std::string deep = std::string(100000, '[') + std::string(100000, ']');
    EXPECT_TRUE(reader.read_line(R"({"type":"user","toolUseResult":)" + deep + "}", "s"));
    EXPECT_TRUE(reader.read_line(R"({"type":"user","message":{"content":)" + deep + "}}", "s"));
}

TEST_F(TranscriptTest, a_deeply_nested_line_keeps_its_uses_and_results) {
    const std::string deep = std::string(3000, '[') + std::string(3000, ']');
    std::string use = use_line(1, "a", "Bash", {{"command", "pytest"}, {"deep", "HERE"}}).dump();
    use.replace(use.find("\"HERE\""), 6, deep);
    std::string result = result_line(2, "a", json::array({{{"type", "text"}, {"text", "HERE"}}})).dump();
    result.replace(result.find("\"HERE\""), 6, deep);
    EXPECT_TRUE(reader.read_line(use, "s"));
    EXPECT_TRUE(reader.read_line(result, "s"));
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].skill_name, "pytest-run");
}

TEST_F(TranscriptTest, of_duplicate_fields_the_last_one_counts) {
    for (const char* deep : {"", R"(,"x":"\ud83d")"}) {  // once per parser
        const std::string id = "id" + std::to_string(std::strlen(deep));
        EXPECT_TRUE(reader.read_line(R"({"type":"progress","type":"assistant","sessionId":"no","sessionId":"yes",)"
                                     R"("timestamp":7,"timestamp":"2026-02-12T14:00:01Z","message":{"content":"text"},)"
                                     R"("message":{"content":null,"content":[{"type":"text","type":"tool_use",)"
                                     R"("id":"other","id":")" +
                                         id + R"(","name":"Read","name":"Bash",)" +
                                         R"("input":7,"input":{"command":"ls","command":"mypy"}}]})" + deep + "}",
                                     "s"));
        EXPECT_TRUE(
            reader.read_line(R"({"type":"user","timestamp":"2026-02-12T14:00:09Z","toolUseResult":{"durationMs":1},)"
                             R"("toolUseResult":{"durationMs":1,"durationMs":500},"message":{"content":[)"
                             R"({"type":"tool_result","tool_use_id":")" +
                                 id + R"(","is_error":true,"is_error":false}]})" + deep + "}",
                             "s"));
        ASSERT_FALSE(found.empty());
        EXPECT_EQ(found.back().key, id);
        EXPECT_EQ(found.back().skill_name, "mypy");
        EXPECT_EQ(found.back().session_id, "yes");
        EXPECT_TRUE(found.back().completed);
        EXPECT_DOUBLE_EQ(found.back().duration_seconds.value_or(-1), 0.5);
    }
    EXPECT_EQ(found.size(), 2U);
}

TEST_F(TranscriptTest, numbers_of_any_size_are_read) {
    read(use_line(1, "a", "Glob"));
    std::string result = result_line(2, "a").dump();
    result.insert(1, R"("big":123456789012345678901234567890,"toolUseResult":{"durationMs":1e3},)");
    EXPECT_TRUE(reader.read_line(result, "s"));
    ASSERT_EQ(found.size(), 1U);
    EXPECT_DOUBLE_EQ(found[0].duration_seconds.value_or(-1), 1.0);
    result.insert(1, R"("too big":1e999,)");
    EXPECT_FALSE(reader.read_line(result, "s"));
}

TEST_F(TranscriptTest, an_invalid_measured_duration_is_counted_and_computed_from_the_times) {
    for (const double milliseconds : {1.0001e11, 1e300, -1.0}) {
        const std::string id = "t" + std::to_string(milliseconds);
        read(use_line(1, id, "Glob"));
        json result = result_line(3, id);
        result["toolUseResult"] = {{"durationMs", milliseconds}};
        read(result);
        EXPECT_DOUBLE_EQ(found.back().duration_seconds.value_or(-1), 2.0) << milliseconds;
    }
    EXPECT_EQ(reader.counts().bad_durations, 3);
    read(use_line(1, "years apart", "Glob"));
    json late = result_line(3, "years apart");
    late["timestamp"] = "2036-01-01T00:00:00Z";
    read(late);
    EXPECT_EQ(found.back().duration_seconds, std::nullopt);
}

TEST_F(TranscriptTest, a_line_of_many_megabytes_is_read) {
    const std::string filler(std::size_t{20} * 1024 * 1024, 'x');
    read(use_line(1, "a", "Write", {{"content", filler}, {"skill", "no"}}));
    read(result_line(2, "a", filler));
    read(use_line(3, "b", "Read"));
    read(result_line(4, "b"));
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].skill_name, "Write");
}

TEST_F(TranscriptTest, a_duplicate_of_an_evicted_invocation_is_passed_on_with_its_key) {
    TranscriptReader small(namer, [this](AgentEvent&& event) { add(std::move(event)); }, {.remembered_keys = 2});
    for (const char* id : {"a", "b", "a", "c", "a", "c"}) {
        EXPECT_TRUE(small.read_line(use_line(1, id, "Read").dump(), "s"));
        EXPECT_TRUE(small.read_line(result_line(2, id).dump(), "s"));
    }
    std::vector<std::string> keys;
    for (const auto& invocation : found) {
        keys.push_back(invocation.key);
    }
    EXPECT_EQ(keys, (std::vector<std::string>{"a", "b", "c", "a"}));
    EXPECT_EQ(small.counts().replayed, 2);
}

TEST_F(TranscriptTest, the_oldest_pending_use_is_evicted_and_still_counts) {
    TranscriptReader small(namer, [this](AgentEvent&& event) { add(std::move(event)); }, {.waiting = 2});
    for (const char* id : {"a", "b", "c"}) {
        EXPECT_TRUE(small.read_line(use_line(1, id, "Read").dump(), "s", 1));
    }
    for (const char* id : {"a", "b", "c"}) {
        EXPECT_TRUE(small.read_line(result_line(2, id).dump(), "s", 2));
    }
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].key, "b");
    EXPECT_EQ(small.counts().unfinished, 1);
    EXPECT_EQ(small.counts().results_without_use, 1);
    EXPECT_TRUE(small.has_pending(1));
    EXPECT_TRUE(small.has_pending(2));
}

TEST_F(TranscriptTest, a_file_is_pending_while_a_pair_in_it_is_incomplete) {
    EXPECT_TRUE(reader.read_line(use_line(1, "a", "Read").dump(), "s", 1));
    EXPECT_TRUE(reader.read_line(result_line(2, "b").dump(), "s", 2));
    EXPECT_TRUE(reader.has_pending(1));
    EXPECT_TRUE(reader.has_pending(2));
    EXPECT_TRUE(reader.read_line(result_line(2, "a").dump(), "s", 2));
    EXPECT_FALSE(reader.has_pending(1));
    EXPECT_TRUE(reader.has_pending(2));
    EXPECT_TRUE(reader.read_line(use_line(1, "b", "Read").dump(), "s", 3));
    EXPECT_FALSE(reader.has_pending(2));
    EXPECT_FALSE(reader.has_pending(3));
}

TEST_F(TranscriptTest, pending_uses_of_a_forgotten_file_are_found_again) {
    EXPECT_TRUE(reader.read_line(use_line(1, "a", "Read").dump(), "s", 1));
    EXPECT_TRUE(reader.read_line(result_line(2, "b").dump(), "s", 1));
    EXPECT_TRUE(reader.read_line(use_line(1, "c", "Read").dump(), "s", 2));
    reader.forget(1);
    EXPECT_FALSE(reader.has_pending(1));
    EXPECT_TRUE(reader.has_pending(2));
    EXPECT_EQ(reader.counts().unfinished, 1);
    EXPECT_EQ(reader.counts().results_without_use, 0);
    EXPECT_TRUE(reader.read_line(use_line(1, "a", "Read").dump(), "s", 3));
    EXPECT_TRUE(reader.has_pending(3));
    EXPECT_EQ(reader.counts().replayed, 0);
}

// ---- Background

std::string notification(const std::string& id, const std::string& status, const std::string& summary,
                         const std::string& rest = "") {
    return "<task-notification>\n<task-id>b7</task-id>\n" +
           (id.empty() ? "" : "<tool-use-id>" + id + "</tool-use-id>\n") + "<status>" + status +
           "</status>\n<summary>" + summary + "</summary>\n" + rest + "</task-notification>";
}

json queue_line(double second, const std::string& operation, const std::string& content) {
    return {{"type", "queue-operation"},
            {"operation", operation},
            {"timestamp", at(second)},
            {"sessionId", "session-1"},
            {"content", content}};
}

json with_details(json made, json details) {
    made["toolUseResult"] = std::move(details);
    return made;
}

TEST_F(TranscriptTest, a_use_in_the_background_ends_with_its_notification) {
    read(use_line(1, "a", "Agent", {{"subagent_type", "Explore"}}));
    read(with_details(result_line(1.1, "a"), {{"isAsync", true}, {"status", "async_launched"}, {"agentId", "b7"}}));
    ASSERT_EQ(found.size(), 1U);
    EXPECT_FALSE(found[0].evidence.is_settled());
    EXPECT_EQ(reader.counts().found, 1);
    EXPECT_FALSE(reader.has_pending(0)) << "the store keeps it open";
    const std::string text = notification("a", "failed", "Agent \"x\" failed", "<usage>duration_ms: 30000</usage>");
    read(queue_line(31, "enqueue", text));
    read(queue_line(50, "remove", text));
    read({{"type", "attachment"},
          {"uuid", "u"},
          {"timestamp", at(50)},
          {"attachment", {{"type", "queued_command"}, {"prompt", text}}}});
    read(line("user", at(50), text));
    ASSERT_EQ(found.size(), 2U) << "one end, however often it is written";
    EXPECT_TRUE(found[1].is_supplement);
    EXPECT_EQ(found[1].key, "a");
    EXPECT_EQ(found[1].skill_name, "agent:Explore");
    EXPECT_EQ(found[1].error_type, "tool_error");
    EXPECT_EQ(found[1].duration_seconds, 30.0);
    EXPECT_FALSE(found[1].is_upper_bound);
    Evidence all = found[0].evidence;
    all.merge(found[1].evidence);
    EXPECT_EQ(resolve(all, {}).invoked_at, found[0].evidence.started.value);
    EXPECT_EQ(reader.counts().found, 1);
}

TEST_F(TranscriptTest, each_form_of_a_launch_is_recognized) {
    const json plain = "started";
    const struct {
        json content;
        json details;
    } cases[] = {
        {plain, {{"stdout", ""}, {"backgroundTaskId", "b1"}}},
        {plain, {{"backgroundTaskId", "b2"}, {"backgroundedByUser", true}}},
        {plain, {{"isAsync", true}}},
        {"Command running in background with ID: b3. Output is written to x", nullptr},
        {"Command was manually backgrounded by user with ID: b4", {{"stdout", ""}}},
        {json::array({{{"type", "text"}, {"text", "Async agent launched successfully."}}}), nullptr},
    };
    for (const auto& [content, details] : cases) {
        const std::string id = "id" + std::to_string(found.size());
        read(use_line(1, id, "Bash", {{"command", "pytest"}}));
        read(with_details(result_line(2, id, content), details));
        EXPECT_FALSE(found.back().evidence.is_settled()) << content << details;
    }
    read(use_line(1, "failed", "Bash"));
    read(line("user", at(2), json::array({error_block("failed", "Command running in background with ID")})));
    EXPECT_TRUE(found.back().evidence.is_settled());
}

TEST_F(TranscriptTest, a_task_that_is_read_or_stopped_ends_the_use_that_started_it) {
    const struct {
        json content;
        json details;
        const char* error_type;
    } cases[] = {
        {"x",
         {{"retrieval_status", "success"}, {"task", {{"task_id", "b7"}, {"status", "completed"}, {"exitCode", 0}}}},
         ""},
        {"x", {{"task", {{"task_id", "b7"}, {"status", "failed"}, {"exitCode", 3}}}}, "exit_code"},
        {"x", {{"shellId", "b7"}, {"status", "completed"}, {"exitCode", 3}, {"stdout", ""}}, "exit_code"},
        {"x", {{"shellId", "b7"}, {"status", "killed"}}, "interrupted"},
        {"x", {{"message", "Successfully stopped task: b7 (x)"}, {"task_id", "b7"}}, "interrupted"},
        {"<retrieval_status>success</retrieval_status>\n<task_id>b7</task_id>\n<status>completed</status>\n"
         "<exit_code>1</exit_code>\n<output><status>running</status></output>",
         nullptr, "exit_code"},
    };
    int number = 0;
    for (const auto& [content, details, error_type] : cases) {
        found.clear();
        TranscriptReader fresh(namer, [this](AgentEvent&& event) { add(std::move(event)); });
        const std::string id = "id" + std::to_string(++number);
        EXPECT_TRUE(fresh.read_line(use_line(1, id, "Bash", {{"command", "pytest"}}).dump(), "s"));
        EXPECT_TRUE(fresh.read_line(with_details(result_line(1, id), {{"backgroundTaskId", "b7"}}).dump(), "s"));
        EXPECT_TRUE(fresh.read_line(use_line(8, "wait", "TaskOutput").dump(), "s"));
        EXPECT_TRUE(fresh.read_line(with_details(result_line(9, "wait", content), details).dump(), "s"));
        ASSERT_EQ(found.size(), 3U) << content << details;
        const auto& end = found[1].key == id ? found[1] : found[2];
        EXPECT_EQ(end.key, id);
        EXPECT_EQ(end.skill_name, "pytest-run");
        EXPECT_TRUE(end.evidence.is_settled());
        EXPECT_EQ(end.error_type, error_type) << content << details;
    }
}

TEST_F(TranscriptTest, a_task_that_still_runs_or_is_unknown_ends_nothing) {
    read(use_line(1, "a", "Bash"));
    read(with_details(result_line(1, "a"), {{"backgroundTaskId", "b7"}}));
    read(use_line(2, "wait", "TaskOutput"));
    read(with_details(result_line(3, "wait"), {{"task", {{"task_id", "b7"}, {"status", "running"}}}}));
    read(use_line(4, "other", "TaskOutput"));
    read(with_details(result_line(5, "other"), {{"task", {{"task_id", "b8"}, {"status", "completed"}}}}));
    read(queue_line(6, "enqueue", notification("a", "running", "x")));
    read(queue_line(6, "enqueue", notification("", "", "event")));
    for (const auto& event : found) {
        EXPECT_FALSE(event.is_supplement) << event.key;
    }
    read(queue_line(7, "enqueue", notification("", "completed", "x")));
    EXPECT_EQ(found.back().key, "a") << "by the id of the task";
    EXPECT_TRUE(found.back().is_supplement);
}

TEST_F(TranscriptTest, an_end_without_its_start_is_passed_on_under_a_placeholder) {
    read(queue_line(7, "enqueue", notification("a", "failed", "Background command \"x\" failed with exit code 1")));
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].skill_name, "Bash");
    EXPECT_EQ(found[0].evidence.name_basis, NameBasis::placeholder);
    EXPECT_EQ(found[0].error_type, "exit_code");
    EXPECT_EQ(reader.counts().found, 0);
}

// ---- Outcomes

TEST_F(TranscriptTest, the_duration_from_the_times_is_an_upper_bound) {
    read(use_line(1, "a", "Edit"));
    read(result_line(3, "a"));
    EXPECT_EQ(found.back().duration_seconds, 2.0);
    EXPECT_TRUE(found.back().is_upper_bound);
    read(use_line(1, "b", "Agent"));
    read(with_details(result_line(9, "b"), {{"status", "completed"}, {"totalDurationMs", 7500}}));
    EXPECT_EQ(found.back().duration_seconds, 7.5);
    EXPECT_FALSE(found.back().is_upper_bound);
}

TEST_F(TranscriptTest, a_denied_call_never_ran_and_an_interrupted_one_did) {
    const char* standard = "The user doesn't want to proceed with this tool use. The tool use was rejected.";
    const struct {
        json fields;
        const char* text;
        const char* error_type;
    } cases[] = {
        {{{"toolDenialKind", "user-rejected"}, {"toolDenialBeforeRun", true}, {"version", "2.1.332"}},
         standard,
         "rejected"},
        {{{"toolDenialKind", "user-rejected"}, {"version", "2.1.332"}}, standard, "interrupted"},
        {{{"toolDenialKind", "user-rejected"}, {"version", "2.2.0"}}, standard, "interrupted"},
        {{{"toolDenialKind", "user-rejected"}, {"version", "2.1.221"}}, standard, "rejected"},
        {{{"toolDenialKind", "user-rejected"}, {"version", "2.1.332"}}, "just take a different approach", "rejected"},
        {{{"toolDenialKind", "permission-rule"}}, "Error: BLOCKED: policy forbids it", "rejected"},
        {json::object(), "Permission for this action has been denied. Reason: x.", "rejected"},
        {json::object(), "Error: PreToolUse:Bash hook error: [x]: blocked", "rejected"},
        {json::object(), "Hook PreToolUse:Bash denied this tool", "rejected"},
        {json::object(), "Execution stopped by PreToolUse hook", "rejected"},
    };
    for (const auto& [fields, text, error_type] : cases) {
        const std::string id = "id" + std::to_string(found.size());
        read(use_line(1, id, "Bash"));
        json result = line("user", at(9), json::array({error_block(id, text)}));
        result.update(fields);
        read(result);
        EXPECT_EQ(found.back().error_type, error_type) << fields << text;
        EXPECT_EQ(found.back().duration_seconds.has_value(), found.back().error_type != "rejected");
    }
}

TEST_F(TranscriptTest, a_failed_command_of_an_old_version_has_no_exit_code_in_its_text) {
    const struct {
        const char* version;
        const char* tool;
        const char* text;
        const char* error_type;
    } cases[] = {
        {"2.0.27", "Bash", "FAIL tests/a.test.ts", "exit_code"},
        {"1.0.128", "Bash", "", "exit_code"},
        {"2.0.27", "Bash", "<tool_use_error>x</tool_use_error>", "tool_error"},
        {"2.0.27", "Bash", "Command timed out after 2m 0.0s", "timeout"},
        {"2.0.27", "Read", "File does not exist.", "tool_error"},
        {"2.0.64", "Bash", "FAIL tests/a.test.ts", "tool_error"},
        {"", "Bash", "FAIL tests/a.test.ts", "tool_error"},
    };
    for (const auto& [version, tool, text, error_type] : cases) {
        const std::string id = "id" + std::to_string(found.size());
        read(use_line(1, id, tool));
        json result = line("user", at(2), json::array({error_block(id, text)}));
        result["version"] = version;
        read(result);
        EXPECT_EQ(found.back().error_type, error_type) << version << tool << text;
    }
}

TEST_F(TranscriptTest, what_the_agent_kills_when_it_ends_is_interrupted) {
    read(use_line(1, "a", "Bash"));
    read({{"type", "cost-state"}, {"sessionId", "session-1"}});
    read(line("user", at(2), json::array({error_block("a", "Exit code 137")})));
    EXPECT_EQ(found.back().error_type, "interrupted");
    read(use_line(3, "b", "Bash"));
    read(line("user", at(4), json::array({error_block("b", "Exit code 137")})));
    EXPECT_EQ(found.back().error_type, "exit_code") << "killed by something else";
}

TEST_F(TranscriptTest, a_masked_outcome_is_read_from_the_output) {
    const json input = {{"command", "pytest 2>&1 | tail -5"}};
    read(use_line(1, "a", "Bash", input));
    read(result_line(2, "a", "=== 1 failed, 3 passed in 0.52s ==="));
    EXPECT_EQ(found.back().error_type, "exit_code");
    read(use_line(1, "b", "Bash", input));
    read(result_line(2, "b", json::array({{{"type", "text"}, {"text", "=== 3 passed in 0.52s ==="}}})));
    EXPECT_TRUE(found.back().completed);
    read(use_line(1, "c", "Bash", input));
    read(result_line(2, "c", "something else"));
    EXPECT_TRUE(found.back().is_unknown);
    read(use_line(1, "d", "Bash", input));
    read(with_details(result_line(2, "d", "<persisted-output>Output too large. Preview: x"),
                      {{"stdout", "x\n=== 1 failed in 0.52s ===\n"}}));
    EXPECT_EQ(found.back().error_type, "exit_code") << "the whole output stands elsewhere";
}

// ---- Typed commands

TEST_F(TranscriptTest, pasted_text_is_no_typed_command) {
    for (const char* text : {"Why does my log say <command-name>/deploy</command-name> here?",
                             "```\n<command-name>/rm-all</command-name>\n```\nexplain",
                             "<command-name>/deploy</command-name> is what I saw", "<bash-input>ls</bash-input>"}) {
        read(line("user", at(1), text));
    }
    read(line("user", at(2),
              json::array({{{"type", "text"}, {"text", "see:"}},
                           {{"type", "text"}, {"text", "<command-name>/x</command-name>"}}})));
    EXPECT_TRUE(found.empty());
}

TEST_F(TranscriptTest, builtin_commands_are_passed_on_only_if_wanted) {
    TranscriptReader strict(namer, [this](AgentEvent&& event) { add(std::move(event)); });
    const char* local[] = {"<command-name>/clear</command-name>\n<command-message>clear</command-message>",
                           "<local-command-caveat>x</local-command-caveat><command-name>/model</command-name>",
                           "<command-message>init</command-message>\n<command-name>/init</command-name>"};
    for (const char* text : local) {
        EXPECT_TRUE(strict.read_line(line("user", at(1), text).dump(), "s"));
    }
    EXPECT_TRUE(found.empty());
    // A command of the user may have the name of a local one; it is written as a prompt.
    const char* own = "<command-message>plan</command-message>\n<command-name>/plan</command-name>";
    EXPECT_TRUE(strict.read_line(line("user", at(1), own).dump(), "s"));
    EXPECT_EQ(found.size(), 1U);
    for (const char* text : local) {
        read(line("user", at(static_cast<double>(found.size()) + 2), text));
    }
    read({{"type", "system"},
          {"subtype", "local_command"},
          {"uuid", "c"},
          {"timestamp", at(9)},
          {"content", "<command-name>/context</command-name>\n<command-message>context</command-message>"}});
    EXPECT_EQ(found.size(), 5U);
    EXPECT_EQ(found.back().skill_name, "context");
}

// ---- Copies

TEST_F(TranscriptTest, a_copy_of_a_fork_belongs_to_the_session_it_was_copied_from) {
    json use = use_line(1, "a", "Read");
    use["sessionId"] = "fork";
    use["forkedFrom"] = {{"sessionId", "origin"}, {"messageUuid", "m"}};
    read(use);
    read(result_line(2, "a"));
    EXPECT_EQ(found.back().session_id, "origin");
    EXPECT_EQ(found.back().evidence.session_basis, SessionBasis::copy);
}

TEST_F(TranscriptTest, the_original_of_a_copy_corrects_the_session) {
    const auto read_in = [&](json value, const char* session, std::uint32_t file) {
        value["sessionId"] = session;
        ASSERT_TRUE(reader.read_line(value.dump(), "fallback", file));
    };
    // A resumed session: its first line is later than the copies that follow.
    read_in(queue_line(30, "enqueue", "go on"), "resumed", 1);
    read_in(use_line(1, "a", "Read"), "resumed", 1);
    read_in(result_line(2, "a"), "resumed", 1);
    read_in(use_line(31, "b", "Read"), "resumed", 1);
    read_in(result_line(32, "b"), "resumed", 1);
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].evidence.session_basis, SessionBasis::copy);
    EXPECT_EQ(found[1].evidence.session_basis, SessionBasis::original);
    read_in(use_line(1, "a", "Read"), "first", 2);
    read_in(result_line(2, "a"), "first", 2);
    read_in(use_line(1, "a", "Read"), "third", 3);
    ASSERT_EQ(found.size(), 3U);
    EXPECT_EQ(found[2].key, "a");
    EXPECT_EQ(found[2].session_id, "first");
    EXPECT_EQ(found[2].evidence.session_basis, SessionBasis::original);
    EXPECT_TRUE(found[2].is_supplement);
    EXPECT_EQ(reader.counts().found, 2);
    EXPECT_EQ(reader.counts().replayed, 2);
}

class TranscriptFileTest : public TranscriptTest {
  protected:
    void SetUp() override {
        directory =
            std::filesystem::path(testing::TempDir()) / ("transcript_" + std::to_string(std::random_device{}()));
        std::filesystem::create_directories(directory);
        path = directory / "the-session.jsonl";
        options.on_unreadable = [this](const UnreadableLine& line) { unreadable.push_back(line); };
    }
    void TearDown() override { std::filesystem::remove_all(directory); }

    void write(const std::string& text) { std::ofstream(path, std::ios::binary | std::ios::app) << text; }
    ReadOutcome read_file() { return read_transcript_file(path, reader, options); }

    std::filesystem::path directory;
    std::filesystem::path path;
    ReadOptions options;
    std::vector<UnreadableLine> unreadable;
};

TEST_F(TranscriptFileTest, a_use_is_no_copy_because_the_file_before_has_later_lines) {
    write(use_line(8, "b", "Read").dump() + '\n' + result_line(9, "b").dump() + '\n');
    EXPECT_EQ(read_file().error, "");
    std::filesystem::remove(path);
    write(use_line(1, "a", "Read").dump() + '\n' + result_line(2, "a").dump() + '\n');
    EXPECT_EQ(read_file().error, "");
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[1].key, "a");
    EXPECT_EQ(found[1].evidence.session_basis, SessionBasis::original);
}

TEST_F(TranscriptFileTest, a_result_is_paired_with_a_use_in_the_file_before) {
    write(use_line(1, "a", "Read").dump() + '\n');
    EXPECT_EQ(read_file().error, "");
    std::filesystem::remove(path);
    write(result_line(2, "a").dump() + '\n');
    EXPECT_EQ(read_file().error, "");
    EXPECT_EQ(found.size(), 1U);
    EXPECT_FALSE(reader.has_pending(options.file));
}

TEST_F(TranscriptFileTest, unreadable_lines_are_reported_and_skipped) {
    write(use_line(1, "a", "Read").dump() + "\nnonsense\n\n  \r\n" + result_line(2, "a").dump() + "\r\n");
    const ReadOutcome outcome = read_file();
    EXPECT_EQ(outcome.error, "");
    EXPECT_EQ(outcome.next_offset, std::filesystem::file_size(path));
    EXPECT_EQ(found.size(), 1U);
    ASSERT_EQ(unreadable.size(), 1U);
    EXPECT_EQ(unreadable[0].line_number, 2);
    EXPECT_EQ(reader.counts().unreadable_lines, 1);
    EXPECT_EQ(reader.counts().lines, 3);
}

TEST_F(TranscriptFileTest, a_half_written_last_line_is_left_for_the_next_read) {
    const std::string use = use_line(1, "a", "Read").dump() + "\n";
    const std::string result = result_line(2, "a").dump();
    write(use + result.substr(0, result.size() / 2));
    const ReadOutcome first = read_file();
    EXPECT_EQ(first.next_offset, use.size());
    EXPECT_TRUE(unreadable.empty());
    EXPECT_EQ(reader.counts().incomplete_lines, 1);
    EXPECT_EQ(reader.counts().unfinished, 1);
    EXPECT_TRUE(found.empty());

    write(result.substr(result.size() / 2) + "\n");
    options.offset = first.next_offset;
    EXPECT_EQ(read_file().next_offset, std::filesystem::file_size(path));
    EXPECT_EQ(found.size(), 1U);
}

TEST_F(TranscriptFileTest, a_complete_last_line_needs_no_newline) {
    write(use_line(1, "a", "Read").dump() + "\n" + result_line(2, "a").dump());
    EXPECT_EQ(read_file().next_offset, std::filesystem::file_size(path));
    EXPECT_EQ(found.size(), 1U);
    EXPECT_EQ(reader.counts().incomplete_lines, 0);
}

TEST_F(TranscriptFileTest, lines_longer_than_a_chunk_are_assembled) {
    const std::string filler(700000, 'x');
    write(use_line(1, "a", "Write", {{"content", filler}}).dump() + "\n" + result_line(2, "a", filler).dump() + "\n");
    EXPECT_EQ(read_file().next_offset, std::filesystem::file_size(path));
    EXPECT_EQ(found.size(), 1U);
}

TEST_F(TranscriptFileTest, a_line_over_the_limit_is_skipped) {
    options.max_line_bytes = 300000;
    const std::string filler(700000, 'x');
    write(use_line(1, "big", "Write", {{"content", filler}}).dump() + "\n" + use_line(1, "a", "Read").dump() + "\n" +
          result_line(2, "a").dump() + "\n" + filler);
    const ReadOutcome outcome = read_file();
    EXPECT_EQ(outcome.next_offset, std::filesystem::file_size(path) - filler.size());
    ASSERT_EQ(unreadable.size(), 1U);
    EXPECT_EQ(unreadable[0].line_number, 1);
    EXPECT_EQ(found.size(), 1U);
    EXPECT_EQ(reader.counts().incomplete_lines, 1);
}

TEST_F(TranscriptFileTest, the_file_name_replaces_a_missing_session) {
    json use = use_line(1, "a", "Read");
    use.erase("sessionId");
    write(use.dump() + "\n" + result_line(2, "a").dump() + "\n");
    (void)read_file();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].session_id, "the-session");
}

TEST_F(TranscriptFileTest, an_empty_file_holds_nothing) {
    write("");
    const ReadOutcome outcome = read_file();
    EXPECT_EQ(outcome.error, "");
    EXPECT_EQ(outcome.next_offset, 0U);
    EXPECT_EQ(reader.counts().lines, 0);
}

TEST_F(TranscriptFileTest, a_missing_file_and_a_folder_are_errors) {
    EXPECT_NE(read_file().error, "");
    EXPECT_NE(read_transcript_file(directory, reader, options).error, "");
}

TEST_F(TranscriptFileTest, reading_stops_when_the_callback_returns_false) {
    write(use_line(1, "a", "Read").dump() + "\n" + std::string(1000000, '\n'));
    std::uint64_t seen = 0;
    options.on_bytes = [&](std::uint64_t bytes) {
        seen = bytes;
        return false;
    };
    const ReadOutcome outcome = read_file();
    EXPECT_TRUE(outcome.stopped);
    EXPECT_GT(seen, 0U);
    EXPECT_LT(seen, std::filesystem::file_size(path));
    EXPECT_EQ(outcome.next_offset, seen);
}

TEST_F(TranscriptFileTest, a_resume_offset_separates_no_pair) {
    const std::string first = use_line(1, "a", "Read").dump() + "\n" + result_line(2, "a").dump() + "\n";
    const std::string second = use_line(3, "b", "Read").dump() + "\n" + use_line(3, "c", "Read").dump() + "\n" +
                               result_line(4, "b").dump() + "\n";
    write(first + second);
    const ReadOutcome outcome = read_file();
    EXPECT_EQ(outcome.next_offset, first.size() + second.size());
    EXPECT_EQ(outcome.resume_offset, first.size());

    write(result_line(5, "c").dump() + "\n");
    options.offset = outcome.next_offset;
    EXPECT_EQ(read_file().resume_offset, std::filesystem::file_size(path));
}

TEST_F(TranscriptFileTest, a_read_that_starts_with_pending_uses_may_have_no_resume_offset) {
    write(use_line(1, "a", "Read").dump() + "\n");
    options.offset = read_file().next_offset;
    write(use_line(2, "b", "Read").dump() + "\n");
    EXPECT_EQ(read_file().resume_offset, std::nullopt);
}

TEST_F(TranscriptFileTest, no_more_than_max_bytes_is_read) {
    const std::string filler(400000, 'x');
    for (const char* id : {"a", "b", "c"}) {
        write(use_line(1, id, "Write", {{"content", filler}}).dump() + "\n" + result_line(2, id).dump() + "\n");
    }
    options.max_bytes = 1;
    std::vector<std::size_t> found_so_far;
    ReadOutcome outcome;
    while (!outcome.at_end) {
        const std::uint64_t before = options.offset;
        outcome = read_file();
        options.offset = outcome.next_offset;
        ASSERT_TRUE(outcome.at_end || outcome.next_offset > before);
        found_so_far.push_back(found.size());
    }
    EXPECT_EQ(found.size(), 3U);
    EXPECT_LT(found_so_far.front(), 3U);
    EXPECT_EQ(options.offset, std::filesystem::file_size(path));
}

TEST_F(TranscriptFileTest, pairs_are_found_across_files) {
    write(use_line(1, "a", "Read").dump() + "\n");
    (void)read_file();
    path = directory / "other.jsonl";
    write(result_line(2, "a").dump() + "\n");
    (void)read_file();
    EXPECT_EQ(found.size(), 1U);
}

TEST_F(TranscriptFileTest, a_record_behind_a_torn_one_is_read) {
    write(R"({"type":"pr-link","sessionId":"s1","prNu)" + use_line(1, "a", "Read").dump() + "\n" +
          result_line(2, "a").dump() + "\n");
    (void)read_file();
    EXPECT_EQ(found.size(), 1U);
    ASSERT_EQ(unreadable.size(), 1U) << "the torn one is lost";
    EXPECT_EQ(unreadable[0].line_number, 1);
    EXPECT_EQ(reader.counts().unfinished, 0);
}

TEST_F(TranscriptFileTest, a_record_among_nul_bytes_is_read) {
    const std::string nuls(5000, '\0');
    write(nuls + use_line(1, "a", "Read").dump() + "\n" + result_line(2, "a").dump() + nuls + "\n" + "torn" + nuls +
          use_line(3, "b", "Read").dump() + "\n" + result_line(4, "b").dump() + "\n");
    (void)read_file();
    EXPECT_EQ(found.size(), 2U);
    EXPECT_EQ(unreadable.size(), 1U);
}

TEST_F(TranscriptFileTest, records_glued_to_each_other_are_read) {
    write(use_line(1, "a", "Read").dump() + result_line(2, "a").dump() + use_line(3, "b", "Read").dump() + "\n" +
          result_line(4, "b").dump() + "\n");
    (void)read_file();
    EXPECT_EQ(found.size(), 2U);
    EXPECT_TRUE(unreadable.empty());
    EXPECT_EQ(reader.counts().lines, 4);
}

TEST_F(TranscriptFileTest, the_last_block_of_a_torn_record_is_no_record) {
    std::string torn = use_line(1, "a", "Read").dump();
    torn.resize(torn.rfind("}]"));
    write(torn + "\n");
    (void)read_file();
    EXPECT_EQ(unreadable.size(), 1U);
    EXPECT_EQ(reader.counts().lines, 1);
    EXPECT_TRUE(found.empty());
}

}  // namespace
}  // namespace session_buddy::ingest
