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
#include "stamps.hpp"

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
/// Rows wait for their stamp during at most this many polls that cannot write.
constexpr int kMaxStampFailures = 3;
/// A stamp further than this in the future shows that the clock was set back: log time begins again.
constexpr std::chrono::seconds kMaxClockStep{60};
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
          count_after(database, "SELECT count(*) FROM skill_invocation WHERE id > ?1"),
          recent(database, "SELECT id FROM skill_invocation WHERE invoked_at >= ?1"),
          rows(database, fmt::format("SELECT {} FROM skill_invocation WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3",
                                     kInvocationColumns)),
          pruning(database),
          changes(database),
          alert_changes(database, "SELECT value FROM session_buddy_state WHERE key = ?1"),
          marks(database),
          lifetimes(database),
          stamps(database) {}

    sql::Statement data_version;
    sql::Statement bounds;
    sql::Statement signature;
    sql::Statement count;
    sql::Statement count_after;
    sql::Statement recent;
    sql::Statement rows;
    PruneStateReader pruning;
    ChangeCounterReader changes;
    sql::DeferredStatement alert_changes;
    MarkReader marks;
    LifetimeReader lifetimes;
    StampLog stamps;
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
        std::int64_t stamp_seq = 0;           ///< the last stamp all of whose rows were returned
        TimePoint stamp_at;                   ///< its time
        bool has_unstamped = false;           ///< there may be rows beyond the last stamp
        bool is_history = false;              ///< a rebuild that is not complete yet
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
    bool restamp_due = false;                   ///< the stamps are discarded
    int stamp_failures = 0;                     ///< consecutive ones
    bool stamp_failure_logged = false;
    std::optional<StoredAnomalyState> anomaly_state;  ///< at the start of the last rebuild

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

    Batch poll(TimePoint now, TimePoint due) {
        try {
            ensure_connected();
            return connection.run("cannot read", [&] { return read(now, due); });
        } catch (const StorageError&) {
            if (!connection.is_open()) {
                position = {};  // the error closed it: the database is read from the start when it can be opened again
            }
            throw;
        }
    }

    /// Up to which row the stamps are used. Rows beyond it wait for their stamp, or, with `own_clock`, count as
    /// accepted now.
    struct Log {
        std::int64_t seq = 0;  ///< of the last stamp
        std::int64_t last_row = 0;
        TimePoint at;  ///< log time
        bool own_clock = false;
    };

    /// Stamps the rows that no server has read, and the time `due` unless it is later than `now`. Must be called
    /// outside of a transaction: the write lock is held only for the stamp.
    void stamp(TimePoint now, TimePoint due) {
        if (connection.is_read_only()) {
            stamp_failures = kMaxStampFailures;
            return;
        }
        try {
            if (needs_stamp(now, due)) {
                SQLite::Transaction transaction(connection.database(), SQLite::TransactionBehavior::IMMEDIATE);
                if (needs_stamp(now, due)) {
                    add_stamp(now);
                }
                transaction.commit();
            }
            restamp_due = false;
            stamp_failures = 0;
            stamp_failure_logged = false;
        } catch (const SQLite::Exception& error) {
            const StorageError reason = sql::to_storage_error(error, path, "cannot stamp the rows of");
            if (reason.code() != StorageErrc::busy && reason.code() != StorageErrc::read_only &&
                reason.code() != StorageErrc::io) {
                throw;
            }
            stamp_failures = reason.code() == StorageErrc::busy ? stamp_failures + 1 : kMaxStampFailures;
            if (stamp_failures >= kMaxStampFailures && !std::exchange(stamp_failure_logged, true)) {
                log::kStorage.warning("{}; other servers on it may find other anomalies", reason.what());
            }
        }
    }

    [[nodiscard]] std::int64_t newest_id() {
        statements->bounds.reset();
        statements->bounds.step();
        const std::int64_t id = statements->bounds.integer(1);
        statements->bounds.reset();
        return id;
    }

    [[nodiscard]] bool needs_stamp(TimePoint now, TimePoint due) {
        const auto last = statements->stamps.last();
        const std::int64_t newest = newest_id();
        if (!last) {
            return newest > 0 || due <= now;
        }
        return restamp_due || newest > last->last_row || (due <= now && last->at < due) || must_restamp(*last, now);
    }

    /// Whether the stamps are of another time, or of rows that are gone, whose ids may be used again.
    [[nodiscard]] bool must_restamp(const StoredStamp& last, TimePoint now) {
        return last.at > now + kMaxClockStep ||
               (newest_id() < last.last_row && statements->pruning.read().last_id < last.last_row);
    }

    void add_stamp(TimePoint now) {
        const auto last = statements->stamps.last();
        const bool restamps = last && (restamp_due || must_restamp(*last, now));
        if (restamps) {
            statements->stamps.remove_all();
        }
        const bool continues = last && !restamps;
        statements->stamps.add(last, continues ? std::max(last->at, now) : now,
                               continues ? std::max(last->last_row, newest_id()) : newest_id(), now - options.lookback);
    }

    [[nodiscard]] Log read_log(TimePoint now) {
        const auto last = statements->stamps.last();
        const bool own_clock = stamp_failures >= kMaxStampFailures || (stamp_failures > 0 && !last);
        return {.seq = last ? last->seq : 0,
                .last_row = own_clock ? INT64_MAX
                            : last    ? last->last_row
                                      : 0,
                .at = own_clock || !last ? now : last->at,
                .own_clock = own_clock};
    }

    Batch read(TimePoint now, TimePoint due) {
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
            !may_rebuild && !position.has_unstamped && due > now) {
            checkpoint_wal();
            return {};
        }

        stamp(now, due);
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
        const Log log = read_log(now);
        // A rebuild is finished before checks can start the next one; if rows change all the time, it would never end.
        if (position.known && !is_rebuilding) {
            next.data_version = statements->data_version.first_integer();
            const auto changes = std::exchange(next.changes, statements->changes.read());
            if (!apply_pruning(next) || !position_is_valid(next) || changes != next.changes) {
                rebuild_due = true;
            }
        }
        if (!log.own_clock && (log.seq < position.stamp_seq || log.at < position.stamp_at)) {
            next.known = false;  // the stamps were discarded, because the clock was set back, or lost
        }
        bool rebuild = !next.known || (!is_rebuilding && rebuild_due && began >= next_rebuild);
        if (!rebuild) {
            read_rows(next, batch, log);
            if (!passes_audit(next)) {
                rebuild_due = true;
                rebuild = began >= next_rebuild;
            }
        }
        if (rebuild) {
            batch = {};
            batch.rebuilt = true;
            next = start_rebuild(now, log);
            batch.lifetimes = statements->lifetimes.read_all();
            read_rows(next, batch, log);
        }
        add_stamps(next, batch, log, due);
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
        const std::int64_t unread = statements->count_after.with(next.last_id).first_integer();
        const bool agree = statements->count.first_integer() - unread == next.row_count;
        const auto end = steady_clock::now();
        next_audit = end + (end - start) * (next.changes.has_value() ? kAuditIntervalWithCounter : kAuditInterval);
        audit_due = false;
        return agree;
    }

    [[nodiscard]] Position start_rebuild(TimePoint now, const Log& log) {
        Position fresh;
        fresh.known = true;
        fresh.is_history = true;
        fresh.data_version = statements->data_version.first_integer();
        fresh.changes = statements->changes.read();
        statements->bounds.reset();
        statements->bounds.step();
        fresh.min_id = statements->bounds.integer(0);
        fresh.last_id = std::min(statements->bounds.integer(1), log.last_row);
        statements->bounds.reset();
        fresh.signature = signature_of(fresh.last_id);
        fresh.row_count =
            statements->count.first_integer() - statements->count_after.with(fresh.last_id).first_integer();
        fresh.pruning = statements->pruning.read();
        audit_due = false;
        SQLite::Database& database = connection.database();
        anomaly_state = {.open_anomalies = open_anomalies(database), .detector = read_detector_state(database)};

        // Filters by text first, for the index: with any UTC offset, a row within `lookback` has at least this date.
        fresh.cutoff = now - options.lookback;
        const std::string from = format_timestamp(fresh.cutoff - std::chrono::days{1}).substr(0, 10);
        std::vector<std::int64_t> ids;
        statements->recent.with(from);
        while (statements->recent.step()) {
            if (const std::int64_t id = statements->recent.integer(0); id <= fresh.last_id) {
                ids.push_back(id);
            }
        }
        fresh.ranges = to_ranges(std::move(ids));
        return fresh;
    }

    /// Reads the remaining rows of a rebuild, then new rows, at most max_rows in total.
    void read_rows(Position& next, Batch& batch, const Log& log) {
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
            read_range({next.last_id + 1, log.last_row}, budget, batch, nullptr, &touched, &first_id);
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

    /// Adds the stamps of the rows that were read, and of the time that passed since.
    void add_stamps(Position& next, Batch& batch, const Log& log, TimePoint due) {
        batch.log_time = log.at;
        next.has_unstamped = !log.own_clock && newest_id() > log.last_row;
        // All rows up to this id were read, now or before.
        const std::int64_t read_to = !next.ranges.empty() ? next.ranges.front().first - 1
                                     : next.more          ? next.last_id
                                                          : log.last_row;
        const auto add = [&](TimePoint at, std::int64_t last_row, bool is_oldest) {
            const auto end = std::ranges::upper_bound(batch.rows, last_row, {}, &Invocation::id);
            batch.stamps.push_back({.at = at,
                                    .last_row = last_row,
                                    .end = static_cast<std::size_t>(end - batch.rows.begin()),
                                    .is_complete = last_row <= read_to,
                                    .is_oldest = is_oldest});
        };
        const bool is_history = next.is_history;
        next.is_history = is_history && (next.more || !next.ranges.empty());
        if (log.own_clock) {
            if (!batch.rows.empty() || due <= log.at) {
                add(log.at, next.last_id, is_history);
                batch.stamps.back().is_complete = !next.more && next.ranges.empty();
            }
            return;
        }
        statements->stamps.read_after(next.stamp_seq, [&](const StoredStamp& stamp) {
            add(stamp.at, stamp.last_row, next.stamp_seq == 0);
            if (!batch.stamps.back().is_complete) {
                return false;
            }
            next.stamp_seq = stamp.seq;
            next.stamp_at = stamp.at;
            return true;
        });
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

Batch Follower::poll(TimePoint now, TimePoint due) {
    return impl_->poll(now, due);
}

void Follower::close_if_stale() {
    impl_->close_if_stale();
}

void Follower::request_rebuild() {
    impl_->position = {};
}

void Follower::request_restamp() {
    impl_->position = {};
    impl_->restamp_due = true;
}

std::optional<StoredAnomalyState> Follower::anomaly_state() {
    return impl_->connection.is_open() ? impl_->anomaly_state : std::nullopt;
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
