// The connection of whoever writes invocations: opened anew where its file was replaced, and the one place that
// inserts.
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

/// Not safe to share between threads. Every call but close() may throw StorageError.
class StoreConnection {
  public:
    /// Makes the owner's own statements for a connection. What it returns is let go before the connection is closed.
    using Prepare = std::function<std::shared_ptr<void>(SQLite::Database&)>;

    /// `before_connect`, where given, is called before each opening: what else of the owner has the file open must let
    /// go of it there where it lost its index, because SQLite would give that one to the new connection too.
    StoreConnection(std::string path, const OpenOptions& options, Prepare prepare,
                    std::function<void()> before_connect = {});
    ~StoreConnection() { disconnect(); }
    StoreConnection(const StoreConnection&) = delete;
    StoreConnection& operator=(const StoreConnection&) = delete;

    /// To be called before each use. Throws where close() was called. A file that was replaced, deleted or emptied
    /// meanwhile is opened anew, and so is one whose log was removed: what is written to the old one would be lost.
    void require_open();

    /// Closes a connection whose file or log is no longer what it was; the next require_open() makes another.
    void close_if_stale();

    /// Runs `work` on the open database; once more where file or log were removed or replaced meanwhile, so it must
    /// take the database from this object and leave nothing behind when it fails. One that turns out to be damaged, or
    /// can only be read, is opened anew by the next call: it may have been repaired by then, or opened to writers. What
    /// was committed when this returns is in the log that others find, or waits to be stored there.
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

    /// Returns the id. The record was checked.
    std::int64_t insert(const InvocationRecord& record);
    /// In a write transaction. Returns the ids: of fewer, but at least one, where `until` passes meanwhile and the rows
    /// are inserted one by one.
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
    /// After an error: whether it may be due to what others did to the files, and another connection helps.
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
