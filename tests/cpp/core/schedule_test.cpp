// What is due comes up once, the earliest first.
#include "session_buddy/core/schedule.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace session_buddy {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart{std::chrono::sys_days{std::chrono::year{2026} / 2 / 10}};

std::vector<std::uint32_t> take_all(Schedule& schedule, TimePoint now) {
    std::vector<std::uint32_t> numbers;
    while (const auto number = schedule.pop_due(now)) {
        numbers.push_back(*number);
    }
    return numbers;
}

TEST(Schedule, gives_out_what_is_due_the_earliest_first_and_once) {
    Schedule schedule;
    schedule.schedule(0, kStart + 3s);
    schedule.schedule(1, kStart + 1s);
    schedule.schedule(2, kStart + 2s);
    EXPECT_EQ(take_all(schedule, kStart + 1s - 1us), (std::vector<std::uint32_t>{}));
    EXPECT_EQ(take_all(schedule, kStart + 2s), (std::vector<std::uint32_t>{1, 2}));
    EXPECT_EQ(take_all(schedule, kStart + 9s), (std::vector<std::uint32_t>{0}));
    EXPECT_EQ(take_all(schedule, TimePoint::max()), (std::vector<std::uint32_t>{}));
}

TEST(Schedule, comes_up_at_the_earliest_moment_that_was_planned) {
    Schedule schedule;
    schedule.schedule(0, kStart + 2s);
    schedule.schedule(0, kStart + 1s);
    schedule.schedule(0, kStart + 3s);
    EXPECT_EQ(take_all(schedule, kStart + 1s), (std::vector<std::uint32_t>{0}));
    EXPECT_EQ(take_all(schedule, kStart + 9s), (std::vector<std::uint32_t>{})) << "planned again only when asked to";
}

TEST(Schedule, comes_up_at_the_moment_it_was_planned_for_again) {
    Schedule schedule;
    schedule.schedule(0, kStart + 2s);
    schedule.schedule(0, kStart + 1s);
    ASSERT_TRUE(schedule.pop_due(kStart + 1s));
    schedule.schedule(0, kStart + 3s);
    EXPECT_FALSE(schedule.pop_due(kStart + 2s)) << "the first plan is void";
    EXPECT_TRUE(schedule.pop_due(kStart + 3s));
}

TEST(Schedule, plans_nothing_for_the_end_of_time) {
    Schedule schedule;
    schedule.schedule(7, TimePoint::max());
    EXPECT_FALSE(schedule.pop_due(TimePoint::max()));
}

}  // namespace
}  // namespace session_buddy
