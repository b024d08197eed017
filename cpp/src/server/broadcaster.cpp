// Renders each group of subscribers once per snapshot and offers the frame to its members.
#include "broadcaster.hpp"

#include <utility>

namespace session_buddy::server {

Broadcaster::Membership::Membership(Broadcaster& owner, Group& group, Subscriber& subscriber)
    : owner_(&owner), group_(&group), handle_(owner.subscribers_.add(subscriber)) {
    ++group.subscribers;
    subscriber.group_ = &group;
}

Broadcaster::Membership::Membership(Membership&& other) noexcept
    : owner_(std::exchange(other.owner_, nullptr)),
      group_(std::exchange(other.group_, nullptr)),
      handle_(std::move(other.handle_)) {}

Broadcaster::Membership& Broadcaster::Membership::operator=(Membership&& other) noexcept {
    if (this != &other) {
        reset();
        owner_ = std::exchange(other.owner_, nullptr);
        group_ = std::exchange(other.group_, nullptr);
        handle_ = std::move(other.handle_);
    }
    return *this;
}

void Broadcaster::Membership::reset() noexcept {
    if (group_ == nullptr) {
        return;
    }
    handle_.reset();
    if (--group_->subscribers == 0) {
        owner_->groups_.erase(
            owner_->groups_.find(group_->key));  // by iterator: `key` lives in the group that is erased
    }
    group_ = nullptr;
    owner_ = nullptr;
}

Broadcaster::Membership Broadcaster::subscribe(const protocol::Subscription& subscription, Subscriber& subscriber) {
    auto& group = groups_[subscription.key()];
    if (!group) {
        group = std::make_unique<Group>();
        group->key = subscription.key();
        group->subscription = subscription;
    }
    return {*this, *group, subscriber};
}

void Broadcaster::publish(SnapshotPtr snapshot) {
    const bool sessions_changed = !latest_ || latest_->sessions_version != snapshot->sessions_version;
    latest_ = std::move(snapshot);
    ++snapshot_count_;
    renderer_.emplace(latest_);
    sessions_frame_.reset();
    for (const auto& [key, group] : groups_) {
        current_frame(*group);
    }
    // In the order of connection, not by group: this is the order in memory, of our objects and of the kernel's.
    subscribers_.for_each([](Subscriber& subscriber) { subscriber.offer_metrics(subscriber.group_->frame); });
    if (sessions_changed && !sessions_.empty()) {
        const Frame& frame = sessions_frame();
        sessions_.for_each([&frame](Subscriber& subscriber) { subscriber.offer_sessions(frame); });
    }
}

Frame Broadcaster::current_metrics(const Membership& membership) {
    return latest_ && membership ? current_frame(*membership.group_) : nullptr;
}

Frame Broadcaster::current_sessions() {
    return latest_ ? sessions_frame() : nullptr;
}

const Frame& Broadcaster::current_frame(Group& group) {
    if (group.rendered != snapshot_count_) {
        group.frame = std::make_shared<const Message>(renderer_->render(group.subscription));
        group.rendered = snapshot_count_;
    }
    return group.frame;
}

const Frame& Broadcaster::sessions_frame() {
    if (!sessions_frame_) {
        sessions_frame_ = std::make_shared<const Message>(protocol::session_update(*latest_));
    }
    return sessions_frame_;
}

}  // namespace session_buddy::server
