// Inserts invocations one by one, or many with their aggregates.
#include "invocation_inserter.hpp"

#include <SQLiteCpp/Database.h>

#include <deque>
#include <utility>

#include "batch_aggregates.hpp"

namespace session_buddy::storage {
namespace {

/// Minimum number of records for BatchAggregates, which first has to read the schema.
constexpr std::size_t kManyRecords = 16;

// Sets created_at explicitly: in a manually created table the column has no default.
constexpr const char* kInsert =
    "INSERT INTO skill_invocation (skill_name, invoked_at, session_id, workflow_path, completed,"
    " duration_seconds, user_query, alternatives_considered, selection_rank, follow_up_actions, error_type,"
    " workflow_phase, workflow_step_id, embedding, created_at)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, datetime('now'))";

}  // namespace

InvocationInserter::InvocationInserter(SQLite::Database& database, std::size_t max_values)
    : database_(database), insert_(database, kInsert), values_(database, max_values) {}

std::int64_t InvocationInserter::insert(const InvocationRecord& record) {
    values_.forget();
    return insert_bounded(values_.bounded(record).value_or(record));
}

std::int64_t InvocationInserter::insert_bounded(const InvocationRecord& record) {
    insert_.with(record.skill_name, record.invoked_at, record.session_id, record.workflow_path,
                 std::int64_t{record.completed ? 1 : 0}, record.duration_seconds, record.user_query,
                 record.alternatives_considered, record.selection_rank, record.follow_up_actions, record.error_type,
                 record.workflow_phase, record.workflow_step_id);
    constexpr int kEmbeddingIndex = 14;
    if (record.embedding.has_value()) {
        insert_.bind_blob(kEmbeddingIndex, *record.embedding);
    } else {
        insert_.bind(kEmbeddingIndex);
    }
    insert_.run();
    return database_.getLastInsertRowid();
}

std::vector<std::int64_t> InvocationInserter::insert_all(std::span<const InvocationRecord* const> records,
                                                         std::chrono::steady_clock::time_point until) {
    values_.forget();
    std::deque<InvocationRecord> changed;
    std::vector<const InvocationRecord*> rows(records.begin(), records.end());
    for (const InvocationRecord*& row : rows) {
        if (auto bounded = values_.bounded(*row)) {
            row = &changed.emplace_back(std::move(*bounded));
        }
    }
    const auto aggregates = rows.size() >= kManyRecords ? BatchAggregates::prepare(database_, rows) : nullptr;
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
