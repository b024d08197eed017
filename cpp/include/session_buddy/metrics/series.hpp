// Invocations over time, in steps of one length.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "session_buddy/core/clock.hpp"

namespace session_buddy::metrics {

/// One step. Durations are seconds, of completed invocations that have one; nothing where none has.
struct SeriesPoint {
    std::int64_t invocation_count = 0;
    std::int64_t completed_count = 0;
    std::optional<double> avg_duration{};
    /// Percentiles by linear interpolation between the closest ranks, (n − 1)·p from the smallest (R. J. Hyndman and
    /// Y. Fan, Sample quantiles in statistical packages, 1996, definition 7). Nothing where a part of the step is known
    /// by its sums alone.
    std::optional<double> p50_duration{};
    std::optional<double> p95_duration{};
};

/// Sums of what ran in one hour.
struct HourSums {
    std::int64_t invocation_count = 0;
    std::int64_t completed_count = 0;
    std::optional<double> avg_duration{};  ///< seconds; taken to be of all completed ones
};

class SeriesBuilder {
  public:
    /// Durations that one series may hold: 32 MiB of them.
    static constexpr std::size_t kMaxDurations = 4U << 20U;

    /// `points` steps of `step` > 0 from `from` on.
    SeriesBuilder(TimePoint from, std::chrono::seconds step, std::size_t points);

    /// What lies outside of all steps is left out. False where there are too many durations; that one is not added.
    [[nodiscard]] bool add(TimePoint at, bool completed, std::optional<double> duration);
    /// `hour`: its beginning. An hour must lie inside one step.
    void add_hour(TimePoint hour, const HourSums& sums);

    /// The figures of all steps. The builder is empty afterwards.
    [[nodiscard]] std::vector<SeriesPoint> finish();

  private:
    struct Step {
        std::int64_t invocations = 0;
        std::int64_t completed = 0;
        std::int64_t timed = 0;
        double seconds = 0.0;
        bool summed = false;  ///< some of it is known by its sums alone
        std::vector<double> durations;
    };

    [[nodiscard]] Step* step_at(TimePoint at);

    TimePoint from_;
    std::chrono::microseconds step_;
    std::vector<Step> steps_;
    std::size_t durations_ = 0;
};

}  // namespace session_buddy::metrics
