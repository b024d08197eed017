// Rules that map command lines of developer tools to skill names, and the parser of the option `tools`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace session_buddy {

/// One rule of the table of known developer tools.
struct ToolRule {
    /// The command's words, separated by blanks: "ruff check", "pytest"; options may stand between them.
    std::string command;
    std::string skill;  ///< the skill name of its invocations
    /// Counts only if the command line runs no other known tool ("npm install && npm test").
    bool preparation = false;
};

/// Parses "just test=just-test, bazel test=bazel-test"; an empty text has no rules. Throws std::invalid_argument with
/// the first invalid item.
[[nodiscard]] std::vector<ToolRule> parse_tool_rules(std::string_view text);

}  // namespace session_buddy
