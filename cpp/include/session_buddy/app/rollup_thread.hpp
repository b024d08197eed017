// A background thread that keeps skill_time_series up, apart from the collector: catching up may take long.
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
    /// Ends the thread after the step it is in. Idempotent.
    void stop();

  private:
    void run();
    /// Waits; false when the thread is to end.
    bool wait(std::chrono::milliseconds time);

    const Config& config_;
    const Clock& clock_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace session_buddy::app
