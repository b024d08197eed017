// Fuzzes one hook event of Claude Code: a parsed event can be stored, and errors do not echo the input.
#include "session_buddy/ingest/hook_event.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "check.hpp"
#include "session_buddy/app/skill_events.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/ingest/error_class.hpp"
#include "session_buddy/storage/invocation_record.hpp"

namespace session_buddy::fuzz {
namespace {

using ingest::AgentEvent;
using Kind = AgentEvent::Kind;

constexpr std::array kErrorTypes{ingest::kExitCode, ingest::kInterrupted, ingest::kRejected, ingest::kTimeout,
                                 ingest::kToolError};
constexpr std::array<std::string_view, 7> kFields{
    "", "hook_event_name", "session_id", "tool_name", "tool_use_id", "command_name", "tool_calls"};

void check_end(const ClaimedEnd& end) {
    const ClaimedOutcome& outcome = end.outcome.value;
    check(outcome.outcome == Outcome::failed ? std::ranges::count(kErrorTypes, outcome.error_type) == 1
                                             : outcome.error_type.empty(),
          "a failure has a known error type, and no other event has one");
    check(end.measured_us.value >= 0, "a duration is not negative");
}

void check_event(const AgentEvent& event) {
    check(event.kind == Kind::use ? is_valid_event_key(event.key) : event.key.empty() || is_valid_event_key(event.key),
          "a tool use has a valid key");
    check(event.kind == Kind::session_end ? event.skill_name.empty() : is_valid_skill_name(event.skill_name),
          "every event except the end of a session has a valid skill name");
    check(is_valid_skill_name(event.session_id), "a session id follows the rules of skill names");
    check_end(event.evidence.result);
    check_end(event.evidence.background_end);
    check(decode_evidence(encode(event.evidence)) == event.evidence, "evidence can be stored");
}

void check_stored(AgentEvent event) {
    const bool has_name = event.kind != Kind::session_end;
    storage::SkillEvent stored = app::to_skill_event(std::move(event));
    check(!has_name || stored.key.empty() == (stored.kind == storage::SkillEvent::Kind::session_end),
          "an event that becomes a row has a key");
    stored.record.invoked_at = format_precise_timestamp(stored.at);
    check(!has_name || storage::validation_error(stored.record).empty(), "a parsed event can be stored");
}

}  // namespace
}  // namespace session_buddy::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace session_buddy;
    static const ingest::SkillNamer namer;
    const TimePoint now = std::chrono::sys_days(std::chrono::year(2026) / 2 / 10);
    auto read = ingest::read_hook_event({reinterpret_cast<const char*>(data), size}, namer, now);
    if (auto* events = std::get_if<std::vector<ingest::AgentEvent>>(&read)) {
        for (ingest::AgentEvent& event : *events) {
            fuzz::check_event(event);
            fuzz::check_stored(std::move(event));
        }
    } else if (const auto* bad = std::get_if<ingest::BadEvent>(&read)) {
        fuzz::check(std::ranges::count(fuzz::kFields, bad->field) == 1, "only required fields can be invalid");
        fuzz::check(bad->reason.starts_with(bad->field.empty() ? "A hook event " : bad->field),
                    "a reason does not echo the input");
    }
    return 0;
}
