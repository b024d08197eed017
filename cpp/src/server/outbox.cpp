// See outbox.hpp.
#include "outbox.hpp"

#include <utility>

namespace session_buddy::server {

void Outbox::push_reply(Frame frame) {
    auto& all = waiting();
    all.reply_bytes += frame->frame().size();
    all.replies.push_back(std::move(frame));
}

bool Outbox::offer_metrics(Frame frame) {
    return offer(&Waiting::metrics, std::move(frame));
}

bool Outbox::offer_sessions(Frame frame) {
    return offer(&Waiting::sessions, std::move(frame));
}

void Outbox::drop_metrics() noexcept {
    if (waiting_) {
        waiting_->metrics.frame.reset();
        if (waiting_->empty()) {
            waiting_.reset();
        }
    }
}

Frame Outbox::next() {
    if (!waiting_) {
        return nullptr;
    }
    Frame frame = waiting_->take();
    if (waiting_->empty()) {
        waiting_.reset();
    }
    return frame;
}

Frame Outbox::Waiting::take() {
    for (Slot* slot : {&metrics, &sessions}) {
        if (slot->frame && slot->turn <= replies_sent) {
            return std::exchange(slot->frame, nullptr);
        }
    }
    Frame frame = std::move(replies.front());
    replies.pop_front();
    reply_bytes -= frame->frame().size();
    ++replies_sent;
    return frame;
}

Outbox::Waiting& Outbox::waiting() {
    if (!waiting_) {
        waiting_ = std::make_unique<Waiting>();
    }
    return *waiting_;
}

bool Outbox::offer(Slot Waiting::*slot, Frame frame) {
    auto& all = waiting();
    Slot& its = all.*slot;
    const bool replaces = its.frame != nullptr;
    if (!replaces) {
        its.turn = all.replies_sent + all.replies.size();
    }
    its.frame = std::move(frame);
    return replaces;
}

}  // namespace session_buddy::server
