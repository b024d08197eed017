// Converts parsed input (ingest) to events for the store (storage), for each source.
#pragma once

#include <cstddef>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/ingest/hook_event.hpp"
#include "session_buddy/ingest/invocation_json.hpp"
#include "session_buddy/ingest/transcript.hpp"
#include "session_buddy/storage/event_store.hpp"

namespace session_buddy::app {

/// `at`: when it was received. A typed command gets a random dedup key, because Claude Code provides none.
[[nodiscard]] storage::SkillEvent to_skill_event(ingest::HookEvent event, TimePoint at);

/// If the record has no time, it ended at `now` and started its duration earlier.
[[nodiscard]] storage::SkillEvent to_skill_event(ingest::ReportedInvocation invocation, TimePoint now);

[[nodiscard]] storage::SkillEvent to_skill_event(ingest::TranscriptInvocation invocation);

/// Invocations of transcripts that are stored at a time.
inline constexpr std::size_t kTranscriptBatchRows = 1000;

}  // namespace session_buddy::app
