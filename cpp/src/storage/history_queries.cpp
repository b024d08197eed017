// History queries in one read transaction each. They use the index on invoked_at or that on skill_name, of which the
// one with fewer matching rows.
#include "session_buddy/storage/history_queries.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>
#include <spdlog/fmt/fmt.h>
#include <sqlite3.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "alert_rows.hpp"
#include "change_counter.hpp"
#include "connection.hpp"
#include "file_state.hpp"
#include "marks.hpp"
#include "prune_state.hpp"
#include "row_reader.hpp"
#include "schema_fragments.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/snapshot.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "sql.hpp"

namespace session_buddy::storage {
namespace {

/// How often `is_cancelled` is polled, in instructions of SQLite's virtual machine: well below a millisecond.
constexpr int kProgressInterval = 5000;
constexpr std::int64_t kMaxEpisodes = 100'000;
/// Maximum length of a returned text, because other programs may store longer ones.
constexpr int kMaxTextLength = 256;

constexpr TimePoint kFirstDay = std::chrono::sys_days{std::chrono::year{1} / 1 / 1};
constexpr TimePoint kLastDay = std::chrono::sys_days{std::chrono::year{9999} / 12 / 31};

// The lowest text of a row at or after `from`: a UTC offset changes its date by at most one day.
std::string lowest_text(TimePoint from) {
    constexpr std::chrono::days kLargestOffset{1};
    return from < kFirstDay + kLargestOffset ? std::string() : format_timestamp(from - kLargestOffset).substr(0, 10);
}

// A text above that of every row before `to`.
std::string highest_text(TimePoint to) {
    constexpr std::chrono::days kBeyond{2};
    constexpr const char* kAfterDigits = ":";
    return to >= kLastDay - kBeyond ? kAfterDigits : format_timestamp(to + kBeyond).substr(0, 10);
}

std::optional<TimePoint> time_of_text(const sql::Statement& row, int column) {
    return row.type(column) == SQLITE_TEXT ? parse_timestamp(row.text(column)) : std::nullopt;
}

std::optional<double> number_of(const sql::Statement& row, int column) {
    const int type = row.type(column);
    const bool is_number = (type == SQLITE_FLOAT || type == SQLITE_INTEGER) && std::isfinite(row.real(column));
    return is_number ? std::optional(row.real(column)) : std::nullopt;
}

constexpr const char* kViewColumns = "skill_name, invoked_at, completed, duration_seconds, id";

// nullopt for a row that no metrics count.
std::optional<InvocationView> read_view(const sql::Statement& row, MarkReader& marks) {
    if (row.type(0) != SQLITE_TEXT || !is_valid_skill_name(row.text(0))) {
        return std::nullopt;
    }
    const auto at = time_of_text(row, 1);
    if (!at) {
        return std::nullopt;
    }
    InvocationView view{.skill_name = row.text(0),
                        .at = *at,
                        .completed = row.real(2) != 0.0,
                        .duration_seconds = read_duration(row, 3)};
    marks.add_to(view, row.integer(4));
    return view;
}

}  // namespace

struct HistoryQueries::Impl {
    std::function<bool()> is_cancelled;
    Connection connection;

    Impl(const std::string& path, std::chrono::milliseconds timeout, std::function<bool()> stop)
        : is_cancelled(std::move(stop)),
          connection(path, {.busy_timeout = timeout, .create = false},
                     {.before_open = [path] { require_database(path); },
                      .on_open = [this](SQLite::Database& database) { set_up(database); }}) {}

    void set_up(SQLite::Database& database) {
        database.exec("PRAGMA query_only = ON");
        disable_checkpoint_on_close(database);  // checkpoints are for writers
        sqlite3_progress_handler(
            database.getHandle(), kProgressInterval,
            [](void* self) { return static_cast<Impl*>(self)->is_cancelled() ? 1 : 0; }, this);
    }

    /// Runs `work` in one transaction, so that it reads a consistent state.
    template <typename Work>
    decltype(auto) read(const Work& work) {
        return connection.attempt("cannot read", [&] {
            SQLite::Database& database = connection.database();
            const SQLite::Transaction transaction(database, SQLite::TransactionBehavior::DEFERRED);
            return work(database);
        });
    }

    /// Whether the skill has fewer rows than the time range, so that its index is faster. Reads only the indexes, and
    /// not more than the smaller count of entries.
    static bool skill_is_rarer(SQLite::Database& database, std::string_view skill_name, std::string_view lowest,
                               std::string_view highest) {
        sql::Statement by_skill(database, "SELECT count(*) FROM skill_invocation WHERE skill_name = ?1");
        by_skill.with(skill_name).step();
        const std::int64_t rows = by_skill.integer(0);
        sql::Statement by_time(database,
                               "SELECT count(*) FROM (SELECT 1 FROM skill_invocation WHERE invoked_at >= ?1"
                               " AND invoked_at < ?2 LIMIT ?3)");
        by_time.with(lowest, highest, rows).step();
        return by_time.integer(0) >= rows;
    }

    /// WHERE terms for the time range and, if there is a skill, for it as ?3.
    static std::string condition(SQLite::Database& database, const std::optional<std::string>& skill_name,
                                 std::string_view lowest, std::string_view highest) {
        if (!skill_name) {
            return "invoked_at >= ?1 AND invoked_at < ?2";
        }
        // A plus keeps SQLite from using the index.
        return skill_is_rarer(database, *skill_name, lowest, highest)
                   ? "+invoked_at >= ?1 AND +invoked_at < ?2 AND skill_name = ?3"
                   : "invoked_at >= ?1 AND invoked_at < ?2 AND +skill_name = ?3";
    }

    static void read_invocations(SQLite::Database& database, const std::optional<std::string>& skill_name,
                                 TimePoint from, TimePoint to,
                                 const std::function<bool(const InvocationView&)>& on_row) {
        const std::string lowest = lowest_text(from);
        const std::string highest = highest_text(to);
        sql::Statement rows(
            database, fmt::format("SELECT {} FROM skill_invocation WHERE {} AND session_buddy_micros(invoked_at) >= {}"
                                  " AND session_buddy_micros(invoked_at) < {}",
                                  kViewColumns, condition(database, skill_name, lowest, highest), micros_of(from),
                                  micros_of(to)));
        rows.with(lowest, highest);
        if (skill_name) {
            rows.bind(3, *skill_name);
        }
        MarkReader marks(database);
        while (rows.step()) {
            const auto invocation = read_view(rows, marks);
            if (invocation && !on_row(*invocation)) {
                return;
            }
        }
    }

    static void read_hours(SQLite::Database& database, const std::optional<std::string>& skill_name, TimePoint from,
                           TimePoint to, const std::function<void(const RollupRow&)>& on_row) {
        // Skill by skill, because the index starts with the skill. Rows of other programs have another timestamp
        // format, or a larger id than ours; they are excluded, so that no hour is counted twice.
        const char* const marks = sql::has_table(database, "session_buddy_pruned_mark")
                                      ? "(SELECT {} FROM session_buddy_pruned_mark AS mark WHERE mark.skill_name ="
                                        " hours.skill_name AND mark.hour_us = session_buddy_micros(timestamp))"
                                      : "0";
        sql::Statement rows(database, fmt::format("SELECT timestamp, invocation_count, hours.completion_rate,"
                                                  " hours.avg_duration_seconds, {}, {}"
                                                  " FROM skill_metrics AS skill CROSS JOIN skill_time_series AS hours"
                                                  " ON hours.skill_name = skill.skill_name"
                                                  " WHERE timestamp >= ?1 AND timestamp < ?2"
                                                  " AND timestamp LIKE '____-__-__T__:00:00Z'"
                                                  " AND NOT EXISTS (SELECT 1 FROM skill_time_series AS earlier"
                                                  " WHERE earlier.skill_name = hours.skill_name"
                                                  " AND earlier.timestamp = hours.timestamp"
                                                  " AND earlier.id < hours.id) {}",
                                                  fmt::format(fmt::runtime(marks), "unknown"),
                                                  fmt::format(fmt::runtime(marks), "bounds"),
                                                  skill_name ? "AND skill.skill_name = ?3" : ""));
        rows.with(lowest_text(from), highest_text(to));
        if (skill_name) {
            rows.bind(3, *skill_name);
        }
        while (rows.step()) {
            const auto at = time_of_text(rows, 0);
            if (!at || *at < from || *at >= to) {
                continue;
            }
            const std::int64_t count = std::max<std::int64_t>(rows.integer(1), 0);
            on_row({.hour = *at,
                    .invocation_count = count,
                    .completed_count = std::llround(std::clamp(rows.real(2), 0.0, 1.0) * static_cast<double>(count)),
                    .avg_duration_seconds = read_duration(rows, 3),
                    .unknown_count = rows.integer(4),
                    .bound_count = rows.integer(5)});
        }
    }
};

HistoryQueries::HistoryQueries(const std::string& path, std::chrono::milliseconds busy_timeout,
                               std::function<bool()> is_cancelled)
    : impl_(std::make_unique<Impl>(path, busy_timeout, std::move(is_cancelled))) {}

HistoryQueries::~HistoryQueries() = default;

TimePoint HistoryQueries::pruned_before() {
    return impl_->read([](SQLite::Database& database) { return PruneStateReader(database).read().pruned_before; });
}

void HistoryQueries::read_series(const std::optional<std::string>& skill_name, TimePoint from, TimePoint to,
                                 TimePoint now, const SeriesConsumer& consumer) {
    impl_->read([&](SQLite::Database& database) {
        const TimePoint pruned_before = PruneStateReader(database).read().pruned_before;
        if (from < pruned_before) {
            Impl::read_hours(database, skill_name, from, std::min(to, pruned_before), consumer.hour);
        }
        if (to > pruned_before) {
            const bool has_now = from <= now && now < to;
            Impl::read_invocations(database, skill_name, std::max(from, pruned_before), has_now ? kLastDay : to,
                                   [&](const InvocationView& row) {
                                       InvocationView counted = row;
                                       counted.at = std::min(row.at, now);
                                       return counted.at < from || consumer.invocation(counted);
                                   });
        }
    });
}

void HistoryQueries::read_recent(std::optional<Cursor>& cursor, TimePoint from, const std::function<void()>& restart,
                                 const std::function<void(const InvocationView&)>& on_row) {
    impl_->read([&](SQLite::Database& database) {
        const auto state = file_state(impl_->connection.path()).value_or(FileState{});
        sql::Statement signature(database, fmt::format("SELECT {} FROM skill_invocation WHERE id = ?1", kRowSignature));
        const auto row_of = [&](std::int64_t id) {
            std::string text = signature.with(id).step() ? std::string(signature.text(0)) : std::string();
            signature.reset();
            return text;
        };
        const std::int64_t last_id = sql::query_integer(database, "SELECT coalesce(max(id), 0) FROM skill_invocation");
        const Cursor now{.device = state.device,
                         .inode = state.inode,
                         .id = last_id,
                         .row = row_of(last_id),
                         .changes = ChangeCounterReader(database).read()};
        if (cursor && cursor->device == now.device && cursor->inode == now.inode && cursor->id <= now.id &&
            cursor->changes == now.changes && cursor->row == row_of(cursor->id)) {
            sql::Statement rows(
                database, fmt::format("SELECT {} FROM skill_invocation WHERE id > ?1 AND id <= ?2", kViewColumns));
            rows.with(cursor->id, now.id);
            cursor.reset();  // a partial read must not be repeated
            MarkReader marks(database);
            while (rows.step()) {
                if (const auto invocation = read_view(rows, marks); invocation && invocation->at >= from) {
                    on_row(*invocation);
                }
            }
        } else {
            cursor.reset();
            restart();
            Impl::read_invocations(database, std::nullopt, from, kLastDay, [&](const InvocationView& invocation) {
                on_row(invocation);
                return true;
            });
        }
        cursor = now;
    });
}

SkillHistory HistoryQueries::skill_history(const std::string& skill_name, TimePoint since, std::int64_t max_errors,
                                           std::int64_t max_phases) {
    return impl_->read([&](SQLite::Database& database) {
        SkillHistory history;
        sql::Statement first(database, "SELECT first_invoked FROM skill_metrics WHERE skill_name = ?1");
        if (first.with(skill_name).step()) {
            history.first_invocation_at = time_of_text(first, 0);
        }
        const std::string lowest = lowest_text(since);
        const std::string highest = highest_text(kLastDay);
        const std::string where = fmt::format("{} AND session_buddy_micros(invoked_at) > {}",
                                              Impl::condition(database, skill_name, lowest, highest), micros_of(since));
        const auto bound = [&](sql::Statement& statement) -> sql::Statement& {
            return statement.with(lowest, highest, skill_name);
        };
        sql::Statement errors(database,
                              fmt::format("SELECT substr(CAST(error_type AS TEXT), 1, {}) AS type, count(*) AS times"
                                          " FROM skill_invocation WHERE {} AND NOT completed AND error_type <> ''"
                                          " GROUP BY type ORDER BY times DESC, type LIMIT {}",
                                          kMaxTextLength, where, max_errors));
        bound(errors);
        while (errors.step()) {
            history.errors.push_back({.error_type = std::string(errors.text(0)), .count = errors.integer(1)});
        }
        sql::Statement phases(
            database, fmt::format("SELECT CASE WHEN typeof(workflow_phase) = 'text' AND workflow_phase <> '' THEN"
                                  " substr(workflow_phase, 1, {}) END AS phase, count(*) AS times,"
                                  " sum(CASE WHEN completed THEN 1 ELSE 0 END), sum({}), {}"
                                  " FROM skill_invocation WHERE {} GROUP BY phase ORDER BY times DESC, phase LIMIT {}",
                                  kMaxTextLength, unknown_expression(database), mean_duration_expression(database),
                                  where, max_phases));
        bound(phases);
        while (phases.step()) {
            PhaseCount phase{.invocation_count = phases.integer(1),
                             .completed_count = phases.integer(2),
                             .unknown_count = phases.integer(3),
                             .avg_duration_seconds = number_of(phases, 4)};
            if (!phases.is_null(0)) {
                phase.workflow_phase = std::string(phases.text(0));
            }
            history.phases.push_back(std::move(phase));
        }
        return history;
    });
}

std::vector<StoredEpisode> HistoryQueries::episodes(const EpisodeFilter& filter) {
    return impl_->read([&](SQLite::Database& database) {
        // Excludes open episodes with types of other programs: nothing here ends them, so they would be open forever.
        std::string where =
            fmt::format("WHERE detected_at < ?1 AND (resolved_at IS NOT NULL OR anomaly_type IN ('{}'))",
                        fmt::join(kAnomalyTypes.names(), "', '"));
        if (filter.open) {
            where += *filter.open ? " AND resolved_at IS NULL" : " AND resolved_at IS NOT NULL";
        }
        if (filter.skill_name) {
            where += " AND skill_name = ?2";
        }
        if (filter.anomaly_type) {
            where += " AND anomaly_type = ?3";
        }
        sql::Statement rows(database, fmt::format("SELECT id, skill_name, anomaly_type, baseline_value, observed_value,"
                                                  " deviation_score, detected_at, resolved_at FROM skill_anomalies {}"
                                                  " ORDER BY detected_at DESC, id DESC LIMIT {}",
                                                  where, kMaxEpisodes));
        rows.bind(1, highest_text(filter.to.value_or(kLastDay)));
        if (filter.skill_name) {
            rows.bind(2, *filter.skill_name);
        }
        if (filter.anomaly_type) {
            rows.bind(3, *filter.anomaly_type);
        }
        std::vector<StoredEpisode> found;
        while (rows.step()) {
            const auto detected_at = time_of_text(rows, 6);
            if (!detected_at || (filter.to && *detected_at >= *filter.to)) {
                continue;
            }
            StoredEpisode episode{.id = rows.integer(0),
                                  .skill_name = std::string(rows.text(1)),
                                  .anomaly_type = std::string(rows.text(2)),
                                  .baseline_value = number_of(rows, 3),
                                  .observed_value = number_of(rows, 4),
                                  .deviation_score = number_of(rows, 5),
                                  .detected_at = *detected_at};
            if (!rows.is_null(7)) {
                episode.resolved_at = time_of_text(rows, 7).value_or(*detected_at);
            }
            if (!filter.from || !episode.resolved_at || *episode.resolved_at >= *filter.from) {
                found.push_back(std::move(episode));
            }
        }
        // Texts in other formats do not sort by time.
        std::ranges::stable_sort(found, std::ranges::greater{}, &StoredEpisode::detected_at);
        return found;
    });
}

AlertPage HistoryQueries::alerts(const AlertFilter& filter, TimePoint now) {
    return impl_->read([&](SQLite::Database& database) { return select_alerts(database, filter, now); });
}

void HistoryQueries::close() noexcept {
    impl_->connection.close();
}

}  // namespace session_buddy::storage
