// The recent invocations of one skill, with running sums over several sliding windows (horizons).
// Adding an invocation takes constant time, in any order of arrival; expiring one takes constant time plus its share of
// sorting late arrivals. Sums are updated incrementally.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/flat_queue.hpp"

namespace session_buddy::metrics {

/// 64 bits of microseconds can overflow when many of the longest durations fall into one window.
__extension__ using WideMicros = __int128;

/// Sums over the invocations in one horizon. Durations are integer microseconds, so that subtraction is exact.
struct WindowSums {
    std::int64_t count = 0;
    std::int64_t completed = 0;
    std::int64_t timed = 0;          ///< completed invocations with a duration
    WideMicros duration_micros = 0;  ///< sum over those

    bool operator==(const WindowSums&) const = default;

    /// Mean in seconds; 0 if no invocation has a duration.
    [[nodiscard]] double mean_duration_seconds() const {
        return timed > 0 ? static_cast<double>(duration_micros) / 1e6 / static_cast<double>(timed) : 0.0;
    }
};

class SkillWindow {
  public:
    /// The sliding window of the config, and the two of skill_metrics_cache.
    enum Horizon : std::size_t { window, hour, day, horizon_count };
    using Lengths = std::array<std::chrono::microseconds, horizon_count>;

    explicit SkillWindow(const Lengths& lengths) : lengths_(&lengths) {}

    /// Advances to `now` and adds an invocation, unless it is too old for every horizon. Returns whether it was added.
    bool add(TimePoint at, bool completed, std::optional<double> duration_seconds, TimePoint now);

    /// Advances every horizon to (now − length, now] and drops what has left the longest one. Returns whether any sum
    /// changed. Time never goes backward.
    bool advance(TimePoint now);

    [[nodiscard]] const WindowSums& sums(Horizon horizon) const { return cursors_[horizon].sums; }
    [[nodiscard]] bool empty() const { return events_.empty(); }
    /// Time of the newest invocation in the window; nullopt if it is empty.
    [[nodiscard]] std::optional<TimePoint> newest() const;
    /// The time of the next change by advance(); TimePoint::max() if the window is empty.
    [[nodiscard]] TimePoint next_expiry() const { return next_expiry_; }

  private:
    // Only completed invocations have a duration, so one number encodes both.
    static constexpr std::int64_t kNotTimed = -1;
    static constexpr std::int64_t kNotCompleted = -2;

    struct Event {
        TimePoint at;
        std::int64_t duration_micros = kNotTimed;
    };
    struct Cursor {
        std::size_t first = 0;  // index of the first event in the horizon, among the sorted events
        WindowSums sums;
    };

    static void apply(WindowSums& sums, const Event& event, std::int64_t sign);
    void sort_late();

    const Lengths* lengths_;  // shared by all skills of an engine, which owns it
    // The first sorted_ events are sorted by time; late arrivals follow unsorted until the order matters, which is when
    // an event expires. So rows in random order cost O(n log n) instead of a shift of all later rows each.
    FlatQueue<Event> events_;
    std::size_t sorted_ = 0;
    std::array<Cursor, horizon_count> cursors_{};
    TimePoint now_ = TimePoint::min();
    TimePoint newest_ = TimePoint::min();
    TimePoint next_expiry_ = TimePoint::max();
};

}  // namespace session_buddy::metrics
