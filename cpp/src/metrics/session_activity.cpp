// Session figures over a sliding time: see the header.
#include "session_buddy/metrics/session_activity.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace session_buddy::metrics {

SessionActivity::SessionActivity(std::chrono::microseconds active_for, std::chrono::microseconds kept_for,
                                 std::size_t max_listed)
    : active_for_(active_for), kept_for_(std::max(kept_for, active_for)), max_listed_(max_listed) {}

void SessionActivity::add(const Invocation& invocation, std::uint32_t skill, TimePoint at, TimePoint now) {
    if (at <= now - kept_for_) {
        return;
    }
    const auto [place, is_new] = sessions_.try_emplace(invocation.session_id);
    State& state = place->second;
    state.first = is_new ? at : std::min(state.first, at);
    state.last = is_new ? at : std::max(state.last, at);
    ++state.invocations;
    state.completed += invocation.completed ? 1 : 0;
    state.skills.insert(skill);
    next_expiry_ = std::min(next_expiry_, state.last + active_for_);
    changed_ = true;
}

void SessionActivity::advance(TimePoint now) {
    now_ = now;
    if (now < next_expiry_) {
        return;
    }
    std::erase_if(sessions_, [&](const auto& entry) { return entry.second.last <= now - kept_for_; });
    next_expiry_ = TimePoint::max();
    for (const auto& [id, state] : sessions_) {
        const bool active = state.last > now - active_for_;
        next_expiry_ = std::min(next_expiry_, state.last + (active ? active_for_ : kept_for_));
    }
    changed_ = true;
}

std::vector<SessionFigures> SessionActivity::active() const {
    std::vector<SessionFigures> figures;
    for (const auto& [id, state] : sessions_) {
        if (state.last > now_ - active_for_) {
            figures.push_back({id, state.first, state.last, state.invocations, state.completed,
                               static_cast<std::int64_t>(state.skills.size())});
        }
    }
    std::sort(figures.begin(), figures.end(), [](const SessionFigures& a, const SessionFigures& b) {
        return std::tie(b.last_activity_at, a.session_id) < std::tie(a.last_activity_at, b.session_id);
    });
    if (figures.size() > max_listed_) {
        figures.resize(max_listed_);
    }
    return figures;
}

bool SessionActivity::take_changed() {
    return std::exchange(changed_, false);
}

}  // namespace session_buddy::metrics
