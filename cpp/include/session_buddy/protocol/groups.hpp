// Groups of skills whose metrics are summed: the tools of each MCP server.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "session_buddy/core/snapshot.hpp"

namespace session_buddy::protocol {

struct SkillGroup {
    std::string group;  ///< "mcp:" and the name of the server
    std::int64_t skill_count = 0;
    WindowMetrics window;
    LifetimeMetrics lifetime;  ///< without a mean: how many invocations have a duration is not kept
};

/// Most invocations in the window first, then the latest invocation, then by name. Linear in the number of skills.
/// The mean of a group is of measured durations, if any of its skills has one; else of upper bounds. It has quantiles
/// only if these durations are all of one skill: quantiles of several cannot be combined.
[[nodiscard]] std::vector<SkillGroup> skill_groups(const SkillTable& skills);

}  // namespace session_buddy::protocol
