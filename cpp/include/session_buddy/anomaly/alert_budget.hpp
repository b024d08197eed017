// How many expected false alerts an invocation may cost, so that all skills together stay within the budget.
#pragma once

#include <cstdint>

#include "session_buddy/core/clock.hpp"

namespace session_buddy::anomaly {

/// Spends budget / rate per invocation, where rate is that of all skills' invocations. The rate is estimated at each
/// full hour of log time from the invocations before, which lose weight over about a week. Never spends more than the
/// budget of the time that has passed, of which at most two days are saved: after a pause the estimated rate is too
/// low.
class AlertBudget {
  public:
    /// `per_second`: expected false alerts per second; 0: none.
    explicit AlertBudget(double per_second) : per_second_(per_second) {}

    /// Counts an invocation at log time `at`, which must not decrease, and returns what it may cost.
    double spend(TimePoint at);
    [[nodiscard]] double per_second() const { return per_second_; }

    template <typename Archive>
    void archive(Archive& archive) {
        archive(hour_, in_hour_, count_, hours_, each_, last_, saved_);
    }

  private:
    double per_second_;
    std::int64_t hour_ = -1;  // since 1970; -1 before the first invocation
    double in_hour_ = 0.0;    // invocations in that hour
    double count_ = 0.0;      // invocations before it, discounted
    double hours_ = 0.0;      // hours before it, discounted
    // What an invocation may cost, for a budget of one per second: seconds.
    double each_ = 0.0;
    TimePoint last_{};    // time of the latest invocation
    double saved_ = 0.0;  // seconds that are not spent
};

}  // namespace session_buddy::anomaly
