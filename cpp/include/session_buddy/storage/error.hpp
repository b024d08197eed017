// The exception of the storage layer: an error code, the database file and a message.
#pragma once

#include <stdexcept>
#include <string>

namespace session_buddy::storage {

enum class StorageErrc {
    missing,           ///< the file was removed, or does not exist and must not be created
    not_a_database,    ///< not an SQLite file
    damaged,           ///< an SQLite file that is corrupt
    foreign_database,  ///< another program's database
    newer_version,     ///< has a migration that this version does not know
    incompatible,      ///< a column is missing that cannot be added, or rows cannot be migrated
    read_only,         ///< a write is needed, but the file is write-protected
    busy,              ///< locked by another process for longer than busy_timeout
    io,                ///< disk full, permission denied, input/output error
    invalid_argument,  ///< the caller passed a value that cannot be stored
};

class StorageError : public std::runtime_error {
  public:
    StorageError(StorageErrc code, std::string path, const std::string& message)
        : std::runtime_error(message), code_(code), path_(std::move(path)) {}
    [[nodiscard]] StorageErrc code() const noexcept { return code_; }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

  private:
    StorageErrc code_;
    std::string path_;
};

}  // namespace session_buddy::storage
