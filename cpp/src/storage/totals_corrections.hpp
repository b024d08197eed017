// What a correction changes in the tables of TotalsStore. All in a write transaction; every failure is a
// SQLite::Exception.
#pragma once

#include <string_view>

namespace SQLite {
class Database;
}

namespace session_buddy::storage {

void forget_totals(SQLite::Database& database, std::string_view skill_name);
/// Adds the counts to those of the new name, where it has some.
void rename_totals(SQLite::Database& database, std::string_view from, std::string_view to);
/// The row by which the counted rows are known may be another one now, or gone.
void refresh_totals_position(SQLite::Database& database);

}  // namespace session_buddy::storage
