// Opens a skills database: creates it, brings it to V4, or explains why it cannot be used.
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

/// What a transaction that was committed outlives.
enum class Durability : std::uint8_t {
    process,  ///< that this program is killed; a power cut may take the last moments back
    power,    ///< a power cut, too: each commit waits for the disk
};

struct OpenOptions {
    std::chrono::milliseconds busy_timeout{5000};
    bool create = true;             ///< create the file where missing; else StorageErrc::missing
    bool replace_triggers = false;  ///< drop triggers that other tools made under our names and install our own
    Durability durability = Durability::process;
    /// For a process that lives for one row: a database whose migrations are the known ones is taken as it is, and its
    /// log is left for the next one and not folded in at the end, unless it has grown to megabytes.
    bool short_lived = false;
    /// Distinct error types and distinct workflow paths that are stored for each skill; further ones become `other`.
    std::uint32_t max_values_per_skill = 256;
};

/// For commits from here on.
void set_durability(SQLite::Database& database, Durability durability);

/// Opens `path` as the table of docs/storage/V4_SCHEMA.md says: WAL, busy_timeout, foreign keys on, schema V4
/// afterwards. Of missing folders only those of the default location are created. A file that is V4 already and can
/// only be read is opened read-only. Throws StorageError; on an error the file is untouched.
[[nodiscard]] std::unique_ptr<SQLite::Database> open_database(const std::string& path, const OpenOptions& options);

}  // namespace session_buddy::storage
