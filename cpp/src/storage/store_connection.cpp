// Opens and reopens the database, retries after a lost log, and inserts invocations.
#include "store_connection.hpp"

#include <sqlite3.h>

#include <chrono>
#include <deque>
#include <thread>
#include <utility>

#include "batch_aggregates.hpp"
#include "saved_rows.hpp"
#include "session_buddy/core/log.hpp"

namespace session_buddy::storage {
namespace {

constexpr log::Logger kLogger{"session_buddy.storage"};

/// Pause between attempts to open a database whose lost index another connection of this process still uses.
constexpr std::chrono::milliseconds kReopenPause{5};

/// Minimum number of records for BatchAggregates, which first has to read the schema.
constexpr std::size_t kManyRecords = 16;

// Sets created_at explicitly: in a manually created table the column has no default.
constexpr const char* kInsert =
    "INSERT INTO skill_invocation (skill_name, invoked_at, session_id, workflow_path, completed,"
    " duration_seconds, user_query, alternatives_considered, selection_rank, follow_up_actions, error_type,"
    " workflow_phase, workflow_step_id, embedding, created_at)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, datetime('now'))";

}  // namespace

StoreConnection::StoreConnection(std::string path, const OpenOptions& options, Prepare prepare,
                                 std::function<void()> before_connect)
    : path_(std::move(path)),
      options_(options),
      prepare_(std::move(prepare)),
      before_connect_(std::move(before_connect)) {
    connect();
}

void StoreConnection::reject(const std::string& message) const {
    throw StorageError(StorageErrc::invalid_argument, path_, message);
}

void StoreConnection::require_open() {
    if (closed_) {
        reject("the storage is closed");
    }
    close_if_stale();
    if (!connection_) {
        connect();
    }
}

void StoreConnection::close_if_stale() {
    if (connection_ && connection_->state() != GuardedConnection::State::usable) {
        disconnect();
    }
}

void StoreConnection::connect() {
    if (before_connect_) {
        before_connect_();
    }
    OpenOptions options = options_;
    if (options.short_lived) {
        try {
            open_and_prepare(options);
            return;
        } catch (const StorageError& error) {
            if (error.code() == StorageErrc::busy) {
                throw;
            }
            options.short_lived = false;  // a full inspection reports the reason or repairs it
        }
    }
    open_and_prepare(options);
}

void StoreConnection::open_and_prepare(const OpenOptions& options) {
    try {
        connection_.emplace(path_, options);
        sql::translated(path_, "cannot read", [&] {
            insert_.emplace(database(), kInsert);
            values_.emplace(database(), options.max_values_per_skill);
            prepared_ = prepare_(database());
        });
    } catch (...) {
        disconnect();
        throw;
    }
}

std::int64_t StoreConnection::changes() const {
    return connection_ ? sqlite3_total_changes64((*connection_)->getHandle()) : 0;
}

bool StoreConnection::recovers_from(const StorageError& error) {
    if (!connection_) {
        return false;
    }
    if (connection_->state() != GuardedConnection::State::usable) {
        disconnect();
        return true;
    }
    connection_->on_error(error);
    if (error.code() == StorageErrc::damaged || error.code() == StorageErrc::not_a_database ||
        error.code() == StorageErrc::read_only) {
        disconnect();
    }
    return false;
}

void StoreConnection::ensure_commit_kept() {
    if (connection_->state() != GuardedConnection::State::wal_lost) {
        return;
    }
    disconnect();
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
                kLogger.warning("the rows saved from a removed write-ahead log are inserted later: {}", error.what());
                return;
            }
        }
        std::this_thread::sleep_for(kReopenPause);
    }
}

void StoreConnection::disconnect() noexcept {
    prepared_.reset();
    insert_.reset();
    values_.reset();
    connection_.reset();
}

void StoreConnection::close() noexcept {
    closed_ = true;
    disconnect();
}

std::int64_t StoreConnection::insert(const InvocationRecord& record) {
    values_->forget();
    return insert_bounded(values_->bounded(record).value_or(record));
}

std::int64_t StoreConnection::insert_bounded(const InvocationRecord& record) {
    insert_->with(std::string_view(record.skill_name), std::string_view(record.invoked_at),
                  std::string_view(record.session_id), record.workflow_path, std::int64_t{record.completed ? 1 : 0},
                  record.duration_seconds, record.user_query, record.alternatives_considered, record.selection_rank,
                  record.follow_up_actions, record.error_type, record.workflow_phase, record.workflow_step_id);
    constexpr int kEmbeddingIndex = 14;
    if (record.embedding.has_value()) {
        insert_->bind_blob(kEmbeddingIndex, *record.embedding);
    } else {
        insert_->bind_null(kEmbeddingIndex);
    }
    insert_->run();
    return sqlite3_last_insert_rowid(database().getHandle());
}

std::vector<std::int64_t> StoreConnection::insert_all(std::span<const InvocationRecord* const> records,
                                                      std::chrono::steady_clock::time_point until) {
    values_->forget();
    std::deque<InvocationRecord> changed;
    std::vector<const InvocationRecord*> rows(records.begin(), records.end());
    for (const InvocationRecord*& row : rows) {
        if (auto bounded = values_->bounded(*row)) {
            row = &changed.emplace_back(std::move(*bounded));
        }
    }
    const auto aggregates = rows.size() >= kManyRecords ? BatchAggregates::prepare(database(), rows) : nullptr;
    std::vector<std::int64_t> ids;
    ids.reserve(rows.size());
    for (const InvocationRecord* row : rows) {
        ids.push_back(insert_bounded(*row));
        // Triggers of another tool may take milliseconds per row.
        if (!aggregates && std::chrono::steady_clock::now() >= until) {
            return ids;
        }
    }
    if (aggregates) {
        aggregates->write();
    }
    return ids;
}

}  // namespace session_buddy::storage
