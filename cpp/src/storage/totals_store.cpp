// Counts rows by id, and stores the totals in two side tables.
#include "session_buddy/storage/totals_store.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "change_counter.hpp"
#include "invocation_aggregates.hpp"
#include "marks.hpp"
#include "prune_state.hpp"
#include "row_reader.hpp"
#include "session_buddy/core/duration.hpp"
#include "session_buddy/core/log.hpp"
#include "side_tables.hpp"
#include "sql.hpp"
#include "totals_corrections.hpp"

namespace session_buddy::storage {
namespace {

using std::chrono::steady_clock;

constexpr std::string_view kCountedId = "totals_counted_id";
constexpr std::string_view kCountedRow = "totals_counted_row";
constexpr std::string_view kAnomalyId = "totals_anomaly_id";
/// Identifies a row by the start of its texts, which may be of any length.
constexpr std::string_view kDescription =
    "SELECT substr(quote(skill_name), 1, 64) || substr(quote(invoked_at), 1, 64) || substr(quote(session_id), 1, 64)"
    " FROM skill_invocation WHERE id = ?1";
/// Rows read before the time limit is checked again.
constexpr std::int64_t kRowsPerQuery = 1000;

std::string columns_of_totals() {
    return fmt::format("skill_name, workflow_phase, completed, failed, duration_seconds, {}, unknown, debt",
                       fmt::join(kBucketColumns, ", "));
}

/// The text of the column `debt`: a JSON array of the debt of each count, in the order of counts_of; nullopt if there
/// is none.
std::optional<std::string> encode_debt(const PhaseTotals& debt) {
    if (debt == PhaseTotals{}) {
        return std::nullopt;
    }
    nlohmann::json counts = {debt.completed, debt.failed, debt.unknown, debt.duration_seconds};
    for (const std::int64_t count : debt.durations) {
        counts.push_back(count);
    }
    return counts.dump();
}

/// No debt if the text is not what encode_debt writes.
PhaseTotals decode_debt(std::string_view text) {
    PhaseTotals debt;
    const auto counts = nlohmann::json::parse(text, nullptr, false);
    constexpr std::size_t kFirstBucket = 4;
    if (!counts.is_array() || counts.size() != kFirstBucket + debt.durations.size() ||
        !std::ranges::all_of(counts, [](const auto& count) { return count.is_number(); })) {
        return debt;
    }
    const auto count = [&counts](std::size_t index) {
        return std::max<std::int64_t>(counts[index].template get<std::int64_t>(), 0);
    };
    debt.completed = count(0);
    debt.failed = count(1);
    debt.unknown = count(2);
    debt.duration_seconds = std::max(counts[3].get<double>(), 0.0);
    for (std::size_t bucket = 0; bucket < debt.durations.size(); ++bucket) {
        debt.durations[bucket] = count(kFirstBucket + bucket);
    }
    return debt;
}

/// The rows of session_buddy_totals.
class SeriesTable {
  public:
    struct Series {
        std::string skill_name;
        PhaseTotals counts;
        PhaseTotals debt;
        bool is_stored = false;
    };

    /// `condition`: SQL after the name of the table. Rows of an earlier version have no unknown outcomes, and no debt.
    static std::string selection(SQLite::Database& database, std::string_view condition) {
        std::string columns = columns_of_totals();
        if (!sql::has_column(database, "session_buddy_totals", "debt")) {
            columns.replace(columns.find("unknown, debt"), std::string_view("unknown, debt").size(), "0, NULL");
        }
        return fmt::format("SELECT {} FROM session_buddy_totals {}", columns, condition);
    }
    static Series read(const sql::Statement& row) {
        Series series{.skill_name = std::string(row.text(0)), .counts = {}, .debt = {}, .is_stored = true};
        series.counts.workflow_phase = row.text(1);
        series.counts.completed = row.integer(2);
        series.counts.failed = row.integer(3);
        series.counts.duration_seconds = row.real(4);
        int column = 4;
        for (std::int64_t& count : series.counts.durations) {
            count = row.integer(++column);
        }
        series.counts.unknown = row.integer(++column);
        if (!row.is_null(++column)) {
            series.debt = decode_debt(row.text(column));
        }
        return series;
    }
    static std::string insertion() {
        return fmt::format(
            "INSERT OR REPLACE INTO session_buddy_totals ({}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8,"
            " ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
            columns_of_totals());
    }
    static void write(sql::Statement& put, std::string_view skill_name, const PhaseTotals& counts,
                      const PhaseTotals& debt) {
        put.with(skill_name, counts.workflow_phase, counts.completed, counts.failed, counts.duration_seconds);
        int parameter = 5;
        for (const std::int64_t count : counts.durations) {
            put.bind(++parameter, count);
        }
        put.bind(++parameter, counts.unknown);
        put.bind(++parameter, encode_debt(debt));
        put.run();
    }
};

Invocation counted(const CountedRow& row) {
    return {.id = 0,
            .skill_name = row.skill_name,
            .invoked_at = {},
            .session_id = {},
            .completed = row.completed,
            .duration_seconds = row.seconds && is_valid_duration(*row.seconds) ? row.seconds : std::nullopt,
            .outcome_is_unknown = row.outcome_is_unknown};
}

}  // namespace

struct TotalsStore::Impl {
    explicit Impl(SQLite::Database& its_database)
        : database(its_database),
          data_version(database, "PRAGMA data_version"),
          rows(database,
               fmt::format("SELECT {}, workflow_phase FROM skill_invocation WHERE id > ?1 ORDER BY id LIMIT ?2",
                           kInvocationColumns)),
          row(database, kDescription),
          last_id(database, "SELECT max(id) FROM skill_invocation"),
          anomalies(database,
                    "SELECT id, skill_name, anomaly_type FROM skill_anomalies WHERE id > ?1 ORDER BY id LIMIT ?2"),
          tables(database,
                 "SELECT count(*) FROM sqlite_master WHERE name IN ('session_buddy_state', 'session_buddy_totals',"
                 " 'session_buddy_anomaly_totals')"),
          marks(database),
          changes(database),
          pruning(database),
          state(database, "SELECT key, value FROM session_buddy_state WHERE key IN (?1, ?2, ?3)"),
          put_phase(database, SeriesTable::insertion()),
          put_anomalies(database,
                        "INSERT OR REPLACE INTO session_buddy_anomaly_totals (skill_name, anomaly_type, detected)"
                        " VALUES (?1, ?2, ?3)") {}

    std::string describe(std::int64_t id) {
        std::string text = row.with(id).step() ? std::string(row.text(0)) : std::string();
        row.reset();
        return text;
    }

    std::optional<TotalsPosition> position() {
        constexpr int kTables = 3;
        if (tables.first_integer() != kTables) {
            state.forget();
            return std::nullopt;
        }
        TotalsPosition found;
        int keys = 0;
        sql::Statement& values = state.with(kCountedId, kCountedRow, kAnomalyId);
        while (values.step()) {
            const std::string_view key = values.text(0);
            if (key == kCountedRow) {
                found.counted_row = values.text(1);
            } else {
                (key == kCountedId ? found.counted_id : found.anomaly_id) =
                    std::max<std::int64_t>(values.integer(1), 0);
            }
            ++keys;
        }
        constexpr int kKeys = 3;
        return keys == kKeys ? std::optional(std::move(found)) : std::nullopt;
    }

    /// Earlier versions also summed invalid durations of other programs, up to infinity.
    bool has_impossible_sum() {
        return sql::query_integer(database, fmt::format("SELECT EXISTS (SELECT 1 FROM session_buddy_totals WHERE"
                                                        " NOT duration_seconds BETWEEN 0 AND {} * ({}))",
                                                        kMaxDurationSeconds, fmt::join(kBucketColumns, " + "))) != 0;
    }

    void put(std::string_view key, const auto& value) { put_state->with(key, value).run(); }

    void write(const Totals::Change& change);

    SQLite::Database& database;
    sql::Statement data_version;
    sql::Statement rows;
    sql::Statement row;
    sql::Statement last_id;
    sql::Statement anomalies;
    sql::Statement tables;
    MarkReader marks;
    ChangeCounterReader changes;
    PruneStateReader pruning;
    std::int64_t seen_version = -1;
    // Their tables may be missing.
    sql::DeferredStatement state;
    std::optional<sql::Statement> put_state;
    sql::DeferredStatement put_phase;
    sql::DeferredStatement put_anomalies;
};

TotalsStore::TotalsStore(SQLite::Database& database)
    : impl_(sql::translated(database.getFilename(), "cannot read", [&] { return std::make_unique<Impl>(database); })) {}

TotalsStore::~TotalsStore() = default;

bool TotalsStore::changed() {
    return sql::translated(impl_->database.getFilename(), "cannot read", [&] {
        const std::int64_t version = impl_->data_version.first_integer();
        return std::exchange(impl_->seen_version, version) != version;
    });
}

std::optional<TotalsPosition> TotalsStore::position() {
    return sql::translated(impl_->database.getFilename(), "cannot read", [&] { return impl_->position(); });
}

std::optional<std::int64_t> TotalsStore::changes() {
    return sql::translated(impl_->database.getFilename(), "cannot read", [&] { return impl_->changes.read(); });
}

bool TotalsStore::holds(const TotalsPosition& position) {
    return sql::translated(impl_->database.getFilename(), "cannot read", [&] {
        const std::int64_t last_id = impl_->last_id.first_integer();
        if (last_id < position.counted_id) {
            return false;
        }
        if (position.counted_id == 0 || position.counted_row.empty()) {
            return true;
        }
        const std::string found = impl_->describe(position.counted_id);
        return found.empty() || found == position.counted_row;  // it may be pruned; the newest row never is
    });
}

std::int64_t TotalsStore::rows_after(const TotalsPosition& position) {
    return sql::translated(impl_->database.getFilename(), "cannot read", [&] {
        const std::int64_t last_id = impl_->last_id.first_integer();
        return std::max<std::int64_t>(last_id - position.counted_id, 0);
    });
}

std::pair<std::optional<TotalsPosition>, bool> TotalsStore::load(Totals& totals) {
    return sql::translated(impl_->database.getFilename(), "cannot read", [&] {
        // One transaction, because another server may write at any time: rows after the position would be counted
        // twice.
        const SQLite::Transaction moment(impl_->database);
        auto stored = position();
        // Only the totals count pruned rows: then they are kept even if the newest row does not match.
        if (!stored || (!holds(*stored) && impl_->pruning.read().rows == 0)) {
            return std::pair(std::move(stored), false);
        }
        if (impl_->has_impossible_sum()) {
            log::kStorage.warning("recounting all totals: a sum of durations in session_buddy_totals is too large");
            return std::pair(std::move(stored), false);
        }
        sql::Statement phases(impl_->database, SeriesTable::selection(impl_->database, ""));
        while (phases.step()) {
            SeriesTable::Series series = SeriesTable::read(phases);
            totals.restore(series.skill_name, std::move(series.counts), std::move(series.debt));
        }
        sql::Statement counts(impl_->database,
                              "SELECT skill_name, anomaly_type, detected FROM session_buddy_anomaly_totals");
        while (counts.step()) {
            if (const auto type = kAnomalyTypes.find(counts.text(1))) {
                totals.restore(counts.text(0), *type, counts.integer(2));
            }
        }
        return std::pair(std::move(stored), true);
    });
}

TotalsPosition TotalsStore::clamp_to_rows(TotalsPosition position) {
    return sql::translated(impl_->database.getFilename(), "cannot read", [&] {
        position.counted_id = std::min(position.counted_id, impl_->last_id.first_integer());
        position.counted_row = impl_->describe(position.counted_id);
        return position;
    });
}

bool TotalsStore::count(Totals& totals, TotalsPosition& position, steady_clock::time_point until) {
    return sql::translated(impl_->database.getFilename(), "cannot read", [&] {
        std::int64_t read = kRowsPerQuery;
        const std::int64_t from = position.counted_id;
        const std::string row_before = std::exchange(position.counted_row, {});  // unknown if reading fails half way
        impl_->marks.restart();
        while (read == kRowsPerQuery && steady_clock::now() < until) {
            read = 0;
            impl_->rows.with(position.counted_id, kRowsPerQuery);
            while (impl_->rows.step()) {
                ++read;
                position.counted_id = impl_->rows.integer(0);
                if (auto row = read_invocation(impl_->rows)) {
                    impl_->marks.add_to(*row);
                    totals.add(*row, clean_text(impl_->rows, kInvocationColumnCount));
                }
            }
        }
        position.counted_row = position.counted_id != from ? impl_->describe(position.counted_id) : row_before;
        const bool more = read == kRowsPerQuery;
        for (read = kRowsPerQuery; read == kRowsPerQuery && steady_clock::now() < until;) {
            read = 0;
            impl_->anomalies.with(position.anomaly_id, kRowsPerQuery);
            while (impl_->anomalies.step()) {
                ++read;
                position.anomaly_id = impl_->anomalies.integer(0);
                const auto type = kAnomalyTypes.find(impl_->anomalies.text(2));
                if (type && is_valid_skill_name(impl_->anomalies.text(1))) {
                    totals.add_anomaly(impl_->anomalies.text(1), *type);
                }
            }
        }
        return more || read == kRowsPerQuery;
    });
}

bool TotalsStore::write(const TotalsWrites& writes) {
    SQLite::Database& database = impl_->database;
    if (impl_->position() != writes.expected || impl_->changes.read() != writes.changes) {
        return false;
    }
    if (!impl_->put_state) {
        create_side_tables(database, SideTable::Group::state);
        create_side_tables(database, SideTable::Group::totals);
        impl_->put_state.emplace(database, kPutState);
    }
    if (writes.replaces) {
        database.exec("DELETE FROM session_buddy_totals; DELETE FROM session_buddy_anomaly_totals");
    }
    for (const Totals::Change& change : writes.skills) {
        impl_->write(change);
    }
    impl_->put(kCountedId, writes.next.counted_id);
    impl_->put(kCountedRow, writes.next.counted_row);
    impl_->put(kAnomalyId, writes.next.anomaly_id);
    return true;
}

void TotalsStore::rolled_back() {
    impl_->put_state.reset();
    impl_->put_phase.forget();
    impl_->put_anomalies.forget();
}

void TotalsStore::Impl::write(const Totals::Change& change) {
    const SkillTotals& skill = *change.skill;
    const std::vector<bool>& phases = *change.phases;
    for (std::size_t index = 0; index < phases.size(); ++index) {
        if (!phases[index]) {
            continue;
        }
        SeriesTable::write(put_phase.get(), skill.skill_name, skill.phases[index],
                           index < change.debts->size() ? (*change.debts)[index] : PhaseTotals{});
    }
    if (!change.anomalies) {
        return;
    }
    for (const auto& [type, name] : kAnomalyTypes) {
        if (const std::int64_t count = skill.anomalies[static_cast<std::size_t>(type)]; count > 0) {
            put_anomalies.with(skill.skill_name, name, count).run();
        }
    }
}

bool TotalsTracker::advance(TotalsStore& store, steady_clock::time_point until) {
    const bool changed = store.changed();
    read_only_ = read_only_ && !changed;
    recheck_ = recheck_ || changed;  // stays set until the check succeeds
    if (loaded_ && !more_ && !recheck_) {
        return false;
    }
    if (!loaded_) {
        reload(store);
    } else if (recheck_) {
        if (!store.holds(position_)) {
            table_id_ = 0;
            reload(store);
            if (replaces_) {
                log::kStorage.info("recounting all totals: the database was replaced, or its newest rows were deleted");
            }
        } else if (store.position() != stored_ || store.changes() != changes_) {
            reload(store);
        }
    }
    recheck_ = false;
    more_ = store.count(totals_, position_, until);
    uncounted_ = more_ ? store.rows_after(position_) : 0;
    // If another process had counted less, its totals were loaded, and must catch up first. Rows that were corrected
    // meanwhile must not make a series lower than it was shown.
    if (position_.counted_id >= table_id_) {
        if (std::exchange(reloaded_, false) && table_id_ > 0) {
            totals_.keep_at_least(*table_);
        }
        table_ = totals_.table();
        table_id_ = position_.counted_id;
    }
    return more_;
}

/// Loads the totals of the database if they were counted from its rows.
void TotalsTracker::reload(TotalsStore& store) {
    loaded_ = false;
    totals_ = Totals(bounds_);
    changes_ = store.changes();
    const auto [stored, is_valid] = store.load(totals_);
    stored_ = stored;
    replaces_ = !is_valid;
    position_ = !is_valid ? TotalsPosition{} : store.holds(*stored) ? *stored : store.clamp_to_rows(*stored);
    loaded_ = true;
    reloaded_ = true;
}

TotalsWrites TotalsTracker::pending() const {
    if (!loaded_ || read_only_) {
        return {};
    }
    return {.expected = stored_,
            .next = position_,
            .changes = changes_,
            .skills = totals_.unwritten(),
            .replaces = replaces_};
}

void TotalsTracker::add_unrecorded_anomaly(std::string_view skill_name, std::string_view anomaly_type) {
    if (const auto type = kAnomalyTypes.find(anomaly_type)) {
        totals_.add_unrecorded_anomaly(skill_name, *type);
        recheck_ = true;
    }
}

void TotalsTracker::confirm_written(bool written) {
    if (written) {
        totals_.confirm_written();
        stored_ = position_;
        replaces_ = false;
    } else {
        recheck_ = true;
    }
}

void refresh_totals_position(SQLite::Database& database) {
    if (!sql::has_table(database, "session_buddy_state")) {
        return;
    }
    sql::Statement state(database,
                         "SELECT value, (SELECT coalesce(max(id), 0) FROM skill_invocation)"
                         " FROM session_buddy_state WHERE key = ?1");
    if (!state.with(kCountedId).step()) {
        return;
    }
    const std::int64_t counted = state.integer(0);
    const std::int64_t id = std::min(counted, state.integer(1));
    state.reset();
    sql::Statement row(database, kDescription);
    const std::string text = row.with(id).step() ? std::string(row.text(0)) : std::string();
    if (text.empty() && id == counted) {
        return;  // a deleted row cannot be compared, and need not be
    }
    sql::Statement put(database, kPutState);
    put.with(kCountedId, id).run();
    put.with(kCountedRow, text).run();
}

namespace {

/// The series that counts a row: its own, or the one that sums the names beyond the limits.
class SeriesOfRow {
  public:
    explicit SeriesOfRow(SQLite::Database& database)
        : has_skill_(database, "SELECT EXISTS (SELECT 1 FROM session_buddy_totals WHERE skill_name = ?1)"),
          read_(database, SeriesTable::selection(database, "WHERE skill_name = ?1 AND workflow_phase = ?2")),
          put_(database, SeriesTable::insertion()) {}

    SeriesTable::Series find(const CountedRow& row) {
        const bool is_known =
            has_skill_.with(row.skill_name).first_integer() != 0 || has_skill_.with(kOtherSeries).first_integer() == 0;
        const std::string_view skill = is_known ? std::string_view(row.skill_name) : kOtherSeries;
        const std::string_view phase = row.workflow_phase.empty()                ? kNoPhase
                                       : is_valid_skill_name(row.workflow_phase) ? std::string_view(row.workflow_phase)
                                                                                 : kOtherSeries;
        for (const std::string_view each : {phase, kOtherSeries}) {
            read_.with(skill, each);
            if (read_.step()) {
                SeriesTable::Series found = SeriesTable::read(read_);
                read_.reset();
                return found;
            }
        }
        SeriesTable::Series fresh{.skill_name = std::string(skill), .counts = {}, .debt = {}};
        fresh.counts.workflow_phase = phase;
        return fresh;
    }

    void write(const SeriesTable::Series& series) {
        SeriesTable::write(put_, series.skill_name, series.counts, series.debt);
    }

  private:
    sql::Statement has_skill_;
    sql::Statement read_;
    sql::Statement put_;
};

}  // namespace

void correct_totals(SQLite::Database& database, std::int64_t id, const CountedRow& before, const CountedRow& after) {
    if (!sql::has_table(database, "session_buddy_totals") || !sql::has_table(database, "session_buddy_state")) {
        return;
    }
    if (sql::Statement(database, "SELECT value FROM session_buddy_state WHERE key = ?1")
            .with(kCountedId)
            .first_integer() < id) {
        return;  // not counted yet
    }
    create_side_tables(database, SideTable::Group::totals);  // with the columns that an earlier version lacks
    SeriesOfRow series(database);
    SeriesTable::Series from = series.find(before);
    if (from.is_stored) {
        subtract_from_series(from.debt, counted(before));
        series.write(from);
    }
    SeriesTable::Series to = series.find(after);
    add_to_series(to.counts, to.debt, counted(after));
    series.write(to);
}

}  // namespace session_buddy::storage
