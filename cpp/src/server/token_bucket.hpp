// Token-bucket rate limiter.
#pragma once

#include <algorithm>
#include <chrono>

namespace session_buddy::server {

/// The capacity is one second of `rate`. The level may go negative: a client that keeps exceeding the limit accumulates
/// debt.
class TokenBucket {
  public:
    using TimePoint = std::chrono::steady_clock::time_point;

    /// Starts full. `rate` is per second, at least 1.
    TokenBucket(double rate, TimePoint now) : rate_(rate), level_(rate), at_(now) {}

    [[nodiscard]] double level(TimePoint now) {
        level_ = std::min(rate_, level_ + rate_ * std::chrono::duration<double>(now - at_).count());
        at_ = now;
        return level_;
    }
    /// Spends `count` unconditionally and returns the new level.
    double spend(TimePoint now, double count = 1) {
        level_ = level(now) - count;
        return level_;
    }
    /// Spends one, but never below `floor`; returns the new level.
    double spend_with_floor(double floor, TimePoint now) {
        level_ = std::max(floor, level(now) - 1);
        return level_;
    }
    /// Spends one if available.
    [[nodiscard]] bool try_acquire(TimePoint now) { return level(now) >= 1 && spend(now) >= 0; }

  private:
    double rate_;
    double level_;
    TimePoint at_;
};

}  // namespace session_buddy::server
