// One statement finds and orders the rows with an index only, the other reads each row.
#include "session_buddy/storage/history_reader.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "inspection.hpp"
#include "marks.hpp"
#include "row_reader.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "sql.hpp"

namespace session_buddy::storage {
namespace {

constexpr const char* kTable = "skill_invocation";

[[noreturn]] void cannot_read(StorageErrc code, const std::string& path, std::string_view reason) {
    throw StorageError(code, path, fmt::format("cannot read database \"{}\": {}", path, reason));
}

/// The lowest text of a row at or after `from`, with any UTC offset: a date.
std::string lower_bound_of(const std::optional<TimePoint>& from) {
    constexpr std::chrono::days kLargestOffset{1};
    constexpr TimePoint kFirst = std::chrono::sys_days{std::chrono::year{1} / 1 / 1};
    if (!from || *from < kFirst + kLargestOffset) {
        return {};
    }
    return format_timestamp(*from - kLargestOffset).substr(0, 10);
}

/// Checks that the required columns exist, in any schema version.
void require_columns(SQLite::Database& database, const std::string& path) {
    static_cast<void>(sql::query_integer(database, "PRAGMA schema_version"));  // fails first if the file is no database
    static_cast<void>(inspect_schema(database, path));
    const std::vector<std::string> present = column_names(database, kTable);
    if (present.empty()) {
        cannot_read(StorageErrc::incompatible, path, fmt::format("it has no table {}", kTable));
    }
    std::string_view wanted = kInvocationColumns;
    while (!wanted.empty()) {
        const std::size_t end = std::min(wanted.find(", "), wanted.size());
        const std::string_view column = wanted.substr(0, end);
        if (std::ranges::find(present, column) == present.end()) {
            cannot_read(StorageErrc::incompatible, path, fmt::format("its table {} has no column {}", kTable, column));
        }
        wanted.remove_prefix(std::min(end + 2, wanted.size()));
    }
}

HistoryCounts read_rows(SQLite::Database& database, const HistoryQuery& query, const HistoryConsumer& consumer) {
    const bool by_time = query.order == HistoryQuery::Order::time;
    sql::Statement ids(database, fmt::format("SELECT id, session_buddy_micros(invoked_at) AS at FROM {}"
                                             " WHERE invoked_at >= ?1 {} ORDER BY {}",
                                             kTable, query.skill_name.empty() ? "" : "AND skill_name = ?2",
                                             by_time ? "at, id" : "id"));
    sql::Statement rows(database, fmt::format("SELECT {} FROM {} WHERE id = ?1", kInvocationColumns, kTable));
    ids.bind(1, lower_bound_of(query.from));
    if (!query.skill_name.empty()) {
        ids.bind(2, query.skill_name);
    }
    MarkReader marks(database);
    HistoryCounts counts;
    while (ids.step()) {
        if (ids.is_null(1)) {
            ++counts.skipped_rows;
            continue;
        }
        const TimePoint at{std::chrono::microseconds(ids.integer(1))};
        if (at > query.to) {
            if (by_time) {
                break;
            }
            continue;
        }
        if (query.from && at < *query.from) {
            continue;
        }
        auto row = rows.with(ids.integer(0)).step() ? read_invocation(rows) : std::nullopt;
        if (!row) {
            ++counts.skipped_rows;
            continue;
        }
        ++counts.rows;
        marks.add_to(*row);
        consumer.on_row(*row);
    }
    return counts;
}

HistoryCounts read_once(const std::string& path, bool immutable, const HistoryQuery& query,
                        const HistoryConsumer& consumer) {
    consumer.on_start();
    return sql::translated(path, "cannot read", [&] {
        const auto database = open_for_reading(path, immutable, query.busy_timeout);
        sql::register_functions(*database);
        const SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::DEFERRED);
        require_columns(*database, path);
        return read_rows(*database, query, consumer);
    });
}

}  // namespace

HistoryCounts read_history(const std::string& path, const HistoryQuery& query, const HistoryConsumer& consumer) {
    if (path.empty() || path == ":memory:" || path.find('\0') != std::string::npos) {
        cannot_read(StorageErrc::invalid_argument, path, "it is not a file name");
    }
    return read_without_traces(path, "cannot read",
                               [&](bool immutable) { return read_once(path, immutable, query, consumer); });
}

}  // namespace session_buddy::storage
