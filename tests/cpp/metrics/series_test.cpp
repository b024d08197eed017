// Assignment to steps, means and percentiles.
#include "session_buddy/metrics/series.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "support/manual_clock.hpp"

namespace session_buddy::metrics {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::seconds;
using test::kStart;

TEST(Series, assigns_invocations_to_steps_and_ignores_the_rest) {
    SeriesBuilder builder(kStart, seconds{10}, 2);
    for (const auto offset : {microseconds{-1}, microseconds{0}, microseconds{9'999'999}, microseconds{10'000'000},
                              microseconds{20'000'000}}) {
        EXPECT_TRUE(builder.add(kStart + offset, true, std::nullopt));
    }
    const auto points = builder.finish();
    ASSERT_EQ(points.size(), 2U);
    EXPECT_EQ(points[0].invocation_count, 2);
    EXPECT_EQ(points[1].invocation_count, 1);
    EXPECT_FALSE(points[0].avg_duration);
    EXPECT_FALSE(points[0].p50_duration);
}

TEST(Series, counts_durations_of_completed_invocations_only) {
    SeriesBuilder builder(kStart, seconds{10}, 1);
    EXPECT_TRUE(builder.add(kStart, true, 2.0));
    EXPECT_TRUE(builder.add(kStart, true, 4.0));
    EXPECT_TRUE(builder.add(kStart, true, std::nullopt));
    EXPECT_TRUE(builder.add(kStart, false, 100.0));
    const auto point = builder.finish().front();
    EXPECT_EQ(point.invocation_count, 4);
    EXPECT_EQ(point.completed_count, 3);
    EXPECT_DOUBLE_EQ(point.avg_duration.value(), 3.0);
    EXPECT_DOUBLE_EQ(point.p50_duration.value(), 3.0);
    EXPECT_DOUBLE_EQ(point.p95_duration.value(), 3.9);
}

TEST(Series, interpolates_percentiles_between_ranks) {
    SeriesBuilder builder(kStart, seconds{10}, 1);
    std::vector<int> values(101);
    std::iota(values.begin(), values.end(), 0);
    for (const int value : values) {
        EXPECT_TRUE(builder.add(kStart, true, static_cast<double>((value * 37) % 101)));
    }
    const auto point = builder.finish().front();
    EXPECT_DOUBLE_EQ(point.p50_duration.value(), 50.0);
    EXPECT_DOUBLE_EQ(point.p95_duration.value(), 95.0);
}

TEST(Series, has_no_percentiles_for_hourly_rollups) {
    SeriesBuilder builder(kStart, hours{2}, 2);
    builder.add_hour(kStart, {.invocation_count = 4, .completed_count = 3, .avg_duration = 2.0});
    EXPECT_TRUE(builder.add(kStart + hours{1}, true, 6.0));
    EXPECT_TRUE(builder.add(kStart + hours{2}, true, 1.0));
    builder.add_hour(kStart - hours{1}, {.invocation_count = 1});
    builder.add_hour(kStart + hours{4}, {.invocation_count = 1});
    const auto points = builder.finish();
    EXPECT_EQ(points[0].invocation_count, 5);
    EXPECT_EQ(points[0].completed_count, 4);
    EXPECT_DOUBLE_EQ(points[0].avg_duration.value(), 3.0);
    EXPECT_FALSE(points[0].p50_duration);
    EXPECT_FALSE(points[0].p95_duration);
    EXPECT_DOUBLE_EQ(points[1].p95_duration.value(), 1.0);
}

TEST(Series, rejects_durations_beyond_its_limit) {
    SeriesBuilder builder(kStart, seconds{10}, 1);
    for (std::size_t i = 0; i < SeriesBuilder::kMaxDurations; ++i) {
        ASSERT_TRUE(builder.add(kStart, true, 1.0));
    }
    EXPECT_FALSE(builder.add(kStart, true, 1.0));
    EXPECT_TRUE(builder.add(kStart, true, std::nullopt));
}

TEST(Series, prefers_measured_durations_and_counts_unknown_outcomes) {
    SeriesBuilder builder(kStart, hours{1}, 3);
    EXPECT_TRUE(builder.add(kStart, {.completed = true, .duration = 500.0, .duration_is_bound = true}));
    EXPECT_TRUE(builder.add(kStart, {.completed = true, .duration = 2.0, .outcome_is_unknown = true}));
    EXPECT_TRUE(builder.add(kStart + hours{1}, {.completed = true, .duration = 500.0, .duration_is_bound = true}));
    // A rollup of pruned rows: the mean is that of the three measured ones.
    builder.add_hour(
        kStart + hours{2},
        {.invocation_count = 6, .completed_count = 5, .avg_duration = 3.0, .unknown_count = 1, .bound_count = 2});
    EXPECT_TRUE(builder.add(kStart + hours{2}, {.completed = true, .duration = 7.0}));
    EXPECT_TRUE(builder.add(kStart + hours{2}, {.completed = true, .duration = 900.0, .duration_is_bound = true}));
    const auto points = builder.finish();
    EXPECT_EQ(points[0].completed_count, 2);
    EXPECT_EQ(points[0].unknown_count, 1);
    EXPECT_DOUBLE_EQ(points[0].avg_duration.value(), 2.0);
    EXPECT_DOUBLE_EQ(points[0].p95_duration.value(), 2.0);
    EXPECT_DOUBLE_EQ(points[1].avg_duration.value(), 500.0);
    EXPECT_DOUBLE_EQ(points[1].p50_duration.value(), 500.0);
    EXPECT_EQ(points[2].unknown_count, 1);
    EXPECT_DOUBLE_EQ(points[2].avg_duration.value(), 4.0);
    EXPECT_FALSE(points[2].p50_duration);
}

}  // namespace
}  // namespace session_buddy::metrics
