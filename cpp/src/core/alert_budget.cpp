// Parses alert_budget.
#include "session_buddy/core/alert_budget.hpp"

#include <array>
#include <charconv>
#include <utility>

namespace session_buddy {
namespace {

constexpr double kDay = 86400.0;
constexpr std::array kPeriods{
    std::pair<std::string_view, double>{"hour", 3600.0}, std::pair<std::string_view, double>{"day", kDay},
    std::pair<std::string_view, double>{"week", 7 * kDay}, std::pair<std::string_view, double>{"month", 30 * kDay},
    std::pair<std::string_view, double>{"year", 365 * kDay}};

}  // namespace

std::optional<double> parse_alert_budget(std::string_view text) {
    if (text == "off") {
        return 0.0;
    }
    double number = 0.0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
    if (error != std::errc{} || !(number >= 0.001 && number <= 1000.0) || rest == end || *rest != '/') {
        return std::nullopt;
    }
    const std::string_view period(rest + 1, static_cast<std::size_t>(end - rest - 1));
    for (const auto& [name, seconds] : kPeriods) {
        if (period == name) {
            return number / seconds;
        }
    }
    return std::nullopt;
}

}  // namespace session_buddy
