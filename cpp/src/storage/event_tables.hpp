// The side tables that deduplicate events.
#pragma once

namespace SQLite {
class Database;
}

namespace session_buddy::storage {

/// Creates the missing tables. Must be called in a write transaction.
void create_event_tables(SQLite::Database& database);

}  // namespace session_buddy::storage
