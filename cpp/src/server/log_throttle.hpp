// Says when to log what may happen often: whoever floods the server must not flood its log, too.
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

    /// Counts one more. Where it is time for a report: how many came since the last one; else 0.
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
