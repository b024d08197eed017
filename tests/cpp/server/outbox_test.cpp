// Order and bounds of the send queue of one client.
#include "server/outbox.hpp"

#include <gtest/gtest.h>

#include <string>

namespace session_buddy::server {
namespace {

constexpr std::size_t kManyBytes = 1U << 20U;

Frame frame(std::string_view text) {
    return std::make_shared<const Message>(text);
}

std::string next(Outbox& outbox) {
    const auto taken = outbox.next();
    return taken ? std::string(taken->text()) : "(nothing)";
}

TEST(Outbox, is_empty_at_first) {
    Outbox outbox(kManyBytes);
    EXPECT_TRUE(outbox.empty());
    EXPECT_EQ(outbox.next(), nullptr);
    EXPECT_TRUE(outbox.accepts_requests());
}

TEST(Outbox, keeps_the_newest_broadcast_of_each_kind) {
    Outbox outbox(kManyBytes);
    for (int i = 1; i <= 1000; ++i) {
        outbox.offer_metrics(frame("metrics" + std::to_string(i)));
        outbox.offer_sessions(frame("sessions" + std::to_string(i)));
    }
    EXPECT_EQ(next(outbox), "metrics1000");
    EXPECT_EQ(next(outbox), "sessions1000");
    EXPECT_EQ(next(outbox), "(nothing)");
}

TEST(Outbox, sends_a_broadcast_after_the_replies_queued_before_it) {
    Outbox outbox(kManyBytes);
    outbox.push_reply(frame("a"));
    outbox.push_reply(frame("b"));
    outbox.offer_metrics(frame("metrics"));
    outbox.push_reply(frame("c"));
    EXPECT_EQ(next(outbox), "a");
    EXPECT_EQ(next(outbox), "b");
    EXPECT_EQ(next(outbox), "metrics");
    EXPECT_EQ(next(outbox), "c");
}

TEST(Outbox, keeps_the_position_of_a_broadcast_that_is_replaced) {
    Outbox outbox(kManyBytes);
    outbox.push_reply(frame("a"));
    EXPECT_FALSE(outbox.offer_metrics(frame("old")));
    outbox.push_reply(frame("b"));
    EXPECT_TRUE(outbox.offer_metrics(frame("new")));
    EXPECT_EQ(next(outbox), "a");
    EXPECT_EQ(next(outbox), "new");
    EXPECT_EQ(next(outbox), "b");
    EXPECT_FALSE(outbox.offer_metrics(frame("newer")));
    EXPECT_EQ(next(outbox), "newer");
}

TEST(Outbox, drops_only_the_metrics) {
    Outbox outbox(kManyBytes);
    outbox.push_reply(frame("a"));
    outbox.offer_metrics(frame("metrics"));
    outbox.offer_sessions(frame("sessions"));
    outbox.drop_metrics();
    EXPECT_EQ(next(outbox), "a");
    EXPECT_EQ(next(outbox), "sessions");
    EXPECT_TRUE(outbox.empty());
}

TEST(Outbox, accepts_no_requests_while_too_many_replies_are_queued) {
    Outbox outbox(kManyBytes);
    for (std::size_t i = 0; i < kMaxPendingReplies; ++i) {
        EXPECT_TRUE(outbox.accepts_requests());
        outbox.push_reply(frame(std::to_string(i)));
    }
    EXPECT_FALSE(outbox.accepts_requests());
    EXPECT_EQ(next(outbox), "0");
    EXPECT_TRUE(outbox.accepts_requests());
}

}  // namespace
}  // namespace session_buddy::server
