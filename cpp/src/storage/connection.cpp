// Opens, checks, closes and reopens, and repeats work whose commit was lost with a log.
#include "connection.hpp"

#include <sqlite3.h>

#include <chrono>
#include <thread>
#include <utility>

#include "saved_rows.hpp"
#include "session_buddy/core/log.hpp"

namespace session_buddy::storage {
namespace {

/// Pause between attempts to open a database whose lost index another connection of this process still uses.
constexpr std::chrono::milliseconds kReopenPause{5};

bool helps_to_reopen(StorageErrc code) {
    return code == StorageErrc::damaged || code == StorageErrc::not_a_database || code == StorageErrc::read_only ||
           code == StorageErrc::incompatible;
}

}  // namespace

Connection::Connection(std::string path, const OpenOptions& options, Hooks hooks)
    : path_(std::move(path)), options_(options), hooks_(std::move(hooks)) {}

void Connection::reject(const std::string& message) const {
    throw StorageError(StorageErrc::invalid_argument, path_, message);
}

void Connection::require_not_closed() const {
    if (is_closed_permanently_) {
        reject("the storage is closed");
    }
}

void Connection::require_open() {
    require_not_closed();
    close_if_stale();
    if (!connection_) {
        open(options_);
    }
}

Connection::State Connection::close_if_stale() {
    const State state = connection_ ? connection_->state() : State::usable;
    if (state != State::usable) {
        close();
    }
    return state;
}

void Connection::close() noexcept {
    if (connection_ && hooks_.on_close) {
        hooks_.on_close();
    }
    connection_.reset();
}

void Connection::close_permanently() noexcept {
    is_closed_permanently_ = true;
    close();
}

void Connection::open(const OpenOptions& options) {
    close();
    if (hooks_.before_open) {
        hooks_.before_open();
    }
    if (options.short_lived) {
        try {
            open_once(options);
            return;
        } catch (const StorageError& error) {
            if (error.code() == StorageErrc::busy) {
                throw;
            }
        }
    }
    OpenOptions inspecting = options;
    inspecting.short_lived = false;  // a full inspection reports the reason or repairs it
    open_once(inspecting);
}

void Connection::open_once(const OpenOptions& options) {
    try {
        connection_.emplace(path_, options);
        database().setBusyTimeout(static_cast<int>(options_.busy_timeout.count()));
        if (hooks_.on_open) {
            sql::translated(path_, "cannot read", [&] { hooks_.on_open(database()); });
        }
    } catch (...) {
        close();
        throw;
    }
}

bool Connection::is_read_only() const {
    return sqlite3_db_readonly((*connection_)->getHandle(), "main") != 0;
}

void Connection::checkpoint() {
    sqlite3_wal_checkpoint_v2(database().getHandle(), "main", SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
}

bool Connection::checkpoint_and_truncate() {
    if (connection_->state() != State::usable) {
        return false;  // this log is not that of the file any more
    }
    database().setBusyTimeout(0);
    const int result =
        sqlite3_wal_checkpoint_v2(database().getHandle(), "main", SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
    database().setBusyTimeout(static_cast<int>(options_.busy_timeout.count()));
    return result == SQLITE_OK;
}

std::int64_t Connection::changes() const {
    return connection_ ? sqlite3_total_changes64((*connection_)->getHandle()) : 0;
}

void Connection::on_error(const StorageError& error) {
    is_lost_ = connection_ && connection_->state() != State::usable;
    if (connection_ && !is_lost_) {
        connection_->on_error(error);
    }
    if (is_lost_ || helps_to_reopen(error.code())) {
        close();
    }
}

/// Called after a commit: if the log was removed before the commit ended, makes sure that it is not lost.
void Connection::confirm(std::int64_t changes_before) {
    is_lost_ = false;
    if (changes() == changes_before || connection_->state() != State::wal_lost) {
        return;
    }
    close();
    if (!has_saved_rows(resolve_links(path_))) {
        return;
    }
    for (const auto deadline = std::chrono::steady_clock::now() + options_.busy_timeout;;) {
        try {
            require_open();
            return;
        } catch (const StorageError& error) {
            // Other connections of this process may have to close their lost files first.
            if (error.code() != StorageErrc::busy || std::chrono::steady_clock::now() >= deadline) {
                if (options_.short_lived) {
                    throw;  // this process ends before it could insert them later
                }
                log::kStorage.warning("the rows saved from a removed write-ahead log are inserted later: {}",
                                      error.what());
                return;
            }
        }
        std::this_thread::sleep_for(kReopenPause);
    }
}

}  // namespace session_buddy::storage
