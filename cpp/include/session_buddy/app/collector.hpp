// One thread that owns the database connection: follow → compute → write back → publish, once an interval and, with
// push, whenever there are new rows.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "session_buddy/app/analytics.hpp"
#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/config.hpp"
#include "session_buddy/core/snapshot.hpp"
#include "session_buddy/storage/database_watch.hpp"
#include "session_buddy/storage/follower.hpp"
#include "session_buddy/storage/totals_store.hpp"

namespace session_buddy::app {

class Collector {
  public:
    /// `publish` gets each snapshot, on the collector's thread (the first one on the caller's of open()).
    using Publish = std::function<void(SnapshotPtr)>;
    Collector(const Config& config, const Clock& clock, Publish publish);
    ~Collector();  // stops

    /// Opens the database and publishes the first complete snapshot. Throws storage::StorageError.
    void open();
    /// Starts the thread; the first of its cycles comes one interval later.
    void start();
    /// Ends the thread after the cycle it is in. Idempotent.
    void stop();

    /// One cycle, on the caller's thread: what start() does again and again, and what tests drive by hand. Trouble with
    /// the database ends in the snapshot's `database`, never in an exception.
    void cycle();

    /// The same where there are new rows, and nothing but the look for them otherwise. True where it published.
    bool push();

  private:
    void run();
    /// The moment of a cycle, after a check whether it follows on the one before.
    [[nodiscard]] TimePoint begin_cycle();
    void finish_cycle(TimePoint now);
    /// Reads another part of a rebuild.
    void continue_rebuild();
    void close_stale_connection() noexcept;
    /// `work`, on the thread of start(). Where memory runs out in it, nobody knows how much of a batch was counted: the
    /// metrics are dropped, which makes room, and rebuilt from the database after a pause. Until then the last snapshot
    /// is served as one that is out of date.
    bool run_guarded(const std::function<bool()>& work);
    void drop_metrics(const char* reason);
    void warn_about_limits(const Snapshot& snapshot);
    void publish_stale();
    [[nodiscard]] bool clock_jumped(TimePoint now) const;
    /// True where something was read that is new.
    bool read_database(TimePoint now);
    /// For no longer than this.
    void count_totals(std::chrono::milliseconds time);
    void write_back(TimePoint now);
    void apply(const storage::Batch& batch, TimePoint now);
    void publish_snapshot(TimePoint now);
    void set_health(DatabaseHealth health);
    [[nodiscard]] std::unique_ptr<Analytics> create_analytics(TimePoint now);

    const Config& config_;
    const Clock& clock_;
    Publish publish_;
    storage::Follower follower_;
    std::unique_ptr<Analytics> analytics_;
    // While a rebuild takes several batches, the new figures grow here and the old ones are served.
    std::unique_ptr<Analytics> rebuilding_;
    bool dropped_ = false;  // analytics_ is empty, until a rebuild is complete
    std::chrono::steady_clock::time_point rebuild_at_;
    std::chrono::steady_clock::duration rebuild_pause_{};
    SnapshotPtr last_snapshot_ = std::make_shared<Snapshot>();  // that was published
    std::array<std::uint64_t, 3> warned_about_{};               // of skills, sessions, error types
    storage::TotalsTracker totals_;
    DatabaseHealth health_{true, ""};
    std::optional<TimePoint> unwritten_since_;  // where the last write failed, the first one that did since
    bool write_failure_logged_ = false;
    CollectorStats stats_;
    std::chrono::steady_clock::time_point cycle_began_;
    std::uint64_t sequence_ = 0;
    std::uint64_t sessions_version_ = 0;
    std::shared_ptr<const std::vector<SessionMetrics>> last_sessions_;
    std::shared_ptr<const std::vector<Anomaly>> last_anomalies_ = std::make_shared<std::vector<Anomaly>>();
    TimePoint last_now_ = TimePoint::min();

    storage::DatabaseWatch watch_;
    std::atomic<bool> stopping_ = false;
    std::thread thread_;
};

}  // namespace session_buddy::app
