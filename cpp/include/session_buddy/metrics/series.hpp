// Time series of invocations in steps of equal length.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "session_buddy/core/clock.hpp"

namespace session_buddy::metrics {

/// One step. Durations are in seconds, of completed invocations with a measured duration; in a step without any, with
/// an upper bound; nullopt if there are none.
struct SeriesPoint {
    std::int64_t invocation_count = 0;
    std::int64_t completed_count = 0;  ///< those with an unknown outcome included
    std::int64_t unknown_count = 0;    ///< of completed_count
    std::optional<double> avg_duration{};
    /// As by quantile(); nullopt if part of the step comes from hourly rollups, which have sums only.
    std::optional<double> p50_duration{};
    std::optional<double> p95_duration{};
};

/// What a series counts of an invocation: see core/invocation.hpp.
struct SeriesSample {
    bool completed = false;
    std::optional<double> duration{};  ///< seconds
    bool outcome_is_unknown = false;
    bool duration_is_bound = false;
};

/// An hourly rollup.
struct HourSums {
    std::int64_t invocation_count = 0;
    std::int64_t completed_count = 0;
    /// Seconds; assumed to cover all completed invocations whose duration is no upper bound, or all if all are.
    std::optional<double> avg_duration{};
    std::int64_t unknown_count = 0;  ///< of completed_count
    std::int64_t bound_count = 0;    ///< completed invocations whose duration is an upper bound
};

class SeriesBuilder {
  public:
    /// Maximum durations in one series: 32 MiB.
    static constexpr std::size_t kMaxDurations = 4U << 20U;

    /// `points` steps of length `step` > 0, starting at `from`.
    SeriesBuilder(TimePoint from, std::chrono::seconds step, std::size_t points);

    /// Ignores times outside the series. Returns false, without adding it, if there are more than kMaxDurations
    /// durations.
    [[nodiscard]] bool add(TimePoint at, const SeriesSample& sample);
    [[nodiscard]] bool add(TimePoint at, bool completed, std::optional<double> duration) {
        return add(at, {.completed = completed, .duration = duration});
    }
    /// `hour` is the start of the hour, which must lie within one step.
    void add_hour(TimePoint hour, const HourSums& sums);

    /// The metrics of all steps. The builder is empty afterwards.
    [[nodiscard]] std::vector<SeriesPoint> finish();

  private:
    struct Durations {
        std::int64_t count = 0;
        double seconds = 0.0;
        std::vector<double> values;  // without those of hourly rollups
    };
    struct Step {
        std::int64_t invocations = 0;
        std::int64_t completed = 0;
        std::int64_t unknown = 0;
        bool summed = false;  // part of it comes from hourly rollups
        Durations measured;
        Durations bounds;  // durations that are upper bounds
    };

    [[nodiscard]] Step* step_at(TimePoint at);

    TimePoint from_;
    std::chrono::microseconds step_;
    std::vector<Step> steps_;
    std::size_t durations_ = 0;
};

}  // namespace session_buddy::metrics
