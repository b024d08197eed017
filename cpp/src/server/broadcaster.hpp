// Who listens to what. Each distinct subscription is rendered once a snapshot and its bytes are shared by all its
// clients.
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

/// For the network thread alone. Must outlive every Membership.
class Broadcaster {
    // All who have the same subscription.
    struct Group {
        std::string key;
        protocol::Subscription subscription;
        std::size_t subscribers = 0;
        Frame frame;  // of the snapshot with number `rendered`
        std::uint64_t rendered = 0;
    };
    friend class Subscriber;

  public:
    /// One client's place in one subscription; it leaves when this goes.
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

    /// A subscriber has one membership at a time: its old one must be reset before.
    [[nodiscard]] Membership subscribe(const protocol::Subscription& subscription, Subscriber& subscriber);
    [[nodiscard]] SessionsMembership subscribe_sessions(Subscriber& subscriber) { return sessions_.add(subscriber); }

    /// Offers the new snapshot to every subscriber of metrics, and to those of sessions where these have changed.
    void publish(SnapshotPtr snapshot);

    /// nullptr before the first publish.
    [[nodiscard]] const SnapshotPtr& latest() const { return latest_; }
    /// The update that a client of this membership would get now; nullptr before the first publish.
    [[nodiscard]] Frame current_metrics(const Membership& membership);
    /// The active sessions of now, also where there are none; nullptr before the first publish.
    [[nodiscard]] Frame current_sessions();

    /// An update that waited for a slow client was replaced by a newer one.
    void count_replaced() noexcept { replaced_.add(); }
    /// How many were; any thread may ask.
    [[nodiscard]] std::uint64_t replaced() const noexcept { return replaced_.value(); }

    /// Distinct subscriptions at present.
    [[nodiscard]] std::size_t group_count() const { return groups_.size(); }

  private:
    const Frame& current_frame(Group& group);
    const Frame& sessions_frame();

    std::unordered_map<std::string, std::unique_ptr<Group>> groups_;  // by Subscription::key()
    Registry<Subscriber> subscribers_;
    Registry<Subscriber> sessions_;
    SnapshotPtr latest_;
    std::uint64_t snapshot_count_ =
        0;  // counts the snapshots, so that a group can tell whether its frame is of the latest
    std::optional<protocol::MetricsRenderer> renderer_;
    Frame sessions_frame_;  // of `latest_`, rendered when first needed
    Counter replaced_;
};

/// A client as the broadcaster sees it. Neither call may join or leave a subscription.
class Subscriber {
  public:
    virtual ~Subscriber() = default;
    virtual void offer_metrics(const Frame& frame) = 0;
    virtual void offer_sessions(const Frame& frame) = 0;

  private:
    friend class Broadcaster;
    Broadcaster::Group* group_ = nullptr;  // while it has a membership
};

}  // namespace session_buddy::server
