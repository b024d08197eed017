// See store_connection.hpp.
#include "store_connection.hpp"

#include <sqlite3.h>

#include "batch_aggregates.hpp"

namespace session_buddy::storage {
namespace {

/// From here on a batch is worth the look at the schema that doing the triggers' work at once begins with.
constexpr std::size_t kManyRecords = 16;

// created_at is written out: the column of a table made by hand has no default.
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

void StoreConnection::refuse(const std::string& message) const {
    throw StorageError(StorageErrc::invalid_argument, path_, message);
}

void StoreConnection::require_open() {
    if (closed_) {
        refuse("the storage is closed");
    }
    let_go_if_lost();
    if (!database_) {
        connect();
    }
}

void StoreConnection::let_go_if_lost() {
    if (!database_) {
        return;
    }
    const auto state = file_state(path_);
    const bool is_same = state.has_value() && state->same_file(opened_);
    const bool is_empty = is_same && state->size == 0;
    if (is_same && !is_empty && !logs_->lost()) {
        return;
    }
    if (is_empty) {
        leave_log_alone(*database_);
    } else {
        logs_->give_up(*database_);
    }
    disconnect();
}

void StoreConnection::connect() {
    if (before_connect_) {
        before_connect_();
    }
    try {
        OpenOptions options = options_;
        if (options.brief) {
            try {
                open_and_prepare(options);
            } catch (const StorageError& error) {
                if (error.code() == StorageErrc::busy) {
                    throw;
                }
                disconnect();
                options.brief = false;  // the closer look says what is the matter, or mends it
            }
        }
        if (!database_) {
            open_and_prepare(options);
        }
        logs_.emplace(path_);
        opened_ = file_state(path_).value_or(FileState{});
    } catch (...) {
        disconnect();
        throw;
    }
}

void StoreConnection::open_and_prepare(const OpenOptions& options) {
    database_ = open_database(path_, options);
    sql::translated(path_, "cannot read", [&] {
        insert_.emplace(*database_, kInsert);
        prepared_ = prepare_(*database_);
    });
}

void StoreConnection::disconnect() noexcept {
    prepared_.reset();
    insert_.reset();
    database_.reset();
    logs_.reset();
}

void StoreConnection::close() noexcept {
    closed_ = true;
    disconnect();
}

std::int64_t StoreConnection::insert(const InvocationRecord& record) {
    insert_->with(std::string_view(record.skill_name), std::string_view(record.invoked_at),
                  std::string_view(record.session_id), record.workflow_path, std::int64_t{record.completed ? 1 : 0},
                  record.duration_seconds, record.user_query, record.alternatives_considered, record.selection_rank,
                  record.follow_up_actions, record.error_type, record.workflow_phase, record.workflow_step_id);
    constexpr int kEmbeddingPlace = 14;
    if (record.embedding.has_value()) {
        insert_->bind_blob(kEmbeddingPlace, *record.embedding);
    } else {
        insert_->bind_null(kEmbeddingPlace);
    }
    insert_->run();
    return sqlite3_last_insert_rowid(database_->getHandle());
}

std::vector<std::int64_t> StoreConnection::insert_all(std::span<const InvocationRecord* const> records) {
    const auto aggregates = records.size() >= kManyRecords ? BatchAggregates::of(*database_, records) : nullptr;
    std::vector<std::int64_t> ids;
    ids.reserve(records.size());
    for (const InvocationRecord* record : records) {
        ids.push_back(insert(*record));
    }
    if (aggregates) {
        aggregates->write();
    }
    return ids;
}

}  // namespace session_buddy::storage
