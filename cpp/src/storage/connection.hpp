// The life cycle of every long-lived connection: opened when it is needed, closed when other programs have removed or
// replaced the database or its write-ahead log, opened again by the next use.
#pragma once

#include <SQLiteCpp/Database.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "guarded_connection.hpp"
#include "session_buddy/storage/database.hpp"
#include "session_buddy/storage/error.hpp"
#include "sql.hpp"

namespace session_buddy::storage {

/// Not thread-safe. Every call but the closing ones may throw StorageError. The statements that a user prepares must be
/// destroyed after it (declared before it), so that `on_close` can release them.
class Connection {
  public:
    using State = GuardedConnection::State;

    struct Hooks {
        /// Called before each opening. There the user must close its other connections to the file that lost their
        /// index, because SQLite would share that index with the new connection.
        std::function<void()> before_open{};
        /// Prepares the user's statements. After an exception the connection is closed again.
        std::function<void(SQLite::Database&)> on_open{};
        /// Releases them. Must not throw.
        std::function<void()> on_close{};
    };

    /// Opens nothing.
    Connection(std::string path, const OpenOptions& options, Hooks hooks);
    ~Connection() { close(); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Opens the database with other options than those of later openings. Later statements wait for locks only as long
    /// as those say.
    void open(const OpenOptions& options);
    /// Opens the database if it is not open, and reopens it if its file was replaced, deleted or truncated, or its log
    /// removed, because writes to the old files would be lost. Throws after close_permanently().
    void require_open();
    /// Closes the connection if its files are no longer those at the path, which also rescues the commits that only a
    /// removed log holds. Returns the state in which it was found; `usable` if it is still open or was not open.
    State close_if_stale();
    void close() noexcept;
    /// Later uses throw StorageErrc::invalid_argument.
    void close_permanently() noexcept;
    /// Throws after close_permanently().
    void require_not_closed() const;

    /// Runs `work` on the open database. After an error it closes the connection if its files are no longer those at
    /// the path, or if opening it again may help: a damaged database may have been repaired, a write-protected one made
    /// writable, and one with another schema is migrated.
    template <typename Work>
    decltype(auto) run(std::string_view action, const Work& work) {
        try {
            return sql::translated(path_, action, work);
        } catch (const StorageError& error) {
            on_error(error);
            throw;
        }
    }

    /// Opens the database if necessary and runs `work`, which is repeated if the file or log was removed or replaced
    /// meanwhile; so `work` must get the database from this object, and have no effect when it fails. When this
    /// returns, commits are in the log at the path, or saved to be inserted there.
    template <typename Work>
    auto attempt(std::string_view action, const Work& work) {
        for (int left = kAttempts;; --left) {
            require_open();
            try {
                const std::int64_t before = changes();
                if constexpr (std::is_void_v<decltype(work())>) {
                    run(action, work);
                    confirm(before);
                    return;
                } else {
                    auto result = run(action, work);
                    confirm(before);
                    return result;
                }
            } catch (const StorageError&) {
                if (!is_lost_ || left == 1) {
                    throw;
                }
            }
        }
    }

    [[nodiscard]] bool is_open() const noexcept { return connection_.has_value(); }
    /// The file as it was when it was opened.
    [[nodiscard]] const FileState& opened() const { return connection_->opened(); }
    [[nodiscard]] SQLite::Database& database() { return **connection_; }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] bool is_read_only() const;

    /// Copies the log into the file, as far as no reader needs it, without waiting for other connections.
    void checkpoint();
    /// Copies the whole log into the file and empties the log. Returns false if another connection is in the way; then
    /// the log stays.
    bool checkpoint_and_truncate();

    /// Throws StorageErrc::invalid_argument.
    [[noreturn]] void reject(const std::string& message) const;

  private:
    static constexpr int kAttempts = 3;

    void open_once(const OpenOptions& options);
    [[nodiscard]] std::int64_t changes() const;
    void on_error(const StorageError& error);
    void confirm(std::int64_t changes_before);

    std::string path_;
    OpenOptions options_;
    Hooks hooks_;
    std::optional<GuardedConnection> connection_;
    bool is_lost_ = false;  // the last error came from a change to the files, so that a new connection helps
    bool is_closed_permanently_ = false;
};

}  // namespace session_buddy::storage
