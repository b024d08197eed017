// The write-ahead log of a database and the log's index (-wal, -shm), which somebody may remove, replace or empty while
// they are open. SQLite does not notice.
#pragma once

#include <optional>
#include <string>

#include "file_state.hpp"

namespace SQLite {
class Database;
}

namespace session_buddy::storage {

/// Those that a connection uses. What SQLite writes to files that no other program sees is lost, and to look into an
/// index that was emptied ends the process, because it is mapped into memory. Made after its first read, and kept until
/// it is closed.
class LogFiles {
  public:
    explicit LogFiles(std::string path);
    ~LogFiles();
    LogFiles(const LogFiles&) = delete;
    LogFiles& operator=(const LogFiles&) = delete;

    /// Whether they are no longer those that a new connection would find.
    [[nodiscard]] bool lost() const;

    /// Before a connection is closed that lost them, or whose file was moved away: folds the log into its file and
    /// empties it where that is safe, which it is not once another connection may have begun a log of its own. What
    /// lies at the path is left alone.
    void give_up(SQLite::Database& database) const noexcept;

    /// Throws StorageErrc::busy while a connection of this process to the same file still uses an index that was lost:
    /// SQLite would give that one to every other connection of the process.
    static void require_none_lost(const std::string& path);

  private:
    [[nodiscard]] bool log_is_lost() const;
    [[nodiscard]] bool index_is_lost() const;

    std::string path_;
    FileState database_;
    std::optional<FileState> log_;
    std::optional<FileState> index_;
};

/// Keeps SQLite from folding the log into a file that is damaged or another one by now.
void leave_log_alone(SQLite::Database& database) noexcept;

}  // namespace session_buddy::storage
