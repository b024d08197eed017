// Finds the hours to write by reading new rows by id, and counts these hours again from their rows. Hours whose rows
// may have been pruned are final: late rows are added to them.
#include "session_buddy/storage/hourly_rollup.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <unordered_set>

#include "connection.hpp"
#include "file_state.hpp"
#include "marks.hpp"
#include "prune_state.hpp"
#include "row_reader.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "side_tables.hpp"

namespace session_buddy::storage {
namespace {

using Hour = std::chrono::sys_time<std::chrono::hours>;

/// Rows per step that are read to find their hours.
constexpr std::int64_t kRowsPerStep = 20000;
/// Rows further in the future come from a wrong clock, and must not hold back the watermark permanently.
constexpr std::chrono::hours kFarFuture{48};
/// Rows of skill_time_series per transaction, which blocks other writers for about ten milliseconds.
constexpr std::size_t kHoursPerWrite = 500;
/// Rows read at most while holding the write lock.
constexpr std::int64_t kRowsPerCheck = 1000;
/// Rows read between two questions whether to stop.
constexpr std::int64_t kRowsPerStopCheck = 1000;
constexpr const char* kAction = "cannot update the time series of";
constexpr const char* kWatermarkKey = "time_series_watermark";

/// One skill in one hour.
struct HourMetrics {
    std::int64_t invocations = 0;
    std::int64_t completed = 0;
    std::int64_t timed = 0;
    double seconds = 0.0;
    // Of durations that are upper bounds; used only if there are no others.
    std::int64_t bounds = 0;
    double bound_seconds = 0.0;
    std::unordered_set<std::string> sessions;
    std::int64_t earlier_sessions = 0;  ///< of pruned rows

    void add(const Invocation& row) {
        ++invocations;
        sessions.insert(row.session_id);
        if (row.completed) {
            ++completed;
            if (row.duration_seconds.has_value()) {
                ++(row.duration_is_bound ? bounds : timed);
                (row.duration_is_bound ? bound_seconds : seconds) += *row.duration_seconds;
            }
        }
    }
    [[nodiscard]] std::optional<double> mean() const {
        if (timed > 0) {
            return seconds / static_cast<double>(timed);
        }
        return bounds > 0 ? std::optional(bound_seconds / static_cast<double>(bounds)) : std::nullopt;
    }
};

/// The formats of an hour's timestamp; ours is the first.
std::array<std::string, 4> forms_of(Hour hour) {
    const std::string timestamp = format_timestamp(TimePoint{hour});
    const std::string bare = timestamp.substr(0, 19);
    std::string blank = bare;
    blank[10] = ' ';
    return {timestamp, bare, blank, bare + "+00:00"};
}

std::string date_of(TimePoint at) {
    return format_timestamp(at).substr(0, 10);
}

using Stop = std::function<bool()>;

/// To be called once per row.
bool must_stop(const Stop& stop, std::int64_t rows_read) {
    return stop && rows_read % kRowsPerStopCheck == 0 && stop();
}

}  // namespace

struct HourlyRollup::Impl {
    using HourTable = std::map<std::pair<Hour, std::string>, HourMetrics>;

    struct Statements {
        explicit Statements(SQLite::Database& database)
            : data_version(database, "PRAGMA data_version"),
              last_id(database, "SELECT max(id) FROM skill_invocation"),
              new_rows(database, fmt::format("SELECT {} FROM skill_invocation WHERE id > ?1 ORDER BY id LIMIT ?2",
                                             kInvocationColumns)),
              rows_of_days(database,
                           fmt::format("SELECT {} FROM skill_invocation WHERE invoked_at >= ?1 AND invoked_at < ?2",
                                       kInvocationColumns)),
              erase(database, "DELETE FROM skill_time_series WHERE skill_name = ?1 AND timestamp IN (?2, ?3, ?4, ?5)"),
              insert(database,
                     "INSERT INTO skill_time_series (skill_name, timestamp, invocation_count, completion_rate,"
                     " avg_duration_seconds, unique_sessions) SELECT ?1, ?2, ?3, ?4, ?5, ?6"
                     " WHERE EXISTS (SELECT 1 FROM skill_metrics WHERE skill_name = ?1)"),
              written(database,
                      "SELECT invocation_count, completion_rate, avg_duration_seconds, unique_sessions"
                      " FROM skill_time_series WHERE skill_name = ?1 AND timestamp = ?2 ORDER BY id LIMIT 1"),
              watermark(database, "SELECT value FROM session_buddy_state WHERE key = ?1"),
              pruning(database),
              marks(database) {}
        sql::Statement data_version;
        sql::Statement last_id;
        sql::Statement new_rows;
        sql::Statement rows_of_days;
        sql::Statement erase;
        sql::Statement insert;
        sql::Statement written;
        sql::DeferredStatement watermark;  // there may be no table yet
        PruneStateReader pruning;
        MarkReader marks;
    };

    /// Hours that were counted and are being written in several transactions.
    struct Writing {
        std::set<Hour> due;
        HourTable table;
        std::int64_t watermark = 0;   ///< stored when all are written
        std::int64_t checked_id = 0;  ///< rows up to here are counted in `table`
    };

    std::optional<Statements> statements;
    std::int64_t data_version = -1;
    std::int64_t stored_watermark = 0;   ///< as in the database: the hours of rows up to here are written
    std::int64_t seen_id = 0;            ///< rows up to here were read; their hours are written or in `dirty`
    std::map<Hour, std::int64_t> dirty;  ///< hours to write, with the first id that made them dirty
    bool unseen_rows = true;             ///< rows after seen_id may exist
    PruneState pruning;                  ///< as last read: which hours are final
    HourTable late;                      ///< rows up to seen_id to be added to final hours
    std::optional<Writing> writing;
    Connection connection;

    /// Only the follower creates the database.
    Impl(const std::string& path, std::chrono::milliseconds timeout)
        : connection(path, {.busy_timeout = timeout, .create = false},
                     {.before_open = [path] { require_database(path); },
                      .on_open =
                          [this](SQLite::Database& database) {
                              statements.emplace(database);
                              data_version = -1;
                              reload();
                          },
                      .on_close = [this] { statements.reset(); }}) {}

    /// Loads the watermark and discards everything read beyond it.
    void reload() {
        stored_watermark = read_watermark();
        seen_id = stored_watermark;
        pruning = statements->pruning.read();
        dirty.clear();
        late.clear();
        writing.reset();
        unseen_rows = true;
    }

    [[nodiscard]] std::int64_t read_watermark() {
        if (!sql::has_table(connection.database(), "session_buddy_state")) {
            statements->watermark.forget();
            return 0;
        }
        return std::max<std::int64_t>(statements->watermark.with(kWatermarkKey).first_integer(), 0);
    }

    /// Detects changes since the last step: new rows, a replaced database, another process that writes the rollup.
    void detect_changes() {
        const std::int64_t version = statements->data_version.first_integer();
        if (version == data_version) {
            return;
        }
        data_version = version;
        unseen_rows = true;
        const std::int64_t last_id = statements->last_id.first_integer();
        if (read_watermark() != stored_watermark || last_id < seen_id ||
            !statements->pruning.read().same_hours(pruning)) {
            reload();
        }
        if (last_id < seen_id) {
            // A copy older than its watermark, or an emptied table: read all rows that come next.
            seen_id = last_id;
        }
    }

    /// Reads the next rows, and marks their hours as dirty.
    void scan_rows(TimePoint now, const Stop& stop) {
        if (!unseen_rows) {
            return;
        }
        std::int64_t scanned = 0;
        std::int64_t last = seen_id;
        std::map<Hour, std::int64_t> found;
        bool stopped = false;
        statements->new_rows.with(seen_id, kRowsPerStep);
        statements->marks.restart();
        while (!(stopped = must_stop(stop, scanned)) && statements->new_rows.step()) {
            ++scanned;
            last = statements->new_rows.integer(0);
            auto row = read_invocation(statements->new_rows);
            if (!row.has_value() || row->invoked_at >= now + kFarFuture) {
                continue;
            }
            const Hour hour = std::chrono::floor<std::chrono::hours>(row->invoked_at);
            if (row->invoked_at >= pruning.pruned_before) {
                found.try_emplace(hour, last);
            } else if (last > pruning.counted_id) {
                statements->marks.add_to(*row);
                late[{hour, row->skill_name}].add(*row);
                if (late.size() == kHoursPerWrite) {
                    break;
                }
            }
        }
        statements->new_rows.reset();
        dirty.merge(found);  // hours that are dirty already keep the smaller id
        seen_id = last;
        unseen_rows = stopped || scanned == kRowsPerStep || late.size() == kHoursPerWrite;
    }

    /// The dirty hours of one day that are over, the newest day first, because it is viewed most.
    [[nodiscard]] std::set<Hour> next_due(TimePoint now) const {
        std::set<Hour> due;
        std::optional<std::chrono::sys_days> day;
        for (auto hour = dirty.rbegin(); hour != dirty.rend(); ++hour) {
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

    /// Counts the hours from their rows; nullopt if stopped. A UTC offset can move the date of a row by a day.
    [[nodiscard]] std::optional<HourTable> count(const std::set<Hour>& due, const Stop& stop) {
        HourTable table;
        const std::string from = date_of(TimePoint{*due.begin()} - std::chrono::days{1});
        const std::string until = date_of(TimePoint{*due.rbegin()} + std::chrono::days{2});
        statements->rows_of_days.with(from, until);
        statements->marks.restart();
        for (std::int64_t rows = 0; statements->rows_of_days.step(); ++rows) {
            if (must_stop(stop, rows)) {
                statements->rows_of_days.reset();
                return std::nullopt;
            }
            auto row = read_invocation(statements->rows_of_days);
            if (!row.has_value()) {
                continue;
            }
            const Hour hour = std::chrono::floor<std::chrono::hours>(row->invoked_at);
            if (!due.contains(hour)) {
                continue;
            }
            statements->marks.add_to(*row);
            table[{hour, row->skill_name}].add(*row);
        }
        return table;
    }

    /// Replaces all rows of an hour and skill, in any timestamp format, by one.
    void write(Hour hour, std::string_view skill, const HourMetrics& metrics) {
        const std::array<std::string, 4> forms = forms_of(hour);
        statements->erase.with(skill, forms[0], forms[1], forms[2], forms[3]).run();
        statements->insert
            .with(skill, forms[0], metrics.invocations,
                  static_cast<double>(metrics.completed) / static_cast<double>(metrics.invocations), metrics.mean(),
                  metrics.earlier_sessions + static_cast<std::int64_t>(metrics.sessions.size()))
            .run();
    }

    /// Adds the written row of an hour and skill, in our format only. The number of durations is not stored: if there
    /// is a mean, all completed invocations are taken to have one.
    void add_written(Hour hour, std::string_view skill, HourMetrics& metrics) {
        const std::string timestamp = format_timestamp(TimePoint{hour});
        sql::Statement& row = statements->written.with(skill, timestamp);
        if (row.step()) {
            const std::int64_t invocations = std::max<std::int64_t>(row.integer(0), 0);
            const std::int64_t completed =
                std::llround(std::clamp(row.real(1), 0.0, 1.0) * static_cast<double>(invocations));
            metrics.invocations += invocations;
            metrics.completed += completed;
            if (const auto mean = read_duration(row, 2)) {
                metrics.timed += completed;
                metrics.seconds += *mean * static_cast<double>(completed);
            }
            metrics.earlier_sessions += std::max<std::int64_t>(row.integer(3), 0);
        }
        row.reset();
    }

    /// In a write transaction: whether the final hours and the watermark are still those that were read.
    [[nodiscard]] bool same_pruning() {
        return statements->pruning.read().same_hours(pruning) && read_watermark() == stored_watermark;
    }

    /// Whether a row after `id` is in an hour for which `concerned` is true, or may be, if there are many rows.
    template <typename Concerned>
    [[nodiscard]] bool has_row_after(std::int64_t id, const Concerned& concerned) {
        bool found = false;
        std::int64_t scanned = 0;
        statements->new_rows.with(id, kRowsPerCheck);
        while (!found && statements->new_rows.step()) {
            const auto row = read_invocation(statements->new_rows);
            found = ++scanned == kRowsPerCheck ||
                    (row.has_value() && concerned(std::chrono::floor<std::chrono::hours>(row->invoked_at)));
        }
        statements->new_rows.reset();
        return found;
    }

    /// Adds late rows to final hours. The same transaction stores the last added id, so that none is added twice.
    void add_late() {
        SQLite::Transaction transaction(connection.database(), SQLite::TransactionBehavior::IMMEDIATE);
        PruneState state = statements->pruning.read();
        if (!state.same_hours(pruning)) {
            reload();
            return;
        }
        for (auto& [key, metrics] : late) {
            add_written(key.first, key.second, metrics);
            write(key.first, key.second, metrics);
        }
        state.counted_id = seen_id;
        write_prune_state(connection.database(), state);
        transaction.commit();
        pruning = state;
        late.clear();
    }

    /// Writes the next part, unless rows of these hours arrived since they were counted: then they are counted again.
    /// So written hours are complete, even if another process writes the same table.
    void write_next() {
        SQLite::Transaction transaction(connection.database(), SQLite::TransactionBehavior::IMMEDIATE);
        const auto is_due = [this](Hour hour) { return writing->due.contains(hour); };
        if (!same_pruning()) {
            reload();
            return;
        }
        if (has_row_after(writing->checked_id, is_due)) {
            writing.reset();
            unseen_rows = true;
            return;
        }
        const std::int64_t last_id = statements->last_id.first_integer();
        auto next = writing->table.begin();
        for (std::size_t written = 0; written < kHoursPerWrite && next != writing->table.end(); ++written, ++next) {
            write(next->first.first, next->first.second, next->second);
        }
        const bool done = next == writing->table.end();
        if (done) {
            create_side_tables(connection.database(), SideTable::Group::state);
            sql::Statement(connection.database(), kPutState).with(kWatermarkKey, writing->watermark).run();
        }
        transaction.commit();
        writing->checked_id = last_id;
        writing->table.erase(writing->table.begin(), next);
        if (done) {
            stored_watermark = writing->watermark;
            for (const Hour hour : writing->due) {
                dirty.erase(hour);
            }
            writing.reset();
        }
    }

    /// The largest id up to which the hours of all rows are written, once the hours in `done` are.
    [[nodiscard]] std::int64_t watermark_without(const std::set<Hour>& done) const {
        std::int64_t watermark = seen_id;
        for (const auto& [hour, first_id] : dirty) {
            if (!done.contains(hour)) {
                watermark = std::min(watermark, first_id - 1);
            }
        }
        return watermark;
    }

    bool step(TimePoint now, const Stop& stop) {
        if (connection.is_read_only()) {
            return false;
        }
        detect_changes();
        if (!writing) {
            scan_rows(now, stop);
            if (!late.empty()) {
                add_late();
                return true;
            }
            if (unseen_rows) {
                return true;  // an hour written before all its rows are read would be written again
            }
            if (std::set<Hour> due = next_due(now); !due.empty()) {
                // Counted before taking the write lock.
                std::optional<HourTable> table = count(due, stop);
                if (!table) {
                    return true;
                }
                const std::int64_t watermark = watermark_without(due);
                writing = Writing{
                    .due = std::move(due), .table = *std::move(table), .watermark = watermark, .checked_id = seen_id};
            }
        }
        if (writing) {
            write_next();
        }
        return writing || unseen_rows || !next_due(now).empty();
    }

    bool close(TimePoint until) {
        SQLite::Transaction transaction(connection.database(), SQLite::TransactionBehavior::IMMEDIATE);
        PruneState state = statements->pruning.read();
        const auto is_closing = [until](Hour hour) { return TimePoint{hour} < until; };
        const bool is_dirty = !dirty.empty() && is_closing(dirty.begin()->first);
        if (!state.same_hours(pruning) || writing || is_dirty || has_row_after(seen_id, is_closing)) {
            data_version = -1;
            return false;
        }
        state.pruned_before = std::max(state.pruned_before, until);
        state.counted_id = statements->last_id.first_integer();
        write_prune_state(connection.database(), state);
        transaction.commit();
        pruning = state;
        return true;
    }
};

HourlyRollup::HourlyRollup(const std::string& path, std::chrono::milliseconds busy_timeout)
    : impl_(std::make_unique<Impl>(path, busy_timeout)) {}

HourlyRollup::~HourlyRollup() = default;

bool HourlyRollup::step(TimePoint now, const Stop& stop) {
    return impl_->connection.attempt(kAction, [&] { return impl_->step(now, stop); });
}

void HourlyRollup::close_if_stale() {
    impl_->connection.close_if_stale();
}

bool HourlyRollup::close(TimePoint until) {
    return impl_->connection.attempt(kAction, [&] { return impl_->close(until); });
}

}  // namespace session_buddy::storage
