// An event of an agent together with what follows from it.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "session_buddy/core/evidence.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/ingest/agent_event.hpp"

namespace session_buddy::test {

struct ResolvedEvent : ingest::AgentEvent {
    bool completed = false;  ///< and known to be
    bool is_unknown = true;
    std::optional<double> duration_seconds;
    bool is_upper_bound = false;
    std::string error_type;
    std::string invoked_at;
};

inline ResolvedEvent resolved(ingest::AgentEvent event) {
    Resolution resolution = resolve(event.evidence, event.at);
    ResolvedEvent made;
    static_cast<ingest::AgentEvent&>(made) = std::move(event);
    made.completed = resolution.outcome == Outcome::completed;
    made.is_unknown = resolution.outcome == Outcome::unknown;
    made.duration_seconds = resolution.duration_seconds;
    made.is_upper_bound = resolution.is_upper_bound;
    made.error_type = std::move(resolution.error_type);
    made.invoked_at = format_precise_timestamp(resolution.invoked_at);
    return made;
}

}  // namespace session_buddy::test
