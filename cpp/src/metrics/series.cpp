// Accumulates invocations and hourly rollups into steps and computes means and percentiles.
#include "session_buddy/metrics/series.hpp"

#include <algorithm>

#include "session_buddy/metrics/quantile.hpp"

namespace session_buddy::metrics {
SeriesBuilder::SeriesBuilder(TimePoint from, std::chrono::seconds step, std::size_t points)
    : from_(from), step_(step), steps_(points) {}

SeriesBuilder::Step* SeriesBuilder::step_at(TimePoint at) {
    if (at < from_) {
        return nullptr;
    }
    const auto index = static_cast<std::size_t>((at - from_) / step_);
    return index < steps_.size() ? &steps_[index] : nullptr;
}

bool SeriesBuilder::add(TimePoint at, const SeriesSample& sample) {
    Step* const step = step_at(at);
    if (step == nullptr) {
        return true;
    }
    if (sample.completed && sample.duration) {
        if (durations_ == kMaxDurations) {
            return false;
        }
        ++durations_;
        Durations& durations = sample.duration_is_bound ? step->bounds : step->measured;
        ++durations.count;
        durations.seconds += *sample.duration;
        durations.values.push_back(*sample.duration);
    }
    ++step->invocations;
    step->completed += sample.completed ? 1 : 0;
    step->unknown += sample.outcome_is_unknown ? 1 : 0;
    return true;
}

void SeriesBuilder::add_hour(TimePoint hour, const HourSums& sums) {
    Step* const step = step_at(hour);
    if (step == nullptr) {
        return;
    }
    step->invocations += sums.invocation_count;
    step->completed += sums.completed_count;
    step->unknown += std::min(sums.unknown_count, sums.completed_count);
    if (sums.avg_duration) {
        const std::int64_t measured = sums.completed_count - sums.bound_count;
        Durations& durations = measured > 0 ? step->measured : step->bounds;
        const std::int64_t count = measured > 0 ? measured : sums.completed_count;
        durations.count += count;
        durations.seconds += *sums.avg_duration * static_cast<double>(count);
    }
    step->summed = true;
}

std::vector<SeriesPoint> SeriesBuilder::finish() {
    std::vector<SeriesPoint> points;
    points.reserve(steps_.size());
    for (Step& step : steps_) {
        SeriesPoint point{
            .invocation_count = step.invocations, .completed_count = step.completed, .unknown_count = step.unknown};
        Durations& durations = step.measured.count > 0 ? step.measured : step.bounds;
        if (durations.count > 0) {
            point.avg_duration = durations.seconds / static_cast<double>(durations.count);
        }
        if (!step.summed && !durations.values.empty()) {
            point.p50_duration = quantile(durations.values, kMedian);
            point.p95_duration = quantile(durations.values, kHighQuantile);
        }
        points.push_back(point);
    }
    steps_.clear();
    durations_ = 0;
    return points;
}

}  // namespace session_buddy::metrics
