// Parses the option `tools`.
#include "session_buddy/core/tool_rule.hpp"

#include <stdexcept>

#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/list_items.hpp"

namespace session_buddy {
namespace {

std::string_view without_blanks(std::string_view text) {
    const auto begin = text.find_first_not_of(" \t");
    return begin == std::string_view::npos ? std::string_view()
                                           : text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

}  // namespace

std::vector<ToolRule> parse_tool_rules(std::string_view text) {
    std::vector<ToolRule> rules;
    if (without_blanks(text).empty()) {
        return rules;
    }
    for (const std::string_view item : list_items(text)) {
        const auto equals = item.rfind('=');
        const auto command = without_blanks(item.substr(0, equals));
        const auto skill =
            equals == std::string_view::npos ? std::string_view() : without_blanks(item.substr(equals + 1));
        if (command.empty() || !is_valid_skill_name(skill)) {
            throw std::invalid_argument(std::string(item));
        }
        rules.push_back({.command = std::string(command), .skill = std::string(skill)});
    }
    return rules;
}

}  // namespace session_buddy
