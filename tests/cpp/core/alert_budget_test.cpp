#include "session_buddy/core/alert_budget.hpp"

#include <gtest/gtest.h>

#include <string>

namespace session_buddy {
namespace {

struct BudgetCase {
    std::string text;
    std::optional<double> per_week;
};

class AlertBudget : public testing::TestWithParam<BudgetCase> {};

TEST_P(AlertBudget, is_parsed_as_a_rate) {
    const auto rate = parse_alert_budget(GetParam().text);
    ASSERT_EQ(rate.has_value(), GetParam().per_week.has_value());
    if (rate) {
        EXPECT_NEAR(*rate * 7 * 86400.0, *GetParam().per_week, 1e-9);
    }
}

INSTANTIATE_TEST_SUITE_P(Texts, AlertBudget,
                         testing::Values(BudgetCase{"1/week", 1.0}, BudgetCase{"0.5/day", 3.5},
                                         BudgetCase{"3/month", 0.7}, BudgetCase{"2/hour", 336.0},
                                         BudgetCase{"1/year", 7.0 / 365}, BudgetCase{"off", 0.0},
                                         BudgetCase{"", std::nullopt}, BudgetCase{"1", std::nullopt},
                                         BudgetCase{"1/", std::nullopt}, BudgetCase{"/week", std::nullopt},
                                         BudgetCase{"1/weeks", std::nullopt}, BudgetCase{"0/week", std::nullopt},
                                         BudgetCase{"-1/week", std::nullopt}, BudgetCase{"nan/week", std::nullopt},
                                         BudgetCase{"1e3/week", std::nullopt}, BudgetCase{"1001/week", std::nullopt},
                                         BudgetCase{"1 /week", std::nullopt}, BudgetCase{"OFF", std::nullopt}));

}  // namespace
}  // namespace session_buddy
