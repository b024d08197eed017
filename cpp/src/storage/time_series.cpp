// Hours of skill_time_series: which ones are due is found by following ids, what they hold is counted anew from the
// rows.
#include "session_buddy/storage/time_series.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>
#include <spdlog/fmt/fmt.h>
#include <sqlite3.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <unordered_set>

#include "file_state.hpp"
#include "log_files.hpp"
#include "row_reader.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/storage/database.hpp"

namespace session_buddy::storage {
namespace {

using Hour = std::chrono::sys_time<std::chrono::hours>;

/// Rows looked at in one step to find out which hours they belong to.
constexpr std::int64_t kRowsPerStep = 20000;
/// A row further ahead than this has a wrong clock behind it; it must not hold the watermark back for good.
constexpr std::chrono::hours kFarFuture{48};
constexpr const char* kWatermarkKey = "time_series_watermark";

/// One skill in one hour.
struct HourFigures {
    std::int64_t invocations = 0;
    std::int64_t completed = 0;
    std::int64_t timed = 0;
    double seconds = 0.0;
    std::unordered_set<std::string> sessions;
};

std::string date_of(TimePoint at) {
    return format_timestamp(at).substr(0, 10);
}

}  // namespace

struct TimeSeriesKeeper::Impl {
    using HourTable = std::map<std::pair<Hour, std::string>, HourFigures>;

    struct Statements {
        explicit Statements(SQLite::Database& database)
            : data_version(database, "PRAGMA data_version"),
              last_id(database, "SELECT coalesce(max(id), 0) FROM skill_invocation"),
              new_rows(database, fmt::format("SELECT {} FROM skill_invocation WHERE id > ?1 ORDER BY id LIMIT ?2",
                                             kInvocationColumns)),
              rows_of_days(database,
                           fmt::format("SELECT {} FROM skill_invocation WHERE invoked_at >= ?1 AND invoked_at < ?2",
                                       kInvocationColumns)) {}
        sql::Statement data_version;
        sql::Statement last_id;
        sql::Statement new_rows;
        sql::Statement rows_of_days;
    };

    std::string path;
    std::chrono::milliseconds busy_timeout;
    std::optional<LogFiles> logs;
    std::unique_ptr<SQLite::Database> database;
    std::optional<Statements> statements;
    FileState opened;
    std::int64_t data_version = -1;
    std::int64_t stored_watermark = 0;     ///< as in the database: rows up to here have their hours written
    std::int64_t seen_id = 0;              ///< rows up to here are looked at; their hours are written or in `waiting`
    std::map<Hour, std::int64_t> waiting;  ///< hours to be written, with the first id that asked for it
    bool unseen_rows = true;               ///< there may be rows after seen_id

    Impl(std::string file, std::chrono::milliseconds timeout) : path(std::move(file)), busy_timeout(timeout) {}

    void disconnect() noexcept {
        statements.reset();
        database.reset();
        logs.reset();
        data_version = -1;
    }

    void ensure_connected() {
        const auto state = file_state(path);
        if (database && (!state.has_value() || !state->same_file(opened) || state->size == 0)) {
            leave_log_alone(*database);
            disconnect();
        } else if (database && logs->lost()) {
            logs->give_up(*database);
            disconnect();
        }
        if (database) {
            return;
        }
        if (!state.has_value() || state->size == 0) {
            // The follower makes the database; this one only ever joins it.
            throw StorageError(StorageErrc::missing, path, fmt::format("database \"{}\" is not there", path));
        }
        try {
            database = open_database(path, {.busy_timeout = busy_timeout, .create = false});
            statements.emplace(*database);
            logs.emplace(path);
            opened = file_state(path).value_or(*state);
            reload();
        } catch (...) {
            disconnect();
            throw;
        }
    }

    /// Takes the watermark from the database and forgets what was looked at beyond it.
    void reload() {
        stored_watermark = read_watermark();
        seen_id = stored_watermark;
        waiting.clear();
        unseen_rows = true;
    }

    [[nodiscard]] std::int64_t read_watermark() {
        if (sql::query_integer(*database, "SELECT count(*) FROM sqlite_master WHERE name = 'session_buddy_state'") ==
            0) {
            return 0;
        }
        sql::Statement state(*database, "SELECT value FROM session_buddy_state WHERE key = ?1");
        state.with(std::string_view(kWatermarkKey));
        return state.step() ? std::max<std::int64_t>(state.integer(0), 0) : 0;
    }

    /// Finds out what changed since the last step: new rows, another database under this name, another keeper at work
    /// on it.
    void look_for_changes() {
        statements->data_version.reset();
        statements->data_version.step();
        const std::int64_t version = statements->data_version.integer(0);
        statements->data_version.reset();
        if (version == data_version) {
            return;
        }
        data_version = version;
        unseen_rows = true;
        statements->last_id.reset();
        statements->last_id.step();
        const std::int64_t last_id = statements->last_id.integer(0);
        statements->last_id.reset();
        if (read_watermark() != stored_watermark || last_id < seen_id) {
            reload();
        }
        if (last_id < seen_id) {
            // A copy older than its own watermark, or a table that was emptied: whatever comes next has to be looked
            // at.
            seen_id = last_id;
        }
    }

    /// Sorts the next rows into hours.
    void look_at_rows(TimePoint now) {
        if (!unseen_rows) {
            return;
        }
        std::int64_t looked_at = 0;
        std::int64_t last = seen_id;
        std::map<Hour, std::int64_t> found;
        statements->new_rows.with(seen_id, kRowsPerStep);
        while (statements->new_rows.step()) {
            ++looked_at;
            last = statements->new_rows.integer(0);
            const auto row = read_invocation(statements->new_rows);
            if (row.has_value() && row->invoked_at < now + kFarFuture) {
                found.try_emplace(std::chrono::floor<std::chrono::hours>(row->invoked_at), last);
            }
        }
        waiting.merge(found);  // hours that wait already keep the smaller id
        seen_id = last;
        unseen_rows = looked_at == kRowsPerStep;
    }

    /// Hours of one day that are over, the newest day first: what is looked at most is there first.
    [[nodiscard]] std::set<Hour> next_due(TimePoint now) const {
        std::set<Hour> due;
        std::optional<std::chrono::sys_days> day;
        for (auto hour = waiting.rbegin(); hour != waiting.rend(); ++hour) {
            if (hour->first + std::chrono::hours{1} > now) {
                continue;
            }
            const auto day_of_hour = std::chrono::floor<std::chrono::days>(hour->first);
            if (day.has_value() && day_of_hour != *day) {
                break;
            }
            day = day_of_hour;
            due.insert(hour->first);
        }
        return due;
    }

    /// Counts the hours from their rows. An offset can put up to a day between a row's text and its moment in UTC.
    [[nodiscard]] HourTable count(const std::set<Hour>& due) {
        HourTable table;
        const std::string from = date_of(TimePoint{*due.begin()} - std::chrono::days{1});
        const std::string until = date_of(TimePoint{*due.rbegin()} + std::chrono::days{2});
        statements->rows_of_days.with(std::string_view(from), std::string_view(until));
        while (statements->rows_of_days.step()) {
            const auto row = read_invocation(statements->rows_of_days);
            if (!row.has_value()) {
                continue;
            }
            const Hour hour = std::chrono::floor<std::chrono::hours>(row->invoked_at);
            if (!due.contains(hour)) {
                continue;
            }
            HourFigures& figures = table[{hour, row->skill_name}];
            ++figures.invocations;
            figures.sessions.insert(row->session_id);
            if (row->completed) {
                ++figures.completed;
                if (row->duration_seconds.has_value()) {
                    ++figures.timed;
                    figures.seconds += *row->duration_seconds;
                }
            }
        }
        return table;
    }

    void write(const HourTable& table) {
        // Rows of the same hour in whatever form another program wrote it.
        sql::Statement erase(*database,
                             "DELETE FROM skill_time_series WHERE skill_name = ?1 AND timestamp IN (?2, ?3, ?4, ?5)");
        sql::Statement insert(*database,
                              "INSERT INTO skill_time_series (skill_name, timestamp, invocation_count, completion_rate,"
                              " avg_duration_seconds, unique_sessions) SELECT ?1, ?2, ?3, ?4, ?5, ?6"
                              " WHERE EXISTS (SELECT 1 FROM skill_metrics WHERE skill_name = ?1)");
        for (const auto& [key, figures] : table) {
            const std::string timestamp = format_timestamp(TimePoint{key.first});
            const std::string bare = timestamp.substr(0, 19);
            std::string blank = bare;
            blank[10] = ' ';
            const std::string_view skill = key.second;
            erase
                .with(skill, std::string_view(timestamp), std::string_view(bare), std::string_view(blank),
                      std::string_view(bare + "+00:00"))
                .run();
            const std::optional<double> average =
                figures.timed > 0 ? std::optional<double>(figures.seconds / static_cast<double>(figures.timed))
                                  : std::nullopt;
            insert
                .with(skill, std::string_view(timestamp), figures.invocations,
                      static_cast<double>(figures.completed) / static_cast<double>(figures.invocations), average,
                      static_cast<std::int64_t>(figures.sessions.size()))
                .run();
        }
    }

    /// The largest id up to which every row has its hour written, once the hours in `done` are.
    [[nodiscard]] std::int64_t watermark_without(const std::set<Hour>& done) const {
        std::int64_t watermark = seen_id;
        for (const auto& [hour, first_id] : waiting) {
            if (!done.contains(hour)) {
                watermark = std::min(watermark, first_id - 1);
            }
        }
        return watermark;
    }

    void write_watermark(std::int64_t watermark) {
        sql::Statement(*database, "INSERT OR REPLACE INTO session_buddy_state (key, value) VALUES (?1, ?2)")
            .with(std::string_view(kWatermarkKey), watermark)
            .run();
    }

    bool step(TimePoint now) {
        ensure_connected();
        if (sqlite3_db_readonly(database->getHandle(), "main") != 0) {
            return false;
        }
        look_for_changes();
        look_at_rows(now);
        if (unseen_rows) {
            return true;  // an hour written before all its rows are looked at would be written again
        }
        const std::set<Hour> due = next_due(now);
        if (!due.empty()) {
            // Counted before the lock is taken: rows that come in between have ids to come, and make the hour due
            // again.
            const HourTable table = count(due);
            const std::int64_t watermark = watermark_without(due);
            SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::IMMEDIATE);
            database->exec(
                "CREATE TABLE IF NOT EXISTS session_buddy_state (key TEXT PRIMARY KEY, value) WITHOUT ROWID");
            write(table);
            write_watermark(watermark);
            transaction.commit();
            stored_watermark = watermark;
            for (const Hour hour : due) {
                waiting.erase(hour);
            }
        }
        return !next_due(now).empty();
    }
};

TimeSeriesKeeper::TimeSeriesKeeper(std::string path, std::chrono::milliseconds busy_timeout)
    : impl_(std::make_unique<Impl>(std::move(path), busy_timeout)) {}

TimeSeriesKeeper::~TimeSeriesKeeper() = default;

bool TimeSeriesKeeper::step(TimePoint now) {
    try {
        return sql::translated(impl_->path, "cannot keep the time series of", [&] { return impl_->step(now); });
    } catch (const StorageError& error) {
        if (impl_->database && (error.code() == StorageErrc::damaged || error.code() == StorageErrc::not_a_database)) {
            leave_log_alone(*impl_->database);
        }
        if (error.code() != StorageErrc::busy) {
            impl_->disconnect();
        }
        throw;
    }
}

}  // namespace session_buddy::storage
