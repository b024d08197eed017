// Detects that the open database or its log was removed or replaced, fails commits then, and rescues the log on close.
#include "guarded_connection.hpp"

#include <spdlog/fmt/fmt.h>
#include <sqlite3.h>

#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "saved_rows.hpp"
#include "session_buddy/core/log.hpp"
#include "sql.hpp"
#include "wal_rescue.hpp"

namespace session_buddy::storage {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// A file is often replaced by removing the log and its index first. A log that was restored in between would be
/// applied to the new file, so a lost log is restored only after this time.
constexpr milliseconds kReplacementTime{250};
/// From the removal of the log to that of the index.
constexpr milliseconds kIndexRemovalTime{20};
constexpr milliseconds kReplacementPause{5};

/// The lost log that this thread waited for, so that its other connections to the same log do not wait again.
struct AwaitedWal {
    FileState wal;
    steady_clock::time_point since;
};
thread_local std::optional<AwaitedWal> awaited_wal;

/// When this thread began to wait for the replacement of this log. Later than a second ago, because another log may get
/// the inode.
steady_clock::time_point wait_began(const FileState& wal) {
    const auto now = steady_clock::now();
    if (!awaited_wal || !awaited_wal->wal.same_file(wal) || now - awaited_wal->since > std::chrono::seconds{1}) {
        awaited_wal = AwaitedWal{wal, now};
    }
    return awaited_wal->since;
}

std::unique_ptr<SQLite::Database> open_without_foreign_wal(const std::string& path, const OpenOptions& options) {
    discard_foreign_wal(path);
    return open_database(path, options);
}

}  // namespace

GuardedConnection::GuardedConnection(std::string path, const OpenOptions& options)
    : path_(std::move(path)), database_(open_without_foreign_wal(path_, options)) {
    const auto state = file_state(path_);
    if (!state.has_value()) {
        throw StorageError(StorageErrc::missing, path_, fmt::format("database \"{}\" is gone", path_));
    }
    opened_ = *state;
    // A read makes SQLite open the write-ahead log; WalFiles then records which log this connection uses.
    sql::translated(path_, "cannot read",
                    [&] { static_cast<void>(sql::query_integer(*database_, "SELECT count(*) FROM sqlite_master")); });
    wal_files_ = std::make_unique<WalFiles>(path_);
    sqlite3_commit_hook(
        database_->getHandle(),
        [](void* self) { return static_cast<const GuardedConnection*>(self)->is_usable() ? 0 : 1; }, this);
    if (sqlite3_db_readonly(database_->getHandle(), "main") == 0) {
        sql::translated(path_, "cannot write to", [&] { store_saved_rows(*database_, wal_files_->path()); });
    }
}

GuardedConnection::~GuardedConnection() {
    if (!is_damaged_ && wal_files_) {
        rescue_wal();
    }
    database_.reset();
    wal_files_
        .reset();  // last, so that no other connection of the process shares a lost index while SQLite has it open
}

GuardedConnection::State GuardedConnection::state() const {
    const auto now = file_state(path_);
    if (!now.has_value()) {
        return State::gone;
    }
    if (!now->same_file(opened_)) {
        return State::replaced;
    }
    if (now->size == 0 && opened_.size > 0) {
        return State::emptied;
    }
    return wal_files_->lost() ? State::wal_lost : State::usable;
}

void GuardedConnection::on_error(const StorageError& error) noexcept {
    // Without its log, an intact file looks damaged.
    if ((error.code() == StorageErrc::damaged || error.code() == StorageErrc::not_a_database) && is_usable()) {
        disable_checkpoint_on_close(*database_);
        is_damaged_ = true;
    }
}

bool GuardedConnection::is_usable() const noexcept {
    try {
        return state() == State::usable;
    } catch (const StorageError&) {
        return true;  // unknown, because the folder cannot be entered any more
    }
}

bool GuardedConnection::is_being_replaced() const {
    const auto start = wait_began(wal_files_->wal_state());
    while (state() == State::wal_lost) {
        const auto waited = steady_clock::now() - start;
        if (waited >= kReplacementTime || (waited >= kIndexRemovalTime && wal_files_->index_is_shared())) {
            return false;
        }
        std::this_thread::sleep_for(kReplacementPause);
    }
    return true;
}

void GuardedConnection::rescue_wal() noexcept {
    try {
        switch (state()) {
            case State::usable:
                return;
            case State::gone:
            case State::replaced:
                // The file was moved or deleted, but its log may still be there. The next database at this path would
                // use that log.
                if (wal_files_->paths_are_ours()) {
                    sqlite3_wal_checkpoint_v2(database_->getHandle(), "main", SQLITE_CHECKPOINT_TRUNCATE, nullptr,
                                              nullptr);
                }
                break;
            case State::emptied:
                break;
            case State::wal_lost:
                if (!wal_files_->wal_is_lost()) {
                    break;  // the next connection reads the log and creates a new index
                }
                if (is_being_replaced()) {
                    break;  // its rows go with the old file
                }
                switch (restore_wal(*database_, *wal_files_)) {
                    case WalRescue::nothing_lost:
                        break;
                    case WalRescue::restored:
                        log::kStorage.info("restored the removed write-ahead log of database \"{}\"", path_);
                        break;
                    case WalRescue::diverged:
                    case WalRescue::failed:
                        if (reads_complete_wal(*database_, *wal_files_)) {
                            save_rows(*database_, *wal_files_);
                        }
                        break;
                }
                break;
        }
    } catch (const std::exception& error) {
        log::kStorage.error("cannot rescue the commits in the removed write-ahead log of database \"{}\": {}", path_,
                            error.what());
    }
    disable_checkpoint_on_close(*database_);
}

void disable_checkpoint_on_close(SQLite::Database& database) noexcept {
    sqlite3_db_config(database.getHandle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

}  // namespace session_buddy::storage
