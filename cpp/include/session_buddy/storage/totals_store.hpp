// The counts of GET /metrics in the database: rows are counted by their id, each once, and what was counted outlives a
// restart and the rows themselves.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "session_buddy/core/totals.hpp"
#include "session_buddy/storage/error.hpp"

namespace SQLite {
class Database;
}

namespace session_buddy::storage {

/// How far the tables are counted.
struct TotalsPosition {
    std::int64_t counted_id = 0;  ///< rows of skill_invocation up to here
    std::string counted_row;      ///< what that row looked like, by which another database is told from this one
    std::int64_t anomaly_id = 0;  ///< rows of skill_anomalies up to here

    bool operator==(const TotalsPosition&) const = default;
};

/// What is to be written. `skills` refers to the Totals it is of.
struct TotalsWrites {
    std::optional<TotalsPosition> expected;  ///< what the database must still have
    TotalsPosition next;
    std::optional<std::int64_t> changes;  ///< of the change counter, which the database must still have
    std::vector<Totals::Change> skills;
    bool replaces = false;  ///< everything else goes

    [[nodiscard]] bool empty() const {
        return skills.empty() && next == expected.value_or(TotalsPosition{}) && !(replaces && expected);
    }
};

/// The statements of one connection, which must outlive it. Every failure of the public functions is a StorageError.
class TotalsStore {
  public:
    explicit TotalsStore(SQLite::Database& database);
    ~TotalsStore();
    TotalsStore(const TotalsStore&) = delete;
    TotalsStore& operator=(const TotalsStore&) = delete;

    /// Whether somebody else has written since the last call; true the first time.
    [[nodiscard]] bool changed();
    [[nodiscard]] std::optional<TotalsPosition> position();
    /// Of the change counter: how often rows were changed by hand, and perhaps what was counted of them, too.
    [[nodiscard]] std::optional<std::int64_t> changes();
    /// The position and, in `totals`, what was counted up to it, of one moment; of counts of other rows than those of
    /// this database the position alone, and false.
    [[nodiscard]] std::pair<std::optional<TotalsPosition>, bool> load(Totals& totals);
    /// Whether the rows that were counted are those of this database.
    [[nodiscard]] bool holds(const TotalsPosition& position);
    /// The same position, moved back to the rows that are there.
    [[nodiscard]] TotalsPosition clamp_to_rows(TotalsPosition position);
    /// Counts further rows until there are none or `until` is over. True where there may be more.
    [[nodiscard]] bool count(Totals& totals, TotalsPosition& position, std::chrono::steady_clock::time_point until);
    /// About so many rows are not counted yet.
    [[nodiscard]] std::int64_t rows_after(const TotalsPosition& position);

    /// In a write transaction of the caller. False, and nothing is written, where the database no longer has what is
    /// expected: somebody else has counted. Fails with a SQLite::Exception.
    [[nodiscard]] bool write(const TotalsWrites& writes);
    /// That transaction was rolled back.
    void rolled_back();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// The counts of one database as one process follows it, on whatever connection it has. For one thread.
class TotalsTracker {
  public:
    explicit TotalsTracker(SeriesLimits bounds = {}) : bounds_(bounds), totals_(bounds) {}

    /// Counts what is new, for no longer than until `until`. True where there is more to count. Throws StorageError.
    bool advance(TotalsStore& store, std::chrono::steady_clock::time_point until);
    /// Rows were added on this very connection, or the file was changed behind its back: the next advance() looks
    /// again.
    void request_recheck() { recheck_ = true; }

    /// What is to be written, until confirm_written() with what became of it.
    [[nodiscard]] TotalsWrites pending() const;
    void confirm_written(bool written);
    /// The database can only be read: nothing is pending until it is changed, or another connection to it is used.
    void set_read_only() { read_only_ = true; }
    /// Found on such a database. `anomaly_type` is as in skill_anomalies.
    void add_unrecorded_anomaly(std::string_view skill_name, std::string_view anomaly_type);

    /// As of the last advance(). Never less than it was, but for another database.
    [[nodiscard]] const TotalsTablePtr& table() const { return table_; }
    [[nodiscard]] std::int64_t uncounted_rows() const { return uncounted_; }

  private:
    void reload(TotalsStore& store);

    SeriesLimits bounds_;
    Totals totals_;
    TotalsPosition position_;               // of totals_
    std::optional<TotalsPosition> stored_;  // of the database, as far as is known
    std::optional<std::int64_t> changes_;
    bool loaded_ = false;
    bool replaces_ = false;  // what the database has is not of its rows
    bool more_ = false;
    bool read_only_ = false;
    bool recheck_ = false;
    TotalsTablePtr table_ = std::make_shared<TotalsTable>();
    std::int64_t table_id_ = 0;  // rows up to here are in table_
    std::int64_t uncounted_ = 0;
};

}  // namespace session_buddy::storage
