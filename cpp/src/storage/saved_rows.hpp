// Rows that were saved from a removed write-ahead log and wait to be stored again, because others have written to a log
// of their own since.
#pragma once

#include <string>

namespace SQLite {
class Database;
}

namespace session_buddy::storage {

class WalFiles;

/// Takes the invocations that only the removed log may hold, with what is known of their keys and of uses that have
/// not ended, from the connection that still sees it. They wait in the memory of this process until a connection that
/// writes is opened to the same path, with links followed.
void save_rows(SQLite::Database& database, const WalFiles& files);

[[nodiscard]] bool has_saved_rows(const std::string& path);

/// Stores what waits for this database and is not in it: once, whoever else has saved the same rows. Throws
/// SQLite::Exception; then it goes on waiting.
void store_saved_rows(SQLite::Database& database, const std::string& path);

}  // namespace session_buddy::storage
