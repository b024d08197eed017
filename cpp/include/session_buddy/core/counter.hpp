// Counters that one thread writes and any may read, at the price of a plain addition.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "session_buddy/core/server_stats.hpp"

namespace session_buddy {

class Counter {
  public:
    /// On one thread alone: this is no atomic addition.
    void add(std::uint64_t count = 1) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::uint64_t> value_ = 0;
};

/// DurationHistogram for more than one thread; the same holds.
class AtomicDurationHistogram {
  public:
    void add(double seconds) noexcept {
        buckets_[histogram_bucket(seconds)].add();
        seconds_.store(seconds_.load(std::memory_order_relaxed) + seconds, std::memory_order_relaxed);
    }
    [[nodiscard]] DurationHistogram histogram() const noexcept {
        DurationHistogram result;
        for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
            result.buckets[bucket] = buckets_[bucket].value();
        }
        result.seconds = seconds_.load(std::memory_order_relaxed);
        return result;
    }

  private:
    std::array<Counter, kHistogramBounds.size() + 1> buckets_;
    std::atomic<double> seconds_ = 0.0;
};

}  // namespace session_buddy
