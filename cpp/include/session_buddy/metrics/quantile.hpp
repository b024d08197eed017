// Quantiles by linear interpolation between the closest ranks, (n − 1)·p from the smallest (R. J. Hyndman and Y. Fan,
// Sample quantiles in statistical packages, The American Statistician 50 (1996), definition 7).
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace session_buddy::metrics {

inline constexpr double kMedian = 0.5;
inline constexpr double kHighQuantile = 0.95;

/// `values` must not be empty, and is reordered; 0 ≤ `fraction` ≤ 1. O(n).
[[nodiscard]] inline double quantile(std::vector<double>& values, double fraction) {
    const double rank = fraction * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(rank);
    const auto at_rank = values.begin() + static_cast<std::ptrdiff_t>(below);
    std::nth_element(values.begin(), at_rank, values.end());
    const double lower = *at_rank;
    if (below + 1 == values.size()) {
        return lower;
    }
    const double upper = *std::min_element(at_rank + 1, values.end());
    return lower + (rank - static_cast<double>(below)) * (upper - lower);
}

}  // namespace session_buddy::metrics
