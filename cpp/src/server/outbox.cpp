// Orders replies and broadcasts: a broadcast is sent after the replies that were queued before it.
#include "outbox.hpp"

#include <utility>

namespace session_buddy::server {

void Outbox::push_reply(Frame frame) {
    auto& queued = queue();
    queued.reply_bytes += frame->frame().size();
    queued.replies.push_back(std::move(frame));
}

bool Outbox::offer_metrics(Frame frame) {
    return offer(&Queue::metrics, std::move(frame));
}

bool Outbox::offer_sessions(Frame frame) {
    return offer(&Queue::sessions, std::move(frame));
}

void Outbox::drop_metrics() noexcept {
    if (queue_) {
        queue_->metrics.frame.reset();
        if (queue_->empty()) {
            queue_.reset();
        }
    }
}

Frame Outbox::next() {
    if (!queue_) {
        return nullptr;
    }
    Frame frame = queue_->pop();
    if (queue_->empty()) {
        queue_.reset();
    }
    return frame;
}

Frame Outbox::Queue::pop() {
    for (Slot* slot : {&metrics, &sessions}) {
        if (slot->frame && slot->after_replies <= replies_sent) {
            return std::exchange(slot->frame, nullptr);
        }
    }
    Frame frame = std::move(replies.front());
    replies.pop_front();
    reply_bytes -= frame->frame().size();
    ++replies_sent;
    return frame;
}

Outbox::Queue& Outbox::queue() {
    if (!queue_) {
        queue_ = std::make_unique<Queue>();
    }
    return *queue_;
}

bool Outbox::offer(Slot Queue::*slot, Frame frame) {
    auto& queued = queue();
    Slot& target = queued.*slot;
    const bool replaces = target.frame != nullptr;
    if (!replaces) {
        target.after_replies = queued.replies_sent + queued.replies.size();
    }
    target.frame = std::move(frame);
    return replaces;
}

}  // namespace session_buddy::server
