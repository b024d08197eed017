// The interval against published values and its definition.
#include "session_buddy/metrics/wilson.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace session_buddy::metrics {
namespace {

TEST(WilsonInterval, is_undefined_without_trials) {
    EXPECT_FALSE(wilson_interval(0, 0));
}

TEST(WilsonInterval, agrees_with_published_values) {
    // R. G. Newcombe, Two-sided confidence intervals for the single proportion (1998), table I, method 3.
    struct Case {
        std::int64_t successes;
        std::int64_t trials;
        double low;
        double high;
    };
    for (const auto& [successes, trials, low, high] : {Case{81, 263, 0.2553, 0.3662}, Case{15, 148, 0.0624, 0.1605},
                                                       Case{0, 20, 0.0, 0.1611}, Case{1, 29, 0.0061, 0.1718}}) {
        const auto interval = wilson_interval(successes, trials);
        ASSERT_TRUE(interval);
        EXPECT_NEAR(interval->low, low, 5e-5) << successes << '/' << trials;
        EXPECT_NEAR(interval->high, high, 5e-5) << successes << '/' << trials;
    }
}

// By definition, the observed rate is z standard errors away from a bound, computed at the rate of the bound.
TEST(WilsonInterval, has_bounds_from_which_the_rate_is_z_standard_errors_away) {
    for (const std::int64_t trials : {1, 2, 7, 100, 12'345, 1'000'000'000}) {
        for (const std::int64_t successes : {std::int64_t{0}, trials / 3, trials - 1, trials}) {
            const auto interval = wilson_interval(successes, trials).value();
            const auto n = static_cast<double>(trials);
            const double rate = static_cast<double>(successes) / n;
            EXPECT_LE(interval.low, rate);
            EXPECT_GE(interval.high, rate);
            for (const double bound : {interval.low, interval.high}) {
                if (bound > 0.0 && bound < 1.0) {
                    EXPECT_NEAR(std::abs(rate - bound) / std::sqrt(bound * (1.0 - bound) / n), 1.959964, 1e-4);
                }
            }
        }
    }
}

}  // namespace
}  // namespace session_buddy::metrics
