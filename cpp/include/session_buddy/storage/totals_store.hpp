// Stores the totals of GET /metrics in the database: each row is counted once, by id, and the totals survive restarts
// and the deletion of rows.
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

/// Up to which rows the tables are counted.
struct TotalsPosition {
    std::int64_t counted_id = 0;  ///< last counted row of skill_invocation
    std::string counted_row;      ///< its content, to detect that the database was replaced
    std::int64_t anomaly_id = 0;  ///< last counted row of skill_anomalies

    bool operator==(const TotalsPosition&) const = default;
};

/// Pending writes. `skills` refers to the Totals they belong to.
struct TotalsWrites {
    std::optional<TotalsPosition> expected;  ///< position that the database must still have
    TotalsPosition next;
    std::optional<std::int64_t> changes;  ///< value of the change counter that the database must still have
    std::vector<Totals::Change> skills;
    bool replaces = false;  ///< delete all other totals

    [[nodiscard]] bool empty() const {
        return skills.empty() && next == expected.value_or(TotalsPosition{}) && !(replaces && expected);
    }
};

/// Reads and writes totals on one connection, which must outlive it. Every call but write() may throw StorageError.
class TotalsStore {
  public:
    explicit TotalsStore(SQLite::Database& database);
    ~TotalsStore();
    TotalsStore(const TotalsStore&) = delete;
    TotalsStore& operator=(const TotalsStore&) = delete;

    /// Whether another connection has written since the last call; true the first time.
    [[nodiscard]] bool changed();
    [[nodiscard]] std::optional<TotalsPosition> position();
    /// The change counter: it differs after rows, and maybe their totals, were changed manually.
    [[nodiscard]] std::optional<std::int64_t> changes();
    /// Reads the position and, into `totals`, the totals at that position, in one transaction. Returns false, and no
    /// totals, if they were counted from rows that are not in this database.
    [[nodiscard]] std::pair<std::optional<TotalsPosition>, bool> load(Totals& totals);
    /// Whether the counted rows are rows of this database.
    [[nodiscard]] bool holds(const TotalsPosition& position);
    /// The position, limited to the rows that exist.
    [[nodiscard]] TotalsPosition clamp_to_rows(TotalsPosition position);
    /// Counts further rows until there are none or `until` is reached. Returns true if there may be more.
    [[nodiscard]] bool count(Totals& totals, TotalsPosition& position, std::chrono::steady_clock::time_point until);
    /// Approximate number of rows that are not counted yet.
    [[nodiscard]] std::int64_t rows_after(const TotalsPosition& position);

    /// Must be called in a write transaction. Returns false, and writes nothing, if the database no longer has the
    /// expected position, because another process has counted. Throws SQLite::Exception.
    [[nodiscard]] bool write(const TotalsWrites& writes);
    /// Must be called when that transaction was rolled back.
    void rolled_back();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// The totals of one database in one process, across connections. For one thread.
class TotalsTracker {
  public:
    explicit TotalsTracker(SeriesLimits bounds = {}) : bounds_(bounds), totals_(bounds) {}

    /// Counts new rows until `until`. Returns true if more are left. Throws StorageError.
    bool advance(TotalsStore& store, std::chrono::steady_clock::time_point until);
    /// Makes the next advance() check the database again, because rows were added on this connection or the file was
    /// replaced.
    void request_recheck() { recheck_ = true; }

    /// The writes that are due, until confirm_written() is called with their result.
    [[nodiscard]] TotalsWrites pending() const;
    void confirm_written(bool written);
    /// The database is write-protected: nothing is pending until it changes or is reopened.
    void set_read_only() { read_only_ = true; }
    /// Counts an anomaly that a write-protected database cannot record. `anomaly_type` is as in skill_anomalies.
    void add_unrecorded_anomaly(std::string_view skill_name, std::string_view anomaly_type);

    /// As of the last advance(). Totals never decrease, except when the database is replaced.
    [[nodiscard]] const TotalsTablePtr& table() const { return table_; }
    [[nodiscard]] std::int64_t uncounted_rows() const { return uncounted_; }

  private:
    void reload(TotalsStore& store);

    SeriesLimits bounds_;
    Totals totals_;
    TotalsPosition position_;               // of totals_
    std::optional<TotalsPosition> stored_;  // last known position in the database
    std::optional<std::int64_t> changes_;
    bool loaded_ = false;
    bool reloaded_ = false;  // since table_ was published
    bool replaces_ = false;  // the totals in the database are invalid
    bool more_ = false;
    bool read_only_ = false;
    bool recheck_ = false;
    TotalsTablePtr table_ = std::make_shared<TotalsTable>();
    std::int64_t table_id_ = 0;  // last row counted in table_
    std::int64_t uncounted_ = 0;
};

}  // namespace session_buddy::storage
