// Migrates a database to V4 in one transaction.
#pragma once

#include <string>

#include "migrations.hpp"

namespace SQLite {
class Database;
}

namespace session_buddy::storage {

/// Adds the missing columns of a migration and runs its script. Throws SQLite::Exception.
void apply_script(SQLite::Database& database, const Migration& migration);

/// Runs the migrations that inspect_schema finds pending. Inspects again inside the transaction, because another
/// process may have migrated first. Throws StorageError; the database is then unchanged.
void migrate(SQLite::Database& database, const std::string& path, bool replace_triggers);

}  // namespace session_buddy::storage
