// From what was read (ingest) to what is stored (storage), for each way in.
#pragma once

#include "session_buddy/core/clock.hpp"
#include "session_buddy/ingest/hook_event.hpp"
#include "session_buddy/ingest/invocation_json.hpp"
#include "session_buddy/ingest/transcript.hpp"
#include "session_buddy/storage/event_store.hpp"

namespace session_buddy::app {

/// `at`: when it was received. A typed command gets a key of its own, as Claude Code gives it none.
[[nodiscard]] storage::SkillEvent to_skill_event(ingest::HookEvent event, TimePoint at);

/// `now` counts where the record tells no time; it then began a duration earlier.
[[nodiscard]] storage::SkillEvent to_skill_event(ingest::ReportedInvocation invocation, TimePoint now);

[[nodiscard]] storage::SkillEvent to_skill_event(ingest::TranscriptInvocation invocation);

}  // namespace session_buddy::app
