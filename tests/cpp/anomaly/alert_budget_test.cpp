// What an invocation may cost: never more than the budget of the time that has passed, in use without pauses or in
// bursts.
#include "session_buddy/anomaly/alert_budget.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

namespace session_buddy::anomaly {
namespace {

using std::chrono::days;

constexpr TimePoint kBudgetStart{std::chrono::sys_days{std::chrono::year{2026} / 2 / 10}};
constexpr double kWeeklyBudget = 1.0 / (7 * 86400.0);

TEST(AlertBudget, spends_most_of_the_budget_of_a_month_of_steady_use) {
    AlertBudget budget{kWeeklyBudget};
    double spent = 0.0;
    for (TimePoint at = kBudgetStart; at < kBudgetStart + days(28); at += std::chrono::minutes(1)) {
        spent += budget.spend(at);
    }
    EXPECT_LE(spent, 4.0);
    EXPECT_GT(spent, 3.4);
}

TEST(AlertBudget, spends_little_on_a_burst_after_months_without_use) {
    AlertBudget budget{kWeeklyBudget};
    for (int number = 0; number < 300; ++number) {
        budget.spend(kBudgetStart + std::chrono::seconds(number));
    }
    double spent = 0.0;
    for (int number = 0; number < 300; ++number) {
        spent += budget.spend(kBudgetStart + days(290) + std::chrono::seconds(number));
    }
    EXPECT_GT(spent, 0.0);
    EXPECT_LT(spent, 2.0 / 7.0 + 1e-3) << "the budget of two days";
}

TEST(AlertBudget, spends_no_more_than_the_time_that_has_passed_on_a_second_burst) {
    AlertBudget budget{kWeeklyBudget};
    double spent = 0.0;
    for (int burst = 0; burst < 3; ++burst) {
        for (int number = 0; number < 50; ++number) {
            spent += budget.spend(kBudgetStart + std::chrono::hours(12 * burst) + std::chrono::seconds(number));
        }
    }
    EXPECT_LE(spent, 1.0 / 7.0);
}

TEST(AlertBudget, limits_the_cost_of_one_invocation) {
    AlertBudget budget{100.0 / 86400.0};
    double most = 0.0;
    for (int number = 0; number < 100; ++number) {
        most = std::max(most, budget.spend(kBudgetStart + std::chrono::hours(number)));
    }
    EXPECT_GT(most, 0.0);
    EXPECT_LE(most, 0.02);
}

}  // namespace
}  // namespace session_buddy::anomaly
