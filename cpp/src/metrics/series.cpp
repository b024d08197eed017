// Accumulates invocations and hourly rollups into steps and computes means and percentiles.
#include "session_buddy/metrics/series.hpp"

#include <algorithm>
#include <utility>

namespace session_buddy::metrics {
namespace {

/// `values` must not be empty; it is reordered.
double percentile(std::vector<double>& values, double fraction) {
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

}  // namespace

SeriesBuilder::SeriesBuilder(TimePoint from, std::chrono::seconds step, std::size_t points)
    : from_(from), step_(step), steps_(points) {}

SeriesBuilder::Step* SeriesBuilder::step_at(TimePoint at) {
    if (at < from_) {
        return nullptr;
    }
    const auto index = static_cast<std::size_t>((at - from_) / step_);
    return index < steps_.size() ? &steps_[index] : nullptr;
}

bool SeriesBuilder::add(TimePoint at, bool completed, std::optional<double> duration) {
    Step* const step = step_at(at);
    if (step == nullptr) {
        return true;
    }
    if (completed && duration) {
        if (durations_ == kMaxDurations) {
            return false;
        }
        ++durations_;
        ++step->timed;
        step->seconds += *duration;
        step->durations.push_back(*duration);
    }
    ++step->invocations;
    step->completed += completed ? 1 : 0;
    return true;
}

void SeriesBuilder::add_hour(TimePoint hour, const HourSums& sums) {
    Step* const step = step_at(hour);
    if (step == nullptr) {
        return;
    }
    step->invocations += sums.invocation_count;
    step->completed += sums.completed_count;
    if (sums.avg_duration) {
        step->timed += sums.completed_count;
        step->seconds += *sums.avg_duration * static_cast<double>(sums.completed_count);
    }
    step->summed = true;
}

std::vector<SeriesPoint> SeriesBuilder::finish() {
    constexpr double kMedian = 0.5;
    constexpr double kHigh = 0.95;
    std::vector<SeriesPoint> points;
    points.reserve(steps_.size());
    for (Step& step : steps_) {
        SeriesPoint point{.invocation_count = step.invocations, .completed_count = step.completed};
        if (step.timed > 0) {
            point.avg_duration = step.seconds / static_cast<double>(step.timed);
        }
        if (!step.summed && !step.durations.empty()) {
            point.p50_duration = percentile(step.durations, kMedian);
            point.p95_duration = percentile(step.durations, kHigh);
        }
        points.push_back(point);
    }
    steps_.clear();
    durations_ = 0;
    return points;
}

}  // namespace session_buddy::metrics
