// Finds rows by the index on invoked_at, without a write lock, and deletes them by id.
#include "session_buddy/storage/pruner.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>
#include <spdlog/fmt/fmt.h>
#include <sqlite3.h>

#include <algorithm>
#include <functional>
#include <regex>
#include <string_view>
#include <utility>
#include <vector>

#include "connection.hpp"
#include "file_state.hpp"
#include "inspection.hpp"
#include "marks.hpp"
#include "migrations.hpp"
#include "prune_state.hpp"
#include "schema_fragments.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/storage/database.hpp"
#include "session_buddy/storage/hourly_rollup.hpp"
#include "session_buddy/storage/totals_store.hpp"
#include "side_tables.hpp"
#include "sql.hpp"
#include "write_batches.hpp"

namespace session_buddy::storage {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// Target time for which a batch blocks other writers; after a slower batch the next one has fewer rows. Half of it is
/// for the rows, the rest for the commit, which may wait for the disk.
constexpr milliseconds kBatchTime{10};
constexpr milliseconds kPruneTimeForRows = kBatchTime / 2;
/// Time to count rows, which needs no lock, before the counts are written.
constexpr milliseconds kTimeForCounting{50};
constexpr std::int64_t kFirstBatch = 50;
constexpr std::int64_t kLargestBatch = 5000;
/// WAL size in pages that triggers a checkpoint: small enough that no other writer does it in its commit, and that it
/// does not keep the disk busy for long.
constexpr int kPagesPerCheckpoint = 250;

[[noreturn]] void cannot_prune(StorageErrc code, const std::string& path, std::string_view reason) {
    throw StorageError(code, path, fmt::format("cannot prune database \"{}\": {}", path, reason));
}

/// The texts of all rows before the cutoff, with any UTC offset, sort below this one.
std::string upper_bound_of(TimePoint cutoff) {
    return format_timestamp(cutoff + std::chrono::days{1}).substr(0, 10);
}

/// Rejects databases with a trigger of another tool that recomputes metrics from all rows of a skill.
void require_no_recount(SQLite::Database& database, const std::string& path) {
    static const std::regex counts(R"((from|join)\s+["`\[]?skill_invocation(?![a-z0-9_]))",
                                   std::regex::icase | std::regex::optimize);
    sql::Statement triggers(database,
                            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
                            " AND lower(tbl_name) = 'skill_invocation'");
    while (triggers.step()) {
        const std::string text(triggers.text(1));
        if (std::regex_search(text, counts)) {
            const bool is_replaceable = std::ranges::find(kTriggerNames, triggers.text(0)) != kTriggerNames.end();
            cannot_prune(
                StorageErrc::incompatible, path,
                fmt::format("its trigger {} recomputes metrics from all rows of skill_invocation, and would no longer "
                            "count deleted rows; {}",
                            triggers.text(0),
                            is_replaceable ? "start the server once with replace_triggers" : "drop or change it"));
        }
    }
}

constexpr const char* kHasEntry =
    "EXISTS (SELECT 1 FROM skill_metrics WHERE skill_metrics.skill_name = skill_invocation.skill_name)";

struct Candidate {
    std::int64_t id;
    std::string invoked_at;
    std::optional<TimePoint> at;
    bool has_entry;
};

void extend(std::optional<TimePoint>& from, std::optional<TimePoint>& to, TimePoint at) {
    from = std::min(from.value_or(at), at);
    to = std::max(to.value_or(at), at);
}

PrunableRows count_prunable(SQLite::Database& database, TimePoint cutoff, bool lacks_entries) {
    sql::register_functions(database);
    PrunableRows found;
    if (column_names(database, "skill_invocation").empty()) {
        return found;
    }
    sql::Statement count(database,
                         fmt::format("SELECT has_entry, count(*), min(at), max(at) FROM (SELECT {} AS has_entry,"
                                     " session_buddy_micros(invoked_at) AS at FROM skill_invocation"
                                     " WHERE invoked_at < ?1 AND id < (SELECT max(id) FROM skill_invocation))"
                                     " WHERE at < ?2 GROUP BY has_entry",
                                     lacks_entries ? "1" : kHasEntry));
    count.with(upper_bound_of(cutoff), cutoff.time_since_epoch().count());
    while (count.step()) {
        if (count.integer(0) == 0) {
            found.kept_rows = count.integer(1);
        } else {
            found.rows = count.integer(1);
            found.from = TimePoint{microseconds{count.integer(2)}};
            found.to = TimePoint{microseconds{count.integer(3)}};
        }
    }
    return found;
}

}  // namespace

TimePoint prune_cutoff(TimePoint now, microseconds keep) {
    return std::chrono::floor<std::chrono::days>(now - keep);
}

PrunableRows prunable_rows(const std::string& path, TimePoint cutoff, milliseconds busy_timeout) {
    return read_without_traces(path, "cannot prune", [&](bool immutable) {
        // An older schema is migrated before rows are deleted; every skill then has an entry.
        const bool needs_migration = inspect_file(path, busy_timeout).needs_migration();
        return sql::translated(path, "cannot read", [&] {
            const auto database = open_for_reading(path, immutable, busy_timeout);
            return count_prunable(*database, cutoff, needs_migration);
        });
    });
}

struct Pruner::Impl {
    struct Statements {
        explicit Statements(SQLite::Database& database)
            : same_time(database, selection("invoked_at = ?1 AND id < ?2", "id DESC LIMIT ?3")),
              later(database, selection("invoked_at > ?1 AND invoked_at < ?2", "invoked_at, id DESC LIMIT ?3")),
              last_id(database, "SELECT max(id) FROM skill_invocation"),
              eraser(database, fts_delete_sql(database)),
              pruning(database),
              marks(database),
              totals(database) {}
        /// In the order of the index on invoked_at, read backwards.
        static std::string selection(std::string_view where, std::string_view order) {
            return fmt::format(
                "SELECT id, invoked_at, session_buddy_micros(invoked_at), {} FROM skill_invocation WHERE {} ORDER BY "
                "{}",
                kHasEntry, where, order);
        }
        sql::Statement same_time;
        sql::Statement later;
        sql::Statement last_id;
        InvocationEraser eraser;
        PruneStateReader pruning;
        MarkReader marks;
        std::optional<sql::Statement> keep_marks;  // created for the first row with marks, as its table
        TotalsStore totals;
    };

    TimePoint cutoff;
    HourlyRollup rollup;
    std::optional<FileState> file;  ///< the file that is pruned, once it was opened
    std::optional<Statements> statements;
    TotalsTracker totals;
    std::string until;      ///< texts from here on are not read
    std::string last_text;  ///< rows up to here, in the order of the index, are done
    std::int64_t last_id = 0;
    std::int64_t batch = kFirstBatch;
    bool hours_final = false;
    bool counted = false;
    bool alerts_pruned = false;
    int log_pages = 0;
    WriteBatches batches{kPruneTimeForRows, 2};
    PruneResult result;

    Connection connection;

    Impl(const std::string& path, TimePoint before, milliseconds timeout, SeriesLimits bounds)
        : cutoff(before),
          rollup(path, timeout),
          totals(bounds),
          until(upper_bound_of(before)),
          connection(path, {.busy_timeout = timeout, .create = false},
                     {.before_open =
                          [this, path] {
                              rollup.close_if_stale();
                              require_same_file(path);
                          },
                      .on_open = [this, path](SQLite::Database& database) { set_up(database, path); },
                      .on_close = [this] { statements.reset(); }}) {}

    void require_same_file(const std::string& path) const {
        const auto now = file ? file_state(path) : std::nullopt;
        if (file && !(now && now->same_file(*file) && now->size > 0)) {
            cannot_prune(StorageErrc::missing, path, "it was replaced meanwhile; prune again");
        }
    }

    void set_up(SQLite::Database& database, const std::string& path) {
        file = connection.opened();
        if (connection.is_read_only()) {
            cannot_prune(StorageErrc::read_only, path, "it is write-protected");
        }
        require_no_recount(database, path);
        sqlite3_db_config(database.getHandle(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
        // Instead of SQLite's automatic checkpoints, which would be part of a commit.
        sqlite3_wal_hook(
            database.getHandle(),
            [](void* pages, sqlite3*, const char*, int count) {
                *static_cast<int*>(pages) = count;
                return SQLITE_OK;
            },
            &log_pages);
        statements.emplace(database);
        totals.request_recheck();
    }

    bool step(TimePoint now, const std::function<bool()>& stop) {
        if (!hours_final) {
            // After the last step no hour is dirty; otherwise close() returns false.
            hours_final = !rollup.step(now, stop) && rollup.close(cutoff);
            return true;
        }
        if (!counted) {
            counted = !count_more();
            return true;
        }
        if (!alerts_pruned) {
            prune_alerts();
            alerts_pruned = true;
            return true;
        }
        const std::vector<Candidate> candidates = next_candidates();
        if (candidates.empty()) {
            checkpoint();
            return false;
        }
        erase(candidates);
        if (log_pages >= kPagesPerCheckpoint) {
            checkpoint();
        }
        return true;
    }

    /// Counts rows into the totals, which would never count them once they are deleted. Returns true if there are more.
    bool count_more() {
        const bool more = totals.advance(statements->totals, steady_clock::now() + kTimeForCounting);
        const TotalsWrites writes = totals.pending();
        if (writes.empty()) {
            return more;
        }
        SQLite::Transaction transaction(connection.database(), SQLite::TransactionBehavior::IMMEDIATE);
        const bool written = statements->totals.write(writes);
        transaction.commit();
        totals.confirm_written(written);
        return more || !written;
    }

    /// Deletes the alerts that ended before the cutoff: there are few.
    void prune_alerts() {
        if (!sql::has_table(connection.database(), "session_buddy_alert")) {
            return;
        }
        sql::Statement(connection.database(), "DELETE FROM session_buddy_alert WHERE ended_us < ?1")
            .with(cutoff.time_since_epoch().count())
            .run();
    }

    [[nodiscard]] std::vector<Candidate> next_candidates() {
        std::vector<Candidate> found;
        const auto take = [&found](sql::Statement& rows) {
            while (rows.step()) {
                found.push_back(
                    {.id = rows.integer(0),
                     .invoked_at = std::string(rows.text(1)),
                     .at = rows.is_null(2) ? std::nullopt : std::optional(TimePoint{microseconds{rows.integer(2)}}),
                     .has_entry = rows.integer(3) != 0});
            }
        };
        take(statements->same_time.with(last_text, last_id, batch));
        if (const std::int64_t left = batch - static_cast<std::int64_t>(found.size()); left > 0) {
            take(statements->later.with(last_text, until, left));
        }
        return found;
    }

    /// Adds the marks of a row to those of its hour.
    void keep_marks(const Candidate& row) {
        const std::int64_t marks = statements->marks.of(row.id);
        if (marks == 0) {
            return;
        }
        if (!statements->keep_marks) {
            create_side_tables(connection.database(), SideTable::Group::state);
            statements->keep_marks.emplace(
                connection.database(),
                fmt::format("INSERT INTO session_buddy_pruned_mark (skill_name, hour_us, unknown, bounds)"
                            " SELECT skill_name, ?3, (?4 & {0}) <> 0, (?4 & {1}) <> 0 AND ({2}) IS NOT NULL"
                            " FROM skill_invocation WHERE id = ?1 AND invoked_at = ?2 AND completed"
                            " ON CONFLICT (skill_name, hour_us) DO UPDATE SET unknown = unknown + excluded.unknown,"
                            " bounds = bounds + excluded.bounds",
                            kUnknownOutcomeMark, kDurationBoundMark, SESSION_BUDDY_DURATION));
        }
        const TimePoint hour = std::chrono::floor<std::chrono::hours>(*row.at);
        statements->keep_marks->with(row.id, row.invoked_at, hour.time_since_epoch().count(), marks).run();
    }

    /// Deletes in one transaction. Stops when its time is up; the next batch continues.
    void erase(const std::vector<Candidate>& candidates) {
        PruneResult next = result;
        std::size_t handled = 0;
        batches.run(connection.database(), [&](steady_clock::time_point until_time) {
            PruneState state = statements->pruning.read();
            const std::int64_t newest = statements->last_id.first_integer();
            statements->marks.restart();
            const std::int64_t in_totals = statements->totals.position().value_or(TotalsPosition{}).counted_id;
            for (; handled < candidates.size() && (handled == 0 || steady_clock::now() < until_time); ++handled) {
                const Candidate& row = candidates[handled];
                // A row that arrived after its hour was finalized is not in skill_time_series yet.
                if (!row.at || *row.at >= cutoff || row.id > state.counted_id || row.id > in_totals ||
                    row.id >= newest) {
                    continue;
                }
                if (!row.has_entry) {
                    ++next.kept_rows;
                    continue;
                }
                keep_marks(row);
                if (statements->eraser.erase(row.id, row.invoked_at)) {
                    ++state.rows;
                    state.last_id = std::max(state.last_id, row.id);
                    ++next.rows;
                    extend(next.from, next.to, *row.at);
                }
            }
            if (next.rows > result.rows) {
                write_prune_state(connection.database(), state);
            }
            return true;
        });
        next.longest_lock = batches.longest();
        result = next;
        last_text = candidates[handled - 1].invoked_at;
        last_id = candidates[handled - 1].id;
        const double fit =
            static_cast<double>(handled) * (kBatchTime / std::chrono::duration<double, std::milli>(batches.held()));
        batch = std::clamp(static_cast<std::int64_t>(fit), std::max<std::int64_t>(batch / 2, 1),
                           std::min(batch * 2, kLargestBatch));
    }

    void checkpoint() {
        connection.checkpoint();
        log_pages = 0;
    }
};

Pruner::Pruner(const std::string& path, TimePoint cutoff, milliseconds busy_timeout, SeriesLimits bounds)
    : impl_(std::make_unique<Impl>(path, cutoff, busy_timeout, bounds)) {}

Pruner::~Pruner() = default;

bool Pruner::step(TimePoint now, const std::function<bool()>& stop) {
    return impl_->connection.attempt("cannot prune", [&] { return impl_->step(now, stop); });
}

milliseconds Pruner::pause() const {
    return impl_->batches.pause();
}

const PruneResult& Pruner::result() const {
    return impl_->result;
}

}  // namespace session_buddy::storage
