// The table of agents, and what the reader does with the events that the source of a line passes to it.
#include "ingest/source.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "support/agent_events.hpp"

namespace session_buddy::ingest {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

options::Environment environment(const std::map<std::string, std::string>& variables) {
    options::Environment made;
    made.get = [variables](const std::string& name) {
        const auto found = variables.find(name);
        return found != variables.end() ? std::optional(found->second) : std::nullopt;
    };
    return made;
}

std::vector<std::string> folders(const std::map<std::string, std::string>& variables) {
    std::vector<std::string> names;
    for (const auto& folder : kClaudeCode.session_folders(environment(variables))) {
        names.push_back(folder.string());
    }
    return names;
}

TEST(Sources, name_their_agents_and_folders_for_messages) {
    std::set<std::string_view> names;
    for (const Source* source : kSources) {
        EXPECT_TRUE(names.insert(source->agent).second) << source->agent;
        EXPECT_THAT(transcript_agents(), HasSubstr(std::string(source->agent)));
        EXPECT_THAT(default_session_folders(), HasSubstr(std::string(source->default_folders)));
    }
}

TEST(Sources, all_their_folders_are_searched) {
    const auto all = session_folders(environment({{"HOME", "/home/a"}}));
    for (const Source* source : kSources) {
        for (const auto& folder : source->session_folders(environment({{"HOME", "/home/a"}}))) {
            EXPECT_THAT(all, testing::Contains(folder));
        }
    }
    EXPECT_TRUE(session_folders(environment({})).empty()) << "without a home directory there are none";
}

TEST(ClaudeCode, stores_sessions_in_the_projects_of_its_config_folders) {
    EXPECT_THAT(folders({{"HOME", "/home/a"}}),
                ElementsAre("/home/a/.claude/projects", "/home/a/.config/claude/projects"));
    EXPECT_THAT(folders({{"HOME", "/home/a"}, {"CLAUDE_CONFIG_DIR", "/one, /two,,"}}),
                ElementsAre("/one/projects", "/two/projects"));
}

class ReaderEvents : public testing::Test {
  protected:
    static EventLine line(std::string_view time, std::string_view session = "s1") {
        return {{.fallback_session = "fallback", .file = 7}, session, time};
    }
    void use(std::string_view id, std::string_view time = "2026-02-10T12:00:00Z") {
        reader.add_use(line(time), id, false, [this](const SkillNamer&) {
            ++named;
            return ToolReading{.skill_name = "skill"};
        });
    }
    void result(std::string_view id, const ToolResult& end = {}) {
        reader.add_result(line("2026-02-10T12:00:02Z"), id, end, [] { return std::string(); });
    }

    SkillNamer namer;
    std::vector<test::ResolvedEvent> found;
    TranscriptReader reader{namer, [this](AgentEvent&& event) { found.push_back(test::resolved(std::move(event))); }};
    int named = 0;
};

TEST_F(ReaderEvents, a_use_and_its_result_are_one_invocation_in_either_order) {
    use("a");
    EXPECT_TRUE(reader.has_pending(7));
    result("a");
    result("b", {.is_error = true, .error_class = "exit_code", .duration_seconds = 0.5});
    EXPECT_TRUE(reader.has_pending(7));
    use("b");
    EXPECT_FALSE(reader.has_pending(7));
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].key, "a");
    EXPECT_EQ(found[0].skill_name, "skill");
    EXPECT_EQ(found[0].session_id, "s1");
    EXPECT_TRUE(found[0].completed);
    EXPECT_EQ(found[0].duration_seconds, 2.0) << "from the times";
    EXPECT_EQ(found[0].error_type, "");
    EXPECT_FALSE(found[1].completed);
    EXPECT_EQ(found[1].duration_seconds, 0.5) << "as measured";
    EXPECT_EQ(found[1].error_type, "exit_code");
}

TEST_F(ReaderEvents, skipped_uses_are_counted_and_not_named) {
    use("");
    use("no time", "yesterday");
    use("a");
    use("a");
    result("a");
    use("a");
    result("a");
    EXPECT_EQ(named, 1);
    EXPECT_EQ(found.size(), 1U);
    EXPECT_EQ(reader.counts().without_time, 1);
    EXPECT_EQ(reader.counts().replayed, 2);
}

TEST_F(ReaderEvents, a_command_without_an_id_has_the_session_and_the_time_as_its_key) {
    const std::string time = "2026-02-10T12:00:00Z";
    reader.add_command(line(time), "id", "review");
    reader.add_command(line(time), "id", "review");
    reader.add_command(line(time, ""), "", "review");
    reader.add_command(line("yesterday"), "other", "review");
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].key, "command:id");
    EXPECT_EQ(found[0].kind, AgentEvent::Kind::command);
    EXPECT_TRUE(found[0].completed);
    EXPECT_EQ(found[1].key, "command:fallback@" + time);
    EXPECT_EQ(reader.counts().replayed, 1);
    EXPECT_EQ(reader.counts().without_time, 1);
}

}  // namespace
}  // namespace session_buddy::ingest
