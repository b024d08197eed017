// When the collector looks into the database between two intervals, because the system told of a change.
#pragma once

#include <algorithm>
#include <chrono>

namespace session_buddy::app {

/// After a sign of a change come several looks at growing distances: the sign of a commit comes before a reader can see
/// it, on a slow disk by as much as a write takes to get there. Further signs within `min_interval` start nothing new,
/// so that a busy database costs a bounded number of looks, and what they stand for is seen by the looks that are due.
class PushSchedule {
  public:
    using Clock = std::chrono::steady_clock;
    using Time = Clock::time_point;
    static constexpr Time kNever = Time::max();

    /// `min_interval`: between a broadcast and the next push.
    explicit PushSchedule(Clock::duration min_interval) : min_interval_(min_interval) {}

    /// From when on signs are wanted; earlier ones may wait.
    [[nodiscard]] Time listen_from() const { return listen_from_; }
    /// When the next look is due.
    [[nodiscard]] Time next_poll() const { return next_poll_; }

    /// There was a sign. Call only after listen_from().
    void on_change(Time now) {
        listen_from_ = now + min_interval_;
        next_poll_ = now;
        pause_ = kFirstPause;
    }

    /// A look found nothing to push.
    void on_empty_poll(Time now) {
        next_poll_ = pause_ > kMaxPause ? kNever : now + pause_;
        pause_ *= 2;
    }

    /// The database could not be read. It may be just being replaced, which must not be disturbed by a quick look.
    void on_failed_poll(Time now) {
        pause_ = std::max<Clock::duration>(pause_, kPauseAfterFailure);
        on_empty_poll(now);
    }

    /// There was a broadcast, be it a push or not. What was written meanwhile is pushed after min_interval.
    void on_broadcast(Time now) {
        listen_from_ = std::max(listen_from_, now + min_interval_);
        if (next_poll_ != kNever) {
            next_poll_ = std::max(next_poll_, now + min_interval_);
        }
    }

    /// The same for one that was a push: signs of what was written before it may have been used up.
    void on_push(Time now) {
        on_change(now);
        on_broadcast(now);
    }

  private:
    static constexpr std::chrono::milliseconds kFirstPause{1};
    static constexpr std::chrono::milliseconds kMaxPause{512};
    static constexpr std::chrono::milliseconds kPauseAfterFailure{128};

    Clock::duration min_interval_;
    Time listen_from_ = Time::min();
    Time next_poll_ = kNever;
    Clock::duration pause_ = kFirstPause;
};

}  // namespace session_buddy::app
