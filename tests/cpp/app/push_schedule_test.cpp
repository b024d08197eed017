// When push mode may and must poll the database, with simulated time.
#include "session_buddy/app/push_schedule.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <vector>

namespace session_buddy::app {
namespace {

using std::chrono::milliseconds;
using Time = PushSchedule::Time;

const Time kFirstUpdate{std::chrono::hours{5}};
constexpr milliseconds kMinInterval{50};

/// The times of a series of empty polls, in milliseconds after kFirstUpdate.
std::vector<long> empty_polls(PushSchedule& schedule) {
    std::vector<long> polls;
    while (schedule.next_poll() != PushSchedule::kNever && polls.size() < 100) {
        polls.push_back(std::chrono::duration_cast<milliseconds>(schedule.next_poll() - kFirstUpdate).count());
        schedule.on_empty_poll(schedule.next_poll());
    }
    return polls;
}

TEST(PushSchedule, never_polls_without_a_notification) {
    PushSchedule schedule(kMinInterval);
    EXPECT_EQ(schedule.next_poll(), PushSchedule::kNever);
    EXPECT_LE(schedule.listen_from(), kFirstUpdate);
    schedule.on_broadcast(kFirstUpdate);
    EXPECT_EQ(schedule.next_poll(), PushSchedule::kNever) << "an idle server polls nothing";
}

TEST(PushSchedule, polls_with_backoff_because_a_notification_precedes_the_visible_commit) {
    PushSchedule schedule(kMinInterval);
    schedule.on_change(kFirstUpdate);
    EXPECT_THAT(empty_polls(schedule), testing::ElementsAre(0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 1023));
}

TEST(PushSchedule, restarts_for_each_notification_but_no_more_often_than_allowed) {
    PushSchedule schedule(kMinInterval);
    schedule.on_change(kFirstUpdate);
    EXPECT_EQ(schedule.listen_from(), kFirstUpdate + kMinInterval);
    schedule.on_empty_poll(kFirstUpdate);
    schedule.on_empty_poll(kFirstUpdate + milliseconds{1});
    schedule.on_change(kFirstUpdate + milliseconds{60});
    EXPECT_EQ(schedule.next_poll(), kFirstUpdate + milliseconds{60});
    schedule.on_empty_poll(kFirstUpdate + milliseconds{60});
    EXPECT_EQ(schedule.next_poll(), kFirstUpdate + milliseconds{61});
}

TEST(PushSchedule, waits_after_a_push_and_then_polls_for_later_changes) {
    PushSchedule schedule(kMinInterval);
    schedule.on_change(kFirstUpdate);
    schedule.on_push(kFirstUpdate);
    EXPECT_EQ(schedule.listen_from(), kFirstUpdate + kMinInterval);
    EXPECT_EQ(schedule.next_poll(), kFirstUpdate + kMinInterval)
        << "notifications of changes before the push may be consumed";
    EXPECT_THAT(empty_polls(schedule), testing::SizeIs(11));
}

TEST(PushSchedule, delays_a_push_after_a_regular_broadcast) {
    PushSchedule schedule(kMinInterval);
    schedule.on_change(kFirstUpdate);
    schedule.on_broadcast(kFirstUpdate + milliseconds{1});
    EXPECT_EQ(schedule.next_poll(), kFirstUpdate + milliseconds{51});
    EXPECT_EQ(schedule.listen_from(), kFirstUpdate + milliseconds{51});
}

TEST(PushSchedule, backs_off_when_the_database_fails) {
    PushSchedule schedule(kMinInterval);
    schedule.on_change(kFirstUpdate);
    schedule.on_failed_poll(kFirstUpdate);
    EXPECT_EQ(schedule.next_poll(), kFirstUpdate + milliseconds{128});
    schedule.on_failed_poll(kFirstUpdate + milliseconds{128});
    EXPECT_EQ(schedule.next_poll(), kFirstUpdate + milliseconds{384});
}

}  // namespace
}  // namespace session_buddy::app
