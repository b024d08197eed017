// The sums over the tools of each MCP server.
#include "session_buddy/protocol/groups.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "protocol/sample_snapshot.hpp"
#include "session_buddy/protocol/api_response.hpp"

namespace session_buddy::protocol {
namespace {

using nlohmann::json;
using std::chrono::minutes;
using test::kNoon;
using testing::ElementsAre;
using testing::IsEmpty;

SkillMetrics tool(std::string name, std::int64_t count, std::int64_t completed, std::int64_t unknown, TimePoint last) {
    SkillMetrics result;
    result.skill_name = std::move(name);
    result.window.invocation_count = count;
    result.window.completed_count = completed;
    result.window.unknown_count = unknown;
    result.window.last_invocation_at = last;
    result.lifetime = {count * 10, completed * 10, 0.0, last, unknown * 10};
    return result;
}

void set_durations(SkillMetrics& skill, std::int64_t measured, std::int64_t bounds, double mean) {
    skill.window.timed_count = measured + bounds;
    skill.window.measured_count = measured;
    skill.window.avg_duration_seconds = mean;
}

std::vector<std::string> names(const std::vector<SkillGroup>& groups) {
    std::vector<std::string> found;
    for (const auto& group : groups) {
        found.push_back(group.group);
    }
    return found;
}

TEST(SkillGroups, sum_the_tools_of_a_server) {
    const auto groups = skill_groups(
        *test::table_of({tool("mcp__github__get_issue", 6, 5, 2, kNoon - minutes{2}), tool("Bash", 100, 100, 0, kNoon),
                         tool("mcp__github__search", 4, 3, 1, kNoon - minutes{1})}));
    ASSERT_THAT(names(groups), ElementsAre("mcp:github"));
    EXPECT_EQ(groups[0].skill_count, 2);
    EXPECT_EQ(groups[0].window.invocation_count, 10);
    EXPECT_EQ(groups[0].window.completed_count, 8);
    EXPECT_EQ(groups[0].window.unknown_count, 3);
    EXPECT_EQ(groups[0].window.last_invocation_at, kNoon - minutes{1});
    EXPECT_EQ(groups[0].lifetime.total_invocations, 100);
    EXPECT_EQ(groups[0].lifetime.completed_invocations, 80);
    EXPECT_EQ(groups[0].lifetime.unknown_invocations, 30);
    EXPECT_EQ(groups[0].lifetime.last_invocation_at, kNoon - minutes{1});
}

TEST(SkillGroups, are_sorted_by_activity_and_then_by_name) {
    const auto groups = skill_groups(*test::table_of(
        {tool("mcp__idle__a", 0, 0, 0, kNoon), tool("mcp__b__x", 2, 2, 0, kNoon), tool("mcp__a__x", 2, 2, 0, kNoon),
         tool("mcp__new__x", 2, 2, 0, kNoon + minutes{1}), tool("mcp__busy__x", 3, 0, 0, kNoon - minutes{9})}));
    EXPECT_THAT(names(groups), ElementsAre("mcp:busy", "mcp:new", "mcp:a", "mcp:b", "mcp:idle"));
}

TEST(SkillGroups, have_the_mean_of_all_measured_durations) {
    auto quick = tool("mcp__s__quick", 6, 6, 0, kNoon);
    set_durations(quick, 3, 1, 1.0);
    auto slow = tool("mcp__s__slow", 2, 2, 0, kNoon);
    set_durations(slow, 1, 0, 5.0);
    auto waited = tool("mcp__s__waited", 2, 2, 0, kNoon);
    set_durations(waited, 0, 2, 900.0);
    auto groups = skill_groups(*test::table_of({quick, slow, waited}));
    ASSERT_EQ(groups.size(), 1U);
    EXPECT_DOUBLE_EQ(groups[0].window.avg_duration_seconds, 2.0);
    EXPECT_EQ(groups[0].window.measured_count, 4);
    EXPECT_EQ(groups[0].window.timed_count, 7);

    EXPECT_EQ(groups[0].window.p50_duration_seconds, std::nullopt);

    waited.window.p50_duration_seconds = 850.0;
    waited.window.p95_duration_seconds = 990.0;
    groups = skill_groups(*test::table_of({waited, tool("mcp__s__untimed", 1, 0, 0, kNoon)}));
    EXPECT_EQ(groups[0].window.p50_duration_seconds, 850.0);
    EXPECT_EQ(groups[0].window.p95_duration_seconds, 990.0);
    EXPECT_DOUBLE_EQ(groups[0].window.avg_duration_seconds, 900.0);
    EXPECT_EQ(groups[0].window.measured_count, 0);
}

TEST(GroupsResponse, has_a_page_of_the_groups) {
    Snapshot snapshot;
    snapshot.sequence = 1;
    snapshot.at = kNoon;
    snapshot.skills = test::table_of({tool("mcp__github__get_issue", 6, 5, 2, kNoon),
                                      tool("mcp__idle__x", 0, 0, 0, kNoon), tool("mcp__jira__x", 1, 0, 0, kNoon)});
    const auto response = [&](const GroupsRequest& request) {
        return json::parse(groups_response(snapshot, request).text);
    };
    const auto all = response({.page = {.limit = 2}});
    EXPECT_EQ(all.at("at"), "2026-02-10T12:00:00Z");
    EXPECT_EQ(all.at("total"), 3);
    ASSERT_EQ(all.at("groups").size(), 2U);
    const auto& first = all.at("groups").at(0);
    EXPECT_EQ(first.at("group"), "mcp:github");
    EXPECT_EQ(first.at("skill_count"), 1);
    EXPECT_EQ(first.at("window").at("completion_rate"), 0.75);
    EXPECT_TRUE(first.at("window").at("avg_duration").is_null());
    EXPECT_EQ(first.at("lifetime").at("completion_rate"), 0.75);
    EXPECT_EQ(response({.active = true, .page = {.limit = 9}}).at("total"), 2);
    EXPECT_THAT(response({.page = {.limit = 9, .offset = 3}}).at("groups"), IsEmpty());
}

}  // namespace
}  // namespace session_buddy::protocol
