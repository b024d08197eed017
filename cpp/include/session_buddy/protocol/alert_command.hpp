// Parsers of the bodies of commands about alerts.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "session_buddy/core/alert_command.hpp"

namespace session_buddy::protocol {

/// Why a body is rejected. Contains nothing of the body except the name of a field, truncated.
struct BadBody {
    std::string field;   ///< empty if the body as a whole is invalid
    std::string detail;  ///< a sentence without a full stop

    bool operator==(const BadBody&) const = default;
};

// Each parses a JSON object. A null field counts as missing, an unknown one is an error. They throw only
// std::bad_alloc.

/// POST /api/v1/alerts/acknowledge
[[nodiscard]] std::variant<AlertCommand, BadBody> parse_acknowledge_body(std::string_view body);
/// POST /api/v1/mutes; a mute has 1 second to 366 days, or no end.
[[nodiscard]] std::variant<AlertCommand, BadBody> parse_mute_body(std::string_view body);

}  // namespace session_buddy::protocol
