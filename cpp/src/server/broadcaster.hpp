// Publish/subscribe: groups clients by subscription, renders each distinct subscription once per snapshot, and shares
// the bytes among its clients.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "outbox.hpp"
#include "registry.hpp"
#include "session_buddy/core/counter.hpp"
#include "session_buddy/core/snapshot.hpp"
#include "session_buddy/protocol/subscription.hpp"
#include "session_buddy/protocol/updates.hpp"

namespace session_buddy::server {

class Subscriber;

/// Used by the network thread only. Must outlive every Membership.
class Broadcaster {
    // All clients with the same subscription.
    struct Group {
        std::string key;
        protocol::Subscription subscription;
        std::size_t subscribers = 0;
        Frame frame;  // of snapshot number `rendered`
        std::uint64_t rendered = 0;
    };
    friend class Subscriber;

  public:
    /// One client's membership in a subscription; ends when this is destroyed.
    class Membership {
      public:
        Membership() = default;
        ~Membership() { reset(); }
        Membership(Membership&& other) noexcept;
        Membership& operator=(Membership&& other) noexcept;

        void reset() noexcept;
        explicit operator bool() const noexcept { return group_ != nullptr; }

      private:
        friend class Broadcaster;
        Membership(Broadcaster& owner, Group& group, Subscriber& subscriber);

        Broadcaster* owner_ = nullptr;
        Group* group_ = nullptr;
        Registry<Subscriber>::Handle handle_;
    };
    using SessionsMembership = Registry<Subscriber>::Handle;

    /// A subscriber has one membership at a time: the old one must be reset first.
    [[nodiscard]] Membership subscribe(const protocol::Subscription& subscription, Subscriber& subscriber);
    [[nodiscard]] SessionsMembership subscribe_sessions(Subscriber& subscriber) { return sessions_.add(subscriber); }

    /// Offers the new snapshot to every metrics subscriber, and to sessions subscribers if the sessions changed.
    void publish(SnapshotPtr snapshot);

    /// nullptr before the first publish.
    [[nodiscard]] const SnapshotPtr& latest() const { return latest_; }
    /// The current update for this membership; nullptr before the first publish.
    [[nodiscard]] Frame current_metrics(const Membership& membership);
    /// The active sessions, possibly none; nullptr before the first publish.
    [[nodiscard]] Frame current_sessions();

    /// Counts an update that was replaced by a newer one while it waited for a slow client.
    void count_replaced() noexcept { replaced_.add(); }
    /// Updates replaced so far. Thread-safe.
    [[nodiscard]] std::uint64_t replaced() const noexcept { return replaced_.value(); }

    /// Number of distinct subscriptions.
    [[nodiscard]] std::size_t group_count() const { return groups_.size(); }

  private:
    const Frame& current_frame(Group& group);
    const Frame& sessions_frame();

    std::unordered_map<std::string, std::unique_ptr<Group>> groups_;  // by Subscription::key()
    Registry<Subscriber> subscribers_;
    Registry<Subscriber> sessions_;
    SnapshotPtr latest_;
    std::uint64_t snapshot_count_ = 0;  // number of the latest snapshot; a group whose `rendered` differs is stale
    std::optional<protocol::MetricsRenderer> renderer_;
    Frame sessions_frame_;  // of `latest_`, rendered on first use
    Counter replaced_;
};

/// Receives updates. Neither call may join or leave a subscription.
class Subscriber {
  public:
    virtual ~Subscriber() = default;
    virtual void offer_metrics(const Frame& frame) = 0;
    virtual void offer_sessions(const Frame& frame) = 0;

  private:
    friend class Broadcaster;
    Broadcaster::Group* group_ = nullptr;  // nullptr without a membership
};

}  // namespace session_buddy::server
