// The sliding sums of one skill, event by event.
#include "session_buddy/metrics/skill_window.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace session_buddy::metrics {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart{std::chrono::sys_days{std::chrono::year{2026} / 2 / 10}};
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

TEST(SkillWindow, mean_duration_is_zero_where_nothing_was_timed) {
    SkillWindow window{kLengths};
    window.add(kStart, false, 3.0, kStart);
    EXPECT_EQ(window.sums(SkillWindow::window).mean_duration_seconds(), 0.0);
}

TEST(SkillWindow, an_invocation_leaves_each_horizon_exactly_when_it_is_as_old_as_the_horizon_is_long) {
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

TEST(SkillWindow, a_late_invocation_behind_one_that_is_due_to_leave_goes_with_it) {
    SkillWindow window{kLengths};
    window.add(kStart, true, 1.0, kStart);
    const TimePoint now = kStart + 90min;  // the first is out of the hour, but advance() has not run yet
    window.add(kStart + 1min, true, 1.0, now);
    window.advance(now);
    EXPECT_EQ(window.sums(SkillWindow::hour), WindowSums{});
    EXPECT_EQ(window.sums(SkillWindow::day).count, 2);
}

TEST(SkillWindow, drops_what_is_too_old_for_every_horizon) {
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

TEST(SkillWindow, a_duration_that_is_no_duration_is_not_timed) {
    for (const double bad : {-1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
        SkillWindow window{kLengths};
        window.add(kStart, true, bad, kStart);
        EXPECT_EQ(window.sums(SkillWindow::window).count, 1) << bad;
        EXPECT_EQ(window.sums(SkillWindow::window).timed, 0) << bad;
    }
}

}  // namespace
}  // namespace session_buddy::metrics
