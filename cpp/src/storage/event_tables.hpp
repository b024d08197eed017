// The side tables by which an event is recognised.
#pragma once

namespace SQLite {
class Database;
}

namespace session_buddy::storage {

/// In a write transaction. Makes those that are missing.
void create_event_tables(SQLite::Database& database);

}  // namespace session_buddy::storage
