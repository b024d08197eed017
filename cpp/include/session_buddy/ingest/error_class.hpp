// Turns the text of a failed tool use into one of five short classes; the text itself is never kept.
#pragma once

#include <string_view>

namespace session_buddy::ingest {

/// The values of skill_invocation.error_type that this project writes.
inline constexpr std::string_view kExitCode = "exit_code";  ///< the command ran and ended with another status than 0
inline constexpr std::string_view kInterrupted =
    "interrupted";                                         ///< stopped by the user, or cancelled with a parallel use
inline constexpr std::string_view kRejected = "rejected";  ///< never ran: permission was refused
inline constexpr std::string_view kTimeout = "timeout";
inline constexpr std::string_view kToolError = "tool_error";  ///< anything else

/// Judges by the shape of the beginning of `text`, the error as the tool reported it. `is_interrupt`: the event said so
/// itself.
[[nodiscard]] std::string_view classify_tool_error(std::string_view text, bool is_interrupt);

}  // namespace session_buddy::ingest
