// Checks `keep`, counts the rows, then deletes them step by step.
#include "session_buddy/app/prune.hpp"

#include <thread>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/options.hpp"

namespace session_buddy::app {

PruneSummary prune(const Config& config, Seconds keep, bool dry_run, const PruneProgress& progress) {
    options::check_retention(config, keep, "keep");
    const SystemClock clock;
    const auto busy_timeout = std::chrono::duration_cast<std::chrono::milliseconds>(config.busy_timeout);
    PruneSummary summary;
    summary.cutoff = storage::prune_cutoff(clock.now(), std::chrono::duration_cast<std::chrono::microseconds>(keep));
    const storage::PrunableRows found = storage::prunable_rows(config.db_path, summary.cutoff, busy_timeout);
    if (dry_run) {
        summary.result = {.rows = found.rows, .kept_rows = found.kept_rows, .from = found.from, .to = found.to};
        return summary;
    }
    storage::Pruner pruner(config.db_path, summary.cutoff, busy_timeout,
                           {.skills = config.metrics_max_skills, .phases = config.metrics_max_phases});
    while (pruner.step(clock.now())) {
        if (!progress(pruner.result().rows, found.rows)) {
            summary.stopped = true;
            break;
        }
        std::this_thread::sleep_for(pruner.pause());
    }
    summary.result = pruner.result();
    return summary;
}

}  // namespace session_buddy::app
