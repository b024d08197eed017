// The sliding sums of one skill.
#include "session_buddy/metrics/skill_window.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <limits>
#include <random>
#include <vector>

#include "session_buddy/core/duration.hpp"
#include "support/manual_clock.hpp"

namespace session_buddy::metrics {
namespace {

using namespace std::chrono_literals;

using test::kStart;
constexpr SkillWindow::Lengths kLengths{std::chrono::hours(24), std::chrono::hours(1), std::chrono::hours(24)};

TEST(SkillWindow, counts_completed_and_failed_invocations) {
    SkillWindow window{kLengths};
    window.add(kStart, true, 2.0, kStart);
    window.add(kStart + 1s, false, 9.0, kStart + 1s);
    window.add(kStart + 2s, true, std::nullopt, kStart + 2s);

    const WindowSums& sums = window.sums(SkillWindow::window);
    EXPECT_EQ(sums.count, 3);
    EXPECT_EQ(sums.completed, 2);
    EXPECT_EQ(sums.timed, 1);
    EXPECT_DOUBLE_EQ(sums.mean_duration_seconds(), 2.0);
}

TEST(SkillWindow, mean_duration_is_zero_without_durations) {
    SkillWindow window{kLengths};
    window.add(kStart, false, 3.0, kStart);
    EXPECT_EQ(window.sums(SkillWindow::window).mean_duration_seconds(), 0.0);
}

TEST(SkillWindow, an_invocation_leaves_each_horizon_exactly_at_the_age_of_its_length) {
    SkillWindow window{kLengths};
    window.add(kStart, true, 1.0, kStart);

    EXPECT_EQ(window.next_expiry(), kStart + 1h);
    EXPECT_FALSE(window.advance(kStart + 1h - 1us));
    EXPECT_EQ(window.sums(SkillWindow::hour).count, 1);
    EXPECT_TRUE(window.advance(kStart + 1h));
    EXPECT_EQ(window.sums(SkillWindow::hour).count, 0);
    EXPECT_EQ(window.sums(SkillWindow::day).count, 1);

    EXPECT_EQ(window.next_expiry(), kStart + 24h);
    EXPECT_TRUE(window.advance(kStart + 24h));
    EXPECT_EQ(window.sums(SkillWindow::day), WindowSums{});
    EXPECT_TRUE(window.empty());
    EXPECT_EQ(window.next_expiry(), TimePoint::max());
}

TEST(SkillWindow, a_late_invocation_is_counted_only_in_the_horizons_that_it_falls_in) {
    SkillWindow window{kLengths};
    const TimePoint now = kStart + 10h;
    window.add(now, true, 1.0, now);
    window.add(now - 2h, true, 3.0, now);
    window.add(now - 30min, false, std::nullopt, now);

    EXPECT_EQ(window.sums(SkillWindow::hour).count, 2);
    EXPECT_EQ(window.sums(SkillWindow::day).count, 3);
    EXPECT_EQ(window.newest(), now);
}

TEST(SkillWindow, a_late_invocation_older_than_an_expired_one_expires_with_it) {
    SkillWindow window{kLengths};
    window.add(kStart, true, 1.0, kStart);
    const TimePoint now = kStart + 90min;  // the first has left the hour, but advance() has not run yet
    window.add(kStart + 1min, true, 1.0, now);
    window.advance(now);
    EXPECT_EQ(window.sums(SkillWindow::hour), WindowSums{});
    EXPECT_EQ(window.sums(SkillWindow::day).count, 2);
}

TEST(SkillWindow, drops_invocations_too_old_for_every_horizon) {
    SkillWindow window{kLengths};
    EXPECT_FALSE(window.add(kStart, true, 1.0, kStart + 24h));
    EXPECT_TRUE(window.empty());
}

TEST(SkillWindow, sums_are_exact_after_many_additions_and_removals) {
    SkillWindow window{kLengths};
    for (int i = 0; i < 100'000; ++i) {
        const TimePoint at = kStart + i * 1s;
        window.add(at, true, 0.1, at);
        window.advance(at);
    }
    EXPECT_EQ(window.sums(SkillWindow::hour).count, 3600);
    EXPECT_EQ(window.sums(SkillWindow::hour).duration_micros, 3600 * 100'000);
    EXPECT_DOUBLE_EQ(window.sums(SkillWindow::day).mean_duration_seconds(), 0.1);
}

std::vector<TimePoint> moments_of_a_day(int count) {
    std::vector<TimePoint> moments;
    for (int i = 0; i < count; ++i) {
        moments.push_back(kStart + i * (std::chrono::microseconds(24h) / count) + 1us);
    }
    return moments;
}

std::vector<TimePoint> shuffled(std::vector<TimePoint> moments) {
    std::ranges::shuffle(moments, std::mt19937_64{1});
    return moments;
}

TEST(SkillWindow, rows_in_random_order_give_the_same_sums_as_sorted_rows) {
    const auto sorted_rows = moments_of_a_day(5000);
    SkillWindow expected{kLengths};
    SkillWindow window{kLengths};
    SkillWindow looked_at_often{kLengths};
    for (const TimePoint at : sorted_rows) {
        expected.add(at, at.time_since_epoch().count() % 3 != 0, 1.0, kStart + 24h);
    }
    TimePoint now = kStart + 24h - 5s;
    for (const TimePoint at : shuffled(sorted_rows)) {
        window.add(at, at.time_since_epoch().count() % 3 != 0, 1.0, kStart + 24h);
        looked_at_often.add(at, at.time_since_epoch().count() % 3 != 0, 1.0, now);
        looked_at_often.advance(now += 1ms);
    }
    for (TimePoint later = kStart + 24h; later < kStart + 49h; later += 613s) {
        expected.advance(later);
        window.advance(later);
        looked_at_often.advance(later);
        for (const auto horizon : {SkillWindow::window, SkillWindow::hour, SkillWindow::day}) {
            ASSERT_EQ(window.sums(horizon), expected.sums(horizon));
            ASSERT_EQ(looked_at_often.sums(horizon), expected.sums(horizon));
        }
        ASSERT_EQ(window.newest(), expected.newest());
        ASSERT_EQ(window.next_expiry(), expected.next_expiry());
    }
    EXPECT_TRUE(window.empty());
}

TEST(SkillWindow, rows_in_random_order_cost_a_bounded_multiple_of_sorted_rows) {
    const auto cost = [](const std::vector<TimePoint>& moments) {
        const std::clock_t before = std::clock();
        SkillWindow window{kLengths};
        for (const TimePoint at : moments) {
            window.add(at, true, 1.0, kStart + 24h);
        }
        window.advance(kStart + 30h);
        EXPECT_EQ(window.sums(SkillWindow::day).count, static_cast<std::int64_t>(moments.size()) * 3 / 4);
        return static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
    };
    const auto sorted_rows = moments_of_a_day(100'000);
    const double sorted = cost(sorted_rows);
    EXPECT_LT(cost(shuffled(sorted_rows)),
              20 * sorted + 0.2);  // shifting all later rows for each would take 400 times as long
}

TEST(SkillWindow, sums_the_longest_durations_of_a_busy_day) {
    SkillWindow window{kLengths};
    constexpr int kRuns = 200'000;  // their sum in microseconds overflows 64 bits
    for (int i = 0; i < kRuns; ++i) {
        window.add(kStart, true, kMaxDurationSeconds, kStart);
    }
    EXPECT_EQ(window.sums(SkillWindow::hour).timed, kRuns);
    EXPECT_DOUBLE_EQ(window.sums(SkillWindow::hour).mean_duration_seconds(), kMaxDurationSeconds);
}

TEST(SkillWindow, an_invalid_duration_is_ignored) {
    for (const double bad : {-1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
        SkillWindow window{kLengths};
        window.add(kStart, true, bad, kStart);
        EXPECT_EQ(window.sums(SkillWindow::window).count, 1) << bad;
        EXPECT_EQ(window.sums(SkillWindow::window).timed, 0) << bad;
    }
}

}  // namespace
}  // namespace session_buddy::metrics
