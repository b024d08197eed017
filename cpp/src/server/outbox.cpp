// See outbox.hpp.
#include "outbox.hpp"

#include <utility>

namespace session_buddy::server {

void Outbox::push_reply(Frame frame) {
    reply_bytes_ += frame->size();
    replies_.push_back(std::move(frame));
}

void Outbox::offer_metrics(Frame frame) {
    offer(metrics_, std::move(frame));
}

void Outbox::offer_sessions(Frame frame) {
    offer(sessions_, std::move(frame));
}

void Outbox::drop_metrics() noexcept {
    metrics_.frame.reset();
}

Frame Outbox::next() {
    if (due(metrics_)) {
        return std::exchange(metrics_.frame, nullptr);
    }
    if (due(sessions_)) {
        return std::exchange(sessions_.frame, nullptr);
    }
    if (replies_.empty()) {
        return nullptr;
    }
    Frame frame = std::move(replies_.front());
    replies_.pop_front();
    reply_bytes_ -= frame->size();
    ++replies_sent_;
    return frame;
}

void Outbox::offer(Slot& slot, Frame frame) {
    if (!slot.frame) {
        slot.turn = replies_sent_ + replies_.size();
    }
    slot.frame = std::move(frame);
}

}  // namespace session_buddy::server
