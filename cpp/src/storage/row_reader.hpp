// Converts a row of skill_invocation, in which SQLite may store any type, to an Invocation.
#pragma once

#include <optional>
#include <string>

#include "session_buddy/core/evidence.hpp"
#include "session_buddy/core/invocation.hpp"
#include "sql.hpp"

namespace session_buddy::storage {

/// The columns that read_invocation expects, in this order.
inline constexpr const char* kInvocationColumns =
    "id, skill_name, invoked_at, session_id, completed, duration_seconds, error_type";
inline constexpr int kInvocationColumnCount = 7;

/// Distinguishes a row from another one with the same id in another database or state.
inline constexpr const char* kRowSignature =
    "quote(skill_name) || quote(invoked_at) || quote(session_id) || quote(completed) || quote(duration_seconds)"
    " || quote(error_type)";

/// nullopt for a row with an invalid name or time. An invalid duration is ignored, not the row.
[[nodiscard]] std::optional<Invocation> read_invocation(const sql::Statement& row);

/// A valid duration: a number that satisfies is_valid_duration.
[[nodiscard]] std::optional<double> read_duration(const sql::Statement& row, int column);

/// The evidence in a column; nullopt if it is NULL, as in rows of earlier versions, or cannot be decoded.
[[nodiscard]] inline std::optional<Evidence> read_evidence(const sql::Statement& row, int column) {
    return row.is_null(column) ? std::nullopt : decode_evidence(row.text(column));
}

/// The text of a column; empty if it is NULL, a blob or not UTF-8.
[[nodiscard]] std::string clean_text(const sql::Statement& row, int column);

}  // namespace session_buddy::storage
