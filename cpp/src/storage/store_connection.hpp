// The connection of the stores: reopened when its file was replaced. All inserts of invocations are here.
#pragma once

#include <SQLiteCpp/Database.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "distinct_values.hpp"
#include "guarded_connection.hpp"
#include "session_buddy/storage/database.hpp"
#include "session_buddy/storage/error.hpp"
#include "session_buddy/storage/invocation_record.hpp"
#include "sql.hpp"

namespace session_buddy::storage {

/// Not thread-safe. Every call but close() may throw StorageError.
class StoreConnection {
  public:
    /// Prepares the owner's statements for a connection. The result is released before the connection is closed.
    using Prepare = std::function<std::shared_ptr<void>(SQLite::Database&)>;

    /// `before_connect`, if given, is called before each opening. There the owner must close its other connections to
    /// the file that lost their index, because SQLite would share that index with the new connection.
    StoreConnection(std::string path, const OpenOptions& options, Prepare prepare,
                    std::function<void()> before_connect = {});
    ~StoreConnection() { disconnect(); }
    StoreConnection(const StoreConnection&) = delete;
    StoreConnection& operator=(const StoreConnection&) = delete;

    /// Must be called before each use. Reopens a file that was replaced, deleted or truncated, or whose log was
    /// removed, because writes to the old files would be lost. Throws after close().
    void require_open();

    /// Closes the connection if its file or write-ahead log was removed or replaced; the next require_open()
    /// reconnects.
    void close_if_stale();

    /// Runs `work` on the open database, and retries it if the file or log was removed or replaced meanwhile; so `work`
    /// must get the database from this object and have no effect when it fails. A damaged or write-protected database
    /// is reopened by the next call, because it may have been repaired or made writable. When this returns, commits are
    /// in the log at the path, or saved to be inserted there.
    template <typename Work>
    auto attempt(std::string_view action, const Work& work) {
        for (int left = kAttempts;; --left) {
            try {
                const std::int64_t before = changes();
                if constexpr (std::is_void_v<decltype(work())>) {
                    sql::translated(path_, action, work);
                    confirm(before);
                    return;
                } else {
                    auto result = sql::translated(path_, action, work);
                    confirm(before);
                    return result;
                }
            } catch (const StorageError& error) {
                if (!recovers_from(error) || left == 1) {
                    throw;
                }
            }
            require_open();
        }
    }

    [[nodiscard]] SQLite::Database& database() { return **connection_; }
    [[nodiscard]] const std::string& path() const { return path_; }

    /// Inserts a valid record. Returns the id.
    std::int64_t insert(const InvocationRecord& record);
    /// Inserts valid records in a write transaction. Returns their ids. When the rows must be inserted one by one,
    /// stops after the first row that ends after `until`; then there are fewer ids, but at least one.
    std::vector<std::int64_t> insert_all(
        std::span<const InvocationRecord* const> records,
        std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max());

    /// Throws StorageErrc::invalid_argument.
    [[noreturn]] void reject(const std::string& message) const;

    void close() noexcept;

  private:
    static constexpr int kAttempts = 3;

    std::int64_t insert_bounded(const InvocationRecord& record);
    void connect();
    void open_and_prepare(const OpenOptions& options);
    void disconnect() noexcept;
    [[nodiscard]] std::int64_t changes() const;
    /// Whether an error may come from a change to the files, so that a new connection helps.
    [[nodiscard]] bool recovers_from(const StorageError& error);
    void confirm(std::int64_t changes_before) {
        if (changes() != changes_before) {
            ensure_commit_kept();
        }
    }
    void ensure_commit_kept();

    std::string path_;
    OpenOptions options_;
    Prepare prepare_;
    std::function<void()> before_connect_;
    std::optional<GuardedConnection> connection_;
    std::optional<sql::Statement> insert_;
    std::optional<DistinctValues> values_;
    std::shared_ptr<void> prepared_;
    bool closed_ = false;
};

}  // namespace session_buddy::storage
