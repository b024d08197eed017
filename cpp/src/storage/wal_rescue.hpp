// What only a removed write-ahead log holds is put back beside its database.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace SQLite {
class Database;
}

namespace session_buddy::storage {

class WalFiles;

enum class WalRescue : std::uint8_t {
    nothing_lost,  ///< all that was in it is in the log at the path, or in the file
    restored,      ///< the same, and it was not before
    diverged,      ///< others have written since to a log of their own: rows have to be merged
    failed,        ///< it cannot be read or written; the reason is logged
};

/// To be called while the connection that lost its log is still open, outside of a transaction: its descriptor is all
/// that is left of the log. Whoever opens the database afterwards, or has opened it since, finds what was committed to
/// either log. Holds the locks that SQLite takes to write, to checkpoint and to recover, and waits for them at most a
/// few seconds.
[[nodiscard]] WalRescue restore_wal(SQLite::Database& database, const WalFiles& files);

/// Whether what the connection reads is what was committed. One that lost its log earlier than others of the same index
/// would read something else.
[[nodiscard]] bool reads_complete_wal(SQLite::Database& database, const WalFiles& files);

/// The row ids on the table pages of a log: all rows that only the log may hold are among them, and many others.
[[nodiscard]] std::vector<std::int64_t> row_ids_in_wal(int wal);

}  // namespace session_buddy::storage
