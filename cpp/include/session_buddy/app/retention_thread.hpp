// A background thread that deletes invocations older than `retention`, some minutes after the start and then once a
// day.
#pragma once

#include <chrono>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/config.hpp"
#include "session_buddy/core/worker.hpp"

namespace session_buddy::app {

class RetentionThread {
  public:
    /// From the start to the first pruning, so that it does not slow down the start.
    static constexpr std::chrono::minutes kFirstPause{5};
    /// From one pruning to the next.
    static constexpr std::chrono::hours kPause{24};
    /// After a database error.
    static constexpr std::chrono::minutes kRetryPause{10};

    struct Pauses {
        std::chrono::milliseconds first = kFirstPause;
        std::chrono::milliseconds next = kPause;
        std::chrono::milliseconds retry = kRetryPause;
    };
    RetentionThread(const Config& config, const Clock& clock) : RetentionThread(config, clock, Pauses{}) {}
    RetentionThread(const Config& config, const Clock& clock, const Pauses& pauses)
        : config_(config), clock_(clock), pauses_(pauses) {}

    /// Starts no thread if `retention` is 0.
    void start();
    /// Stops the thread after its current step; the rest is pruned after the next start. Idempotent.
    void stop() { worker_.stop(); }

  private:
    void run();
    /// Deletes all rows that are due, step by step. Throws storage::StorageError.
    void prune();

    const Config& config_;
    const Clock& clock_;
    const Pauses pauses_;
    Worker worker_{"retention"};
};

}  // namespace session_buddy::app
