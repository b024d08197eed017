// Field-by-field conversion, and random dedup keys for typed commands.
#include "session_buddy/app/skill_events.hpp"

#include <spdlog/fmt/fmt.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <utility>

#include "session_buddy/core/timestamp.hpp"

namespace session_buddy::app {
namespace {

using Kind = storage::SkillEvent::Kind;

Kind kind_of(ingest::AgentEvent::Kind kind) {
    switch (kind) {
        case ingest::AgentEvent::Kind::use:
            return Kind::use;
        case ingest::AgentEvent::Kind::command:
            return Kind::command;
        case ingest::AgentEvent::Kind::session_end:
            break;
    }
    return Kind::session_end;
}

/// 96 random bits, because another process may create a key at the same time.
std::string new_command_key() {
    std::random_device random;
    return fmt::format("hook:{:08x}{:08x}{:08x}", random(), random(), random());
}

template <typename Value>
Claim<Value> reported(Value value) {
    return {.source = EvidenceSource::report, .value = std::move(value)};
}

}  // namespace

storage::SkillEvent to_skill_event(ingest::AgentEvent event) {
    storage::SkillEvent stored;
    stored.kind = kind_of(event.kind);
    stored.key = stored.kind == Kind::command && event.key.empty() ? new_command_key() : std::move(event.key);
    stored.at = event.at;
    stored.record.skill_name = std::move(event.skill_name);
    stored.record.session_id = std::move(event.session_id);
    stored.evidence = std::move(event.evidence);
    return stored;
}

storage::SkillEvent to_skill_event(ingest::ReportedInvocation invocation, TimePoint now) {
    constexpr double kMicrosPerSecond = 1e6;
    storage::SkillEvent stored;
    stored.kind = Kind::use;
    stored.key = std::move(invocation.key);
    stored.at = start_time(now, invocation.duration_seconds.value_or(0.0));
    stored.record.skill_name = std::move(invocation.skill_name);
    stored.record.session_id = std::move(invocation.session_id);
    stored.record.workflow_path = std::move(invocation.workflow_path);
    stored.record.workflow_phase = std::move(invocation.workflow_phase);
    stored.record.workflow_step_id = std::move(invocation.workflow_step_id);
    stored.record.selection_rank = invocation.selection_rank;
    Evidence& evidence = stored.evidence;
    evidence.name_basis = NameBasis::report;
    evidence.session_basis = SessionBasis::original;
    evidence.started = reported(parse_timestamp(invocation.invoked_at).value_or(stored.at));
    stored.record.invoked_at = std::move(invocation.invoked_at);  // stored as given if no better source has another
    if (invocation.outcome_is_unknown) {
        evidence.is_abandoned = true;  // not a claim: any other source may know the outcome
    } else {
        evidence.result.outcome =
            reported(ClaimedOutcome{.outcome = invocation.completed ? Outcome::completed : Outcome::failed,
                                    .error_type = invocation.error_type.value_or("")});
    }
    if (invocation.duration_seconds) {
        evidence.result.measured_us =
            reported<std::int64_t>(std::llround(*invocation.duration_seconds * kMicrosPerSecond));
    }
    return stored;
}

}  // namespace session_buddy::app
