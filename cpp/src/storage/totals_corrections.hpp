// What corrections of invocations change in the totals of GET /metrics, and in the position of TotalsStore.
#pragma once

#include <cstdint>

namespace SQLite {
class Database;
}

namespace session_buddy::storage {

struct CountedRow;

/// Updates the last counted row, which may have been changed or deleted. Must be called in a write transaction, like
/// all functions here, which may throw SQLite::Exception.
void refresh_totals_position(SQLite::Database& database);

/// Moves a row that was changed to the totals of its new values, if it is counted. Totals never go down: one that would
/// keeps its value, and the difference is stored as a debt, which later increments work off.
void correct_totals(SQLite::Database& database, std::int64_t id, const CountedRow& before, const CountedRow& after);

}  // namespace session_buddy::storage
