// The write-ahead log of a database and the log's index (-wal, -shm), which somebody may remove, replace or empty while
// they are open. SQLite does not notice.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "file_events.hpp"
#include "file_state.hpp"

namespace session_buddy::storage {

/// Those that a connection uses. What SQLite writes to files that no other program sees is lost, and to look into an
/// index that was emptied ends the process (SIGBUS), because it is mapped into memory. Made after the connection's
/// first read, and kept until it is closed.
class WalFiles {
  public:
    explicit WalFiles(const std::string& path);
    ~WalFiles();
    WalFiles(const WalFiles&) = delete;
    WalFiles& operator=(const WalFiles&) = delete;

    /// Whether they are no longer those that a new connection would find. Throws StorageError where that cannot be
    /// found out.
    [[nodiscard]] bool lost() const;

    /// The log alone: what only it holds is to be saved.
    [[nodiscard]] bool wal_is_lost() const;
    /// Whether the index at the path is still this one, whatever became of its content.
    [[nodiscard]] bool index_is_shared() const;
    [[nodiscard]] bool index_is_emptied() const;
    /// Whether there is nothing at the path of the log or of the index that other connections could have made.
    [[nodiscard]] bool paths_are_ours() const;

    /// The log, open for reading and, where that is permitted, for writing; -1 where there is none, or no descriptor
    /// was left.
    [[nodiscard]] int wal() const noexcept { return wal_.get(); }
    /// The logs of all connections of this process to the same database: one that lost its log earlier has another one.
    [[nodiscard]] std::vector<FileDescriptor> wals_in_process() const;
    /// Of the database, links followed.
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

    /// Throws StorageErrc::busy while a connection of this process to the same file still uses an index that was lost:
    /// SQLite would give that one to every other connection of the process.
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
