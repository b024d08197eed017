// From a row of skill_invocation, in which SQLite may hold anything, to an Invocation or nothing.
#pragma once

#include <optional>
#include <string>

#include "session_buddy/core/invocation.hpp"
#include "sql.hpp"

namespace session_buddy::storage {

/// The columns that read_invocation expects, in its order.
inline constexpr const char* kInvocationColumns =
    "id, skill_name, invoked_at, session_id, completed, duration_seconds, error_type";
inline constexpr int kInvocationColumnCount = 7;

/// What tells a row from another one that has its id in another state of the database.
inline constexpr const char* kRowSignature =
    "quote(skill_name) || quote(invoked_at) || quote(session_id) || quote(completed) || quote(duration_seconds)"
    " || quote(error_type)";

/// Nothing for a row whose name or time cannot be used. A bad duration is left out, not the row.
[[nodiscard]] std::optional<Invocation> read_invocation(const sql::Statement& row);

/// A duration that counts: a number, and as is_valid_duration says.
[[nodiscard]] std::optional<double> read_duration(const sql::Statement& row, int column);

/// Text that may be handed on to others; anything else counts as empty.
[[nodiscard]] std::string clean_text(const sql::Statement& row, int column);

}  // namespace session_buddy::storage
