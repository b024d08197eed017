// The collector thread: its cycle, rebuilds, the push schedule and recovery from database errors.
#include "session_buddy/app/collector.hpp"

#include <algorithm>
#include <exception>
#include <functional>
#include <new>
#include <utility>
#include <vector>

#include "session_buddy/app/detector_state.hpp"
#include "session_buddy/app/push_schedule.hpp"
#include "session_buddy/core/log.hpp"
#include "session_buddy/core/out_of_memory.hpp"
#include "session_buddy/storage/cycle_writer.hpp"

namespace session_buddy::app {
namespace {

// Upper limit for the busy timeout of a poll, which is the most by which a locked database delays a broadcast.
constexpr std::chrono::milliseconds kPollBusyTimeout{100};
// Bounds a cycle while another program writes faster than we read.
constexpr int kMaxBatchesPerCycle = 20;
// Time per cycle for a rebuild of many batches. It continues between cycles, so that broadcasts stay on time.
constexpr std::chrono::milliseconds kRebuildTimePerCycle{200};
// A smaller clock jump only delays or advances the windows; a larger one triggers a rebuild.
constexpr std::chrono::seconds kMaxClockStep{60};
// Write lock failures are logged only after this time, because busy writers may get the lock first for a while.
constexpr std::chrono::seconds kLockWarningDelay{10};
/// Exponential backoff before a rebuild after running out of memory: first and longest pause.
constexpr std::chrono::seconds kRebuildPause{1};
constexpr std::chrono::seconds kMaxRebuildPause{60};
/// Time at the start and per cycle for adding rows to the totals. Those of a large database that is new to the server
/// are counted over many cycles.
constexpr std::chrono::milliseconds kCountTimeAtStart{200};
constexpr std::chrono::milliseconds kCountTimePerCycle{50};

storage::FollowerOptions follower_options(const Config& config) {
    storage::FollowerOptions options;
    options.open_busy_timeout = std::chrono::duration_cast<std::chrono::milliseconds>(config.busy_timeout);
    options.poll_busy_timeout =
        std::clamp(std::chrono::duration_cast<std::chrono::milliseconds>(config.update_interval / 2),
                   std::chrono::milliseconds{1}, kPollBusyTimeout);
    options.max_rows = config.max_rows_per_cycle;
    options.replace_triggers = config.replace_triggers;
    options.lookback = Analytics::lookback(config);
    return options;
}

}  // namespace

Collector::Collector(const Config& config, const Clock& clock, Publish publish)
    : config_(config),
      clock_(clock),
      publish_(std::move(publish)),
      follower_(config.db_path, follower_options(config)),
      analytics_(std::make_unique<Analytics>(config, TimePoint{}, storage::StoredAnomalyState{})),
      detects_alerts_(analytics_->detects_alerts()),
      totals_({.skills = config.metrics_max_skills, .phases = config.metrics_max_phases}),
      watch_(config.db_path, [this] { close_stale_connection(); }) {}

Collector::~Collector() {
    stop_thread();
}

// Each Analytics object starts from the detector state and the open anomalies stored in its database.
std::unique_ptr<Analytics> Collector::create_analytics(TimePoint log_time) {
    storage::StoredAlertState alerts;
    try {
        if (detects_alerts_) {
            alerts = follower_.alert_state(log_time - AlertBoard::kShownAfterEnd).value_or(storage::StoredAlertState{});
        }
    } catch (const storage::StorageError& error) {
        log::kCollector.warning("cannot read the stored state of the alert detectors; they start without it: {}",
                                error.what());
    }
    return std::make_unique<Analytics>(config_, log_time, follower_.anomaly_state(), std::move(alerts));
}

void Collector::open() {
    cycle_began_ = std::chrono::steady_clock::now();
    follower_.open();
    const TimePoint now = clock_.now();
    last_now_ = now;
    for (bool more = true; more;) {
        const storage::Batch batch = follower_.poll(now);
        apply(batch, now);
        more = batch.more;
    }
    stats_.up_to_date_at = now;
    pass_time(now);
    analytics_->advance(now);
    count_totals(kCountTimeAtStart);
    write_back(now);
    read_stored_alerts(now);
    publish_snapshot(now);
}

void Collector::start() {
    worker_.start([this] { run(); });
}

void Collector::stop() {
    stop_thread();
    save_alert_state();
}

void Collector::stop_thread() {
    worker_.request_stop();
    watch_.interrupt();
    worker_.stop();
}

/// So that the next start need not add the latest rows again.
void Collector::save_alert_state() {
    if (!detects_alerts_ || !health_.readable || dropped_ || rebuilding_ || sequence_ == 0) {
        return;
    }
    run_guarded([this] {
        analytics_->request_alert_state();
        write_back(clock_.now());
        return true;
    });
}

void Collector::run() {
    using SteadyClock = std::chrono::steady_clock;
    const auto interval = std::chrono::duration_cast<SteadyClock::duration>(config_.update_interval);
    auto due = SteadyClock::now() + interval;
    PushSchedule pushes(std::chrono::duration_cast<SteadyClock::duration>(config_.push_min_interval));
    for (;;) {
        if (rebuilding_ && health_.readable && !worker_.stopping() && SteadyClock::now() < due) {
            continue_rebuild();
            continue;
        }
        const bool changed = watch_.wait(std::min(due, pushes.next_poll()),
                                         config_.push ? pushes.listen_from() : storage::DatabaseWatch::kNever);
        if (worker_.stopping()) {
            return;
        }
        const auto now = SteadyClock::now();
        if (changed) {
            pushes.on_change(now);
        }
        if (now >= due) {
            cycle();
            // Cycles missed during a slow one are skipped, not made up for in a burst.
            due = std::max(due + interval, SteadyClock::now());
            pushes.on_broadcast(SteadyClock::now());
        } else if (now >= pushes.next_poll()) {
            if (push()) {
                pushes.on_push(SteadyClock::now());
            } else if (health_.readable) {
                pushes.on_empty_poll(SteadyClock::now());
            } else {
                pushes.on_failed_poll(SteadyClock::now());
            }
        }
    }
}

/// Called immediately when the database was replaced, before another program writes.
void Collector::close_stale_connection() noexcept {
    try {
        follower_.close_if_stale();
    } catch (const std::exception& error) {
        log::kCollector.debug("cannot check whether the database was replaced; the next cycle retries: {}",
                              error.what());
    }
}

void Collector::cycle() {
    run_guarded([this] {
        const TimePoint now = begin_cycle();
        read_database(now);
        finish_cycle(now);
        return true;
    });
}

void Collector::continue_rebuild() {
    run_guarded([this] {
        cycle_began_ = std::chrono::steady_clock::now();
        return read_database(clock_.now());
    });
}

bool Collector::push() {
    return run_guarded([this] {
        const TimePoint now = begin_cycle();
        if (!read_database(now)) {
            return false;
        }
        finish_cycle(now);
        return true;
    });
}

bool Collector::run_guarded(const std::function<bool()>& work) {
    try {
        if (dropped_ && std::chrono::steady_clock::now() < rebuild_at_) {
            publish_stale();
            return false;
        }
        return work();
    } catch (const std::bad_alloc&) {
        drop_metrics("out of memory");
    } catch (const std::exception& error) {
        drop_metrics(error.what());
    }
    return false;
}

void Collector::drop_metrics(const char* reason) {
    ++stats_.read_failures;
    rebuilding_.reset();
    analytics_.reset();
    // Continues from the totals stored in the database.
    totals_ = storage::TotalsTracker({.skills = config_.metrics_max_skills, .phases = config_.metrics_max_phases});
    out_of_memory::refill();
    dropped_ = true;
    follower_.request_rebuild();
    rebuild_pause_ =
        std::clamp<std::chrono::steady_clock::duration>(2 * rebuild_pause_, kRebuildPause, kMaxRebuildPause);
    rebuild_at_ = std::chrono::steady_clock::now() + rebuild_pause_;
    try {
        log::kCollector.error("dropping all metrics; rebuilding them from the database in {} s: {}",
                              std::chrono::duration_cast<std::chrono::seconds>(rebuild_pause_).count(), reason);
        health_ = {false, reason};
        publish_stale();
    } catch (const std::exception&) {  // the next cycle retries
        health_.readable = false;
    }
}

void Collector::publish_stale() {
    auto snapshot = std::make_shared<Snapshot>(*last_snapshot_);
    snapshot->sequence = ++sequence_;
    snapshot->database = health_.readable ? DatabaseHealth{false, "the metrics are being rebuilt"} : health_;
    snapshot->collector = stats_;
    last_snapshot_ = snapshot;
    publish_(std::move(snapshot));
}

TimePoint Collector::begin_cycle() {
    cycle_began_ = std::chrono::steady_clock::now();
    const TimePoint now = clock_.now();
    if (clock_jumped(now)) {
        log::kCollector.warning(
            "clock moved {} by {} s; rebuilding all metrics", now < last_now_ ? "back" : "forward",
            std::chrono::duration_cast<std::chrono::seconds>(std::chrono::abs(now - last_now_)).count());
        follower_.request_restamp();
    }
    last_now_ = now;
    return now;
}

void Collector::finish_cycle(TimePoint now) {
    if (dropped_) {
        publish_stale();
        return;
    }
    if (health_.readable && !rebuilding_) {
        run_reading([&] { pass_time(now); });
    }
    analytics_->advance(now);
    if (health_.readable) {
        count_totals(std::clamp(std::chrono::duration_cast<std::chrono::milliseconds>(config_.update_interval / 4),
                                std::chrono::milliseconds{1}, kCountTimePerCycle));
        write_back(now);
        read_stored_alerts(now);
    }
    publish_snapshot(now);
}

/// With the ids of those that this cycle wrote.
void Collector::read_stored_alerts(TimePoint now) {
    if (!detects_alerts_) {
        return;
    }
    try {
        if (auto stored = follower_.changed_alerts(now - AlertBoard::kShownAfterEnd)) {
            analytics_->set_stored_alerts(std::move(*stored));
        }
    } catch (const storage::StorageError& error) {
        log::kCollector.debug("cannot read the stored alerts; the next change retries: {}", error.what());
    }
}

bool Collector::clock_jumped(TimePoint now) const {
    if (now < last_now_ - kMaxClockStep) {
        return true;
    }
    // After a jump forward, rows only get older, except that rows from the future were counted with the earlier time.
    const auto interval = std::chrono::duration_cast<TimePoint::duration>(config_.update_interval);
    return !dropped_ && now > last_now_ + interval + kMaxClockStep &&
           analytics_->latest_invocation() > last_now_ + kMaxClockStep;
}

void Collector::pass_time(TimePoint now) {
    if (const TimePoint due = analytics_->next_change(); due <= now) {
        apply(follower_.poll(now, due), now);
    }
}

bool Collector::read_database(TimePoint now) {
    bool is_new = false;
    run_reading([&] {
        bool more = true;
        const auto is_late = [&] {
            return rebuilding_ && std::chrono::steady_clock::now() >= cycle_began_ + kRebuildTimePerCycle;
        };
        for (int batches = 0; more && batches < kMaxBatchesPerCycle && !is_late(); ++batches) {
            const storage::Batch batch = follower_.poll(now);
            is_new = is_new || batch.rebuilt || !batch.rows.empty() || batch.skipped_rows > 0;
            apply(batch, now);
            more = batch.more;
        }
        set_health({true, ""});
        if (!more) {
            stats_.up_to_date_at = now;
        }
    });
    return is_new;
}

void Collector::run_reading(const std::function<void()>& work) {
    try {
        work();
    } catch (const std::bad_alloc&) {
        throw;  // handled by run_guarded()
    } catch (const std::exception& error) {
        ++stats_.read_failures;
        set_health({false, error.what()});
    }
}

void Collector::apply(const storage::Batch& batch, TimePoint now) {
    if (batch.rebuilt) {
        rebuilding_ = create_analytics(batch.log_time);
        totals_.request_recheck();
    }
    stats_.rows_read += batch.rows.size();
    stats_.rows_skipped += static_cast<std::uint64_t>(batch.skipped_rows);
    (rebuilding_ ? *rebuilding_ : *analytics_).apply(batch, now);
    if (rebuilding_ && !batch.more) {
        analytics_ = std::move(rebuilding_);
        dropped_ = false;
        rebuild_pause_ = {};
        warned_about_ = {};
    }
}

void Collector::count_totals(std::chrono::milliseconds time) {
    try {
        if (storage::TotalsStore* const store = follower_.totals()) {
            totals_.advance(*store, std::chrono::steady_clock::now() + time);
        }
    } catch (const storage::StorageError& error) {
        log::kCollector.debug("cannot update the totals; the next cycle retries: {}", error.what());
    }
}

void Collector::write_back(TimePoint now) {
    storage::CycleWriter* const writer = follower_.writer();
    Analytics::Pending pending = analytics_->pending(now);
    const auto started_alerts = analytics_->take_started_alerts();
    if (rebuilding_) {  // which starts from the stored state, and finds the same alerts again
        pending.alerts.clear();
        pending.alert_state = nullptr;
    } else {
        std::ranges::transform(started_alerts, stats_.alerts_started, stats_.alerts_started.begin(), std::plus{});
    }
    const storage::TotalsWrites totals = totals_.pending();
    if (writer == nullptr || (pending.empty() && totals.empty())) {
        return;
    }
    try {
        const auto written = writer->write({.cache = pending.cache,
                                            .episodes = pending.episodes,
                                            .detector_state = pending.detector_state,
                                            .replaces_state = pending.replaces_state,
                                            .owner = pending.owner,
                                            .alerts = pending.alerts,
                                            .alert_state = pending.alert_state,
                                            .store = follower_.totals(),
                                            .totals = &totals},
                                           now);
        analytics_->confirm_written(pending, written.state);
        totals_.confirm_written(written.totals);
        if (!pending.alerts.empty()) {
            follower_.expect_changed_alerts();
        }
        if (!pending.episodes.empty()) {
            totals_.request_recheck();  // the new rows of skill_anomalies are counted in the next cycle
        }
        unwritten_since_.reset();
        write_failure_logged_ = false;
    } catch (const storage::StorageError& error) {
        if (error.code() == storage::StorageErrc::read_only) {
            analytics_->confirm_written(pending);  // retrying is pointless
            totals_.set_read_only();
            for (const auto& change : pending.episodes) {
                if (change.started) {
                    totals_.add_unrecorded_anomaly(change.skill_name, change.anomaly_type);
                }
            }
        } else {
            ++stats_.write_failures;
        }
        unwritten_since_ = unwritten_since_.value_or(now);
        const bool is_passing =
            error.code() == storage::StorageErrc::busy && std::chrono::abs(now - *unwritten_since_) < kLockWarningDelay;
        if (!is_passing && !std::exchange(write_failure_logged_, true)) {
            log::kCollector.warning("cannot update skill_metrics_cache and skill_anomalies: {}", error.what());
        }
    }
}

void Collector::publish_snapshot(TimePoint now) {
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->sequence = ++sequence_;
    snapshot->at = now;
    snapshot->skills = analytics_->metrics().table();
    snapshot->sessions = analytics_->metrics().sessions();
    if (!last_sessions_ || (snapshot->sessions != last_sessions_ && *snapshot->sessions != *last_sessions_)) {
        ++sessions_version_;
    }
    last_sessions_ = snapshot->sessions;
    snapshot->sessions_version = sessions_version_;
    snapshot->active_sessions = analytics_->metrics().active_sessions();
    if (const auto& anomalies = analytics_->anomalies(); anomalies != *last_anomalies_) {
        last_anomalies_ = std::make_shared<const std::vector<Anomaly>>(anomalies);
    }
    snapshot->anomalies = last_anomalies_;
    snapshot->alerts = analytics_->alerts(now);
    snapshot->tracked_skills = analytics_->metrics().skills_tracked();
    snapshot->tracked_sessions = analytics_->metrics().sessions_tracked();
    snapshot->tracked_error_types = analytics_->error_types_tracked();
    warn_about_limits(*snapshot);
    snapshot->database = health_;
    snapshot->totals = totals_.table();
    snapshot->uncounted_rows = totals_.uncounted_rows();
    stats_.cycles.add(Seconds(std::chrono::steady_clock::now() - cycle_began_).count());
    snapshot->collector = stats_;
    last_snapshot_ = snapshot;
    publish_(std::move(snapshot));
}

// Logs each limit once, and again after a rebuild.
void Collector::warn_about_limits(const Snapshot& snapshot) {
    const auto report = [](std::uint64_t& reported, const TrackedNames& names, const char* option, std::uint32_t limit,
                           const char* what) {
        if (std::exchange(reported, names.rows_in_other) == 0 && names.rows_in_other > 0) {
            log::kCollector.warning("{} ({}) reached: further {} are summed as other; raise the limit to track them",
                                    option, limit, what);
        }
    };
    report(warned_about_[0], snapshot.tracked_skills, "max_tracked_skills", config_.max_tracked_skills, "skills");
    report(warned_about_[1], snapshot.tracked_sessions, "max_tracked_sessions", config_.max_tracked_sessions,
           "sessions");
    report(warned_about_[2], snapshot.tracked_error_types, "max_tracked_error_types", config_.max_tracked_error_types,
           "error types");
}

void Collector::set_health(DatabaseHealth health) {
    if (health.readable && !health_.readable) {
        log::kCollector.info("the database can be read again");
    } else if (!health.readable && health_.readable) {
        log::kCollector.warning("cannot read the database; serving the last known metrics: {}", health.reason);
    } else if (!health.readable && health != health_) {
        log::kCollector.debug("the database still cannot be read: {}", health.reason);
    }
    health_ = std::move(health);
}

}  // namespace session_buddy::app
