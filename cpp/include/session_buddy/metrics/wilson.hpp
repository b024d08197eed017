// The Wilson score interval: the confidence interval of an observed rate.
#pragma once

#include <cstdint>
#include <optional>

namespace session_buddy::metrics {

/// Fractions, 0 to 1.
struct RateInterval {
    double low = 0.0;
    double high = 1.0;
};

/// The 95 % score interval of k successes out of n, 0 ≤ k ≤ n (E. B. Wilson, Probable inference, the law of succession,
/// and statistical inference, JASA 22 (1927), 209–212): with p = k/n and z = 1.959964,
/// (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n). Nothing for n = 0.
[[nodiscard]] std::optional<RateInterval> wilson_interval(std::int64_t successes, std::int64_t trials);

}  // namespace session_buddy::metrics
