// Sums the metrics of skills by MCP server.
#include "session_buddy/protocol/groups.hpp"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "session_buddy/ingest/skill_name.hpp"
#include "session_buddy/protocol/entities.hpp"

namespace session_buddy::protocol {
namespace {

constexpr std::string_view kMcpPrefix = "mcp:";

/// The durations behind a mean.
struct Durations {
    std::int64_t count = 0;
    double seconds = 0.0;
    const WindowMetrics* only = nullptr;  ///< the skill that has all of them; null if several have

    void add(std::int64_t more, const WindowMetrics& window) {
        if (more > 0) {
            only = count == 0 ? &window : nullptr;
            count += more;
            seconds += window.avg_duration_seconds * static_cast<double>(more);
        }
    }
};

struct Sums {
    SkillGroup group;
    Durations measured;
    Durations bounds;  ///< of skills without a measured duration

    void add(const SkillMetrics& skill) {
        ++group.skill_count;
        const WindowMetrics& window = skill.window;
        group.window.last_invocation_at = window.invocation_count == 0 ? group.window.last_invocation_at
                                          : group.window.invocation_count == 0
                                              ? window.last_invocation_at
                                              : std::max(group.window.last_invocation_at, window.last_invocation_at);
        group.window.invocation_count += window.invocation_count;
        group.window.completed_count += window.completed_count;
        group.window.unknown_count += window.unknown_count;
        group.window.timed_count += window.timed_count;
        group.window.measured_count += window.measured_count;
        if (window.measured_count > 0) {
            measured.add(window.measured_count, window);
        } else {
            bounds.add(window.timed_count, window);
        }
        const LifetimeMetrics& lifetime = skill.lifetime;
        group.lifetime.total_invocations += lifetime.total_invocations;
        group.lifetime.completed_invocations += lifetime.completed_invocations;
        group.lifetime.unknown_invocations += lifetime.unknown_invocations;
        group.lifetime.last_invocation_at = std::max(group.lifetime.last_invocation_at, last_invocation(skill));
    }

    [[nodiscard]] SkillGroup finish() && {
        const Durations& durations = measured.count > 0 ? measured : bounds;
        if (durations.count > 0) {
            group.window.avg_duration_seconds = durations.seconds / static_cast<double>(durations.count);
        }
        if (durations.only != nullptr) {
            group.window.p50_duration_seconds = durations.only->p50_duration_seconds;
            group.window.p95_duration_seconds = durations.only->p95_duration_seconds;
        }
        return std::move(group);
    }
};

bool is_more_active(const SkillGroup& left, const SkillGroup& right) {
    if (left.window.invocation_count != right.window.invocation_count) {
        return left.window.invocation_count > right.window.invocation_count;
    }
    if (left.lifetime.last_invocation_at != right.lifetime.last_invocation_at) {
        return left.lifetime.last_invocation_at > right.lifetime.last_invocation_at;
    }
    return left.group < right.group;
}

}  // namespace

std::vector<SkillGroup> skill_groups(const SkillTable& skills) {
    std::map<std::string_view, Sums> servers;
    for (std::uint32_t index = 0; index < skills.size(); ++index) {
        const SkillMetrics& skill = skills.at(index);
        if (const std::string_view server = ingest::mcp_server(skill.skill_name); !server.empty()) {
            servers[server].add(skill);
        }
    }
    std::vector<SkillGroup> groups;
    groups.reserve(servers.size());
    for (auto& [server, sums] : servers) {
        sums.group.group = std::string(kMcpPrefix) + std::string(server);
        groups.push_back(std::move(sums).finish());
    }
    std::ranges::sort(groups, is_more_active);
    return groups;
}

}  // namespace session_buddy::protocol
