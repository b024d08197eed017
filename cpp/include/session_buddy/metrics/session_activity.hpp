// Which sessions are active now, and what they did.
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
    /// A session is active for `active_for` after its last invocation, and its figures are kept for `kept_for`, so that
    /// one that goes on after a pause keeps them. At most `max_listed` are listed, the most recently active ones. At
    /// most `max_tracked` are tracked: a new one takes the place of the one that has been silent the longest, and where
    /// all are active it is summed with others as `other`.
    SessionActivity(std::chrono::microseconds active_for, std::chrono::microseconds kept_for, std::size_t max_listed,
                    std::size_t max_tracked);

    /// `at` is the time it counts for (not in the future), `skill` a number that stands for the skill's name.
    void add(const Invocation& invocation, std::uint32_t skill, TimePoint at, TimePoint now);
    void advance(TimePoint now);

    /// The active sessions, the last active first, then by id. Only valid after advance().
    [[nodiscard]] std::vector<SessionMetrics> active() const;
    /// How many there are, listed or not. The same holds.
    [[nodiscard]] std::size_t active_count() const { return active_.size(); }
    [[nodiscard]] TrackedNames tracked() const { return {sessions_.size(), rows_in_other_}; }
    /// Whether active() may have changed since the last call of this function.
    [[nodiscard]] bool take_changed();

  private:
    struct State {
        TimePoint first;
        TimePoint last;
        std::int64_t invocations = 0;
        std::int64_t completed = 0;
        std::vector<std::uint32_t> skills;  // sorted; few, and small in memory
        bool active = false;                // listed in active_
        bool queued = false;                // listed in expiring_
    };
    using Sessions = std::unordered_map<std::string, State>;

    /// The session, or `other` where there is no room for it; and whether it is new.
    std::pair<Sessions::iterator, bool> find_or_create(const std::string& id);
    /// Forgets the session that has been silent the longest. False where none is silent.
    bool evict_one();

    std::chrono::microseconds active_for_;
    std::chrono::microseconds kept_for_;
    std::size_t max_listed_;
    std::size_t max_tracked_;
    std::uint64_t rows_in_other_ = 0;
    Sessions sessions_;
    // Entries of sessions_, which stay where they are. What is silent is not looked at until it is to be forgotten.
    std::vector<Sessions::value_type*> active_;
    using Expiring = std::pair<TimePoint, Sessions::value_type*>;
    std::priority_queue<Expiring, std::vector<Expiring>, std::greater<>> expiring_;  // by when they are forgotten
    TimePoint now_{};
    TimePoint next_expiry_ = TimePoint::max();  // of the active ones
    bool changed_ = false;
};

}  // namespace session_buddy::metrics
