// Which sessions are active now, and what they did.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/snapshot.hpp"

namespace session_buddy::metrics {

class SessionActivity {
  public:
    /// A session is active for `active_for` after its last invocation, and its figures are kept for `kept_for`, so that
    /// one that goes on after a pause keeps them. At most `max_listed` are listed, the most recently active ones.
    SessionActivity(std::chrono::microseconds active_for, std::chrono::microseconds kept_for, std::size_t max_listed);

    /// `at` is the time it counts for (not in the future), `skill` a number that stands for the skill's name.
    void add(const Invocation& invocation, std::uint32_t skill, TimePoint at, TimePoint now);
    void advance(TimePoint now);

    /// The active sessions, the last active first, then by id. Only valid after advance().
    [[nodiscard]] std::vector<SessionFigures> active() const;
    /// Whether active() may have changed since the last call of this function.
    [[nodiscard]] bool take_changed();

  private:
    struct State {
        TimePoint first;
        TimePoint last;
        std::int64_t invocations = 0;
        std::int64_t completed = 0;
        std::unordered_set<std::uint32_t> skills;
    };

    std::chrono::microseconds active_for_;
    std::chrono::microseconds kept_for_;
    std::size_t max_listed_;
    std::unordered_map<std::string, State> sessions_;
    TimePoint now_{};
    TimePoint next_expiry_ = TimePoint::max();
    bool changed_ = false;
};

}  // namespace session_buddy::metrics
