// The option `alert_budget`: expected false alerts of the whole server while nothing changes, as a rate.
#pragma once

#include <optional>
#include <string_view>

namespace session_buddy {

/// Alerts per second of "N/hour", "N/day", "N/week" (7 days), "N/month" (30 days) or "N/year" (365 days), with N from
/// 0.001 to 1000; 0 for "off". nullopt if the text is none of these.
[[nodiscard]] std::optional<double> parse_alert_budget(std::string_view text);

inline constexpr std::string_view kAlertBudgetRule =
    "a rate such as 1/week, 0.5/day or 1/month (hour, day, week, month or year; 0.001 to 1000 of them), or off";

}  // namespace session_buddy
