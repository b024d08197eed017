// What people do with alerts: acknowledge one, mute a skill for a time, and remove that mute.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "session_buddy/core/alert.hpp"
#include "session_buddy/core/utf8.hpp"

namespace session_buddy {

/// Maximum size of the note of an acknowledgement and of the reason of a mute, in bytes.
inline constexpr std::size_t kMaxAlertNote = 500;
/// Whether a note or reason can be stored; it may be empty.
[[nodiscard]] constexpr bool is_valid_alert_note(std::string_view note) {
    return note.size() <= kMaxAlertNote && is_printable_utf8(note);
}

/// Replaces an earlier acknowledgement of the same alert.
struct AcknowledgeAlert {
    std::int64_t id = 0;  ///< Alert::id
    std::string note;     ///< satisfies is_valid_alert_note

    bool operator==(const AcknowledgeAlert&) const = default;
};

/// Replaces an earlier mute of the same skill. The skill need not be known yet.
struct MuteSkill {
    std::string skill_name;
    std::optional<std::chrono::seconds> time{};  ///< nullopt: until it is removed
    std::string reason;                          ///< satisfies is_valid_alert_note

    bool operator==(const MuteSkill&) const = default;
};

struct UnmuteSkill {
    std::string skill_name;

    bool operator==(const UnmuteSkill&) const = default;
};

using AlertCommand = std::variant<AcknowledgeAlert, MuteSkill, UnmuteSkill>;

enum class AlertCommandError : std::uint8_t {
    not_found,    ///< no alert has this id, or the skill is not muted
    locked,       ///< another program holds the write lock of the database; retry later
    read_only,    ///< the database is write-protected
    unavailable,  ///< missing, damaged or full; retry later
    too_many,     ///< the queue of commands is full; retry later
    stopping,
};

struct Unmuted {
    bool operator==(const Unmuted&) const = default;
};

/// The alert as it is now, the mute as stored, or why nothing changed.
using AlertCommandResult = std::variant<Alert, Mute, Unmuted, AlertCommandError>;

}  // namespace session_buddy
