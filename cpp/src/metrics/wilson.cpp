// The Wilson score interval at 95 %.
#include "session_buddy/metrics/wilson.hpp"

#include <algorithm>
#include <cmath>

namespace session_buddy::metrics {

std::optional<RateInterval> wilson_interval(std::int64_t successes, std::int64_t trials) {
    if (trials <= 0) {
        return std::nullopt;
    }
    constexpr double kZ = 1.959963984540054;  // the 97.5 % quantile of the standard normal distribution
    const auto n = static_cast<double>(trials);
    const double p = static_cast<double>(successes) / n;
    const double scale = 1.0 + kZ * kZ / n;
    const double centre = p + kZ * kZ / (2.0 * n);
    const double half_width = kZ * std::sqrt(p * (1.0 - p) / n + kZ * kZ / (4.0 * n * n));
    // 0 and 1 are exact at the ends, where rounding of the square root would not give them.
    return RateInterval{.low = successes == 0 ? 0.0 : std::clamp((centre - half_width) / scale, 0.0, p),
                        .high = successes == trials ? 1.0 : std::clamp((centre + half_width) / scale, p, 1.0)};
}

}  // namespace session_buddy::metrics
