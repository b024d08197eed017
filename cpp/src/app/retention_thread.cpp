// Runs storage::Pruner once a day, with retries.
#include "session_buddy/app/retention_thread.hpp"

#include <exception>
#include <utility>

#include "session_buddy/core/log.hpp"
#include "session_buddy/core/out_of_memory.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/storage/pruner.hpp"

namespace session_buddy::app {
namespace {

constexpr log::Logger kLogger{"session_buddy.retention"};

}  // namespace

RetentionThread::RetentionThread(const Config& config, const Clock& clock, const Pauses& pauses)
    : config_(config), clock_(clock), pauses_(pauses) {}

RetentionThread::~RetentionThread() {
    stop();
}

void RetentionThread::start() {
    if (config_.retention.count() > 0) {
        stopping_ = false;
        thread_ = out_of_memory::start_thread("retention", [this] { run(); });
    }
}

void RetentionThread::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) {
        thread_.join();
    }
}

void RetentionThread::run() {
    bool failing = false;
    std::chrono::milliseconds pause = pauses_.first;
    while (wait(pause)) {
        try {
            prune();
            if (std::exchange(failing, false)) {
                kLogger.info("deleting old invocations works again");
            }
            pause = pauses_.next;
        } catch (const std::exception& error) {
            if (!std::exchange(failing, true)) {
                kLogger.warning("cannot delete old invocations; retrying: {}", error.what());
            }
            pause = pauses_.retry;
        }
    }
}

void RetentionThread::prune() {
    const TimePoint cutoff =
        storage::prune_cutoff(clock_.now(), std::chrono::duration_cast<std::chrono::microseconds>(config_.retention));
    storage::Pruner pruner(config_.db_path, cutoff,
                           std::chrono::duration_cast<std::chrono::milliseconds>(config_.busy_timeout),
                           {.skills = config_.metrics_max_skills, .phases = config_.metrics_max_phases});
    while (pruner.step(clock_.now()) && wait(pruner.pause())) {
    }
    if (const storage::PruneResult& result = pruner.result(); result.rows > 0) {
        kLogger.info("deleted {} invocations older than {}; longest lock {:.1f} ms", result.rows,
                     format_timestamp(cutoff), static_cast<double>(result.longest_lock.count()) / 1e3);
    }
}

bool RetentionThread::wait(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return !wake_.wait_for(lock, time, [this] { return stopping_; });
}

}  // namespace session_buddy::app
