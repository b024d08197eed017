// The time type of the project, and the clock interface that is injected where code needs "now".
// No layer below app/ reads the system clock itself, so tests and replays control the time.
#pragma once

#include <chrono>

namespace session_buddy {

/// A point in time in UTC, in whole microseconds since 1970-01-01T00:00:00Z.
using TimePoint = std::chrono::sys_time<std::chrono::microseconds>;

class Clock {
  public:
    virtual ~Clock() = default;
    [[nodiscard]] virtual TimePoint now() const = 0;
};

class SystemClock final : public Clock {
  public:
    [[nodiscard]] TimePoint now() const override {
        return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
    }
};

}  // namespace session_buddy
