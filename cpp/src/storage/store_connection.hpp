// The connection of whoever writes invocations: opened anew where its file was replaced, and the one place that
// inserts.
#pragma once

#include <SQLiteCpp/Database.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "file_state.hpp"
#include "log_files.hpp"
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
    void let_go_if_lost();

    /// Runs `work` on the open database. One that turns out to be damaged, or can only be read, is opened anew by the
    /// next call: it may have been repaired by then, or opened to writers.
    template <typename Work>
    decltype(auto) attempt(std::string_view action, Work&& work) {
        try {
            return sql::translated(path_, action, std::forward<Work>(work));
        } catch (const StorageError& error) {
            if (error.code() == StorageErrc::damaged || error.code() == StorageErrc::not_a_database) {
                leave_log_alone(*database_);
                disconnect();
            } else if (error.code() == StorageErrc::read_only) {
                disconnect();
            }
            throw;
        }
    }

    [[nodiscard]] SQLite::Database& database() { return *database_; }
    [[nodiscard]] const std::string& path() const { return path_; }

    /// Returns the id. The record was checked.
    std::int64_t insert(const InvocationRecord& record);
    /// In a write transaction. Returns the ids.
    std::vector<std::int64_t> insert_all(std::span<const InvocationRecord* const> records);

    /// Throws StorageErrc::invalid_argument.
    [[noreturn]] void refuse(const std::string& message) const;

    void close() noexcept;

  private:
    void connect();
    void open_and_prepare(const OpenOptions& options);
    void disconnect() noexcept;

    std::string path_;
    OpenOptions options_;
    Prepare prepare_;
    std::function<void()> before_connect_;
    std::optional<LogFiles> logs_;
    std::unique_ptr<SQLite::Database> database_;
    std::optional<sql::Statement> insert_;
    std::shared_ptr<void> prepared_;
    FileState opened_;
    bool closed_ = false;
};

}  // namespace session_buddy::storage
