// Which frame of a snapshot each subscriber gets, and that equal subscriptions share it.
#include "server/broadcaster.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "protocol/sample_snapshot.hpp"

namespace session_buddy::server {
namespace {

using protocol::Subscription;
using test::skill;
using test::snapshot_of;

struct Recorder final : Subscriber {
    std::vector<Frame> metrics;
    std::vector<Frame> sessions;
    void offer_metrics(const Frame& frame) override { metrics.push_back(frame); }
    void offer_sessions(const Frame& frame) override { sessions.push_back(frame); }
};

std::shared_ptr<Snapshot> with_sessions(std::uint64_t sequence, std::uint64_t version, std::size_t count = 1) {
    auto snapshot = snapshot_of(sequence, {skill("a", 1)});
    snapshot->sessions = std::make_shared<std::vector<SessionMetrics>>(count);
    snapshot->sessions_version = version;
    return snapshot;
}

TEST(Broadcaster, shares_one_frame_among_equal_subscriptions) {
    Broadcaster broadcaster;
    Recorder first;
    Recorder second;
    Recorder other;
    const auto one = broadcaster.subscribe(Subscription({"b", "a"}), first);
    const auto two = broadcaster.subscribe(Subscription({"a", "b", "a"}), second);
    const auto three = broadcaster.subscribe(Subscription({"a"}), other);
    EXPECT_EQ(broadcaster.group_count(), 2U);
    broadcaster.publish(snapshot_of(1, {skill("a", 2), skill("b", 1)}));
    ASSERT_EQ(first.metrics.size(), 1U);
    ASSERT_EQ(second.metrics.size(), 1U);
    EXPECT_EQ(first.metrics[0].get(), second.metrics[0].get());
    EXPECT_NE(first.metrics[0].get(), other.metrics.at(0).get());
    EXPECT_EQ(broadcaster.current_metrics(one).get(), first.metrics[0].get());
}

TEST(Broadcaster, shares_frames_only_if_the_anomaly_options_are_equal) {
    Broadcaster broadcaster;
    Recorder plain;
    Recorder everything;
    Recorder strict;
    Recorder strict_too;
    Recorder explained;
    const auto one = broadcaster.subscribe(Subscription(), plain);
    const auto two = broadcaster.subscribe(Subscription({}, {0.0, false}), everything);
    const auto three = broadcaster.subscribe(Subscription({}, {2.5, false}), strict);
    const auto four = broadcaster.subscribe(Subscription({}, {2.5, false}), strict_too);
    const auto five = broadcaster.subscribe(Subscription({}, {2.5, true}), explained);
    EXPECT_EQ(broadcaster.group_count(), 3U);
    broadcaster.publish(snapshot_of(1, {skill("a", 1)}));
    EXPECT_EQ(plain.metrics.at(0).get(), everything.metrics.at(0).get());
    EXPECT_EQ(strict.metrics.at(0).get(), strict_too.metrics.at(0).get());
    EXPECT_NE(strict.metrics.at(0).get(), plain.metrics.at(0).get());
    EXPECT_NE(strict.metrics.at(0).get(), explained.metrics.at(0).get());
}

TEST(Broadcaster, renders_each_snapshot) {
    Broadcaster broadcaster;
    Recorder client;
    const auto membership = broadcaster.subscribe(Subscription(), client);
    broadcaster.publish(snapshot_of(1, {}));
    broadcaster.publish(snapshot_of(2, {}));
    ASSERT_EQ(client.metrics.size(), 2U);
    EXPECT_NE(client.metrics[0]->text(), client.metrics[1]->text());
}

TEST(Broadcaster, has_no_frames_before_the_first_snapshot) {
    Broadcaster broadcaster;
    Recorder client;
    const auto membership = broadcaster.subscribe(Subscription(), client);
    EXPECT_EQ(broadcaster.latest(), nullptr);
    EXPECT_EQ(broadcaster.current_metrics(membership), nullptr);
    EXPECT_EQ(broadcaster.current_sessions(), nullptr);
}

TEST(Broadcaster, removes_a_subscription_with_its_last_client) {
    Broadcaster broadcaster;
    Recorder client;
    auto membership = broadcaster.subscribe(Subscription({"a"}), client);
    auto moved = std::move(membership);
    EXPECT_EQ(broadcaster.group_count(), 1U);
    moved.reset();
    EXPECT_EQ(broadcaster.group_count(), 0U);
    broadcaster.publish(snapshot_of(1, {}));
    EXPECT_TRUE(client.metrics.empty());
}

TEST(Broadcaster, a_client_can_resubscribe_to_the_same_subscription) {
    Broadcaster broadcaster;
    Recorder client;
    auto membership = broadcaster.subscribe(Subscription({"a"}), client);
    membership.reset();
    membership = broadcaster.subscribe(Subscription({"a"}), client);
    broadcaster.publish(snapshot_of(1, {}));
    EXPECT_EQ(client.metrics.size(), 1U);
}

TEST(Broadcaster, sends_sessions_only_if_they_changed) {
    Broadcaster broadcaster;
    Recorder client;
    const auto membership = broadcaster.subscribe_sessions(client);
    broadcaster.publish(with_sessions(1, 7));
    EXPECT_EQ(client.sessions.size(), 1U);
    broadcaster.publish(with_sessions(2, 7));
    EXPECT_EQ(client.sessions.size(), 1U);
    broadcaster.publish(with_sessions(3, 8, 0));
    EXPECT_EQ(client.sessions.size(), 2U);
    EXPECT_TRUE(client.metrics.empty());
}

TEST(Broadcaster, current_sessions_may_be_empty) {
    Broadcaster broadcaster;
    broadcaster.publish(with_sessions(1, 1, 2));
    for (const std::size_t count : {2U, 0U}) {
        broadcaster.publish(with_sessions(1, count, count));
        const auto frame = broadcaster.current_sessions();
        ASSERT_NE(frame, nullptr);
        EXPECT_EQ(nlohmann::json::parse(frame->text()).at("data").at("active_sessions").size(), count);
    }
}

}  // namespace
}  // namespace session_buddy::server
