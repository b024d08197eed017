// A connection to a database that others may remove, replace, empty or damage, or whose write-ahead log they may
// remove, while it is open. All that this project keeps open is open through it: what becomes of the log then is
// decided here and nowhere else.
#pragma once

#include <SQLiteCpp/Database.h>

#include <cstdint>
#include <memory>
#include <string>

#include "file_state.hpp"
#include "session_buddy/storage/database.hpp"
#include "wal_files.hpp"

namespace session_buddy::storage {

/// One thread uses it. Statements must not outlive it.
///
/// A commit is refused (StorageErrc::busy) once file or log are no longer those at the path. When the connection is
/// closed, what only a removed log holds is put back beside the file, whoever else has opened it since; or it is stored
/// again by the next connection of this process, where others have written to a log of their own.
class GuardedConnection {
  public:
    /// As open_database() does, and throws what it throws.
    GuardedConnection(std::string path, const OpenOptions& options);
    ~GuardedConnection();
    GuardedConnection(const GuardedConnection&) = delete;
    GuardedConnection& operator=(const GuardedConnection&) = delete;

    enum class State : std::uint8_t {
        usable,
        gone,      ///< there is no file at the path
        replaced,  ///< there is another one
        emptied,
        wal_lost,  ///< the write-ahead log or its index was removed, replaced or emptied
    };
    /// A few stats. Throws StorageError where that cannot be found out.
    [[nodiscard]] State state() const;

    /// Of an error on this connection. A file that is damaged is not written to any more, not even at the close.
    void on_error(const StorageError& error) noexcept;

    [[nodiscard]] SQLite::Database& operator*() const noexcept { return *database_; }
    [[nodiscard]] SQLite::Database* operator->() const noexcept { return database_.get(); }
    /// The file as it was when it was opened.
    [[nodiscard]] const FileState& opened() const noexcept { return opened_; }

  private:
    [[nodiscard]] bool is_usable() const noexcept;
    void rescue_wal() noexcept;

    std::string path_;
    std::unique_ptr<SQLite::Database> database_;
    FileState opened_;
    std::unique_ptr<WalFiles> wal_files_;
    bool is_damaged_ = false;
};

/// Keeps SQLite from folding the log into the file when the connection is closed.
void disable_checkpoint_on_close(SQLite::Database& database) noexcept;

}  // namespace session_buddy::storage
