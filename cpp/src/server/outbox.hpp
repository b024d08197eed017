// Send queue of one client: replies in order, and only the newest broadcast of each kind (conflation).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>

#include "message.hpp"

namespace session_buddy::server {

/// Backpressure: with this many replies queued the server stops reading from the client. A request makes at most two
/// replies, so one more than this may be queued.
inline constexpr std::size_t kMaxPendingReplies = 32;

/// Bounded by kMaxPendingReplies, `max_bytes` and one frame per kind of broadcast; the reply to the last request may
/// exceed the bound. A broadcast is sent after the replies that were queued before it, and a newer one replaces it at
/// the same position. Nearly always empty, and then without heap memory.
class Outbox {
  public:
    /// `max_bytes`: limit of queued replies.
    explicit Outbox(std::size_t max_bytes) : max_bytes_(max_bytes) {}

    void push_reply(Frame frame);
    /// Both return true if they replaced an older frame that was still queued.
    bool offer_metrics(Frame frame);
    bool offer_sessions(Frame frame);
    /// Drops the queued metrics update, because the subscription has changed.
    void drop_metrics() noexcept;

    /// False while requests of this client must not be read (backpressure).
    [[nodiscard]] bool accepts_requests() const {
        return !queue_ || (queue_->replies.size() < kMaxPendingReplies && queue_->reply_bytes < max_bytes_);
    }
    [[nodiscard]] bool empty() const { return !queue_; }
    /// Removes and returns the frame to send next; nullptr if the outbox is empty.
    [[nodiscard]] Frame next();

  private:
    struct Slot {
        Frame frame;
        std::uint64_t after_replies = 0;  // sent once this many replies were sent
    };
    struct Queue {
        std::deque<Frame> replies;
        std::size_t reply_bytes = 0;     // bytes of `replies`
        std::uint64_t replies_sent = 0;  // since the queue was created
        Slot metrics;
        Slot sessions;

        [[nodiscard]] bool empty() const { return replies.empty() && !metrics.frame && !sessions.frame; }
        [[nodiscard]] Frame pop();
    };
    [[nodiscard]] Queue& queue();
    bool offer(Slot Queue::*slot, Frame frame);

    std::size_t max_bytes_;
    std::unique_ptr<Queue> queue_;  // nullptr while empty
};

}  // namespace session_buddy::server
