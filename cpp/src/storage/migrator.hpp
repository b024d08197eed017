// Brings a database to V4, in one transaction that either happens as a whole or not at all.
#pragma once

#include <string>

#include "migrations.hpp"

namespace SQLite {
class Database;
}

namespace session_buddy::storage {

/// Adds the columns of one migration where they are missing and runs its script. Throws SQLite::Exception.
void apply_script(SQLite::Database& database, const Migration& migration);

/// Does what inspect_schema finds missing, looked at again inside the transaction: another process may have been
/// faster. Throws StorageError; the database is then as it was.
void migrate(SQLite::Database& database, const std::string& path, bool replace_triggers);

}  // namespace session_buddy::storage
