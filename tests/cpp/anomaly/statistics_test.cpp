// The statistics against reference values computed with 50 digits (mpmath) from the textbook formulas.
#include "session_buddy/anomaly/statistics.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <random>

namespace session_buddy::anomaly {
namespace {

void expect_relative(double actual, double expected, double tolerance) {
    EXPECT_LE(std::abs(actual - expected), tolerance * std::abs(expected)) << actual << " instead of " << expected;
}

TEST(ExactMoments, are_restored_exactly_after_adding_and_removing_a_million_values) {
    std::mt19937_64 random{1};
    std::uniform_int_distribution<std::int64_t> exponent(0, 47);
    ExactMoments moments;
    std::deque<std::int64_t> kept;
    for (int i = 0; i < 1'000'000; ++i) {
        const std::int64_t value = static_cast<std::int64_t>(random() >> 17) >> (47 - exponent(random));
        moments.add(value);
        kept.push_back(value);
        if (kept.size() > 1000) {
            moments.remove(kept.front());
            kept.pop_front();
        }
    }
    ExactMoments fresh;
    for (const std::int64_t value : kept) {
        fresh.add(value);
    }
    EXPECT_EQ(moments, fresh);
    for (const std::int64_t value : kept) {
        moments.remove(value);
    }
    EXPECT_EQ(moments, ExactMoments{});
}

TEST(ExactMoments, keep_a_small_spread_around_a_large_mean) {
    ExactMoments moments;
    for (const std::int64_t offset : {1, 2, 3, 4, 5}) {
        moments.add((std::int64_t{1} << 46) + offset);
    }
    EXPECT_EQ(moments.variance(), 2.5);
    EXPECT_EQ(moments.mean(), static_cast<double>((std::int64_t{1} << 46) + 3));
}

TEST(ExactMoments, hold_the_maximum_number_of_the_longest_durations) {
    constexpr std::int64_t kLongest = 100'000'000'000'000;  // microseconds
    ExactMoments moments;
    for (int i = 0; i < 20'001; ++i) {
        moments.add(i % 2 == 0 ? kLongest : 0);
    }
    expect_relative(moments.mean(), 5.0e13 * 20'002 / 20'001, 1e-12);
    expect_relative(moments.variance(), 2.5e27 * 20'002 / 20'001, 1e-9);
}

TEST(ExactMoments, have_no_spread_below_two_values) {
    ExactMoments moments;
    EXPECT_EQ(moments.mean(), 0.0);
    EXPECT_EQ(moments.variance(), 0.0);
    moments.add(7);
    EXPECT_EQ(moments.mean(), 7.0);
    EXPECT_EQ(moments.variance(), 0.0);
}

TEST(NormalTail, agrees_with_the_reference) {
    struct Row {
        double z, expected;
    };
    for (const auto& [z, expected] : {Row{-8, 0.99999999999999938},
                                      {-1, 0.84134474606854295},
                                      {0, 0.5},
                                      {0.5, 0.3085375387259869},
                                      {2, 0.022750131948179207},
                                      {5, 2.8665157187919391e-7},
                                      {10, 7.6198530241605261e-24}}) {
        expect_relative(normal_upper_tail(z), expected, 1e-13);
    }
    EXPECT_EQ(normal_upper_tail(1e11), 0.0);
}

TEST(StudentTail, agrees_with_the_reference) {
    struct Row {
        double t, degrees, expected;
    };
    for (const auto& [t, degrees, expected] : {Row{0, 3, 0.5},
                                               {2, 4, 0.058058261758407797},
                                               {-2, 4, 0.9419417382415922},
                                               {2.3, 9, 0.023499694460931578},
                                               {5, 1, 0.062832958189001184},
                                               {3, 1000, 0.0013833545221190962},
                                               {40, 30, 6.8630225972032014e-28},
                                               {2, 19949, 0.022756898233687642}}) {
        expect_relative(student_upper_tail(t, degrees), expected, 1e-11);
    }
    EXPECT_TRUE(std::isfinite(student_upper_tail(1e11, 4)));
}

TEST(BetaBinomialTail, agrees_with_the_reference) {
    struct Row {
        std::int64_t k, n;
        double a, b, at, lower, upper;
    };
    const Row rows[] = {
        {0, 1, 0.5, 0.5, 0.5, 0.5, 1.0},
        {8, 13, 170.5, 30.5, 0.030502610846416527, 0.040624568357440059, 0.98987804248897647},
        {5, 10, 0.5, 240.5, 7.852111697952877e-9, 0.99999999985053486, 8.0015768375271998e-9},
        {3, 5, 5.5, 0.5, 0.066499255952380952, 0.095610119047619048, 0.9708891369047619},
        {50, 50, 1e6, 0.5, 0.99997500093121141, 1.0, 0.99997500093121141},
        {49, 50, 1e6, 0.5, 2.4998150113924703e-5, 2.499906878859207e-5, 0.99999999908132533},
        {25, 50, 1e6, 0.1, 1.1343648115929925e-113, 1.1343921890295243e-113, 1.0},
        {48, 50, 19000.5, 950.5, 0.26674874876855453, 0.69466676146458691, 0.57208198729396762},
        {50'000, 100'000, 1000.5, 1000.5, 0.00035335163896470494, 0.50017667581948235, 0.50017667581948235},
        {99'990, 100'000, 1e6, 12.5, 5.6181690172111504e-6, 6.8868619017300093e-6, 0.99999873130711548},
        {0, 100'000, 3.5, 1e6, 0.71635084031782046, 0.71635084031782046, 1.0},
        {20, 30, 2, 3, 0.029886148007590133, 0.88496204933586338, 0.14492409867172676},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(testing::Message() << row.k << " of " << row.n << ", " << row.a << ", " << row.b);
        const BetaBinomialTail tail = beta_binomial_tail(row.k, row.n, row.a, row.b);
        expect_relative(tail.at, row.at, 1e-10);
        expect_relative(tail.lower, row.lower, 1e-10);
        expect_relative(tail.upper, row.upper, 1e-10);
    }
}

TEST(BetaBinomialTail, sums_to_one_and_mirrors) {
    for (const std::int64_t n : {1, 2, 5, 50}) {
        for (const double a : {0.1, 0.5, 3.0, 17.5, 20000.5}) {
            for (const double b : {0.1, 0.5, 2.0, 950.5}) {
                double sum = 0.0;
                for (std::int64_t k = 0; k <= n; ++k) {
                    const BetaBinomialTail tail = beta_binomial_tail(k, n, a, b);
                    const BetaBinomialTail mirrored = beta_binomial_tail(n - k, n, b, a);
                    sum += tail.at;
                    EXPECT_NEAR(tail.lower + tail.upper - tail.at, 1.0, 1e-12);
                    expect_relative(tail.at, mirrored.at, 1e-10);
                    EXPECT_NEAR(tail.lower, mirrored.upper, 1e-12);
                    EXPECT_NEAR(tail.lower, sum, 1e-12);
                }
                EXPECT_NEAR(sum, 1.0, 1e-12);
            }
        }
    }
}

}  // namespace
}  // namespace session_buddy::anomaly
