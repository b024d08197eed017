// Reads one hook event of Claude Code, as it comes on stdin or as the body of a request.
// Prompts, arguments, outputs and error texts are looked at where a name or a class depends on them, and never kept.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "session_buddy/ingest/skill_name.hpp"

namespace session_buddy::ingest {

/// An event that matters to metrics. Hooks tell no time: it happens when it is received.
struct HookEvent {
    enum class Kind : std::uint8_t {
        started,      ///< PreToolUse
        finished,     ///< PostToolUse, PostToolUseFailure
        command,      ///< UserPromptExpansion: the user typed /name
        session_end,  ///< SessionEnd
    };
    Kind kind = Kind::started;
    std::string key;         ///< the tool_use_id; of started and finished alone
    std::string skill_name;  ///< valid as core/invocation.hpp says; empty for session_end
    std::string session_id;
    bool completed = false;
    std::optional<double> duration_seconds;  ///< as Claude Code measured it; of finished alone, and not always there
    bool bad_duration = false;               ///< its duration_ms is not a duration that counts, and was left out
    std::string error_type;                  ///< of error_class.hpp; empty where completed
};

/// An event that nothing is made of: SessionStart, Stop, one that did not exist when this was written, …
struct IgnoredEvent {};

/// Something that is no event. Holds nothing of what was sent.
struct BadEvent {
    std::string field;   ///< the one at fault; empty where it is the whole
    std::string reason;  ///< a sentence without a full stop
};

[[nodiscard]] std::variant<HookEvent, IgnoredEvent, BadEvent> read_hook_event(std::string_view json,
                                                                              const SkillNamer& namer);

}  // namespace session_buddy::ingest
