// When a push may look into the database and when it must, in made-up time.
#include "session_buddy/app/push_schedule.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <vector>

namespace session_buddy::app {
namespace {

using std::chrono::milliseconds;
using Time = PushSchedule::Time;

const Time kStart{std::chrono::hours{5}};
constexpr milliseconds kMinInterval{50};

/// The looks of a schedule that finds nothing, in milliseconds after kStart.
std::vector<long> looks_without_finding(PushSchedule& schedule) {
    std::vector<long> looks;
    while (schedule.next_poll() != PushSchedule::kNever && looks.size() < 100) {
        looks.push_back(std::chrono::duration_cast<milliseconds>(schedule.next_poll() - kStart).count());
        schedule.on_empty_poll(schedule.next_poll());
    }
    return looks;
}

TEST(PushSchedule, never_looks_by_itself) {
    PushSchedule schedule(kMinInterval);
    EXPECT_EQ(schedule.next_poll(), PushSchedule::kNever);
    EXPECT_LE(schedule.listen_from(), kStart);
    schedule.on_broadcast(kStart);
    EXPECT_EQ(schedule.next_poll(), PushSchedule::kNever) << "an idle server polls nothing";
}

TEST(PushSchedule, looks_again_for_a_while_after_a_sign_as_a_commit_is_told_before_it_can_be_seen) {
    PushSchedule schedule(kMinInterval);
    schedule.on_change(kStart);
    EXPECT_THAT(looks_without_finding(schedule), testing::ElementsAre(0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 1023));
}

TEST(PushSchedule, starts_anew_for_each_sign_but_no_more_often_than_allowed) {
    PushSchedule schedule(kMinInterval);
    schedule.on_change(kStart);
    EXPECT_EQ(schedule.listen_from(), kStart + kMinInterval);
    schedule.on_empty_poll(kStart);
    schedule.on_empty_poll(kStart + milliseconds{1});
    schedule.on_change(kStart + milliseconds{60});
    EXPECT_EQ(schedule.next_poll(), kStart + milliseconds{60});
    schedule.on_empty_poll(kStart + milliseconds{60});
    EXPECT_EQ(schedule.next_poll(), kStart + milliseconds{61});
}

TEST(PushSchedule, waits_after_a_push_and_then_looks_for_what_came_meanwhile) {
    PushSchedule schedule(kMinInterval);
    schedule.on_change(kStart);
    schedule.on_push(kStart);
    EXPECT_EQ(schedule.listen_from(), kStart + kMinInterval);
    EXPECT_EQ(schedule.next_poll(), kStart + kMinInterval) << "signs of before the push may have been used up";
    EXPECT_THAT(looks_without_finding(schedule), testing::SizeIs(11));
}

TEST(PushSchedule, puts_off_a_push_after_a_regular_broadcast) {
    PushSchedule schedule(kMinInterval);
    schedule.on_change(kStart);
    schedule.on_broadcast(kStart + milliseconds{1});
    EXPECT_EQ(schedule.next_poll(), kStart + milliseconds{51});
    EXPECT_EQ(schedule.listen_from(), kStart + milliseconds{51});
}

TEST(PushSchedule, leaves_a_database_in_trouble_some_time) {
    PushSchedule schedule(kMinInterval);
    schedule.on_change(kStart);
    schedule.on_failed_poll(kStart);
    EXPECT_EQ(schedule.next_poll(), kStart + milliseconds{128});
    schedule.on_failed_poll(kStart + milliseconds{128});
    EXPECT_EQ(schedule.next_poll(), kStart + milliseconds{384});
}

}  // namespace
}  // namespace session_buddy::app
