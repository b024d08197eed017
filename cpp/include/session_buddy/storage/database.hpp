// Opens a skills database: creates it, migrates it to V4, or reports why it cannot be used.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "session_buddy/storage/error.hpp"

namespace SQLite {
class Database;
}

namespace session_buddy::storage {

/// What a committed transaction survives.
enum class Durability : std::uint8_t {
    process,  ///< a killed process; a power failure may lose the last transactions
    power,    ///< a power failure, too: each commit waits for the disk (fsync)
};

struct OpenOptions {
    std::chrono::milliseconds busy_timeout{5000};
    bool create = true;             ///< create a missing file; if false, StorageErrc::missing
    bool replace_triggers = false;  ///< replace the triggers that other tools created under our names by our own
    Durability durability = Durability::process;
    /// For a process that writes one row (a hook): skips the inspection of a database that has all known migrations,
    /// and does not checkpoint the WAL on close, unless it has grown to megabytes.
    bool short_lived = false;
    /// Limit of distinct error types, and of distinct workflow paths, per skill; further values are stored as `other`.
    std::uint32_t max_values_per_skill = 256;
};

/// Applies to later commits.
void set_durability(SQLite::Database& database, Durability durability);

/// Opens `path` by the decision table in docs/storage/V4_SCHEMA.md: WAL mode, busy_timeout, foreign keys on, migrated
/// to schema V4. Creates missing folders of the default location only. Opens a write-protected V4 file read-only.
/// Throws StorageError; the file is then unchanged.
[[nodiscard]] std::unique_ptr<SQLite::Database> open_database(const std::string& path, const OpenOptions& options);

}  // namespace session_buddy::storage
