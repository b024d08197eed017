// What can go wrong with a database file, as one exception type that names the file and the reason.
#pragma once

#include <stdexcept>
#include <string>

namespace session_buddy::storage {

enum class StorageErrc {
    missing,           ///< the file was there and is gone, or may not be created
    not_a_database,    ///< a file that is not SQLite
    damaged,           ///< SQLite, but malformed
    foreign_database,  ///< another program's database
    newer_version,     ///< a migration this program does not know
    incompatible,      ///< a table of ours lacks a column that cannot be added, or its rows cannot be migrated
    read_only,         ///< must be written and cannot be
    busy,              ///< locked by another process for longer than the timeout
    io,                ///< disk full, permission, input/output error
    invalid_argument,  ///< a value that the caller handed in cannot be stored
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
