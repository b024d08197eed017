// Single-writer counters that any thread may read, as cheap as a plain addition.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "session_buddy/core/server_stats.hpp"

namespace session_buddy {

class Counter {
  public:
    /// From the writer thread only: this is not an atomic read-modify-write.
    void add(std::uint64_t count = 1) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::uint64_t> value_ = 0;
};

/// A DurationHistogram with one writer thread and any number of readers.
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
