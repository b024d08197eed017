// Field-by-field conversion, and random dedup keys for typed commands.
#include "session_buddy/app/skill_events.hpp"

#include <spdlog/fmt/fmt.h>

#include <cstdint>
#include <random>
#include <string>
#include <utility>

#include "session_buddy/core/timestamp.hpp"

namespace session_buddy::app {
namespace {

using Kind = storage::SkillEvent::Kind;

Kind kind_of(ingest::HookEvent::Kind kind) {
    switch (kind) {
        case ingest::HookEvent::Kind::started:
            return Kind::started;
        case ingest::HookEvent::Kind::finished:
            return Kind::finished;
        case ingest::HookEvent::Kind::command:
            return Kind::command;
        case ingest::HookEvent::Kind::session_end:
            break;
    }
    return Kind::session_end;
}

/// 96 random bits, because another process may create a key at the same time.
std::string new_command_key() {
    std::random_device random;
    return fmt::format("hook:{:08x}{:08x}{:08x}", random(), random(), random());
}

std::optional<std::string> none_where_empty(std::string text) {
    return text.empty() ? std::nullopt : std::optional(std::move(text));
}

/// The part that hook events and transcripts share.
template <typename Event>
storage::SkillEvent to_stored(Event event, Kind kind, TimePoint at) {
    storage::SkillEvent stored;
    stored.kind = kind;
    stored.key = std::move(event.key);
    stored.at = at;
    stored.record.skill_name = std::move(event.skill_name);
    stored.record.session_id = std::move(event.session_id);
    stored.record.completed = event.completed;
    stored.record.duration_seconds = event.duration_seconds;
    stored.record.error_type = none_where_empty(std::move(event.error_type));
    return stored;
}

}  // namespace

storage::SkillEvent to_skill_event(ingest::HookEvent event, TimePoint at) {
    const Kind kind = kind_of(event.kind);
    if (kind == Kind::command) {
        event.key = new_command_key();
    }
    return to_stored(std::move(event), kind, at);
}

storage::SkillEvent to_skill_event(ingest::ReportedInvocation invocation, TimePoint now) {
    storage::SkillEvent stored;
    stored.kind = Kind::invocation;
    stored.key = std::move(invocation.key);
    stored.at = start_time(now, invocation.duration_seconds.value_or(0.0));
    stored.record.skill_name = std::move(invocation.skill_name);
    stored.record.invoked_at = std::move(invocation.invoked_at);
    stored.record.session_id = std::move(invocation.session_id);
    stored.record.completed = invocation.completed;
    stored.record.duration_seconds = invocation.duration_seconds;
    stored.record.error_type = std::move(invocation.error_type);
    stored.record.workflow_path = std::move(invocation.workflow_path);
    stored.record.workflow_phase = std::move(invocation.workflow_phase);
    stored.record.workflow_step_id = std::move(invocation.workflow_step_id);
    stored.record.selection_rank = invocation.selection_rank;
    return stored;
}

storage::SkillEvent to_skill_event(ingest::TranscriptInvocation invocation) {
    std::string invoked_at = std::move(invocation.invoked_at);
    const Kind kind = invocation.is_command ? Kind::command : Kind::invocation;
    const TimePoint at = invocation.at;
    storage::SkillEvent stored = to_stored(std::move(invocation), kind, at);
    stored.record.invoked_at = std::move(invoked_at);
    return stored;
}

}  // namespace session_buddy::app
