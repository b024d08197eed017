// A connection that survives other programs removing, replacing, truncating or damaging the open database or its
// write-ahead log. Every long-lived connection of this project is one: only this class decides what happens to the log
// then.
#pragma once

#include <SQLiteCpp/Database.h>

#include <cstdint>
#include <memory>
#include <string>

#include "file_state.hpp"
#include "session_buddy/storage/database.hpp"
#include "wal_files.hpp"

namespace session_buddy::storage {

/// For one thread. Statements must not outlive it.
///
/// Once the file or the log at the path is no longer the open one, commits fail (StorageErrc::busy). When the
/// connection is closed, commits that only a removed log holds are written back to the log at the path, even if other
/// processes have opened the database since. If those have written to a new log, the next connection of this process
/// inserts the lost rows again.
class GuardedConnection {
  public:
    /// Opens like open_database(), and throws the same errors.
    GuardedConnection(std::string path, const OpenOptions& options);
    ~GuardedConnection();
    GuardedConnection(const GuardedConnection&) = delete;
    GuardedConnection& operator=(const GuardedConnection&) = delete;

    enum class State : std::uint8_t {
        usable,
        gone,      ///< no file is at the path
        replaced,  ///< another file is at the path
        emptied,
        wal_lost,  ///< the write-ahead log or its index was removed, replaced or truncated
    };
    /// Costs a few stat calls. Throws StorageError if they fail.
    [[nodiscard]] State state() const;

    /// Must be called with an error of this connection. A damaged file is not written any more, not even on close.
    void on_error(const StorageError& error) noexcept;

    [[nodiscard]] SQLite::Database& operator*() const noexcept { return *database_; }
    [[nodiscard]] SQLite::Database* operator->() const noexcept { return database_.get(); }
    /// The file as it was when it was opened.
    [[nodiscard]] const FileState& opened() const noexcept { return opened_; }

  private:
    [[nodiscard]] bool is_usable() const noexcept;
    [[nodiscard]] bool is_being_replaced() const;
    void rescue_wal() noexcept;

    std::string path_;
    std::unique_ptr<SQLite::Database> database_;
    FileState opened_;
    std::unique_ptr<WalFiles> wal_files_;
    bool is_damaged_ = false;
};

/// Keeps SQLite from checkpointing the WAL when the connection is closed.
void disable_checkpoint_on_close(SQLite::Database& database) noexcept;

}  // namespace session_buddy::storage
