// Rows saved from a removed write-ahead log, to be inserted again because other processes have written to a new log
// since.
#pragma once

#include <string>

namespace SQLite {
class Database;
}

namespace session_buddy::storage {

class WalFiles;

/// Copies the invocations that only the removed log may hold, with their dedup keys and the open invocations, from the
/// connection that still reads the log. They stay in memory until this process opens a connection that can write to the
/// same path (symbolic links resolved).
void save_rows(SQLite::Database& database, const WalFiles& files);

[[nodiscard]] bool has_saved_rows(const std::string& path);

/// Inserts the saved rows that are not in this database, each once, even if several connections saved it. Throws
/// SQLite::Exception; the rows then stay saved.
void store_saved_rows(SQLite::Database& database, const std::string& path);

}  // namespace session_buddy::storage
