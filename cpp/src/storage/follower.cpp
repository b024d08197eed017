// Reads new rows by id on one connection, and checks that the position it has read to is still valid.
#include "session_buddy/storage/follower.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>
#include <spdlog/fmt/fmt.h>
#include <sqlite3.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "alert_rows.hpp"
#include "change_counter.hpp"
#include "connection.hpp"
#include "file_state.hpp"
#include "inspection.hpp"
#include "lifetimes.hpp"
#include "marks.hpp"
#include "prune_state.hpp"
#include "row_reader.hpp"
#include "session_buddy/core/log.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/storage/database.hpp"

namespace session_buddy::storage {
namespace {

using std::chrono::steady_clock;

/// Audits and page checks may each take 1/N of the time. An audit counts all rows by reading a whole index, because
/// SQLite drops its cached pages each time another program has written. With a change counter it only finds what no
/// trigger sees.
constexpr int kAuditInterval = 100;
constexpr int kAuditIntervalWithCounter = 1000;
constexpr int kCheckInterval = 100;
/// Minimum pause between rebuilds due to changed rows, per row of the last rebuild: a few times its duration.
constexpr std::chrono::microseconds kRebuildPausePerRow{10};
/// Pause between attempts to install the change counter.
constexpr std::chrono::seconds kInstallPause{1};
/// Minimum time between two WAL checkpoints, each of which waits for the disk; longer if the log only has writes of
/// this connection, which it could compute again.
constexpr std::chrono::seconds kCheckpointInterval{1};
constexpr std::chrono::seconds kOwnCheckpointInterval{10};
/// Ids at most this far apart are read as one range; rows between them that are too old are dropped.
constexpr std::int64_t kJoinedGap = 64;

struct IdRange {
    std::int64_t first;
    std::int64_t last;
};

/// Sorted ranges of the ids; close ones are merged.
std::deque<IdRange> to_ranges(std::vector<std::int64_t> ids) {
    std::ranges::sort(ids);
    std::deque<IdRange> ranges;
    for (const std::int64_t id : ids) {
        if (!ranges.empty() && id - ranges.back().last <= kJoinedGap) {
            ranges.back().last = id;
        } else {
            ranges.push_back({id, id});
        }
    }
    return ranges;
}

/// The largest number of rows that the ranges can have.
std::int64_t rows_in(const std::deque<IdRange>& ranges) {
    std::int64_t rows = 0;
    for (const IdRange& range : ranges) {
        rows += range.last - range.first + 1;
    }
    return rows;
}

/// The prepared statements of one connection.
struct FollowerStatements {
    explicit FollowerStatements(SQLite::Database& database)
        : data_version(database, "PRAGMA data_version"),
          bounds(database,
                 "SELECT coalesce((SELECT min(id) FROM skill_invocation), 0),"
                 " coalesce((SELECT max(id) FROM skill_invocation), 0)"),
          signature(database, fmt::format("SELECT {} FROM skill_invocation WHERE id = ?1", kRowSignature)),
          count(database, "SELECT count(*) FROM skill_invocation"),
          recent(database, "SELECT id FROM skill_invocation WHERE invoked_at >= ?1"),
          rows(database, fmt::format("SELECT {} FROM skill_invocation WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3",
                                     kInvocationColumns)),
          pruning(database),
          changes(database),
          alert_changes(database, "SELECT value FROM session_buddy_state WHERE key = ?1"),
          marks(database),
          lifetimes(database) {}

    sql::Statement data_version;
    sql::Statement bounds;
    sql::Statement signature;
    sql::Statement count;
    sql::Statement recent;
    sql::Statement rows;
    PruneStateReader pruning;
    ChangeCounterReader changes;
    sql::DeferredStatement alert_changes;
    MarkReader marks;
    LifetimeReader lifetimes;
};

}  // namespace

struct Follower::Impl {
    /// Up to where the table was read, and its state then. Replaced as a whole when a batch is complete, so that a poll
    /// that fails has no effect.
    struct Position {
        bool known = false;                   ///< false: the next batch is a rebuild
        std::int64_t last_id = 0;             ///< rows up to here were returned, or are in `ranges`
        std::string signature;                ///< of row last_id
        std::int64_t min_id = 0;              ///< 0 if the table is empty
        std::int64_t row_count = 0;           ///< rows up to last_id
        PruneState pruning;                   ///< what was pruned by then
        std::optional<std::int64_t> changes;  ///< value of the change counter, if there is one
        std::int64_t data_version = 0;        ///< of the open connection
        TimePoint cutoff;                     ///< start of the lookback of the rebuild that `ranges` belong to
        std::deque<IdRange> ranges;           ///< that a rebuild has still to return
        bool more = false;                    ///< the last batch was full
    };

    std::string path;
    FollowerOptions options;
    std::optional<FollowerStatements> statements;
    std::optional<TotalsStore> totals;
    std::optional<CycleWriter> writer;
    FileState seen_file;                       ///< state of the file at the last check
    std::optional<FileState> incomplete_file;  ///< a file without a complete schema, as last seen
    bool immutable = false;
    Position position;
    bool audit_due = false;
    steady_clock::time_point next_audit;
    bool rebuild_due = false;  ///< rows were changed or deleted
    steady_clock::time_point next_rebuild;
    std::int64_t rebuilt_rows = 0;  ///< rows read by the current rebuild
    steady_clock::time_point next_install;
    bool check_due = false;  ///< the file was modified, maybe not by SQLite
    steady_clock::time_point next_check;
    bool wal_grew = false;            ///< other connections have written
    bool wal_has_own_writes = false;  ///< this connection has written
    int own_changes = 0;
    steady_clock::time_point last_checkpoint;
    bool skip_logged = false;
    bool alerts_may_differ = true;              ///< from those that were read last
    std::optional<std::int64_t> alert_changes;  ///< their number when alerts were read last

    Connection connection;

    Impl(std::string file, FollowerOptions settings)
        : path(std::move(file)),
          options(settings),
          connection(path, reopen_options(settings),
                     {.on_open = [this](SQLite::Database& database) { set_up(database); },
                      .on_close =
                          [this] {
                              statements.reset();
                              writer.reset();
                              totals.reset();
                          }}) {}

    static OpenOptions reopen_options(const FollowerOptions& settings) {
        return {
            .busy_timeout = settings.poll_busy_timeout, .create = false, .replace_triggers = settings.replace_triggers};
    }

    void set_up(SQLite::Database& database) {
        statements.emplace(database);
        immutable = sqlite3_uri_boolean(sqlite3_db_filename(database.getHandle(), "main"), "immutable", 0) != 0;
        seen_file = connection.opened();
        incomplete_file.reset();
        position.data_version = -1;  // data_version cannot be compared across connections
        audit_due = true;
        check_due = false;
        wal_grew = true;
        own_changes = 0;
        alerts_may_differ = true;
        alert_changes.reset();
    }

    /// Installs the change counter if it is missing. Until that succeeds, only audits find changes. A program that
    /// dropped the counter may also have changed rows: the new value makes the next read a rebuild. `data_version` is
    /// that of this poll.
    void install_counter(std::int64_t data_version) {
        const auto now = steady_clock::now();
        if (now < next_install || connection.is_read_only()) {
            return;
        }
        try {
            const bool same = position.changes.has_value() && data_version == position.data_version;
            if (!same && !statements->changes.read().has_value()) {
                SQLite::Transaction transaction(connection.database(), SQLite::TransactionBehavior::IMMEDIATE);
                install_change_counter(connection.database());
                transaction.commit();
                position.data_version = -1;  // earlier changes are not counted
            }
        } catch (const SQLite::Exception& error) {
            next_install = now + kInstallPause;
            log::kStorage.debug("cannot install the change counter of database \"{}\" yet: {}", path, error.what());
        }
    }

    /// A database that was replaced, or lost its log, is read from the start.
    void close_if_stale() {
        const auto state = connection.close_if_stale();
        if (state == Connection::State::replaced) {
            log::kStorage.info("database \"{}\" was replaced", path);
        } else if (state == Connection::State::wal_lost) {
            log::kStorage.warning("the write-ahead log of database \"{}\", or its index, was removed or emptied", path);
        }
        if (state != Connection::State::usable) {
            position = {};
        }
    }

    void ensure_connected() {
        close_if_stale();
        const auto state = file_state(path);
        if (!state.has_value()) {
            throw StorageError(StorageErrc::missing, path, fmt::format("database \"{}\" is gone", path));
        }
        if (connection.is_open() && connection.is_read_only() && may_write(path) && may_write(folder_of(path))) {
            log::kStorage.info("database \"{}\" is writable again", path);
            connection.close();
            position = {};  // a rebuild also writes what could not be written meanwhile
        } else if (connection.is_open() && immutable && (*state != seen_file || has_wal(path))) {
            connection.close();
        }
        if (!connection.is_open()) {
            connect_again(*state);
        }
        if (state->size != seen_file.size || state->modified_ns != seen_file.modified_ns) {
            // Modified by a checkpoint, or without SQLite, which would then keep using its cached pages.
            seen_file = *state;
            position.data_version = -1;
            check_due = true;
            sqlite3_db_release_memory(connection.database().getHandle());
        }
    }

    /// Another program may still be creating this file: one without a complete schema is opened (and migrated) only if
    /// it did not change between two polls, so that our tables do not get in the way of the other program.
    void connect_again(const FileState& state) {
        WalFiles::require_no_stale_index(path);
        const bool ready =
            state.is_regular && state.size > 0 && !inspect_file(path, options.poll_busy_timeout).needs_migration();
        if (state.is_regular && !ready && incomplete_file != state) {
            incomplete_file = state;
            throw StorageError(StorageErrc::busy, path, fmt::format("database \"{}\" is still being created", path));
        }
        connection.require_open();
    }

    Batch poll(TimePoint now) {
        try {
            ensure_connected();
            return connection.run("cannot read", [&] { return read(now); });
        } catch (const StorageError&) {
            if (!connection.is_open()) {
                position = {};  // the error closed it: the database is read from the start when it can be opened again
            }
            throw;
        }
    }

    Batch read(TimePoint now) {
        const std::int64_t data_version = statements->data_version.first_integer();
        install_counter(data_version);
        const bool changed = data_version != position.data_version;
        if (changed) {
            audit_due = true;
            wal_grew = true;
            alerts_may_differ = true;
        }
        const auto began = steady_clock::now();
        const bool is_rebuilding = !position.ranges.empty();
        const bool may_audit = audit_due && began >= next_audit;
        const bool may_check = check_due && began >= next_check;
        const bool may_rebuild = rebuild_due && began >= next_rebuild;
        if (position.known && !changed && !is_rebuilding && !position.more && !may_audit && !may_check &&
            !may_rebuild) {
            checkpoint_wal();
            return {};
        }

        const SQLite::Transaction transaction(connection.database(), SQLite::TransactionBehavior::DEFERRED);
        Position next = position;
        if (may_check) {
            const auto start = steady_clock::now();
            check_pages(connection.database(), path);
            const auto end = steady_clock::now();
            next_check = end + (end - start) * kCheckInterval;
            check_due = false;
        }
        Batch batch;
        // A rebuild is finished before checks can start the next one; if rows change all the time, it would never end.
        if (position.known && !is_rebuilding) {
            next.data_version = statements->data_version.first_integer();
            const auto changes = std::exchange(next.changes, statements->changes.read());
            if (!apply_pruning(next) || !position_is_valid(next) || changes != next.changes) {
                rebuild_due = true;
            }
        }
        bool rebuild = !position.known || (!is_rebuilding && rebuild_due && began >= next_rebuild);
        if (!rebuild) {
            read_rows(next, batch);
            if (!passes_audit(next)) {
                rebuild_due = true;
                rebuild = began >= next_rebuild;
            }
        }
        if (rebuild) {
            batch = {};
            batch.rebuilt = true;
            next = start_rebuild(now);
            batch.lifetimes = statements->lifetimes.read_all();
            read_rows(next, batch);
        }
        rebuild_due = rebuild_due && !rebuild;
        if (rebuild || is_rebuilding) {
            rebuilt_rows = (rebuild ? 0 : rebuilt_rows) + static_cast<std::int64_t>(batch.rows.size());
            next_rebuild = steady_clock::now() + rebuilt_rows * kRebuildPausePerRow;
        }
        batch.more = next.more || !next.ranges.empty();
        position = std::move(next);
        return batch;
    }

    /// Subtracts the rows pruned since the last poll: they are older than all windows, and lifetime metrics keep
    /// counting them. Returns false if rows were pruned that were never read, or the database was replaced.
    [[nodiscard]] bool apply_pruning(Position& next) {
        const PruneState state = statements->pruning.read();
        const std::int64_t gone = state.rows - next.pruning.rows;
        next.pruning = state;
        if (gone == 0) {
            return true;
        }
        if (gone < 0 || gone > next.row_count || state.last_id > next.last_id) {
            return false;
        }
        next.row_count -= gone;
        next.min_id = statements->bounds.first_integer();
        if (next.last_id <= state.last_id && signature_of(next.last_id).empty()) {
            next.signature.clear();  // the row itself was pruned
        }
        return true;
    }

    /// Whether the rows that were read are unchanged: a restored copy has a different last row, a table with deleted
    /// rows a different first one.
    [[nodiscard]] bool position_is_valid(const Position& known) {
        statements->bounds.reset();
        statements->bounds.step();
        const std::int64_t min_id = statements->bounds.integer(0);
        const std::int64_t max_id = statements->bounds.integer(1);
        statements->bounds.reset();
        if (max_id < known.last_id || (known.row_count > 0 && min_id != known.min_id)) {
            return false;
        }
        return signature_of(known.last_id) == known.signature;
    }

    [[nodiscard]] std::string signature_of(std::int64_t id) {
        statements->signature.with(id);
        std::string text = statements->signature.step() ? std::string(statements->signature.text(0)) : std::string();
        statements->signature.reset();
        return text;
    }

    /// Counts all rows from time to time.
    [[nodiscard]] bool passes_audit(const Position& next) {
        const auto start = steady_clock::now();
        if (!audit_due || next.more || !next.ranges.empty() || start < next_audit) {
            return true;
        }
        const bool agree = statements->count.first_integer() == next.row_count;
        const auto end = steady_clock::now();
        next_audit = end + (end - start) * (next.changes.has_value() ? kAuditIntervalWithCounter : kAuditInterval);
        audit_due = false;
        return agree;
    }

    [[nodiscard]] Position start_rebuild(TimePoint now) {
        Position fresh;
        fresh.known = true;
        fresh.data_version = statements->data_version.first_integer();
        fresh.changes = statements->changes.read();
        statements->bounds.reset();
        statements->bounds.step();
        fresh.min_id = statements->bounds.integer(0);
        fresh.last_id = statements->bounds.integer(1);
        statements->bounds.reset();
        fresh.signature = signature_of(fresh.last_id);
        fresh.row_count = statements->count.first_integer();
        fresh.pruning = statements->pruning.read();
        audit_due = false;

        // Filters by text first, for the index: with any UTC offset, a row within `lookback` has at least this date.
        fresh.cutoff = now - options.lookback;
        const std::string from = format_timestamp(fresh.cutoff - std::chrono::days{1}).substr(0, 10);
        std::vector<std::int64_t> ids;
        statements->recent.with(from);
        while (statements->recent.step()) {
            ids.push_back(statements->recent.integer(0));
        }
        fresh.ranges = to_ranges(std::move(ids));
        return fresh;
    }

    /// Reads the remaining rows of a rebuild, then new rows, at most max_rows in total.
    void read_rows(Position& next, Batch& batch) {
        std::int64_t budget = options.max_rows;
        statements->marks.restart();
        batch.rows.reserve(static_cast<std::size_t>(std::min(budget, rows_in(next.ranges))));
        while (!next.ranges.empty() && budget > 0) {
            IdRange& range = next.ranges.front();
            const std::int64_t last = read_range(range, budget, batch, &next.cutoff, nullptr, nullptr);
            if (last >= range.last || budget > 0) {
                next.ranges.pop_front();
            } else {
                range.first = last + 1;
            }
        }
        next.more = budget == 0;
        if (budget == 0) {
            return;
        }
        SkillNames touched;
        std::int64_t first_id = 0;
        const std::int64_t before = budget;
        const std::int64_t last =
            read_range({next.last_id + 1, INT64_MAX}, budget, batch, nullptr, &touched, &first_id);
        next.more = budget == 0;
        if (budget == before) {
            return;
        }
        if (next.row_count == 0) {
            next.min_id = first_id;
        }
        next.row_count += before - budget;
        next.last_id = last;
        next.signature = signature_of(last);
        auto lifetimes = statements->lifetimes.read(touched);
        batch.lifetimes.insert(batch.lifetimes.end(), std::make_move_iterator(lifetimes.begin()),
                               std::make_move_iterator(lifetimes.end()));
    }

    /// Reads the rows of a range in order and subtracts them from the budget. Returns the last id read.
    std::int64_t read_range(IdRange range, std::int64_t& budget, Batch& batch, const TimePoint* cutoff,
                            SkillNames* touched, std::int64_t* first_id) {
        std::int64_t last = range.first - 1;
        sql::Statement& rows = statements->rows.with(range.first, range.last, budget);
        while (rows.step()) {
            --budget;
            std::optional<Invocation> row = read_invocation(rows);
            last = row ? row->id : rows.integer(0);
            if (first_id != nullptr && *first_id == 0) {
                *first_id = last;
            }
            if (touched != nullptr && (row || rows.type(1) == SQLITE_TEXT)) {
                // A row with an invalid time counts in the lifetime of its skill.
                const std::string_view name = row ? std::string_view(row->skill_name) : rows.text(1);
                if (!touched->contains(name) && (row || is_valid_skill_name(name))) {
                    touched->emplace(name);
                }
            }
            if (!row.has_value()) {
                ++batch.skipped_rows;
                report_skipped(last);
            } else if (cutoff == nullptr || row->invoked_at >= *cutoff) {
                statements->marks.add_to(*row);
                batch.rows.push_back(std::move(*row));
            }
        }
        return last;
    }

    /// A counter that each write to the alerts increments.
    [[nodiscard]] std::int64_t read_alert_changes() {
        return sql::has_known_table(connection.database(), "session_buddy_state")
                   ? statements->alert_changes.with(kAlertChangesKey).first_integer()
                   : 0;
    }

    void report_skipped(std::int64_t id) {
        if (!skip_logged) {
            skip_logged = true;
            log::kStorage.warning(
                "skipping row {} of skill_invocation in database \"{}\": invalid skill name or time;"
                " further ones are counted (skipped_rows) but not logged",
                id, path);
        }
    }

    /// When idle, checkpoints and truncates the write-ahead log: a copy of just the database file is then complete, and
    /// a database that replaces the file finds no log of another one.
    void checkpoint_wal() {
        const int changes = sqlite3_total_changes(connection.database().getHandle());
        const bool is_writing = std::exchange(own_changes, changes) != changes;
        wal_has_own_writes = wal_has_own_writes || is_writing;
        const auto now = steady_clock::now();
        const auto pause = is_writing && !wal_grew ? kOwnCheckpointInterval : kCheckpointInterval;
        if ((!wal_grew && !wal_has_own_writes) || now < last_checkpoint + pause || connection.is_read_only()) {
            return;
        }
        last_checkpoint = now;
        if (has_wal(path)) {
            const bool is_done = connection.checkpoint_and_truncate();
            if (const auto state = file_state(path); state.has_value() && state->same_file(seen_file)) {
                seen_file = *state;
            }
            if (!is_done) {
                return;
            }
        }
        wal_grew = false;
        wal_has_own_writes = false;
    }
};

Follower::Follower(std::string path, FollowerOptions options)
    : impl_(std::make_unique<Impl>(std::move(path), options)) {}

Follower::~Follower() = default;

void Follower::open() {
    impl_->position = {};
    impl_->connection.open({.busy_timeout = impl_->options.open_busy_timeout,
                            .create = true,
                            .replace_triggers = impl_->options.replace_triggers});
}

Batch Follower::poll(TimePoint now) {
    return impl_->poll(now);
}

void Follower::close_if_stale() {
    impl_->close_if_stale();
}

void Follower::request_rebuild() {
    impl_->position = {};
}

std::optional<StoredAnomalyState> Follower::anomaly_state() {
    if (!impl_->connection.is_open()) {
        return std::nullopt;
    }
    SQLite::Database& database = impl_->connection.database();
    return StoredAnomalyState{.open_anomalies = open_anomalies(database), .detector = read_detector_state(database)};
}

std::optional<StoredAlertState> Follower::alert_state(TimePoint ended_since) {
    if (!impl_->connection.is_open()) {
        return std::nullopt;
    }
    return impl_->connection.run("cannot read", [&] {
        impl_->alert_changes = impl_->read_alert_changes();  // before the alerts: a later change is seen next time
        return std::optional(read_alert_state(impl_->connection.database(), ended_since));
    });
}

std::optional<StoredAlerts> Follower::changed_alerts(TimePoint ended_since) {
    if (!impl_->connection.is_open() || !impl_->alerts_may_differ) {
        return std::nullopt;
    }
    return impl_->connection.run("cannot read", [&]() -> std::optional<StoredAlerts> {
        const std::int64_t changes = impl_->read_alert_changes();
        impl_->alerts_may_differ = false;
        if (impl_->alert_changes == changes) {
            return std::nullopt;
        }
        SQLite::Database& database = impl_->connection.database();
        const SQLite::Transaction transaction(database, SQLite::TransactionBehavior::DEFERRED);
        auto alerts = select_current_alerts(database, ended_since);
        impl_->alert_changes = changes;
        return alerts;
    });
}

void Follower::expect_changed_alerts() {
    impl_->alerts_may_differ = true;
}

TotalsStore* Follower::totals() {
    if (impl_->connection.is_open() && !impl_->totals) {
        impl_->totals.emplace(impl_->connection.database());
    }
    return impl_->totals ? &*impl_->totals : nullptr;
}

CycleWriter* Follower::writer() {
    if (impl_->connection.is_open() && !impl_->writer) {
        impl_->writer.emplace(impl_->connection.database());
    }
    return impl_->writer ? &*impl_->writer : nullptr;
}

}  // namespace session_buddy::storage
