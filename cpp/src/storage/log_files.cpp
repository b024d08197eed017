// See the header. A list of all that are open in this process stands behind it.
#include "log_files.hpp"

#include <SQLiteCpp/Database.h>
#include <spdlog/fmt/fmt.h>
#include <sqlite3.h>

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "session_buddy/core/log.hpp"
#include "session_buddy/storage/error.hpp"

namespace session_buddy::storage {
namespace {

constexpr log::Logger kLogger{"session_buddy.storage"};

struct OpenInProcess {
    std::mutex mutex;
    std::vector<const LogFiles*> all;
};

// Never destroyed: a connection may be closed while the statics of the process go away.
OpenInProcess& open_in_process() {
    static OpenInProcess& instance = *new OpenInProcess;
    return instance;
}

bool is_same(const std::optional<FileState>& now, const std::optional<FileState>& known) {
    return now.has_value() && known.has_value() && now->same_file(*known);
}

/// An index never gets smaller while it is open.
bool is_same_index(const std::optional<FileState>& now, const std::optional<FileState>& known) {
    return is_same(now, known) && now->size >= known->size;
}

}  // namespace

LogFiles::LogFiles(std::string path)
    : path_(std::move(path)),
      database_(file_state(path_).value_or(FileState{})),
      log_(file_state(path_ + "-wal")),
      index_(file_state(path_ + "-shm")) {
    OpenInProcess& open = open_in_process();
    const std::lock_guard lock(open.mutex);
    open.all.push_back(this);
}

LogFiles::~LogFiles() {
    OpenInProcess& open = open_in_process();
    const std::lock_guard lock(open.mutex);
    std::erase(open.all, this);
}

bool LogFiles::lost() const {
    return log_is_lost() || index_is_lost();
}

bool LogFiles::log_is_lost() const {
    return log_.has_value() && !is_same(file_state(path_ + "-wal"), log_);
}

bool LogFiles::index_is_lost() const {
    return index_.has_value() && !is_same_index(file_state(path_ + "-shm"), index_);
}

void LogFiles::give_up(SQLite::Database& database) const noexcept {
    try {
        // Whoever made another log or index does not see this connection's locks.
        const auto log = file_state(path_ + "-wal");
        const auto index = file_state(path_ + "-shm");
        const bool is_alone =
            (!log.has_value() || is_same(log, log_)) && (!index.has_value() || is_same_index(index, index_));
        if (log_.has_value() && is_alone) {
            sqlite3_wal_checkpoint_v2(database.getHandle(), "main", SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
        }
    } catch (const StorageError& error) {
        kLogger.warning("what only its log holds cannot be saved: {}", error.what());
    }
    leave_log_alone(database);
}

void LogFiles::require_none_lost(const std::string& path) {
    const auto now = file_state(path);
    OpenInProcess& open = open_in_process();
    const std::lock_guard lock(open.mutex);
    const bool lost = std::ranges::any_of(open.all, [&](const LogFiles* files) {
        return files->path_ == path && now.has_value() && now->same_file(files->database_) && files->index_is_lost();
    });
    if (lost) {
        throw StorageError(StorageErrc::busy, path,
                           fmt::format("cannot read database \"{}\": the index of its write-ahead log was removed or "
                                       "emptied, and a connection of this process still uses it",
                                       path));
    }
}

void leave_log_alone(SQLite::Database& database) noexcept {
    sqlite3_db_config(database.getHandle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

}  // namespace session_buddy::storage
