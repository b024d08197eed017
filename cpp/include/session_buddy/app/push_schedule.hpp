// When the collector polls the database between two intervals, after the system notified it of a change.
#pragma once

#include <algorithm>
#include <chrono>

namespace session_buddy::app {

/// A change notification starts a series of polls with exponential backoff: the notification of a commit arrives before
/// a reader can see the commit, on a slow disk by as long as the write takes. Notifications within `min_interval` start
/// no new series, so that a busy database costs a bounded number of polls; the polls that are due see those changes.
class PushSchedule {
  public:
    using Clock = std::chrono::steady_clock;
    using Time = Clock::time_point;
    static constexpr Time kNever = Time::max();

    /// `min_interval`: minimum time between a broadcast and the next push.
    explicit PushSchedule(Clock::duration min_interval) : min_interval_(min_interval) {}

    /// When to start listening for notifications; earlier ones may wait.
    [[nodiscard]] Time listen_from() const { return listen_from_; }
    /// When the next poll is due.
    [[nodiscard]] Time next_poll() const { return next_poll_; }

    /// A change notification arrived. Call only after listen_from().
    void on_change(Time now) {
        listen_from_ = now + min_interval_;
        next_poll_ = now;
        pause_ = kFirstPause;
    }

    /// A poll found nothing to push.
    void on_empty_poll(Time now) {
        next_poll_ = pause_ > kMaxPause ? kNever : now + pause_;
        pause_ *= 2;
    }

    /// The database could not be read. It may be in the middle of a replacement, which quick retries would disturb.
    void on_failed_poll(Time now) {
        pause_ = std::max<Clock::duration>(pause_, kPauseAfterFailure);
        on_empty_poll(now);
    }

    /// A broadcast was sent, as a push or not. Changes since then are pushed after min_interval.
    void on_broadcast(Time now) {
        listen_from_ = std::max(listen_from_, now + min_interval_);
        if (next_poll_ != kNever) {
            next_poll_ = std::max(next_poll_, now + min_interval_);
        }
    }

    /// A push was sent. The notifications of changes just before it may be consumed, so a new series of polls starts.
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
