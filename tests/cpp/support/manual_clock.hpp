// Times, and a clock that a test sets and advances.
#pragma once

#include <atomic>
#include <string>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/timestamp.hpp"

namespace session_buddy::test {

[[nodiscard]] inline TimePoint at(const std::string& text) {
    return parse_timestamp(text).value();
}

/// A time for tests to start at.
inline constexpr TimePoint kStart{std::chrono::sys_days{std::chrono::year{2026} / 2 / 10}};

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
