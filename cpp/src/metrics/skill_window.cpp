// Running sums over sliding windows: adds on arrival, subtracts on expiry, sorts late arrivals lazily.
#include "session_buddy/metrics/skill_window.hpp"

#include <algorithm>
#include <cmath>

#include "session_buddy/core/duration.hpp"

namespace session_buddy::metrics {
namespace {

std::int64_t to_micros(std::optional<double> seconds, std::int64_t not_timed) {
    if (!seconds || !is_valid_duration(*seconds)) {
        return not_timed;
    }
    return std::llround(*seconds * 1e6);
}

}  // namespace

void SkillWindow::apply(WindowSums& sums, const Event& event, std::int64_t sign) {
    sums.count += sign;
    sums.completed += event.duration_micros == kNotCompleted ? 0 : sign;
    if (event.duration_micros >= 0) {
        sums.timed += sign;
        sums.duration_micros += WideMicros{sign} * event.duration_micros;
    }
}

bool SkillWindow::add(TimePoint at, bool completed, std::optional<double> duration_seconds, TimePoint now) {
    advance(now);
    if (at <= now_ - *std::max_element(lengths_->begin(), lengths_->end())) {
        return false;
    }
    const Event event{at, completed ? to_micros(duration_seconds, kNotTimed) : kNotCompleted};
    const bool chronological = sorted_ == events_.size() && (events_.empty() || events_.back().at <= at);
    events_.push_back(event);
    sorted_ += chronological ? 1 : 0;
    newest_ = std::max(newest_, at);
    for (std::size_t h = 0; h < horizon_count; ++h) {
        Cursor& cursor = cursors_[h];
        if (at > now_ - (*lengths_)[h]) {
            apply(cursor.sums, event, +1);
            next_expiry_ = std::min(next_expiry_, at + (*lengths_)[h]);
        } else if (chronological) {
            ++cursor.first;  // then all earlier events are outside, too
        }
    }
    return true;
}

void SkillWindow::sort_late() {
    if (sorted_ == events_.size()) {
        return;
    }
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

bool SkillWindow::advance(TimePoint now) {
    if (now < next_expiry_) {
        now_ = std::max(now_, now);
        return false;
    }
    sort_late();
    now_ = now;
    next_expiry_ = TimePoint::max();
    std::size_t outside_all = events_.size();
    for (std::size_t h = 0; h < horizon_count; ++h) {
        Cursor& cursor = cursors_[h];
        const TimePoint cutoff = now_ - (*lengths_)[h];
        for (; cursor.first < events_.size() && events_[cursor.first].at <= cutoff; ++cursor.first) {
            apply(cursor.sums, events_[cursor.first], -1);
        }
        if (cursor.first < events_.size()) {
            next_expiry_ = std::min(next_expiry_, events_[cursor.first].at + (*lengths_)[h]);
        }
        outside_all = std::min(outside_all, cursor.first);
    }
    events_.pop_front(outside_all);
    sorted_ -= outside_all;
    for (Cursor& cursor : cursors_) {
        cursor.first -= outside_all;
    }
    return true;
}

std::optional<TimePoint> SkillWindow::newest() const {
    return events_.empty() ? std::nullopt : std::optional{newest_};
}

}  // namespace session_buddy::metrics
