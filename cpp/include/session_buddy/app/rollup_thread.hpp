// A background thread that writes the hourly rollups in skill_time_series. It is separate from the collector because
// catching up may take long.
#pragma once

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/config.hpp"
#include "session_buddy/core/worker.hpp"

namespace session_buddy::app {

class RollupThread {
  public:
    /// `config` and `clock` must outlive it.
    RollupThread(const Config& config, const Clock& clock) : config_(config), clock_(clock) {}

    void start() {
        worker_.start([this] { run(); });
    }
    /// Stops the thread, if necessary in the middle of a step, whose work the next start repeats. Idempotent.
    void stop() { worker_.stop(); }

  private:
    void run();

    const Config& config_;
    const Clock& clock_;
    Worker worker_{"rollup"};
};

}  // namespace session_buddy::app
