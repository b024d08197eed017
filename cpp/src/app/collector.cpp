// The cycle of the collector: see the header.
#include "session_buddy/app/collector.hpp"

#include <algorithm>
#include <exception>
#include <utility>
#include <vector>

#include "session_buddy/core/log.hpp"
#include "session_buddy/storage/cache_writer.hpp"

namespace session_buddy::app {
namespace {

constexpr log::Logger kLog{"session_buddy.collector"};

// A poll waits for a lock no longer than this, so that a locked database never delays the broadcast by more.
constexpr std::chrono::milliseconds kPollBusyTimeout{100};
// A writer that is faster than we read must not keep a cycle from its end.
constexpr int kMaxBatchesPerCycle = 20;
// The wall clock may be set back by this much and the windows just wait; more than this and they are built anew.
constexpr std::chrono::seconds kClockStepTolerated{60};

std::chrono::microseconds to_micros(Seconds seconds) {
    return std::chrono::duration_cast<std::chrono::microseconds>(seconds);
}

storage::FollowerOptions follower_options(const Config& config) {
    storage::FollowerOptions options;
    options.open_busy_timeout = std::chrono::duration_cast<std::chrono::milliseconds>(config.busy_timeout);
    options.poll_busy_timeout =
        std::clamp(std::chrono::duration_cast<std::chrono::milliseconds>(config.update_interval / 2),
                   std::chrono::milliseconds{1}, kPollBusyTimeout);
    options.max_rows = config.max_rows_per_cycle;
    options.replace_triggers = config.replace_triggers;
    return options;
}

storage::CacheRow to_cache_row(const metrics::MetricsEngine::RecentChange& change) {
    storage::CacheRow row;
    row.skill_name = change.skill_name;
    row.last_invocation_at = *change.figures.last_invocation_at;
    row.invocation_count_1h = change.figures.count_1h;
    row.invocation_count_24h = change.figures.count_24h;
    if (change.figures.count_24h > 0) {
        row.avg_completion_rate_24h =
            static_cast<double>(change.figures.completed_24h) / static_cast<double>(change.figures.count_24h);
    }
    return row;
}

}  // namespace

Collector::Collector(const Config& config, const Clock& clock, Publish publish)
    : config_(config),
      clock_(clock),
      publish_(std::move(publish)),
      follower_(config.db_path,
                [&] {
                    storage::FollowerOptions options = follower_options(config);
                    options.lookback = std::chrono::ceil<std::chrono::seconds>(new_engine()->retention());
                    return options;
                }()),
      engine_(new_engine()) {}

Collector::~Collector() {
    stop();
}

std::unique_ptr<metrics::MetricsEngine> Collector::new_engine() const {
    return std::make_unique<metrics::MetricsEngine>(
        metrics::EngineOptions{.window = to_micros(config_.window),
                               .top_skills = config_.top_skills,
                               .session_window = to_micros(config_.session_window),
                               .max_sessions = config_.max_sessions});
}

void Collector::open() {
    follower_.open();
    const TimePoint now = clock_.now();
    last_now_ = now;
    for (bool more = true; more;) {
        const storage::Batch batch = follower_.poll(now);
        take(batch, now);
        more = batch.more;
    }
    engine_->advance(now);
    write_cache(now);
    publish_snapshot(now);
}

void Collector::start() {
    stopping_ = false;
    thread_ = std::thread([this] { run(); });
}

void Collector::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) {
        thread_.join();
    }
}

void Collector::run() {
    using SteadyClock = std::chrono::steady_clock;
    const auto interval = std::chrono::duration_cast<SteadyClock::duration>(config_.update_interval);
    auto due = SteadyClock::now() + interval;
    std::unique_lock lock(mutex_);
    while (!wake_.wait_until(lock, due, [this] { return stopping_; })) {
        lock.unlock();
        cycle();
        lock.lock();
        // After a slow cycle the missed ones are left out instead of being made up for in a burst.
        due = std::max(due + interval, SteadyClock::now());
    }
}

void Collector::cycle() {
    const TimePoint now = clock_.now();
    if (now < last_now_ - kClockStepTolerated) {
        kLog.warning("the clock was set back by {} s: computing all figures anew",
                     std::chrono::duration_cast<std::chrono::seconds>(last_now_ - now).count());
        follower_.rebuild_next();
    }
    last_now_ = now;
    read_database(now);
    engine_->advance(now);
    if (health_.readable) {
        write_cache(now);
    }
    publish_snapshot(now);
}

void Collector::read_database(TimePoint now) {
    try {
        bool more = true;
        for (int batches = 0; more && batches < kMaxBatchesPerCycle; ++batches) {
            const storage::Batch batch = follower_.poll(now);
            take(batch, now);
            more = batch.more;
        }
        set_health({true, ""});
    } catch (const std::exception& error) {
        set_health({false, error.what()});
    }
}

void Collector::take(const storage::Batch& batch, TimePoint now) {
    if (batch.rebuilt) {
        rebuilding_ = new_engine();
    }
    metrics::MetricsEngine& engine = rebuilding_ ? *rebuilding_ : *engine_;
    for (const auto& [skill_name, figures] : batch.lifetimes) {
        engine.set_lifetime(skill_name, figures);
    }
    for (const Invocation& row : batch.rows) {
        engine.add(row, now);
    }
    if (rebuilding_ && !batch.more) {
        engine_ = std::move(rebuilding_);
    }
}

void Collector::write_cache(TimePoint now) {
    SQLite::Database* const database = follower_.connection();
    const auto changes = engine_->changed_recent();
    if (database == nullptr || changes.empty()) {
        return;
    }
    std::vector<storage::CacheRow> rows;
    for (const auto& change : changes) {
        if (change.figures.last_invocation_at) {
            rows.push_back(to_cache_row(change));
        }
    }
    try {
        storage::write_cache_rows(*database, rows, now);
        engine_->confirm_recent(changes);
        cache_writable_ = true;
    } catch (const storage::StorageError& error) {
        if (error.code() == storage::StorageErrc::read_only) {
            engine_->confirm_recent(changes);  // it will stay so: trying each cycle would only cost
        }
        if (std::exchange(cache_writable_, false)) {
            kLog.warning("skill_metrics_cache cannot be kept up for now: {}", error.what());
        }
    }
}

void Collector::publish_snapshot(TimePoint now) {
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->sequence = ++sequence_;
    snapshot->at = now;
    snapshot->skills = engine_->table();
    snapshot->sessions = engine_->sessions();
    if (!last_sessions_ || (snapshot->sessions != last_sessions_ && *snapshot->sessions != *last_sessions_)) {
        ++sessions_version_;
    }
    last_sessions_ = snapshot->sessions;
    snapshot->sessions_version = sessions_version_;
    snapshot->database = health_;
    publish_(std::move(snapshot));
}

void Collector::set_health(DatabaseHealth health) {
    if (health.readable && !health_.readable) {
        kLog.info("the database can be read again");
    } else if (!health.readable && health_.readable) {
        kLog.warning("serving the last known figures: {}", health.reason);
    } else if (!health.readable && health != health_) {
        kLog.debug("the database still cannot be read: {}", health.reason);
    }
    health_ = std::move(health);
}

}  // namespace session_buddy::app
