// Due ids are returned once, the earliest first.
#include "session_buddy/core/schedule.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "support/manual_clock.hpp"

namespace session_buddy {
namespace {

using namespace std::chrono_literals;

using test::kStart;

std::vector<std::uint32_t> pop_all(Schedule& schedule, TimePoint now) {
    std::vector<std::uint32_t> numbers;
    while (const auto number = schedule.pop_due(now)) {
        numbers.push_back(*number);
    }
    return numbers;
}

TEST(Schedule, pops_due_ids_once_and_the_earliest_first) {
    Schedule schedule;
    schedule.schedule(0, kStart + 3s);
    schedule.schedule(1, kStart + 1s);
    schedule.schedule(2, kStart + 2s);
    EXPECT_EQ(pop_all(schedule, kStart + 1s - 1us), (std::vector<std::uint32_t>{}));
    EXPECT_EQ(pop_all(schedule, kStart + 2s), (std::vector<std::uint32_t>{1, 2}));
    EXPECT_EQ(pop_all(schedule, kStart + 9s), (std::vector<std::uint32_t>{0}));
    EXPECT_EQ(pop_all(schedule, TimePoint::max()), (std::vector<std::uint32_t>{}));
}

TEST(Schedule, uses_the_earliest_scheduled_time) {
    Schedule schedule;
    schedule.schedule(0, kStart + 2s);
    schedule.schedule(0, kStart + 1s);
    schedule.schedule(0, kStart + 3s);
    EXPECT_EQ(pop_all(schedule, kStart + 1s), (std::vector<std::uint32_t>{0}));
    EXPECT_EQ(pop_all(schedule, kStart + 9s), (std::vector<std::uint32_t>{})) << "not scheduled again by itself";
}

TEST(Schedule, uses_the_new_time_of_a_rescheduled_id) {
    Schedule schedule;
    schedule.schedule(0, kStart + 2s);
    schedule.schedule(0, kStart + 1s);
    ASSERT_TRUE(schedule.pop_due(kStart + 1s));
    schedule.schedule(0, kStart + 3s);
    EXPECT_FALSE(schedule.pop_due(kStart + 2s)) << "the first time is void";
    EXPECT_TRUE(schedule.pop_due(kStart + 3s));
}

TEST(Schedule, ignores_the_maximum_time) {
    Schedule schedule;
    schedule.schedule(7, TimePoint::max());
    EXPECT_FALSE(schedule.pop_due(TimePoint::max()));
}

}  // namespace
}  // namespace session_buddy
