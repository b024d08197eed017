// Corrections of the tables of TotalsStore. All must be called in a write transaction, and may throw SQLite::Exception.
#pragma once

#include <string_view>

namespace SQLite {
class Database;
}

namespace session_buddy::storage {

void forget_totals(SQLite::Database& database, std::string_view skill_name);
/// Adds the counts to those of the new name, if there are any.
void rename_totals(SQLite::Database& database, std::string_view from, std::string_view to);
/// Updates the last counted row, which may have been changed or deleted.
void refresh_totals_position(SQLite::Database& database);

}  // namespace session_buddy::storage
