// Creates the side tables of the event store, and adds columns of later versions.
#include "event_tables.hpp"

#include <SQLiteCpp/Database.h>

#include "sql.hpp"

namespace session_buddy::storage {
namespace {

// `seen_by` was added later: rows of tables without it all came from transcripts.
constexpr const char* kTables =
    "CREATE TABLE IF NOT EXISTS session_buddy_source"
    " (key TEXT PRIMARY KEY, invocation_id INTEGER NOT NULL, seen_by INTEGER NOT NULL DEFAULT 4) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS session_buddy_open_use"
    " (key TEXT PRIMARY KEY, skill_name TEXT NOT NULL, session_id TEXT NOT NULL, started_us INTEGER NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS session_buddy_command"
    " (session_id TEXT NOT NULL, skill_name TEXT NOT NULL, at_us INTEGER NOT NULL, source INTEGER NOT NULL,"
    " invocation_id INTEGER NOT NULL, PRIMARY KEY (session_id, skill_name, at_us, source, invocation_id))"
    " WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS session_buddy_transcript (file TEXT PRIMARY KEY, offset INTEGER NOT NULL)"
    " WITHOUT ROWID";

}  // namespace

void create_event_tables(SQLite::Database& database) {
    database.exec(kTables);
    if (sql::query_integer(database,
                           "SELECT count(*) FROM pragma_table_info('session_buddy_source')"
                           " WHERE name = 'seen_by'") == 0) {
        database.exec("ALTER TABLE session_buddy_source ADD COLUMN seen_by INTEGER NOT NULL DEFAULT 4");
    }
}

}  // namespace session_buddy::storage
