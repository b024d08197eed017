// A background thread that writes the hourly rollups in skill_time_series. It is separate from the collector because
// catching up may take long.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/config.hpp"

namespace session_buddy::app {

class RollupThread {
  public:
    RollupThread(const Config& config, const Clock& clock);
    ~RollupThread();  // stops

    void start();
    /// Stops the thread after its current step. Idempotent.
    void stop();

  private:
    void run();
    /// Waits; false if the thread must stop.
    bool wait(std::chrono::milliseconds time);

    const Config& config_;
    const Clock& clock_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace session_buddy::app
