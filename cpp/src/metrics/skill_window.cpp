// Running sums over sliding windows: adds on arrival, subtracts on expiry, sorts late arrivals lazily.
#include "session_buddy/metrics/skill_window.hpp"

#include <algorithm>
#include <vector>

#include "session_buddy/core/duration.hpp"
#include "session_buddy/metrics/quantile.hpp"

namespace session_buddy::metrics {
namespace {

constexpr double kMicrosPerSecond = 1e6;

}  // namespace

std::int64_t SkillWindow::encode(const Sample& sample) {
    if (!sample.completed) {
        return kNotCompleted;
    }
    if (!sample.duration_seconds || !is_valid_duration(*sample.duration_seconds)) {
        return sample.outcome_is_unknown ? kUnknownNotTimed : kNotTimed;
    }
    // Rounds without a call of llround(): the duration is not negative and far below 2^53.
    constexpr double kHalf = 0.5;
    return static_cast<std::int64_t>(*sample.duration_seconds * kMicrosPerSecond + kHalf) |
           (sample.outcome_is_unknown ? kUnknownFlag : 0) | (sample.duration_is_bound ? kBoundFlag : 0);
}

template <int kSign>
void SkillWindow::apply(WindowSums& sums, std::int64_t code) {
    sums.count += kSign;
    if (code >= 0) {
        sums.completed += kSign;
        sums.unknown += kSign * static_cast<std::int64_t>((code & kUnknownFlag) != 0);
        DurationSums& durations = (code & kBoundFlag) != 0 ? sums.bounds : sums.measured;
        durations.count += kSign;
        durations.micros += static_cast<WideMicros>(kSign * (code & kMicrosMask));
    } else {
        sums.completed += code == kNotCompleted ? 0 : kSign;
        sums.unknown += code == kUnknownNotTimed ? kSign : 0;
    }
}

template <int kSign>
void SkillWindow::sketch(std::int64_t code) {
    if (code >= 0) {
        DurationSketch& durations = (code & kBoundFlag) != 0 ? sketches_->bounds : sketches_->measured;
        if constexpr (kSign > 0) {
            durations.add(code & kMicrosMask);
        } else {
            durations.remove(code & kMicrosMask);
        }
    }
}

void SkillWindow::start_sketches() {
    sketches_ = std::make_unique<Sketches>();
    const TimePoint cutoff = now_ - (*lengths_)[window];
    for (const Event& event : events_) {
        if (event.at > cutoff) {
            sketch<+1>(event.code);
        }
    }
}

bool SkillWindow::add(TimePoint at, const Sample& sample, TimePoint now) {
    advance(now);
    if (at <= now_ - *std::max_element(lengths_->begin(), lengths_->end())) {
        return false;
    }
    const Event event{at, encode(sample)};
    const bool chronological = sorted_ == events_.size() && (events_.empty() || events_.back().at <= at);
    events_.push_back(event);
    sorted_ += chronological ? 1 : 0;
    newest_ = std::max(newest_, at);
    for (std::size_t h = 0; h < horizon_count; ++h) {
        Cursor& cursor = cursors_[h];
        if (at > now_ - (*lengths_)[h]) {
            apply<+1>(cursor.sums, event.code);
            next_expiry_ = std::min(next_expiry_, at + (*lengths_)[h]);
        } else if (chronological) {
            ++cursor.first;  // then all earlier events are outside, too
        }
    }
    if (sketches_) {
        if (at > now_ - (*lengths_)[window]) {
            sketch<+1>(event.code);
        }
    } else if (cursors_[window].sums.count > kMaxExact) {
        start_sketches();
    }
    return true;
}

void SkillWindow::sort_late() {
    const auto late = events_.begin() + static_cast<std::ptrdiff_t>(sorted_);
    std::ranges::sort(late, events_.end(), {}, &Event::at);
    const auto from = std::ranges::upper_bound(events_.begin(), late, late->at, {}, &Event::at);
    std::ranges::inplace_merge(from, late, events_.end(), {}, &Event::at);
    sorted_ = events_.size();
    for (std::size_t h = 0; h < horizon_count; ++h) {
        const auto inside = std::ranges::upper_bound(events_, now_ - (*lengths_)[h], {}, &Event::at);
        cursors_[h].first = static_cast<std::size_t>(inside - events_.begin());
    }
}

void SkillWindow::expire(TimePoint now) {
    if (sorted_ != events_.size()) {
        sort_late();
    }
    now_ = now;
    next_expiry_ = TimePoint::max();
    std::size_t outside_all = events_.size();
    for (std::size_t h = 0; h < horizon_count; ++h) {
        Cursor& cursor = cursors_[h];
        const TimePoint cutoff = now_ - (*lengths_)[h];
        for (; cursor.first < events_.size() && events_[cursor.first].at <= cutoff; ++cursor.first) {
            apply<-1>(cursor.sums, events_[cursor.first].code);
            if (h == window && sketches_) {
                sketch<-1>(events_[cursor.first].code);
            }
        }
        if (cursor.first < events_.size()) {
            next_expiry_ = std::min(next_expiry_, events_[cursor.first].at + (*lengths_)[h]);
        }
        outside_all = std::min(outside_all, cursor.first);
    }
    if (cursors_[window].sums.count < kMaxExact / 2) {
        sketches_.reset();
    }
    if (outside_all == 0) {
        return;
    }
    events_.pop_front(outside_all);
    sorted_ -= outside_all;
    for (Cursor& cursor : cursors_) {
        cursor.first -= outside_all;
    }
}

std::optional<DurationQuantiles> SkillWindow::duration_quantiles() const {
    const Cursor& cursor = cursors_[window];
    const bool has_measured = cursor.sums.measured.count > 0;
    if (cursor.sums.timed() == 0) {
        return std::nullopt;
    }
    if (sketches_) {
        const DurationSketch& durations = has_measured ? sketches_->measured : sketches_->bounds;
        return DurationQuantiles{.p50 = durations.quantile(kMedian), .p95 = durations.quantile(kHighQuantile)};
    }
    const TimePoint cutoff = now_ - (*lengths_)[window];
    std::vector<double> seconds;
    seconds.reserve(static_cast<std::size_t>(cursor.sums.timed()));
    for (std::size_t i = cursor.first; i < events_.size(); ++i) {
        const Event& event = events_[i];
        if (event.at > cutoff && event.code >= 0 && ((event.code & kBoundFlag) != 0) != has_measured) {
            seconds.push_back(static_cast<double>(event.code & kMicrosMask) / kMicrosPerSecond);
        }
    }
    return DurationQuantiles{.p50 = quantile(seconds, kMedian), .p95 = quantile(seconds, kHighQuantile)};
}

std::optional<TimePoint> SkillWindow::newest() const {
    return events_.empty() ? std::nullopt : std::optional{newest_};
}

}  // namespace session_buddy::metrics
