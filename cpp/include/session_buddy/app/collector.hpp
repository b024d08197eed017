// The thread that owns the database connection. Each cycle reads new rows, computes metrics and anomalies, writes them
// back and publishes a snapshot: once per interval and, in push mode, when there are new rows.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "session_buddy/app/analytics.hpp"
#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/config.hpp"
#include "session_buddy/core/snapshot.hpp"
#include "session_buddy/core/worker.hpp"
#include "session_buddy/storage/database_watch.hpp"
#include "session_buddy/storage/follower.hpp"
#include "session_buddy/storage/totals_store.hpp"

namespace session_buddy::app {

class Collector {
  public:
    /// `publish` is called with each snapshot on the collector's thread, with the first one on the thread that calls
    /// open().
    using Publish = std::function<void(SnapshotPtr)>;
    Collector(const Config& config, const Clock& clock, Publish publish);
    ~Collector();  // stops the thread, and writes nothing

    /// Opens the database and publishes the first complete snapshot. Throws storage::StorageError.
    void open();
    /// Starts the thread. Its first cycle runs one interval later.
    void start();
    /// Stops the thread after its current cycle, and writes the state of the alert detectors. Idempotent.
    void stop();

    /// Runs one cycle on the caller's thread, as the thread does once per interval; tests call it directly. Database
    /// errors are reported in the snapshot's `database`, never thrown.
    void cycle();

    /// Checks for new rows and runs a cycle only if there are any. True if it published.
    bool push();

  private:
    void stop_thread();
    void run();
    /// Returns the time of this cycle. Schedules a rebuild if the clock jumped since the last one.
    [[nodiscard]] TimePoint begin_cycle();
    void finish_cycle(TimePoint now);
    /// Reads the next batches of a rebuild.
    void continue_rebuild();
    void close_stale_connection() noexcept;
    /// Runs `work`. If it runs out of memory, a batch may be counted in part: the metrics are dropped, which frees
    /// memory, and rebuilt from the database after a pause. Until then the last snapshot is served and marked as out of
    /// date.
    bool run_guarded(const std::function<bool()>& work);
    void drop_metrics(const char* reason);
    void warn_about_limits(const Snapshot& snapshot);
    void publish_stale();
    [[nodiscard]] bool clock_jumped(TimePoint now) const;
    /// True if there was anything new.
    bool read_database(TimePoint now);
    /// Lets log time pass to `now` if the detectors would see a change.
    void pass_time(TimePoint now);
    /// Runs `work`, which reads the database; an error makes the database unhealthy.
    void run_reading(const std::function<void()>& work);
    /// Counts rows that are not in the totals yet, for at most `time`.
    void count_totals(std::chrono::milliseconds time);
    void write_back(TimePoint now);
    void read_stored_alerts(TimePoint now);
    void save_alert_state();
    void apply(const storage::Batch& batch, TimePoint now);
    void publish_snapshot(TimePoint now);
    void set_health(DatabaseHealth health);
    [[nodiscard]] std::unique_ptr<Analytics> create_analytics(TimePoint log_time);

    const Config& config_;
    const Clock& clock_;
    Publish publish_;
    storage::Follower follower_;
    std::unique_ptr<Analytics> analytics_;
    // A rebuild that needs several batches collects here while analytics_ is still served.
    std::unique_ptr<Analytics> rebuilding_;
    const bool detects_alerts_;
    bool dropped_ = false;  // analytics_ is null until a rebuild is complete
    std::chrono::steady_clock::time_point rebuild_at_;
    std::chrono::steady_clock::duration rebuild_pause_{};
    SnapshotPtr last_snapshot_ = std::make_shared<Snapshot>();  // the latest published
    // limits on skills, sessions, error types: rows in `other` when the warning was logged
    std::array<std::uint64_t, 3> warned_about_{};
    storage::TotalsTracker totals_;
    DatabaseHealth health_{true, ""};
    // time of the first of the writes that have failed since the last success
    std::optional<TimePoint> unwritten_since_;
    bool write_failure_logged_ = false;
    CollectorStats stats_;
    std::chrono::steady_clock::time_point cycle_began_;
    std::uint64_t sequence_ = 0;
    std::uint64_t sessions_version_ = 0;
    std::shared_ptr<const std::vector<SessionMetrics>> last_sessions_;
    std::shared_ptr<const std::vector<Anomaly>> last_anomalies_ = std::make_shared<std::vector<Anomaly>>();
    TimePoint last_now_ = TimePoint::min();

    storage::DatabaseWatch watch_;
    Worker worker_{"collector"};
};

}  // namespace session_buddy::app
