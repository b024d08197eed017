// Fuzzes the parsers of the bodies of commands about alerts: what they accept can be stored, and rejections have a
// reason.
#include "session_buddy/protocol/alert_command.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

#include "check.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/utf8.hpp"

namespace {

using namespace session_buddy;
using namespace session_buddy::protocol;

// The command, or null if the body was rejected.
const AlertCommand* accepted(const std::variant<AlertCommand, BadBody>& parsed) {
    if (const auto* const bad = std::get_if<BadBody>(&parsed)) {
        fuzz::check(!bad->detail.empty() && is_printable_utf8(bad->detail), "a rejection has a printable reason");
        fuzz::check(bad->field.size() <= 64 && is_printable_utf8(bad->field), "the reported field is truncated");
        return nullptr;
    }
    return &std::get<AlertCommand>(parsed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view body{reinterpret_cast<const char*>(data), size};
    if (const auto parsed = parse_acknowledge_body(body); const auto* const command = accepted(parsed)) {
        const auto& acknowledged = std::get<AcknowledgeAlert>(*command);
        fuzz::check(acknowledged.id >= 1, "an id is positive");
        fuzz::check(is_valid_alert_note(acknowledged.note), "a note can be stored");
    }
    if (const auto parsed = parse_mute_body(body); const auto* const command = accepted(parsed)) {
        const auto& mute = std::get<MuteSkill>(*command);
        fuzz::check(is_valid_skill_name(mute.skill_name), "a skill name is valid");
        fuzz::check(!mute.time || (mute.time->count() >= 1 && *mute.time <= std::chrono::days{366}),
                    "a time is in range");
        fuzz::check(is_valid_alert_note(mute.reason), "a reason can be stored");
    }
    return 0;
}
