// Converts parsed input (ingest) to events for the store (storage), for each source.
#pragma once

#include <cstddef>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/ingest/agent_event.hpp"
#include "session_buddy/ingest/invocation_json.hpp"
#include "session_buddy/storage/event_store.hpp"

namespace session_buddy::app {

/// A typed command without a key gets a random one.
[[nodiscard]] storage::SkillEvent to_skill_event(ingest::AgentEvent event);

/// If the record has no time, it ended at `now` and started its duration earlier.
[[nodiscard]] storage::SkillEvent to_skill_event(ingest::ReportedInvocation invocation, TimePoint now);

/// Events of transcripts that are stored at a time.
inline constexpr std::size_t kTranscriptBatchRows = 500;

}  // namespace session_buddy::app
