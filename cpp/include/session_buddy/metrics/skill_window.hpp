// The recent invocations of one skill, with running sums over several sliding windows (horizons).
// Adding an invocation takes constant time, in any order of arrival; expiring one takes constant time plus its share of
// sorting late arrivals. Sums are updated incrementally.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/flat_queue.hpp"
#include "session_buddy/metrics/duration_sketch.hpp"

namespace session_buddy::metrics {

/// 64 bits of microseconds can overflow when many of the longest durations fall into one window.
__extension__ using WideMicros = __int128;

/// Integer microseconds, so that subtraction is exact.
struct DurationSums {
    std::int64_t count = 0;
    WideMicros micros = 0;

    bool operator==(const DurationSums&) const = default;
};

/// Sums over the invocations in one horizon.
struct WindowSums {
    std::int64_t count = 0;
    std::int64_t completed = 0;  ///< those with an unknown outcome included
    std::int64_t unknown = 0;    ///< of `completed`
    // Of completed invocations with a duration.
    DurationSums measured;
    DurationSums bounds;  ///< of durations that are upper bounds

    bool operator==(const WindowSums&) const = default;

    /// Completed invocations with a duration.
    [[nodiscard]] std::int64_t timed() const { return measured.count + bounds.count; }
    /// Mean in seconds of the measured durations, else of the upper bounds; 0 if no invocation has a duration.
    [[nodiscard]] double mean_duration_seconds() const {
        const DurationSums& sums = measured.count > 0 ? measured : bounds;
        return sums.count > 0 ? static_cast<double>(sums.micros) / 1e6 / static_cast<double>(sums.count) : 0.0;
    }
};

/// In seconds.
struct DurationQuantiles {
    double p50 = 0.0;
    double p95 = 0.0;
};

class SkillWindow {
  public:
    /// The sliding window of the config, and the two of skill_metrics_cache.
    enum Horizon : std::size_t { window, hour, day, horizon_count };
    using Lengths = std::array<std::chrono::microseconds, horizon_count>;

    explicit SkillWindow(const Lengths& lengths) : lengths_(&lengths) {}

    /// What a window counts of an invocation: see core/invocation.hpp.
    struct Sample {
        bool completed = false;
        std::optional<double> duration_seconds{};
        bool outcome_is_unknown = false;
        bool duration_is_bound = false;
    };
    /// Advances to `now` and adds an invocation, unless it is too old for every horizon. Returns whether it was added.
    bool add(TimePoint at, const Sample& sample, TimePoint now);
    bool add(TimePoint at, bool completed, std::optional<double> duration_seconds, TimePoint now) {
        return add(at, {.completed = completed, .duration_seconds = duration_seconds}, now);
    }

    /// Advances every horizon to (now − length, now] and drops what has left the longest one. Returns whether any sum
    /// changed. Time never goes backward.
    bool advance(TimePoint now) {
        if (now < next_expiry_) {
            now_ = std::max(now_, now);
            return false;
        }
        expire(now);
        return true;
    }

    [[nodiscard]] const WindowSums& sums(Horizon horizon) const { return cursors_[horizon].sums; }
    /// Of the durations behind the mean in the horizon `window`; nullopt if there are none. Exact for at most
    /// kMaxExact invocations, else with the relative error of DurationSketch.
    [[nodiscard]] std::optional<DurationQuantiles> duration_quantiles() const;
    static constexpr std::int64_t kMaxExact = 128;
    [[nodiscard]] bool empty() const { return events_.empty(); }
    /// Time of the newest invocation in the window; nullopt if it is empty.
    [[nodiscard]] std::optional<TimePoint> newest() const;
    /// The time of the next change by advance(); TimePoint::max() if the window is empty.
    [[nodiscard]] TimePoint next_expiry() const { return next_expiry_; }

  private:
    // One number encodes outcome and duration, because only completed invocations have one: a negative number stands
    // for no duration, and the highest bits of others are flags, because the longest duration takes 47 bits.
    static constexpr std::int64_t kNotTimed = -1;
    static constexpr std::int64_t kNotCompleted = -2;
    static constexpr std::int64_t kUnknownNotTimed = -3;
    static constexpr std::int64_t kUnknownFlag = std::int64_t{1} << 62U;
    static constexpr std::int64_t kBoundFlag = std::int64_t{1} << 61U;
    static constexpr std::int64_t kMicrosMask = kBoundFlag - 1;

    struct Event {
        TimePoint at;
        std::int64_t code = kNotTimed;
    };
    struct Cursor {
        std::size_t first = 0;  // index of the first event in the horizon, among the sorted events
        WindowSums sums;
    };

    struct Sketches {
        DurationSketch measured;
        DurationSketch bounds;
    };

    static std::int64_t encode(const Sample& sample);
    template <int kSign>
    static void apply(WindowSums& sums, std::int64_t code);
    template <int kSign>
    void sketch(std::int64_t code);
    void start_sketches();
    void expire(TimePoint now);
    void sort_late();

    const Lengths* lengths_;  // shared by all skills of an engine, which owns it
    // The first sorted_ events are sorted by time; late arrivals follow unsorted until the order matters, which is when
    // an event expires. So rows in random order cost O(n log n) instead of a shift of all later rows each.
    FlatQueue<Event> events_;
    std::size_t sorted_ = 0;
    std::array<Cursor, horizon_count> cursors_{};
    // Of the horizon `window`. Most skills have few invocations there, and need none.
    std::unique_ptr<Sketches> sketches_;
    TimePoint now_ = TimePoint::min();
    TimePoint newest_ = TimePoint::min();
    TimePoint next_expiry_ = TimePoint::max();
};

}  // namespace session_buddy::metrics
