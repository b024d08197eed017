// A background thread that deletes what is older than `retention`, some minutes after the start and then once a day.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/config.hpp"

namespace session_buddy::app {

class RetentionThread {
  public:
    /// From the start to the first pruning: a start has other things to do.
    static constexpr std::chrono::minutes kFirstPause{5};
    /// From one pruning to the next.
    static constexpr std::chrono::hours kPause{24};
    /// After trouble with the database.
    static constexpr std::chrono::minutes kRetryPause{10};

    struct Pauses {
        std::chrono::milliseconds first = kFirstPause;
        std::chrono::milliseconds next = kPause;
        std::chrono::milliseconds retry = kRetryPause;
    };
    RetentionThread(const Config& config, const Clock& clock) : RetentionThread(config, clock, Pauses{}) {}
    RetentionThread(const Config& config, const Clock& clock, const Pauses& pauses);
    ~RetentionThread();  // stops

    /// Nothing is started where `retention` is 0.
    void start();
    /// Ends the thread after the step it is in; what is left is pruned after the next start. Idempotent.
    void stop();

  private:
    void run();
    /// Everything that is due, step by step. Throws storage::StorageError.
    void prune();
    /// Waits; false when the thread is to end.
    bool wait(std::chrono::milliseconds time);

    const Config& config_;
    const Clock& clock_;
    const Pauses pauses_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace session_buddy::app
