// Recognition of the session files of agents that cannot be imported.
#include "session_buddy/ingest/other_agents.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace session_buddy::ingest {
namespace {

TEST(OtherAgents, are_recognized_by_the_first_lines_of_their_files) {
    for (const auto& [agent, text] : {
             std::pair{"Codex", R"({"timestamp": "t", "type": "session_meta", "payload": {"id": "1"}})"},
             std::pair{"Codex", R"({"timestamp":"t","type":"response_item","payload":{"type":"function_call"}})"},
             std::pair{"Codex", R"({"record_type":"state"})"},
             std::pair{"Gemini CLI", "{\n  \"sessionId\": \"s\",\n  \"projectHash\": \"h\",\n  \"messages\": ["},
             std::pair{"Gemini CLI", R"({"id":"1","timestamp":"t","type":"gemini","content":"x"})"},
             std::pair{"OpenCode", R"({"info":{"id":"ses_1","version":"1.18.4"},"messages":[{"in)"},
             std::pair{"OpenCode", R"({"type":"step_start","timestamp":1,"sessionID":"ses_1","part":{}})"},
             std::pair{"GitHub Copilot CLI", R"({"type":"session.start","data":{"copilotVersion":"1.0"}})"},
             std::pair{"GitHub Copilot CLI", R"({"type":"user.message","data":{},"id":"1","parentId":null})"},
             std::pair{"GitHub Copilot CLI", R"({"type":"tool.execution_start","data":{},"parentId":"1"})"},
             std::pair{"Pi", R"({"type":"session","version":3,"id":"1","timestamp":"t","cwd":"/"})"},
             std::pair{"Pi", R"({"type":"message","message":{"role":"toolResult","toolCallId":"1"}})"},
         }) {
        EXPECT_EQ(recognize_other_agent(text), agent) << text;
        EXPECT_EQ(recognize_other_agent(std::string(text) + "\n{\"cut"), agent) << text;
    }
}

TEST(OtherAgents, other_texts_are_of_none) {
    for (const char* text : {"", "{", "Dear diary", R"({"skills": {}, "invocations": []})", R"({"type":"session"})",
                             R"({"type":"session_metadata","payload":{}})", R"(["type","session_meta","payload"])",
                             R"({"type" "session_meta","payload":{}})"}) {
        EXPECT_EQ(recognize_other_agent(text), "") << text;
    }
    const std::string late = std::string(kRecognizedBytes, ' ') + R"({"copilotVersion":"1"})";
    EXPECT_EQ(recognize_other_agent(late), "");
}

}  // namespace
}  // namespace session_buddy::ingest
