// SkillsStore: checked writes in as few transactions as possible, and the queries behind the Python face.
#include "session_buddy/storage/skills_store.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>
#include <spdlog/fmt/fmt.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>

#include "batch_aggregates.hpp"
#include "file_state.hpp"
#include "log_files.hpp"
#include "row_reader.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/core/utf8.hpp"
#include "session_buddy/storage/database.hpp"
#include "sql.hpp"

namespace session_buddy::storage {
namespace {

constexpr std::size_t kMaxSessionIdBytes = 1024;
constexpr std::size_t kMaxKeyBytes = 1024;
constexpr std::size_t kMaxTextBytes = std::size_t{1024} * 1024;
/// From here on a batch is worth the look at the schema that doing the triggers' work at once begins with.
constexpr std::size_t kManyRecords = 16;

constexpr const char* kMetricsColumns =
    "skill_name, total_invocations, completed_invocations, abandoned_invocations, total_duration_seconds, "
    "workflow_paths,"
    " common_errors, follow_up_actions, avg_selection_rank, recommendation_success_rate, first_invoked, last_invoked,"
    " completion_rate, avg_duration_seconds, updated_at";

/// What is wrong with a record, empty where nothing is. Begins with the name of the field.
std::string fault_in_text(const char* field, const std::optional<std::string>& text, bool json_array) {
    if (!text.has_value()) {
        return {};
    }
    if (text->size() > kMaxTextBytes) {
        return fmt::format("{} must be at most {} bytes", field, kMaxTextBytes);
    }
    if (!is_valid_utf8(*text) || text->find('\0') != std::string::npos) {
        return fmt::format("{} must be UTF-8 text without NUL", field);
    }
    if (json_array) {
        const auto parsed = nlohmann::json::parse(*text, nullptr, false);
        if (!parsed.is_array()) {
            return fmt::format("{} must be the text of a JSON array", field);
        }
    }
    return {};
}

std::string fault_in(const InvocationRecord& record) {
    if (!is_valid_skill_name(record.skill_name)) {
        return fmt::format("skill_name must be 1 to {} bytes of UTF-8 without control characters", kMaxSkillNameBytes);
    }
    if (!parse_timestamp(record.invoked_at).has_value()) {
        return fmt::format("invoked_at must be an ISO 8601 timestamp such as 2026-02-10T12:00:00Z");
    }
    if (record.session_id.empty() || record.session_id.size() > kMaxSessionIdBytes ||
        !is_valid_utf8(record.session_id) || record.session_id.find('\0') != std::string::npos) {
        return fmt::format("session_id must be 1 to {} bytes of UTF-8 without NUL", kMaxSessionIdBytes);
    }
    if (record.duration_seconds.has_value() &&
        (!std::isfinite(*record.duration_seconds) || *record.duration_seconds < 0.0)) {
        return "duration_seconds must be a finite number that is not negative";
    }
    if (record.selection_rank.has_value() && *record.selection_rank < 0) {
        return "selection_rank must not be negative";
    }
    const std::array<std::string, 7> faults{
        fault_in_text("workflow_path", record.workflow_path, false),
        fault_in_text("user_query", record.user_query, false),
        fault_in_text("alternatives_considered", record.alternatives_considered, true),
        fault_in_text("follow_up_actions", record.follow_up_actions, true),
        fault_in_text("error_type", record.error_type, false),
        fault_in_text("workflow_phase", record.workflow_phase, false),
        fault_in_text("workflow_step_id", record.workflow_step_id, false)};
    for (const std::string& fault : faults) {
        if (!fault.empty()) {
            return fault;
        }
    }
    return {};
}

std::optional<std::string> optional_text(const sql::Statement& row, int column) {
    return row.is_null(column) ? std::nullopt : std::optional<std::string>(row.text(column));
}

std::optional<double> optional_real(const sql::Statement& row, int column) {
    return row.is_null(column) ? std::nullopt : std::optional<double>(row.real(column));
}

SkillMetricsRow read_metrics(const sql::Statement& row) {
    return {.skill_name = std::string(row.text(0)),
            .total_invocations = row.integer(1),
            .completed_invocations = row.integer(2),
            .abandoned_invocations = row.integer(3),
            .total_duration_seconds = row.real(4),
            .workflow_paths = std::string(row.text(5)),
            .common_errors = std::string(row.text(6)),
            .follow_up_actions = std::string(row.text(7)),
            .avg_selection_rank = optional_real(row, 8),
            .recommendation_success_rate = optional_real(row, 9),
            .first_invoked = optional_text(row, 10),
            .last_invoked = optional_text(row, 11),
            .completion_rate = row.real(12),
            .avg_duration_seconds = optional_real(row, 13),
            .updated_at = std::string(row.text(14))};
}

}  // namespace

struct SkillsStore::Impl {
    struct Statements {
        explicit Statements(SQLite::Database& database)
            // created_at is written out: the column of a table made by hand has no default.
            : insert(database,
                     "INSERT INTO skill_invocation (skill_name, invoked_at, session_id, workflow_path, completed,"
                     " duration_seconds, user_query, alternatives_considered, selection_rank, follow_up_actions, "
                     "error_type,"
                     " workflow_phase, workflow_step_id, embedding, created_at)"
                     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, datetime('now'))"),
              metrics(database, fmt::format("SELECT {} FROM skill_metrics WHERE skill_name = ?1", kMetricsColumns)),
              all_metrics(
                  database,
                  fmt::format("SELECT {} FROM skill_metrics ORDER BY total_invocations DESC, skill_name LIMIT ?1",
                              kMetricsColumns)),
              recent(database,
                     fmt::format("SELECT {} FROM skill_invocation WHERE invoked_at >= ?1", kInvocationColumns)) {}
        sql::Statement insert;
        sql::Statement metrics;
        sql::Statement all_metrics;
        sql::Statement recent;
    };

    std::mutex mutex;
    std::string path;
    std::chrono::milliseconds busy_timeout;
    std::optional<LogFiles> logs;
    std::unique_ptr<SQLite::Database> database;
    std::optional<Statements> statements;
    FileState opened;
    bool closed = false;

    Impl(std::string file, std::chrono::milliseconds timeout) : path(std::move(file)), busy_timeout(timeout) {
        connect();
    }

    [[noreturn]] void refuse(const std::string& message) const {
        throw StorageError(StorageErrc::invalid_argument, path, message);
    }

    /// Throws where close() was called. A file that was replaced, deleted or emptied meanwhile is opened anew, and so
    /// is one whose log was removed: what is written to the old one would be lost.
    void require_open() {
        if (closed) {
            refuse("the storage is closed");
        }
        if (database) {
            const auto state = file_state(path);
            const bool is_same = state.has_value() && state->same_file(opened);
            const bool is_empty = is_same && state->size == 0;
            if (is_same && !is_empty && !logs->lost()) {
                return;
            }
            if (is_empty) {
                leave_log_alone(*database);
            } else {
                logs->give_up(*database);
            }
            disconnect();
        }
        connect();
    }

    void disconnect() noexcept {
        statements.reset();
        database.reset();
        logs.reset();
    }

    /// Runs `work` on the open database. One that turns out to be damaged is opened anew by the next call: it may have
    /// been repaired by then.
    template <typename Work>
    decltype(auto) attempt(std::string_view action, Work&& work) {
        try {
            return sql::translated(path, action, std::forward<Work>(work));
        } catch (const StorageError& error) {
            if (error.code() == StorageErrc::damaged || error.code() == StorageErrc::not_a_database) {
                leave_log_alone(*database);
                disconnect();
            }
            throw;
        }
    }

    void connect() {
        try {
            database = open_database(path, {.busy_timeout = busy_timeout});
            sql::translated(path, "cannot read", [&] { statements.emplace(*database); });
            logs.emplace(path);
            opened = file_state(path).value_or(FileState{});
        } catch (...) {
            disconnect();
            throw;
        }
    }

    void check(const InvocationRecord& record) const {
        if (const std::string fault = fault_in(record); !fault.empty()) {
            refuse(fault);
        }
    }

    void check_at(const InvocationRecord& record, std::size_t index) const {
        if (const std::string fault = fault_in(record); !fault.empty()) {
            refuse(fmt::format("record {}: {}", index, fault));
        }
    }

    void check_limit(std::int64_t limit) const {
        if (limit < 0) {
            refuse("limit must not be negative");
        }
    }

    std::int64_t insert(const InvocationRecord& record) {
        sql::Statement& statement = statements->insert;
        statement.with(std::string_view(record.skill_name), std::string_view(record.invoked_at),
                       std::string_view(record.session_id), record.workflow_path,
                       std::int64_t{record.completed ? 1 : 0}, record.duration_seconds, record.user_query,
                       record.alternatives_considered, record.selection_rank, record.follow_up_actions,
                       record.error_type, record.workflow_phase, record.workflow_step_id);
        constexpr int kEmbeddingPlace = 14;
        if (record.embedding.has_value()) {
            statement.bind_blob(kEmbeddingPlace, *record.embedding);
        } else {
            statement.bind_null(kEmbeddingPlace);
        }
        statement.run();
        return sqlite3_last_insert_rowid(database->getHandle());
    }

    /// In a write transaction. Returns the ids.
    std::vector<std::int64_t> insert_all(std::span<const InvocationRecord* const> records) {
        const auto aggregates = records.size() >= kManyRecords ? BatchAggregates::of(*database, records) : nullptr;
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
};

SkillsStore::SkillsStore(const std::string& path, std::chrono::milliseconds busy_timeout)
    : impl_(std::make_unique<Impl>(path, busy_timeout)) {}

SkillsStore::~SkillsStore() = default;

std::int64_t SkillsStore::store(const InvocationRecord& record) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->require_open();
    impl_->check(record);
    return impl_->attempt("cannot write to", [&] { return impl_->insert(record); });
}

std::vector<std::int64_t> SkillsStore::store_many(std::span<const InvocationRecord> records) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->require_open();
    std::vector<const InvocationRecord*> all;
    all.reserve(records.size());
    for (std::size_t index = 0; index < records.size(); ++index) {
        impl_->check_at(records[index], index);
        all.push_back(&records[index]);
    }
    if (records.empty()) {
        return {};
    }
    return impl_->attempt("cannot write to", [&] {
        SQLite::Transaction transaction(*impl_->database, SQLite::TransactionBehavior::IMMEDIATE);
        std::vector<std::int64_t> ids = impl_->insert_all(all);
        transaction.commit();
        return ids;
    });
}

std::vector<bool> SkillsStore::store_new(std::span<const KeyedRecord> records) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->require_open();
    for (std::size_t index = 0; index < records.size(); ++index) {
        const std::string& key = records[index].key;
        if (key.empty() || key.size() > kMaxKeyBytes || !is_valid_utf8(key) || key.find('\0') != std::string::npos) {
            impl_->refuse(
                fmt::format("record {}: key must be 1 to {} bytes of UTF-8 without NUL", index, kMaxKeyBytes));
        }
        impl_->check_at(records[index].record, index);
    }
    std::vector<bool> stored;
    if (records.empty()) {
        return stored;
    }
    stored.reserve(records.size());
    impl_->attempt("cannot write to", [&] {
        SQLite::Transaction transaction(*impl_->database, SQLite::TransactionBehavior::IMMEDIATE);
        impl_->database->exec(
            "CREATE TABLE IF NOT EXISTS session_buddy_source"
            " (key TEXT PRIMARY KEY, invocation_id INTEGER NOT NULL) WITHOUT ROWID");
        sql::Statement known(*impl_->database, "SELECT 1 FROM session_buddy_source WHERE key = ?1");
        std::unordered_set<std::string_view> new_keys;
        std::vector<const InvocationRecord*> new_records;
        for (const KeyedRecord& keyed : records) {
            const bool is_new = !known.with(std::string_view(keyed.key)).step() && new_keys.insert(keyed.key).second;
            known.reset();
            if (is_new) {
                new_records.push_back(&keyed.record);
            }
            stored.push_back(is_new);
        }
        const std::vector<std::int64_t> ids = impl_->insert_all(new_records);
        sql::Statement remember(*impl_->database,
                                "INSERT INTO session_buddy_source (key, invocation_id) VALUES (?1, ?2)");
        auto id = ids.begin();
        for (std::size_t index = 0; index < records.size(); ++index) {
            if (stored[index]) {
                remember.with(std::string_view(records[index].key), *id++).run();
            }
        }
        transaction.commit();
    });
    return stored;
}

std::optional<SkillMetricsRow> SkillsStore::metrics(std::string_view skill_name) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->require_open();
    return impl_->attempt("cannot read", [&] {
        sql::Statement& query = impl_->statements->metrics.with(skill_name);
        std::optional<SkillMetricsRow> row;
        if (query.step()) {
            row = read_metrics(query);
        }
        query.reset();
        return row;
    });
}

std::vector<SkillMetricsRow> SkillsStore::all_metrics(std::int64_t limit) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->require_open();
    impl_->check_limit(limit);
    return impl_->attempt("cannot read", [&] {
        std::vector<SkillMetricsRow> rows;
        sql::Statement& query = impl_->statements->all_metrics.with(limit);
        while (query.step()) {
            rows.push_back(read_metrics(query));
        }
        return rows;
    });
}

std::vector<RealTimeRow> SkillsStore::real_time_metrics(std::int64_t limit, std::chrono::microseconds window,
                                                        TimePoint now) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->require_open();
    impl_->check_limit(limit);
    if (window <= std::chrono::microseconds{0} || window > std::chrono::days{36600}) {
        impl_->refuse("window must be more than 0 and at most 100 years");
    }
    struct Sums {
        RealTimeRow row;
        double seconds = 0.0;
        std::int64_t timed = 0;
    };
    return impl_->attempt("cannot read", [&] {
        const TimePoint start = now - window;
        std::unordered_map<std::string, Sums> skills;
        // By text first, which the index serves: whatever its offset, a row inside the window bears at least this date.
        const std::string from = format_timestamp(start - std::chrono::days{1}).substr(0, 10);
        sql::Statement& rows = impl_->statements->recent.with(std::string_view(from));
        while (rows.step()) {
            const auto invocation = read_invocation(rows);
            if (!invocation.has_value() || invocation->invoked_at <= start) {
                continue;
            }
            Sums& sums = skills[invocation->skill_name];
            const TimePoint at = std::min(invocation->invoked_at, now);
            sums.row.last_invocation_at =
                sums.row.invocation_count == 0 ? at : std::max(sums.row.last_invocation_at, at);
            ++sums.row.invocation_count;
            if (invocation->completed) {
                ++sums.row.completed_count;
                if (invocation->duration_seconds.has_value()) {
                    sums.seconds += *invocation->duration_seconds;
                    ++sums.timed;
                }
            }
        }
        std::vector<RealTimeRow> result;
        result.reserve(skills.size());
        for (auto& [name, sums] : skills) {
            sums.row.skill_name = name;
            sums.row.avg_duration = sums.timed > 0 ? sums.seconds / static_cast<double>(sums.timed) : 0.0;
            result.push_back(std::move(sums.row));
        }
        std::ranges::sort(result, [](const RealTimeRow& a, const RealTimeRow& b) {
            if (a.invocation_count != b.invocation_count) {
                return a.invocation_count > b.invocation_count;
            }
            if (a.last_invocation_at != b.last_invocation_at) {
                return a.last_invocation_at > b.last_invocation_at;
            }
            return a.skill_name < b.skill_name;
        });
        if (result.size() > static_cast<std::size_t>(limit)) {
            result.resize(static_cast<std::size_t>(limit));
        }
        return result;
    });
}

void SkillsStore::close() noexcept {
    const std::scoped_lock lock(impl_->mutex);
    impl_->closed = true;
    impl_->disconnect();
}

}  // namespace session_buddy::storage
