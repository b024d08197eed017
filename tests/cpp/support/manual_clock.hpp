// A clock that a test sets and advances.
#pragma once

#include <atomic>

#include "session_buddy/core/clock.hpp"

namespace session_buddy::test {

class ManualClock final : public Clock {
  public:
    explicit ManualClock(TimePoint now) : now_(now) {}
    [[nodiscard]] TimePoint now() const override { return now_.load(); }
    void set(TimePoint now) { now_.store(now); }
    void advance(std::chrono::microseconds step) { now_.store(now_.load() + step); }

  private:
    std::atomic<TimePoint> now_;
};

}  // namespace session_buddy::test
