// Runs storage::Pruner once a day, with retries.
#include "session_buddy/app/retention_thread.hpp"

#include <exception>
#include <utility>

#include "session_buddy/core/log.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/storage/pruner.hpp"

namespace session_buddy::app {
void RetentionThread::start() {
    if (config_.retention.count() > 0) {
        worker_.start([this] { run(); });
    }
}

void RetentionThread::run() {
    bool failing = false;
    std::chrono::milliseconds pause = pauses_.first;
    while (worker_.wait(pause)) {
        try {
            prune();
            if (std::exchange(failing, false)) {
                log::kRetention.info("deleting old invocations works again");
            }
            pause = pauses_.next;
        } catch (const std::exception& error) {
            if (!std::exchange(failing, true)) {
                log::kRetention.warning("cannot delete old invocations; retrying: {}", error.what());
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
    while (pruner.step(clock_.now(), [this] { return worker_.stopping(); }) && worker_.wait(pruner.pause())) {
    }
    if (const storage::PruneResult& result = pruner.result(); result.rows > 0) {
        log::kRetention.info("deleted {} invocations older than {}; longest lock {:.1f} ms", result.rows,
                             format_timestamp(cutoff), static_cast<double>(result.longest_lock.count()) / 1e3);
    }
}

}  // namespace session_buddy::app
