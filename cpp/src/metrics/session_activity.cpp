// Tracks active sessions, and inactive ones in a heap until they expire or are evicted.
#include "session_buddy/metrics/session_activity.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "session_buddy/core/totals.hpp"

namespace session_buddy::metrics {

SessionActivity::SessionActivity(std::chrono::microseconds active_for, std::chrono::microseconds kept_for,
                                 std::size_t max_listed, std::size_t max_tracked)
    : active_for_(active_for),
      kept_for_(std::max(kept_for, active_for)),
      max_listed_(max_listed),
      max_tracked_(max_tracked) {}

std::pair<SessionActivity::Sessions::iterator, bool> SessionActivity::find_or_create(const std::string& id) {
    if (sessions_.size() >= max_tracked_ && !sessions_.contains(id) && !evict_one()) {
        ++rows_in_other_;
        return sessions_.try_emplace(std::string(kOtherSeries));
    }
    return sessions_.try_emplace(id);
}

bool SessionActivity::evict_one() {
    while (!expiring_.empty()) {
        Sessions::value_type* const entry = expiring_.top().second;
        expiring_.pop();
        entry->second.queued = false;
        if (!entry->second.active) {
            sessions_.erase(sessions_.find(entry->first));
            return true;
        }
    }
    return false;
}

void SessionActivity::add(const Invocation& invocation, std::uint32_t skill, TimePoint at, TimePoint now) {
    if (at <= now - kept_for_) {
        return;
    }
    const auto [found, is_new] = find_or_create(invocation.session_id);
    State& state = found->second;
    if (!std::exchange(state.active, true)) {
        active_.push_back(&*found);
    }
    state.first = is_new ? at : std::min(state.first, at);
    state.last = is_new ? at : std::max(state.last, at);
    ++state.invocations;
    state.completed += invocation.completed ? 1 : 0;
    state.unknown += invocation.outcome_is_unknown ? 1 : 0;
    const auto known = std::ranges::lower_bound(state.skills, skill);
    if (known == state.skills.end() || *known != skill) {
        state.skills.insert(known, skill);
    }
    next_expiry_ = std::min(next_expiry_, state.last + active_for_);
    changed_ = true;
}

void SessionActivity::advance(TimePoint now) {
    now_ = now;
    if (now >= next_expiry_) {
        next_expiry_ = TimePoint::max();
        std::erase_if(active_, [&](Sessions::value_type* entry) {
            State& state = entry->second;
            state.active = state.last > now - active_for_;
            if (state.active) {
                next_expiry_ = std::min(next_expiry_, state.last + active_for_);
            } else if (!std::exchange(state.queued, true)) {
                expiring_.emplace(state.last + kept_for_, entry);
            }
            return !state.active;
        });
        changed_ = true;
    }
    while (!expiring_.empty() && expiring_.top().first <= now) {
        Sessions::value_type* const entry = expiring_.top().second;
        expiring_.pop();
        entry->second.queued = false;
        if (entry->second.active) {
            continue;  // resumed; queued again when it becomes inactive
        }
        if (const TimePoint forgotten = entry->second.last + kept_for_; forgotten > now) {
            entry->second.queued = true;
            expiring_.emplace(forgotten, entry);
        } else {
            sessions_.erase(sessions_.find(entry->first));
        }
    }
}

std::vector<SessionMetrics> SessionActivity::active() const {
    std::vector<SessionMetrics> result;
    result.reserve(active_.size());
    for (const Sessions::value_type* entry : active_) {
        const auto& [id, state] = *entry;
        result.push_back({.session_id = id,
                          .first_activity_at = state.first,
                          .last_activity_at = state.last,
                          .invocations = state.invocations,
                          .completed = state.completed,
                          .distinct_skills = static_cast<std::int64_t>(state.skills.size()),
                          .unknown = state.unknown});
    }
    std::sort(result.begin(), result.end(), [](const SessionMetrics& a, const SessionMetrics& b) {
        return std::tie(b.last_activity_at, a.session_id) < std::tie(a.last_activity_at, b.session_id);
    });
    if (result.size() > max_listed_) {
        result.resize(max_listed_);
    }
    return result;
}

bool SessionActivity::take_changed() {
    return std::exchange(changed_, false);
}

}  // namespace session_buddy::metrics
