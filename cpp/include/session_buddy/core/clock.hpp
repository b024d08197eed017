// Time as the whole project counts it, and the clock that is handed to whoever needs "now".
// Nothing below app/ reads the system clock by itself, so that tests and replays choose the time.
#pragma once

#include <chrono>

namespace session_buddy {

/// A moment in UTC, in whole microseconds since 1970-01-01T00:00:00Z.
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
