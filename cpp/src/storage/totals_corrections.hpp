// What corrections of invocations change in the position of TotalsStore.
#pragma once

namespace SQLite {
class Database;
}

namespace session_buddy::storage {

/// Updates the last counted row, which may have been changed or deleted. Must be called in a write transaction. May
/// throw SQLite::Exception.
void refresh_totals_position(SQLite::Database& database);

}  // namespace session_buddy::storage
