// The write-ahead log of a database and its index (-wal, -shm). Other programs may remove, replace or truncate them
// while they are open, and SQLite does not notice.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "file_events.hpp"
#include "file_state.hpp"

namespace session_buddy::storage {

/// The files that one connection has open. Writes to files that were removed are lost, and reading a truncated index
/// raises SIGBUS, because -shm is memory-mapped. Must be created after the connection's first read, and destroyed after
/// it is closed.
class WalFiles {
  public:
    explicit WalFiles(const std::string& path);
    ~WalFiles();
    WalFiles(const WalFiles&) = delete;
    WalFiles& operator=(const WalFiles&) = delete;

    /// Whether a new connection would open other files. Throws StorageError if stat fails.
    [[nodiscard]] bool lost() const;

    /// Whether that is true of the log, so that its commits must be rescued.
    [[nodiscard]] bool wal_is_lost() const;
    /// Whether the index at the path is still this file, even if truncated.
    [[nodiscard]] bool index_is_shared() const;
    [[nodiscard]] bool index_is_emptied() const;
    /// Whether no other log or index is at the path.
    [[nodiscard]] bool paths_are_ours() const;

    /// The log, open for reading and, if permitted, writing; -1 if there is none, or no file descriptor was left.
    [[nodiscard]] int wal() const noexcept { return wal_.get(); }
    /// The logs of all connections of this process to the same database: they differ if some lost their log earlier.
    [[nodiscard]] std::vector<FileDescriptor> wals_in_process() const;
    /// Of the database, with symbolic links resolved.
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    /// The log when it was opened; empty if there was none.
    [[nodiscard]] FileState wal_state() const { return wal_state_.value_or(FileState{}); }
    /// The database file that they belong to.
    [[nodiscard]] const FileState& database() const noexcept { return database_; }

    /// Throws StorageErrc::busy while a connection of this process to the same file still uses a lost index: SQLite
    /// would share it with every new connection of the process.
    static void require_no_stale_index(const std::string& path);

  private:
    [[nodiscard]] bool index_is_lost() const;

    std::string path_;
    FileState database_;
    std::optional<FileState> wal_state_;
    std::optional<FileState> index_;
    FileDescriptor wal_;
};

}  // namespace session_buddy::storage
