// What an agent reported, in a hook event or in its transcript, about an invocation. Prompts, arguments, outputs and
// error texts are used only to derive the skill name, the outcome and the error type, and never stored.
#pragma once

#include <cstdint>
#include <string>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/evidence.hpp"

namespace session_buddy::ingest {

struct AgentEvent {
    enum class Kind : std::uint8_t {
        use,          ///< claims about a tool use: its start, its end, or both
        command,      ///< the user typed /name
        session_end,  ///< the session ended; only session_id and `at` are set
    };
    Kind kind = Kind::use;
    /// The dedup key, valid for is_valid_event_key. use: the tool_use id. command: from the id of the prompt or of the
    /// transcript line; empty if the agent sent none.
    std::string key;
    std::string skill_name;  ///< valid as core/invocation.hpp says; empty for session_end
    std::string session_id;
    TimePoint at;  ///< of a hook event: when it was received; else when the invocation started, or ended if only that
                   ///< is known
    Evidence evidence;
    /// Adds to a tool use that another event reports, too: its end in the background, or its session.
    bool is_supplement = false;
    bool bad_duration = false;  ///< there was an invalid duration, which is ignored
};

}  // namespace session_buddy::ingest
