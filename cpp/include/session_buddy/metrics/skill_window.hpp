// The recent invocations of one skill, with running sums over several sliding horizons.
// A new invocation costs constant time, in whatever order they come; one that grows too old does, too, plus its share
// of sorting those that came late. Nothing is summed twice.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/flat_queue.hpp"

namespace session_buddy::metrics {

/// A day may hold more of the longest durations than 64 bits of microseconds can sum.
__extension__ using WideMicros = __int128;

/// Sums over the invocations inside one horizon. Durations are whole microseconds, so that removal leaves no rounding.
struct WindowSums {
    std::int64_t count = 0;
    std::int64_t completed = 0;
    std::int64_t timed = 0;          ///< completed ones that have a duration
    WideMicros duration_micros = 0;  ///< sum over the timed ones

    bool operator==(const WindowSums&) const = default;

    /// Mean in seconds, 0 where nothing was timed.
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

    /// Adds an invocation as seen at `now`, after everything has moved there; one that is too old for every horizon is
    /// dropped. Returns whether it was kept.
    bool add(TimePoint at, bool completed, std::optional<double> duration_seconds, TimePoint now);

    /// Moves every horizon to (now − length, now] and forgets what has left the longest. Returns whether any sum
    /// changed. Time never goes back.
    bool advance(TimePoint now);

    [[nodiscard]] const WindowSums& sums(Horizon horizon) const { return cursors_[horizon].sums; }
    [[nodiscard]] bool empty() const { return events_.empty(); }
    /// Time of the newest invocation kept; nothing where none is.
    [[nodiscard]] std::optional<TimePoint> newest() const;
    /// The moment from which on advance() has something to do; TimePoint::max() where nothing is kept.
    [[nodiscard]] TimePoint next_expiry() const { return next_expiry_; }

  private:
    // Durations count only for completed invocations, so one number says both.
    static constexpr std::int64_t kNotTimed = -1;
    static constexpr std::int64_t kNotCompleted = -2;

    struct Event {
        TimePoint at;
        std::int64_t duration_micros = kNotTimed;
    };
    struct Cursor {
        std::size_t first = 0;  // index of the first event inside; while some wait to be sorted, of the sorted ones
        WindowSums sums;
    };

    static void apply(WindowSums& sums, const Event& event, std::int64_t sign);
    void sort_late();

    const Lengths* lengths_;  // shared by all skills of an engine, which owns it
    // The first sorted_ are in order of time, the others as they came: a late one waits at the end until the order
    // matters, which is when something grows too old. So rows in random order cost n log n and not a shift of all later
    // ones each.
    FlatQueue<Event> events_;
    std::size_t sorted_ = 0;
    std::array<Cursor, horizon_count> cursors_{};
    TimePoint now_ = TimePoint::min();
    TimePoint newest_ = TimePoint::min();
    TimePoint next_expiry_ = TimePoint::max();
};

}  // namespace session_buddy::metrics
