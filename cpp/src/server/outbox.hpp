// What waits to be sent to one client: the answers to its requests in order, and of each kind of broadcast the newest
// alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>

#include "message.hpp"

namespace session_buddy::server {

/// A client with this many answers waiting is not read from until it has taken some. One request makes two at most, so
/// this many and one more can be there.
inline constexpr std::size_t kMaxPendingReplies = 32;

/// Bounded by kMaxPendingReplies, `max_bytes` and one frame a broadcast kind: the answer to the request that came last
/// may go beyond. A broadcast never overtakes an answer that was there
/// before it, and keeps its turn when a newer one takes its place. Nearly always empty, and then without
/// memory.
class Outbox {
  public:
    /// `max_bytes`: of answers.
    explicit Outbox(std::size_t max_bytes) : max_bytes_(max_bytes) {}

    void push_reply(Frame frame);
    /// True where it took the place of one that waited.
    bool offer_metrics(Frame frame);
    bool offer_sessions(Frame frame);
    /// Forgets the broadcast that waits; what it was made for is no longer wanted.
    void drop_metrics() noexcept;

    /// False while no more requests may be taken from this client.
    [[nodiscard]] bool accepts_requests() const {
        return !queue_ || (queue_->replies.size() < kMaxPendingReplies && queue_->reply_bytes < max_bytes_);
    }
    [[nodiscard]] bool empty() const { return !queue_; }
    /// The frame to send next, taken out; nullptr where nothing waits.
    [[nodiscard]] Frame next();

  private:
    struct Slot {
        Frame frame;
        std::uint64_t after_replies = 0;  // replies that go first, counted from the beginning
    };
    struct Queue {
        std::deque<Frame> replies;
        std::size_t reply_bytes = 0;     // of replies
        std::uint64_t replies_sent = 0;  // since something has been waiting
        Slot metrics;
        Slot sessions;

        [[nodiscard]] bool empty() const { return replies.empty() && !metrics.frame && !sessions.frame; }
        [[nodiscard]] Frame pop();
    };
    [[nodiscard]] Queue& queue();
    bool offer(Slot Queue::*slot, Frame frame);

    std::size_t max_bytes_;
    std::unique_ptr<Queue> queue_;  // nullptr while nothing waits
};

}  // namespace session_buddy::server
