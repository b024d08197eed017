// A sketch of durations for quantiles over a sliding window: counts in logarithmic buckets, from which a value can also
// be removed. DDSketch (C. Masson, J. E. Rim and H. K. Lee, PVLDB 12 (2019)) with buckets that are linear within each
// power of two, as in HdrHistogram, so that a bucket is found without a logarithm.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace session_buddy::metrics {

class DurationSketch {
  public:
    /// Of a value of a quantile; below 32 microseconds values are exact.
    static constexpr double kMaxRelativeError = 1.0 / 33.0;

    /// `micros` ≥ 0. O(1); allocates 4 bytes per bucket up to that of the longest duration: 1.6 KB for a minute, 2.8 KB
    /// for the longest valid duration.
    void add(std::int64_t micros) {
        const std::size_t bucket = bucket_of(micros);
        if (bucket >= counts_.size()) {
            counts_.resize(bucket + 1);
        }
        ++counts_[bucket];
        ++count_;
    }
    /// Only a value that was added.
    void remove(std::int64_t micros) {
        --counts_[bucket_of(micros)];
        --count_;
    }

    [[nodiscard]] std::int64_t count() const { return count_; }
    /// In seconds; interpolated as by quantile(). The sketch must not be empty. O(buckets).
    [[nodiscard]] double quantile(double fraction) const;

  private:
    // Each power of two from 2^kLinearBits on has 2^kLinearBits buckets.
    static constexpr int kLinearBits = 4;

    static std::size_t bucket_of(std::int64_t micros) {
        const auto value = static_cast<std::uint64_t>(micros);
        const int shift = static_cast<int>(std::bit_width(value | (1U << kLinearBits))) - (kLinearBits + 1);
        return (static_cast<std::size_t>(shift) << kLinearBits) + (value >> shift);
    }
    /// The value with the same relative error to both ends of the bucket, in microseconds.
    static double value_of(std::size_t bucket);

    std::vector<std::uint32_t> counts_;
    std::int64_t count_ = 0;
};

}  // namespace session_buddy::metrics
