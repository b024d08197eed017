// Metrics of the active sessions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <queue>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/snapshot.hpp"

namespace session_buddy::metrics {

class SessionActivity {
  public:
    /// A session is active for `active_for` after its last invocation; its counts are kept for `kept_for`, so that a
    /// session that resumes after a pause continues them. At most `max_listed` sessions are listed, the most recently
    /// active ones. At most `max_tracked` are tracked: a new session evicts the one inactive for the longest time, and
    /// if all are active it is summed with others as `other`.
    SessionActivity(std::chrono::microseconds active_for, std::chrono::microseconds kept_for, std::size_t max_listed,
                    std::size_t max_tracked);

    /// `at` is the time it counts for (not in the future), `skill` the index of the skill.
    void add(const Invocation& invocation, std::uint32_t skill, TimePoint at, TimePoint now);
    void advance(TimePoint now);

    /// The active sessions, most recently active first, then by id. Valid as of the last advance().
    [[nodiscard]] std::vector<SessionMetrics> active() const;
    /// Number of active sessions, listed or not. Valid as of the last advance().
    [[nodiscard]] std::size_t active_count() const { return active_.size(); }
    [[nodiscard]] TrackedNames tracked() const { return {sessions_.size(), rows_in_other_}; }
    /// Whether active() may have changed since the last call; resets the flag.
    [[nodiscard]] bool take_changed();

  private:
    struct State {
        TimePoint first;
        TimePoint last;
        std::int64_t invocations = 0;
        std::int64_t completed = 0;
        std::int64_t unknown = 0;
        std::vector<std::uint32_t> skills;  // sorted; a small vector is cheaper than a set
        bool active = false;                // in active_
        bool queued = false;                // in expiring_
    };
    using Sessions = std::unordered_map<std::string, State>;

    /// The session, or `other` if max_tracked is reached, and whether it is new.
    std::pair<Sessions::iterator, bool> find_or_create(const std::string& id);
    /// Removes the session inactive for the longest time. False if none is inactive.
    bool evict_one();

    std::chrono::microseconds active_for_;
    std::chrono::microseconds kept_for_;
    std::size_t max_listed_;
    std::size_t max_tracked_;
    std::uint64_t rows_in_other_ = 0;
    Sessions sessions_;
    // Pointers to entries of sessions_, which are stable. An inactive session costs nothing until it expires.
    std::vector<Sessions::value_type*> active_;
    using Expiring = std::pair<TimePoint, Sessions::value_type*>;
    std::priority_queue<Expiring, std::vector<Expiring>, std::greater<>> expiring_;  // min-heap by expiry time
    TimePoint now_{};
    TimePoint next_expiry_ = TimePoint::max();  // of the active sessions
    bool changed_ = false;
};

}  // namespace session_buddy::metrics
