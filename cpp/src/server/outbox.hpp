// What waits to be sent to one client: the answers to its requests in order, and of each kind of broadcast the newest
// alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

namespace session_buddy::server {

/// The text of one message. Clients of the same subscription share it.
using Frame = std::shared_ptr<const std::string>;

/// A client with this many answers waiting is not read from until it has taken some. One request makes two at most, so
/// this many and one more can be there.
inline constexpr std::size_t kMaxPendingReplies = 32;

/// Bounded by kMaxPendingReplies, `max_bytes` and one frame a broadcast kind: the answer to the request that came last
/// may go beyond. A broadcast never overtakes an answer that was there
/// before it, and keeps its turn when a newer one takes its place.
class Outbox {
  public:
    /// `max_bytes`: of answers.
    explicit Outbox(std::size_t max_bytes) : max_bytes_(max_bytes) {}

    void push_reply(Frame frame);
    void offer_metrics(Frame frame);
    void offer_sessions(Frame frame);
    /// Forgets the broadcast that waits; what it was made for is no longer wanted.
    void drop_metrics() noexcept;

    /// False while no more requests may be taken from this client.
    [[nodiscard]] bool accepts_requests() const {
        return replies_.size() < kMaxPendingReplies && reply_bytes_ < max_bytes_;
    }
    [[nodiscard]] bool empty() const { return replies_.empty() && !metrics_.frame && !sessions_.frame; }
    /// The frame to send next, taken out; nullptr where nothing waits.
    [[nodiscard]] Frame next();

  private:
    struct Slot {
        Frame frame;
        std::uint64_t turn = 0;  // replies that go first, counted from the beginning
    };
    void offer(Slot& slot, Frame frame);
    [[nodiscard]] bool due(const Slot& slot) const { return slot.frame && slot.turn <= replies_sent_; }

    std::size_t max_bytes_;
    std::deque<Frame> replies_;
    std::size_t reply_bytes_ = 0;  // of replies_
    std::uint64_t replies_sent_ = 0;
    Slot metrics_;
    Slot sessions_;
};

}  // namespace session_buddy::server
