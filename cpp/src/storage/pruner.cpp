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

#include "file_state.hpp"
#include "guarded_connection.hpp"
#include "inspection.hpp"
#include "migrations.hpp"
#include "prune_state.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/storage/database.hpp"
#include "session_buddy/storage/hourly_rollup.hpp"
#include "session_buddy/storage/totals_store.hpp"
#include "sql.hpp"

namespace session_buddy::storage {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// Target time for which a batch blocks other writers; after a slower batch the next one has fewer rows. Half of it is
/// for the rows, the rest for the commit, which may wait for the disk.
constexpr milliseconds kBatchTime{10};
constexpr milliseconds kTimeForRows = kBatchTime / 2;
/// Time to count rows, which needs no lock, before the counts are written.
constexpr milliseconds kTimeForCounting{50};
constexpr std::int64_t kFirstBatch = 50;
constexpr std::int64_t kLargestBatch = 5000;
/// A writer that finds the database locked sleeps for 1, 2, 5, 10 and 15 ms first: it cannot sleep through a pause of
/// this length, and so waits hardly longer than a batch takes.
constexpr milliseconds kShortestPause{20};
/// WAL size in pages that triggers a checkpoint: small enough that no other writer does it in its commit, and that it
/// does not keep the disk busy for long.
constexpr int kPagesPerCheckpoint = 250;

[[noreturn]] void fail(StorageErrc code, const std::string& path, std::string_view reason) {
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
            fail(StorageErrc::incompatible, path,
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
    count.with(std::string_view(upper_bound_of(cutoff)), cutoff.time_since_epoch().count());
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
    const auto before = file_state(path);
    if (!before.has_value()) {
        fail(StorageErrc::missing, path, "the file does not exist");
    }
    if (!before->is_regular) {
        fail(StorageErrc::io, path, before->is_directory ? "it is a folder" : "it is not a regular file");
    }
    // An older schema is migrated before rows are deleted; every skill then has an entry.
    const bool needs_migration = inspect_file(path, busy_timeout).needs_migration();
    const auto count = [&](bool immutable) {
        return sql::translated(path, "cannot read", [&] {
            const auto database = open_for_reading(path, immutable, busy_timeout);
            return count_prunable(*database, cutoff, needs_migration);
        });
    };
    // A normal read-only open would leave a log next to a file that no process has open.
    const std::string real = resolve_links(path);
    const auto has_no_wal = [&] { return !file_state(real + "-wal") && !file_state(real + "-shm"); };
    if (has_no_wal() && sql::translated(path, "cannot read", [&] { return header_says_wal(path); })) {
        const auto undisturbed = [&] { return has_no_wal() && file_state(path) == before; };
        try {
            const PrunableRows found = count(true);
            if (undisturbed()) {
                return found;
            }
        } catch (const StorageError&) {
            if (undisturbed()) {
                throw;
            }
        }
    }
    return count(false);
}

struct Pruner::Impl {
    struct Statements {
        explicit Statements(SQLite::Database& database)
            : same_time(database, selection("invoked_at = ?1 AND id < ?2", "id DESC LIMIT ?3")),
              later(database, selection("invoked_at > ?1 AND invoked_at < ?2", "invoked_at, id DESC LIMIT ?3")),
              last_id(database, "SELECT coalesce(max(id), 0) FROM skill_invocation"),
              erase(database, "DELETE FROM skill_invocation WHERE id = ?1 AND invoked_at = ?2"),
              pruning(database) {
            if (const std::string text = storage::fts_delete_sql(database); !text.empty()) {
                delete_from_fts.emplace(database, text);
            }
        }
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
        sql::Statement erase;
        PruneStateReader pruning;
        std::optional<sql::Statement> delete_from_fts;
    };

    std::string path;
    TimePoint cutoff;
    milliseconds busy_timeout;
    HourlyRollup rollup;
    std::optional<GuardedConnection> connection;
    std::optional<Statements> statements;
    std::optional<TotalsStore> totals_store;
    TotalsTracker totals;
    std::string until;      ///< texts from here on are not read
    std::string last_text;  ///< rows up to here, in the order of the index, are done
    std::int64_t last_id = 0;
    std::int64_t batch = kFirstBatch;
    bool hours_final = false;
    bool counted = false;
    int log_pages = 0;
    milliseconds pause = kShortestPause;
    PruneResult result;

    Impl(std::string file, TimePoint before, milliseconds timeout, SeriesLimits bounds)
        : path(std::move(file)),
          cutoff(before),
          busy_timeout(timeout),
          rollup(path, timeout),
          totals(bounds),
          until(upper_bound_of(before)) {}

    void connect() {
        connection.emplace(path, OpenOptions{.busy_timeout = busy_timeout, .create = false});
        SQLite::Database& database = **connection;
        if (sqlite3_db_readonly(database.getHandle(), "main") != 0) {
            fail(StorageErrc::read_only, path, "it is write-protected");
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
        totals_store.emplace(database);
    }

    void disconnect() noexcept {
        statements.reset();
        totals_store.reset();
        connection.reset();
    }

    void require_same_file() {
        switch (connection->state()) {
            case GuardedConnection::State::usable:
                return;
            case GuardedConnection::State::wal_lost:
                rollup.close_if_stale();
                disconnect();
                totals.request_recheck();
                connect();
                return;
            case GuardedConnection::State::gone:
            case GuardedConnection::State::replaced:
            case GuardedConnection::State::emptied:
                fail(StorageErrc::missing, path, "it was replaced meanwhile; prune again");
        }
    }

    bool step(TimePoint now, const std::function<bool()>& stop) {
        if (!connection) {
            connect();
        }
        require_same_file();
        if (!hours_final) {
            // After the last step no hour is dirty; otherwise close() returns false.
            pause = kShortestPause;
            hours_final = !rollup.step(now, stop) && rollup.close(cutoff);
            return true;
        }
        if (!counted) {
            counted = !count_more();
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
        const bool more = totals.advance(*totals_store, steady_clock::now() + kTimeForCounting);
        const TotalsWrites writes = totals.pending();
        if (writes.empty()) {
            return more;
        }
        SQLite::Transaction transaction(**connection, SQLite::TransactionBehavior::IMMEDIATE);
        const bool written = totals_store->write(writes);
        transaction.commit();
        totals.confirm_written(written);
        return more || !written;
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
        take(statements->same_time.with(std::string_view(last_text), last_id, batch));
        if (const std::int64_t left = batch - static_cast<std::int64_t>(found.size()); left > 0) {
            take(statements->later.with(std::string_view(last_text), std::string_view(until), left));
        }
        return found;
    }

    /// Deletes in one transaction. Stops when its time is up; the next batch continues.
    void erase(const std::vector<Candidate>& candidates) {
        PruneResult next = result;
        std::size_t handled = 0;
        SQLite::Transaction transaction(**connection, SQLite::TransactionBehavior::IMMEDIATE);
        const auto start = steady_clock::now();
        PruneState state = statements->pruning.read();
        statements->last_id.reset();
        statements->last_id.step();
        const std::int64_t newest = statements->last_id.integer(0);
        const std::int64_t in_totals = totals_store->position().value_or(TotalsPosition{}).counted_id;
        statements->last_id.reset();
        for (; handled < candidates.size() && (handled == 0 || steady_clock::now() < start + kTimeForRows); ++handled) {
            const Candidate& row = candidates[handled];
            // A row that arrived after its hour was finalized is not in skill_time_series yet.
            if (!row.at || *row.at >= cutoff || row.id > state.counted_id || row.id > in_totals || row.id >= newest) {
                continue;
            }
            if (!row.has_entry) {
                ++next.kept_rows;
                continue;
            }
            if (statements->delete_from_fts) {
                statements->delete_from_fts->with(row.id).run();
            }
            statements->erase.with(row.id, std::string_view(row.invoked_at)).run();
            if (sqlite3_changes((*connection)->getHandle()) > 0) {
                ++state.rows;
                state.last_id = std::max(state.last_id, row.id);
                ++next.rows;
                extend(next.from, next.to, *row.at);
            }
        }
        if (next.rows > result.rows) {
            write_prune_state(**connection, state);
        }
        transaction.commit();
        const auto held = steady_clock::now() - start;

        next.longest_lock = std::max(next.longest_lock, std::chrono::ceil<microseconds>(held));
        result = next;
        last_text = candidates[handled - 1].invoked_at;
        last_id = candidates[handled - 1].id;
        const double fit =
            static_cast<double>(handled) * (kBatchTime / std::chrono::duration<double, std::milli>(held));
        batch = std::clamp(static_cast<std::int64_t>(fit), std::max<std::int64_t>(batch / 2, 1),
                           std::min(batch * 2, kLargestBatch));
        pause = std::max(kShortestPause, 2 * std::chrono::ceil<milliseconds>(held));
    }

    /// A passive checkpoint blocks no one. Frames that readers still need stay in the log until the next checkpoint.
    void checkpoint() {
        sqlite3_wal_checkpoint_v2((*connection)->getHandle(), "main", SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
        log_pages = 0;
    }
};

Pruner::Pruner(std::string path, TimePoint cutoff, milliseconds busy_timeout, SeriesLimits bounds)
    : impl_(std::make_unique<Impl>(std::move(path), cutoff, busy_timeout, bounds)) {}

Pruner::~Pruner() = default;

bool Pruner::step(TimePoint now, const std::function<bool()>& stop) {
    try {
        return sql::translated(impl_->path, "cannot prune", [&] { return impl_->step(now, stop); });
    } catch (const StorageError& error) {
        if (impl_->connection) {
            impl_->connection->on_error(error);
        }
        impl_->disconnect();
        throw;
    }
}

milliseconds Pruner::pause() const {
    return impl_->pause;
}

const PruneResult& Pruner::result() const {
    return impl_->result;
}

}  // namespace session_buddy::storage
