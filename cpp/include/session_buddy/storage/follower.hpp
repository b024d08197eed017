// Tails skill_invocation by id and returns new rows. Works next to a Pruner, and detects a database that was replaced,
// restored or truncated, and rows that were changed or deleted. For one thread; has its own connection.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/snapshot.hpp"
#include "session_buddy/storage/cycle_writer.hpp"
#include "session_buddy/storage/error.hpp"
#include "session_buddy/storage/totals_store.hpp"

namespace session_buddy::storage {

struct FollowerOptions {
    std::chrono::milliseconds open_busy_timeout{5000};  ///< for open(), which may create or migrate
    std::chrono::milliseconds poll_busy_timeout{100};   ///< for every later statement of a poll
    std::chrono::seconds lookback{86400};               ///< how far back a rebuild reads
    std::uint32_t max_rows = 50000;                     ///< per batch
    bool replace_triggers = false;
};

/// Log time: the rows of a batch up to index `end` that no earlier stamp has were accepted at `at`, and are those up to
/// id `last_row`. After them, time passes to `at`.
struct Stamp {
    TimePoint at;
    std::int64_t last_row = 0;
    std::size_t end = 0;
    bool is_complete = true;  ///< false: the next batch has further rows of this stamp
    bool is_oldest = false;   ///< the rows may have been accepted earlier, because older stamps are deleted
};

struct Batch {
    bool rebuilt = false;          ///< discard all earlier rows: this batch starts from scratch
    bool more = false;             ///< max_rows was reached; poll again for the remaining rows
    std::vector<Invocation> rows;  ///< readable rows, ordered by id; times are as stored, even in the future
    std::vector<Stamp> stamps;     ///< of all rows, in order; also those without rows
    TimePoint log_time;            ///< of the last stamp in the database
    /// Lifetime metrics of all skills (rebuilt), or of the skills that have new rows.
    std::vector<std::pair<std::string, LifetimeMetrics>> lifetimes;
    std::int64_t skipped_rows = 0;  ///< unreadable rows skipped in this batch
};

class Follower {
  public:
    Follower(std::string path, FollowerOptions options);
    ~Follower();
    Follower(const Follower&) = delete;
    Follower& operator=(const Follower&) = delete;

    /// Opens the database, creating or migrating it. Throws StorageError. After an error poll() reopens it, but never
    /// creates a missing file.
    void open();

    /// Returns the rows since the last poll; cheap if there are none. The first poll after open() is a rebuild. Throws
    /// StorageError if the database cannot be read; the next poll continues where the last successful one ended.
    ///
    /// Rows that no server has read are stamped with `now` first. If the database is locked, they wait for one of the
    /// next polls; if it stays locked, or cannot be written, they count as accepted `now`, for this object only.
    [[nodiscard]] Batch poll(TimePoint now) { return poll(now, TimePoint::max()); }
    /// The same, and lets log time pass at least to `due`, unless that is later than `now`: adds a stamp without rows
    /// if necessary.
    [[nodiscard]] Batch poll(TimePoint now, TimePoint due);

    /// Closes the connection if its file or write-ahead log was removed or replaced, which also rescues the commits
    /// that only a removed log holds; cheap otherwise. The next poll() reconnects. Throws StorageError if the state of
    /// the files cannot be read.
    void close_if_stale();

    /// Makes the next poll a rebuild.
    void request_rebuild();
    /// The same, and discards all stamps: the clock was wrong. All rows get a new one.
    void request_restamp();

    /// What the database knew about anomalies at the last rebuild, as of its first batch; nullopt if it is not open.
    /// Throws StorageError.
    [[nodiscard]] std::optional<StoredAnomalyState> anomaly_state();
    /// The state of the alert detectors, and the stored alerts without those that ended before `ended_since`; nullopt
    /// if the database is not open. Throws StorageError.
    [[nodiscard]] std::optional<StoredAlertState> alert_state(TimePoint ended_since);
    /// The stored alerts, if any process may have changed them since the last call of this function or of
    /// alert_state(); else nullopt, without a query if no other connection has written. Throws StorageError.
    [[nodiscard]] std::optional<StoredAlerts> changed_alerts(TimePoint ended_since);
    /// Makes changed_alerts() look for changes of this connection, too.
    void expect_changed_alerts();
    /// The writer of the open connection; nullptr if there is none. Valid until the next poll().
    [[nodiscard]] CycleWriter* writer();
    /// The totals of that connection; same lifetime. Throws StorageError.
    [[nodiscard]] TotalsStore* totals();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace session_buddy::storage
