// Parses one hook event of Claude Code, from stdin or from a request body. Prompts, arguments, outputs and error texts
// are used only to derive the skill name and the error type, and never stored.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "session_buddy/ingest/skill_name.hpp"

namespace session_buddy::ingest {

/// An event that counts for metrics. Hook events have no timestamp: the time of receipt counts.
struct HookEvent {
    enum class Kind : std::uint8_t {
        started,      ///< PreToolUse
        finished,     ///< PostToolUse, PostToolUseFailure
        command,      ///< UserPromptExpansion: the user typed /name
        session_end,  ///< SessionEnd
    };
    Kind kind = Kind::started;
    std::string key;         ///< the tool_use_id; only of started and finished
    std::string skill_name;  ///< valid as core/invocation.hpp says; empty for session_end
    std::string session_id;
    bool completed = false;
    std::optional<double> duration_seconds;  ///< as Claude Code measured it; only of finished, optional
    bool bad_duration = false;               ///< duration_ms was invalid and is ignored
    std::string error_type;                  ///< see error_class.hpp; empty if completed
};

/// A valid event that is not recorded: SessionStart, Stop, kinds this version does not know, …
struct IgnoredEvent {};

/// Input that is not a valid event. Contains nothing of the input itself.
struct BadEvent {
    std::string field;   ///< the invalid field; empty if the whole input is invalid
    std::string reason;  ///< a sentence without a full stop
};

[[nodiscard]] std::variant<HookEvent, IgnoredEvent, BadEvent> read_hook_event(std::string_view json,
                                                                              const SkillNamer& namer);

}  // namespace session_buddy::ingest
