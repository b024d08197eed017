// Running sums over sliding horizons: see the header.
#include "session_buddy/metrics/skill_window.hpp"

#include <algorithm>
#include <cmath>

namespace session_buddy::metrics {
namespace {

// A longer duration than 30 years is no measurement; it would only endanger the sum's 63 bits.
constexpr double kLongestDurationSeconds = 1e9;

std::int64_t to_micros(std::optional<double> seconds) {
    if (!seconds || !(*seconds >= 0.0) || *seconds > kLongestDurationSeconds) {
        return -1;
    }
    return std::llround(*seconds * 1e6);
}

}  // namespace

void SkillWindow::apply(WindowSums& sums, const Event& event, std::int64_t sign) {
    sums.count += sign;
    if (event.completed) {
        sums.completed += sign;
        if (event.duration_micros >= 0) {
            sums.timed += sign;
            sums.duration_micros += sign * event.duration_micros;
        }
    }
}

bool SkillWindow::add(TimePoint at, bool completed, std::optional<double> duration_seconds, TimePoint now) {
    const auto longest = *std::max_element(lengths_->begin(), lengths_->end());
    if (at <= now - longest) {
        return false;
    }
    const Event event{at, to_micros(duration_seconds), completed};
    const bool is_newest = events_.empty() || events_.back().at <= at;  // nearly always: no search through cold memory
    const auto place = is_newest ? events_.end() : std::ranges::upper_bound(events_, at, {}, &Event::at);
    const auto index = static_cast<std::size_t>(place - events_.begin());
    for (std::size_t h = 0; h < horizon_count; ++h) {
        Cursor& cursor = cursors_[h];
        // Behind an event that advance() has yet to drop, a too old one is counted too, so that both go together.
        const bool outside = index < cursor.first || (index == cursor.first && at <= now - (*lengths_)[h]);
        if (outside) {
            ++cursor.first;
        } else {
            apply(cursor.sums, event, +1);
        }
    }
    events_.insert(place, event);
    return true;
}

bool SkillWindow::advance(TimePoint now) {
    bool changed = false;
    std::size_t outside_all = events_.size();
    for (std::size_t h = 0; h < horizon_count; ++h) {
        Cursor& cursor = cursors_[h];
        const TimePoint cutoff = now - (*lengths_)[h];
        while (cursor.first < events_.size() && events_[cursor.first].at <= cutoff) {
            apply(cursor.sums, events_[cursor.first], -1);
            ++cursor.first;
            changed = true;
        }
        outside_all = std::min(outside_all, cursor.first);
    }
    if (outside_all > 0) {
        events_.erase(events_.begin(), events_.begin() + static_cast<std::ptrdiff_t>(outside_all));
        for (Cursor& cursor : cursors_) {
            cursor.first -= outside_all;
        }
    }
    return changed;
}

std::optional<TimePoint> SkillWindow::newest() const {
    return events_.empty() ? std::nullopt : std::optional{events_.back().at};
}

TimePoint SkillWindow::next_expiry() const {
    TimePoint next = TimePoint::max();
    for (std::size_t h = 0; h < horizon_count; ++h) {
        if (cursors_[h].first < events_.size()) {
            next = std::min(next, events_[cursors_[h].first].at + (*lengths_)[h]);
        }
    }
    return next;
}

}  // namespace session_buddy::metrics
