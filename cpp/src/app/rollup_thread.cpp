// Runs storage::HourlyRollup step by step, with retries.
#include "session_buddy/app/rollup_thread.hpp"

#include <algorithm>
#include <exception>
#include <optional>

#include "session_buddy/core/log.hpp"
#include "session_buddy/storage/hourly_rollup.hpp"

namespace session_buddy::app {
namespace {

// A completed hour or a late row is written within this time.
constexpr std::chrono::milliseconds kIdlePause{5000};
// Pause between steps while catching up, so that others get the write lock.
constexpr std::chrono::milliseconds kBusyPause{20};
// Interval of the check for a replaced database: other threads cannot open a database that lost its -shm file until all
// connections to it are closed.
constexpr std::chrono::milliseconds kCheckPause{250};
// After a database error.
constexpr std::chrono::milliseconds kRetryPause{30000};

}  // namespace

void RollupThread::run() {
    std::optional<storage::HourlyRollup> rollup;
    bool failing = false;
    std::chrono::milliseconds pause{0};
    while (worker_.wait(std::min(pause, kCheckPause))) {
        try {
            pause -= std::min(pause, kCheckPause);
            if (pause.count() > 0) {
                if (rollup) {
                    rollup->close_if_stale();
                }
                continue;
            }
            if (!rollup) {
                rollup.emplace(config_.db_path,
                               std::chrono::duration_cast<std::chrono::milliseconds>(config_.busy_timeout));
            }
            pause = rollup->step(clock_.now(), [this] { return worker_.stopping(); }) ? kBusyPause : kIdlePause;
            failing = false;
        } catch (const std::exception& error) {
            if (!failing) {
                log::kHistory.warning("cannot update skill_time_series; retrying: {}", error.what());
            }
            failing = true;
            rollup.reset();
            pause = kRetryPause;
        }
    }
}

}  // namespace session_buddy::app
