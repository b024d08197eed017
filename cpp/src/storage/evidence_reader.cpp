// Opens the database for each query, and leaves no trace of it.
#include "session_buddy/storage/evidence_reader.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <utility>

#include "inspection.hpp"
#include "marks.hpp"
#include "row_reader.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "sql.hpp"

namespace session_buddy::storage {
namespace {

using Invocations = std::vector<RecordedInvocation>;

std::int64_t limited(std::size_t count) {
    return static_cast<std::int64_t>(std::min(count, EvidenceReader::kMaxInvocations));
}

/// The column, or NULL in a table of an earlier version.
std::string column_or_null(SQLite::Database& database, const std::string& table, const std::string& column) {
    return sql::has_column(database, table, column) ? column : "NULL";
}

/// Adds dedup keys, sources and evidence to rows. A typed command has one key per report.
void add_keys(SQLite::Database& database, Invocations& rows) {
    if (rows.empty() || !sql::has_table(database, "session_buddy_source")) {
        return;
    }
    const auto [first, last] = std::ranges::minmax(rows, {}, &RecordedInvocation::id);
    // The table has no index by row: it is read as a whole, once.
    sql::Statement keys(database, fmt::format("SELECT key, invocation_id, seen_by, {} FROM session_buddy_source"
                                              " WHERE invocation_id BETWEEN ?1 AND ?2",
                                              column_or_null(database, "session_buddy_source", "evidence")));
    keys.with(first.id, last.id);
    while (keys.step()) {
        const auto row = std::ranges::find(rows, keys.integer(1), &RecordedInvocation::id);
        if (row == rows.end()) {
            continue;
        }
        if (row->key.empty()) {
            row->key = keys.text(0);
        }
        row->seen_by = static_cast<Sources>(row->seen_by | keys.integer(2));
        if (auto evidence = read_evidence(keys, 3)) {
            if (row->evidence) {
                evidence->merge(*row->evidence);
            }
            row->evidence = std::move(evidence);
        }
    }
}

Invocations read_rows(SQLite::Database& database, std::string_view condition, const auto&... values) {
    sql::Statement query(database, fmt::format("SELECT {} FROM skill_invocation {}", kInvocationColumns, condition));
    MarkReader mark_reader(database);
    query.with(values...);
    Invocations rows;
    while (query.step()) {
        RecordedInvocation& row = rows.emplace_back();
        row.id = query.integer(0);
        row.values.skill_name = clean_text(query, 1);
        row.values.invoked_at = clean_text(query, 2);
        row.values.session_id = clean_text(query, 3);
        const bool completed = query.real(4) != 0.0;
        row.values.duration_seconds = read_duration(query, 5);
        row.values.error_type = clean_text(query, 6);
        const std::int64_t marks = mark_reader.of(row.id);
        row.values.outcome = !completed                           ? Outcome::failed
                             : (marks & kUnknownOutcomeMark) != 0 ? Outcome::unknown
                                                                  : Outcome::completed;
        row.values.is_upper_bound = (marks & kDurationBoundMark) != 0;
    }
    add_keys(database, rows);
    return rows;
}

Invocations read_open(SQLite::Database& database, std::int64_t count, std::string_view skill_name) {
    Invocations open;
    if (!sql::has_table(database, "session_buddy_open_use")) {
        return open;
    }
    sql::Statement query(database, fmt::format("SELECT key, skill_name, session_id, started_us, {} FROM"
                                               " session_buddy_open_use WHERE ?2 = '' OR skill_name = ?2"
                                               " ORDER BY started_us DESC, key LIMIT ?1",
                                               column_or_null(database, "session_buddy_open_use", "evidence")));
    query.with(count, skill_name);
    while (query.step()) {
        RecordedInvocation& row = open.emplace_back();
        row.key = clean_text(query, 0);
        row.values.skill_name = clean_text(query, 1);
        row.values.session_id = clean_text(query, 2);
        row.values.invoked_at = format_precise_timestamp(TimePoint{std::chrono::microseconds{query.integer(3)}});
        row.evidence = read_evidence(query, 4);
    }
    return open;
}

}  // namespace

EvidenceReader::EvidenceReader(std::string path, std::chrono::milliseconds busy_timeout)
    : path_(std::move(path)), busy_timeout_(busy_timeout) {}

template <typename Query>
Invocations EvidenceReader::read(const Query& query) const {
    return read_without_traces(path_, "cannot read", [&](bool immutable) {
        return sql::translated(path_, "cannot read", [&] {
            const auto database = open_for_reading(path_, immutable, busy_timeout_);
            const SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::DEFERRED);
            static_cast<void>(sql::query_integer(*database, "PRAGMA schema_version"));  // fails if it is no database
            static_cast<void>(inspect_schema(*database, path_));
            if (!sql::has_table(*database, "skill_invocation")) {
                throw StorageError(StorageErrc::incompatible, path_,
                                   fmt::format("cannot read database \"{}\": it has no table skill_invocation", path_));
            }
            return query(*database);
        });
    });
}

std::optional<RecordedInvocation> EvidenceReader::find(std::int64_t id) const {
    Invocations rows = read([&](SQLite::Database& database) { return read_rows(database, "WHERE id = ?1", id); });
    return rows.empty() ? std::nullopt : std::optional(std::move(rows.front()));
}

std::vector<RecordedInvocation> EvidenceReader::last(std::size_t count, std::string_view skill_name) const {
    return read([&](SQLite::Database& database) {
        return skill_name.empty()
                   ? read_rows(database, "ORDER BY id DESC LIMIT ?1", limited(count))
                   : read_rows(database, "WHERE skill_name = ?2 ORDER BY id DESC LIMIT ?1", limited(count), skill_name);
    });
}

std::vector<RecordedInvocation> EvidenceReader::open(std::size_t count, std::string_view skill_name) const {
    return read([&](SQLite::Database& database) { return read_open(database, limited(count), skill_name); });
}

}  // namespace session_buddy::storage
