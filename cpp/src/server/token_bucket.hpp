// So many a second, and so many at once.
#pragma once

#include <algorithm>
#include <chrono>

namespace session_buddy::server {

/// Holds one second's worth at most. Its level may go below zero: whoever goes on without heed gets ever deeper.
class TokenBucket {
  public:
    using TimePoint = std::chrono::steady_clock::time_point;

    /// Full. `rate` is per second, 1 or more.
    TokenBucket(double rate, TimePoint now) : rate_(rate), level_(rate), at_(now) {}

    [[nodiscard]] double level(TimePoint now) {
        level_ = std::min(rate_, level_ + rate_ * std::chrono::duration<double>(now - at_).count());
        at_ = now;
        return level_;
    }
    /// Takes `count`, whether they are there or not, and gives the level afterwards.
    double spend(TimePoint now, double count = 1) {
        level_ = level(now) - count;
        return level_;
    }
    /// The same, but never below `floor`.
    double spend_with_floor(double floor, TimePoint now) {
        level_ = std::max(floor, level(now) - 1);
        return level_;
    }
    /// Takes one where it is there.
    [[nodiscard]] bool try_acquire(TimePoint now) { return level(now) >= 1 && spend(now) >= 0; }

  private:
    double rate_;
    double level_;
    TimePoint at_;
};

}  // namespace session_buddy::server
