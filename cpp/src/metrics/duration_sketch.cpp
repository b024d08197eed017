// Finds the buckets of a quantile and interpolates between them.
#include "session_buddy/metrics/duration_sketch.hpp"

namespace session_buddy::metrics {

double DurationSketch::value_of(std::size_t bucket) {
    constexpr std::size_t kExact = std::size_t{2} << kLinearBits;
    if (bucket < kExact) {
        return static_cast<double>(bucket);
    }
    const std::size_t shift = (bucket >> kLinearBits) - 1;
    const std::uint64_t multiple = bucket - (shift << kLinearBits);
    const auto low = static_cast<double>(multiple << shift);
    const auto high = static_cast<double>((multiple + 1) << shift);
    return 2.0 * low * high / (low + high);
}

double DurationSketch::quantile(double fraction) const {
    constexpr double kMicrosPerSecond = 1e6;
    const double rank = fraction * static_cast<double>(count_ - 1);
    const auto below = static_cast<std::int64_t>(rank);
    std::size_t bucket = 0;
    std::int64_t before = 0;  // values in smaller buckets
    const auto value_at = [&](std::int64_t wanted) {
        while (before + counts_[bucket] <= wanted) {
            before += counts_[bucket++];
        }
        return value_of(bucket);
    };
    const double lower = value_at(below);
    const double upper = below + 1 < count_ ? value_at(below + 1) : lower;
    return (lower + (rank - static_cast<double>(below)) * (upper - lower)) / kMicrosPerSecond;
}

}  // namespace session_buddy::metrics
