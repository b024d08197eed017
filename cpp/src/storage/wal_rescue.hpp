// Restores the commits that only a removed write-ahead log holds.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace SQLite {
class Database;
}

namespace session_buddy::storage {

class WalFiles;

enum class WalRescue : std::uint8_t {
    nothing_lost,  ///< every commit is in the log at the path, or in the file
    restored,      ///< the missing commits were written to the log at the path
    diverged,      ///< other processes have written to a new log: rows must be merged
    failed,        ///< a log cannot be read or written; the reason is logged
};

/// Must be called outside of a transaction while the connection that lost its log is open, because its file descriptor
/// is all that is left of the log. All connections, opened before or afterwards, then see the commits of both logs.
/// Takes the locks that SQLite uses to write, checkpoint and recover, and waits for them a few seconds at most.
[[nodiscard]] WalRescue restore_wal(SQLite::Database& database, const WalFiles& files);

/// Must be called before the database at `path` is opened. Empties the log there if restore_wal() wrote it for another
/// file, which has been replaced since: SQLite would apply the log to the new file and damage it. Throws StorageError
/// if stat fails.
void discard_foreign_wal(const std::string& path);

/// Whether the connection reads all that was committed. One that lost its log before others with the same index does
/// not.
[[nodiscard]] bool reads_complete_wal(SQLite::Database& database, const WalFiles& files);

/// The row ids on the table pages of a log: a superset of the rows that only the log holds.
[[nodiscard]] std::vector<std::int64_t> row_ids_in_wal(int wal);

}  // namespace session_buddy::storage
