// Reads columns by the type of their value, not by the type in the schema.
#include "row_reader.hpp"

#include <sqlite3.h>

#include "session_buddy/core/duration.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/core/utf8.hpp"

namespace session_buddy::storage {

std::string clean_text(const sql::Statement& row, int column) {
    const int type = row.type(column);
    if (type == SQLITE_NULL || type == SQLITE_BLOB) {
        return {};
    }
    const std::string_view text = row.text(column);
    return is_valid_utf8(text) ? std::string(text) : std::string();
}

std::optional<double> read_duration(const sql::Statement& row, int column) {
    const int type = row.type(column);
    if (type != SQLITE_FLOAT && type != SQLITE_INTEGER) {
        return std::nullopt;
    }
    const double seconds = row.real(column);
    return is_valid_duration(seconds) ? std::optional(seconds) : std::nullopt;
}

std::optional<Invocation> read_invocation(const sql::Statement& row) {
    if (row.type(1) != SQLITE_TEXT || row.type(2) != SQLITE_TEXT) {
        return std::nullopt;
    }
    const std::string_view name = row.text(1);
    if (!is_valid_skill_name(name)) {
        return std::nullopt;
    }
    const auto invoked_at = parse_timestamp(row.text(2));
    if (!invoked_at.has_value()) {
        return std::nullopt;
    }
    return Invocation{.id = row.integer(0),
                      .skill_name = std::string(name),
                      .invoked_at = *invoked_at,
                      .session_id = clean_text(row, 3),
                      .completed = row.real(4) != 0.0,
                      .duration_seconds = read_duration(row, 5),
                      .error_type = clean_text(row, 6)};
}

}  // namespace session_buddy::storage
