// The sliding sums of one skill.
#include "session_buddy/metrics/skill_window.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
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
    EXPECT_EQ(sums.timed(), 1);
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
    EXPECT_EQ(window.sums(SkillWindow::hour).measured.micros, 3600 * 100'000);
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
    EXPECT_EQ(window.sums(SkillWindow::hour).timed(), kRuns);
    EXPECT_DOUBLE_EQ(window.sums(SkillWindow::hour).mean_duration_seconds(), kMaxDurationSeconds);
}

TEST(SkillWindow, an_invalid_duration_is_ignored) {
    for (const double bad : {-1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
        SkillWindow window{kLengths};
        window.add(kStart, true, bad, kStart);
        EXPECT_EQ(window.sums(SkillWindow::window).count, 1) << bad;
        EXPECT_EQ(window.sums(SkillWindow::window).timed(), 0) << bad;
    }
}

TEST(SkillWindow, counts_unknown_outcomes_as_completed_and_by_themselves) {
    SkillWindow window{kLengths};
    window.add(kStart, {.completed = true, .duration_seconds = 2.0}, kStart);
    window.add(kStart + 1s, {.completed = true, .duration_seconds = 4.0, .outcome_is_unknown = true}, kStart + 1s);
    window.add(kStart + 2s, {.completed = true, .outcome_is_unknown = true}, kStart + 2s);
    window.add(kStart + 3s, {.completed = false}, kStart + 3s);
    const WindowSums& sums = window.sums(SkillWindow::hour);
    EXPECT_EQ(sums.count, 4);
    EXPECT_EQ(sums.completed, 3);
    EXPECT_EQ(sums.unknown, 2);
    EXPECT_EQ(sums.measured.count, 2);
    EXPECT_DOUBLE_EQ(sums.mean_duration_seconds(), 3.0);
    window.advance(kStart + 1h + 1s);
    EXPECT_EQ(sums.unknown, 1);
    window.advance(kStart + 2h);
    EXPECT_EQ(sums, WindowSums{});
}

TEST(SkillWindow, upper_bounds_count_only_where_no_duration_was_measured) {
    SkillWindow window{kLengths};
    const auto add = [&](TimePoint at, double duration, bool is_bound) {
        window.add(at, {.completed = true, .duration_seconds = duration, .duration_is_bound = is_bound}, at);
    };
    const auto mean = [&] { return window.sums(SkillWindow::window).mean_duration_seconds(); };
    EXPECT_FALSE(window.duration_quantiles().has_value());
    add(kStart, 45'720.0, true);  // an edit that waited 12.7 hours for its approval
    add(kStart + 1s, 100.0, true);
    EXPECT_DOUBLE_EQ(mean(), 22'910.0);
    EXPECT_DOUBLE_EQ(window.duration_quantiles().value().p50, 22'910.0);
    add(kStart + 2s, 0.2, false);
    add(kStart + 3s, 0.1, false);
    EXPECT_NEAR(mean(), 0.15, 1e-9);
    EXPECT_NEAR(window.duration_quantiles().value().p50, 0.15, 1e-9);
    EXPECT_NEAR(window.duration_quantiles().value().p95, 0.195, 1e-9);
    EXPECT_EQ(window.sums(SkillWindow::window).timed(), 4);
    window.advance(kStart + 24h + 2s);
    EXPECT_NEAR(window.duration_quantiles().value().p95, 0.1, 1e-9);
}

/// The quantile of the definition, of durations in microseconds.
double exact_quantile(std::vector<std::int64_t> micros, double fraction) {
    std::ranges::sort(micros);
    const double rank = fraction * static_cast<double>(micros.size() - 1);
    const auto below = static_cast<std::size_t>(rank);
    const std::size_t above = std::min(below + 1, micros.size() - 1);
    const auto lower = static_cast<double>(micros[below]);
    return (lower + (rank - static_cast<double>(below)) * (static_cast<double>(micros[above]) - lower)) / 1e6;
}

TEST(SkillWindow, quantiles_follow_any_order_of_arrival_within_the_error_of_the_sketch) {
    std::mt19937_64 random{7};
    std::lognormal_distribution<double> duration_seconds{0.5, 2.5};
    std::uniform_int_distribution<std::int64_t> late{0, 2 * 3'600'000'000};
    constexpr SkillWindow::Lengths kShort{1h, 1h, 24h};  // other horizons keep what has left the window
    SkillWindow window{kShort};
    struct Added {
        TimePoint at;
        std::int64_t micros;
        bool is_bound;
    };
    std::vector<Added> all;
    TimePoint now = kStart;
    std::size_t sketched = 0;
    for (int i = 0; i < 6000; ++i) {
        now += i / 1000 % 2 == 0 ? 2s : 90s;  // more than kMaxExact in the window, then fewer
        const TimePoint at = i % 7 == 0 ? now - std::chrono::microseconds{late(random)} : now;
        const bool is_bound = i % 3000 > 1500 ? i % 5 != 0 : true;
        const double duration = std::min(duration_seconds(random), 1e7);
        window.add(at, {.completed = true, .duration_seconds = duration, .duration_is_bound = is_bound}, now);
        all.push_back({at, std::llround(duration * 1e6), is_bound});
        if (i % 50 != 0) {
            continue;
        }
        std::array<std::vector<std::int64_t>, 2> durations;  // measured, upper bounds
        for (const Added& each : all) {
            if (each.at > now - 1h) {
                durations.at(each.is_bound ? 1 : 0).push_back(each.micros);
            }
        }
        const auto& expected = durations[durations[0].empty() ? 1 : 0];
        const bool is_exact = durations[0].size() + durations[1].size() <= SkillWindow::kMaxExact / 2;
        const double error = is_exact ? 1e-9 : DurationSketch::kMaxRelativeError;
        sketched += is_exact ? 0 : 1;
        const auto found = window.duration_quantiles();
        ASSERT_EQ(found.has_value(), !expected.empty());
        if (!found) {
            continue;
        }
        ASSERT_NEAR(found->p50, exact_quantile(expected, 0.5), error * exact_quantile(expected, 0.5)) << i;
        ASSERT_NEAR(found->p95, exact_quantile(expected, 0.95), error * exact_quantile(expected, 0.95)) << i;
    }
    EXPECT_GT(sketched, 20U);
    window.advance(now + 1h);
    EXPECT_FALSE(window.duration_quantiles().has_value());
}

TEST(DurationSketch, is_exact_for_small_values_and_within_its_error_for_all_others) {
    for (std::int64_t micros = 0; micros < 32; ++micros) {
        DurationSketch sketch;
        sketch.add(micros);
        EXPECT_DOUBLE_EQ(sketch.quantile(0.5) * 1e6, static_cast<double>(micros));
    }
    for (double value = 32.0; value <= kMaxDurationSeconds * 1e6; value *= 1.0173) {
        const auto micros = static_cast<std::int64_t>(value);
        DurationSketch sketch;
        sketch.add(micros);
        const double found = sketch.quantile(0.95) * 1e6;
        ASSERT_NEAR(found, static_cast<double>(micros), DurationSketch::kMaxRelativeError * static_cast<double>(micros))
            << micros;
    }
}

TEST(DurationSketch, a_removed_value_leaves_no_trace) {
    DurationSketch sketch;
    sketch.add(1'000'000);
    sketch.add(static_cast<std::int64_t>(kMaxDurationSeconds * 1e6));
    sketch.remove(static_cast<std::int64_t>(kMaxDurationSeconds * 1e6));
    EXPECT_EQ(sketch.count(), 1);
    EXPECT_NEAR(sketch.quantile(0.95), 1.0, DurationSketch::kMaxRelativeError);
}

}  // namespace
}  // namespace session_buddy::metrics
