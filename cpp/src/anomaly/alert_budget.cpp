// Estimates the rate of invocations of all skills.
#include "session_buddy/anomaly/alert_budget.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace session_buddy::anomaly {
namespace {

constexpr double kHoursRemembered = 7 * 24.0;
// Before the first full hour a high rate is assumed, and afterwards a rate above the estimate, which may be that of a
// quiet night: by (1 + kEarlyHours / hours).
constexpr double kFirstRate = 10'000.0;  // per hour
constexpr double kEarlyHours = 6.0;
constexpr double kMostSaved = 2 * 86'400.0;  // seconds
constexpr double kSavedShare = 0.02;         // of what is saved, for one invocation
constexpr double kMostForOne = 0.02;         // alerts; with more, a few invocations without a change would be one

}  // namespace

double AlertBudget::spend(TimePoint at) {
    const std::int64_t hour = std::chrono::floor<std::chrono::hours>(at).time_since_epoch().count();
    if (hour_ < 0) {
        hour_ = hour;
        last_ = at;
        each_ = 3600.0 / kFirstRate;
    } else if (hour > hour_) {
        const double keep = std::exp(-static_cast<double>(hour - hour_) / kHoursRemembered);
        const double keep_all_but_one = std::exp(-static_cast<double>(hour - hour_ - 1) / kHoursRemembered);
        count_ = count_ * keep + in_hour_ * keep_all_but_one;
        // Σ keep^i of the hours that have passed.
        hours_ = hours_ * keep + (1.0 - keep) / (1.0 - std::exp(-1.0 / kHoursRemembered));
        in_hour_ = 0.0;
        hour_ = hour;
        each_ = 3600.0 * hours_ / (count_ * (1.0 + kEarlyHours / hours_));
    }
    in_hour_ += 1.0;
    saved_ = std::min(saved_ + std::chrono::duration<double>(at - last_).count(), kMostSaved);
    last_ = at;
    const double seconds = std::min(each_, kSavedShare * saved_);
    saved_ -= seconds;
    return std::min(per_second_ * seconds, kMostForOne);
}

}  // namespace session_buddy::anomaly
