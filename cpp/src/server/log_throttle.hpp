// Rate limit for log messages, so that a flood of requests does not flood the log.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

namespace session_buddy::server {

class LogThrottle {
  public:
    using TimePoint = std::chrono::steady_clock::time_point;
    static constexpr std::chrono::seconds kInterval{10};

    /// Counts an event. If a report is due, returns the number of events since the last report; else 0.
    [[nodiscard]] std::uint64_t count(TimePoint now) {
        ++unreported_;
        if (reported_at_ && now < *reported_at_ + kInterval) {
            return 0;
        }
        reported_at_ = now;
        return std::exchange(unreported_, 0);
    }

  private:
    std::uint64_t unreported_ = 0;
    std::optional<TimePoint> reported_at_;
};

}  // namespace session_buddy::server
