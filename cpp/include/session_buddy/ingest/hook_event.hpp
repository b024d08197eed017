// Parses one hook event of Claude Code, from stdin or from a request body. Prompts, arguments, outputs and error texts
// are used only to derive the skill name, the outcome and the error type, and never stored.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/ingest/agent_event.hpp"
#include "session_buddy/ingest/skill_name.hpp"

namespace session_buddy::ingest {

/// Input that is not a valid event. Contains nothing of the input itself.
struct BadEvent {
    std::string field;   ///< the invalid field; empty if the whole input is invalid
    std::string reason;  ///< a sentence without a full stop
};

/// Of one PostToolBatch, further calls are ignored.
inline constexpr std::size_t kMaxBatchCalls = 1000;

/// The events that a hook event reports; none if it is valid but not recorded: SessionStart, Stop, kinds this version
/// does not know, … Several only for PostToolBatch and for a prompt that reports the end of several background tasks.
/// Hook events have no timestamp: `received` counts. `builtin_commands`: record slash commands that Claude Code itself
/// provides, too.
[[nodiscard]] std::variant<std::vector<AgentEvent>, BadEvent> read_hook_event(std::string_view json,
                                                                              const SkillNamer& namer,
                                                                              TimePoint received,
                                                                              bool builtin_commands = false);

}  // namespace session_buddy::ingest
