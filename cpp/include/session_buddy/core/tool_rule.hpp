// Rules that name the uses of command-line tools, and the text in which the settings hold them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace session_buddy {

/// One line of the table of known development tools.
struct ToolRule {
    /// The command's words, blank-separated: "ruff check", "pytest"; options may stand between them.
    std::string command;
    std::string skill;  ///< what its use is called
    /// Counts only where the command line runs no other known tool ("npm install && npm test").
    bool preparation = false;
};

/// Reads "just test=just-test, bazel test=bazel-test": commands and the names of their uses. An empty text has none.
/// Throws std::invalid_argument, its text being the item that is no rule.
[[nodiscard]] std::vector<ToolRule> parse_tool_rules(std::string_view text);

}  // namespace session_buddy
