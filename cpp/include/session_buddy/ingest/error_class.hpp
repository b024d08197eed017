// Classifies the error text of a failed tool use into one of five error types; the text itself is never stored.
#pragma once

#include <string_view>

namespace session_buddy::ingest {

/// The values of skill_invocation.error_type that hooks and transcripts produce.
inline constexpr std::string_view kExitCode = "exit_code";  ///< the command exited with a non-zero status
inline constexpr std::string_view kInterrupted =
    "interrupted";  ///< stopped by the user while it ran, or cancelled because a parallel use failed
inline constexpr std::string_view kRejected = "rejected";  ///< never ran: denied by the user, a rule or a hook
inline constexpr std::string_view kTimeout = "timeout";
inline constexpr std::string_view kToolError = "tool_error";  ///< anything else

/// Classifies by the beginning of `text`, the error as the tool reported it. `is_interrupt`: the event itself says it
/// was interrupted.
[[nodiscard]] std::string_view classify_tool_error(std::string_view text, bool is_interrupt);

/// Whether `text` is the result of a call that was refused before it ran: kRejected, or kToolError for invalid input
/// and the like. Empty if it is the output of a tool, or says nothing about it.
[[nodiscard]] std::string_view refusal_class(std::string_view text);

}  // namespace session_buddy::ingest
