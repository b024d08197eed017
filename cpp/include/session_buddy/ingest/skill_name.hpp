// Derives the skill name of a tool use, in the same way for all sources. Only names are returned: arguments, paths and
// prompts are never stored.
#pragma once

#include <array>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "session_buddy/core/tool_rule.hpp"

namespace session_buddy::ingest {

/// The built-in table. A name is the words of the command ("npm test", "git commit", "mypy"), with three historical
/// exceptions: pytest-run, ruff-check, ruff-format.
[[nodiscard]] std::span<const ToolRule> default_tool_rules();

/// The skill name of a shell command that runs no known tool: the name of the assistant's tool.
inline constexpr std::string_view kUnknownCommand = "Bash";

/// Turns any text into a valid skill name: removes control characters, malformed UTF-8 and surrounding blanks, and
/// truncates to 256 bytes (whole characters). Returns `fallback` if nothing remains.
[[nodiscard]] std::string to_skill_name(std::string_view text, std::string_view fallback = "unknown");

/// The fields of a tool's input that its name may depend on.
inline constexpr std::array<std::string_view, 4> kNamingFields{"skill", "skill_name", "command", "subagent_type"};

/// Immutable after construction: safe to share between threads.
class SkillNamer {
  public:
    /// `extra` rules are added to the built-in ones and take precedence over a built-in rule with the same number of
    /// words.
    explicit SkillNamer(std::span<const ToolRule> extra = {});

    /// `input` is the tool's input object; any other value (null, a string) counts as empty.
    ///   Skill → `skill`, else `skill_name`, else `command`, without a leading slash
    ///     and without what follows a blank: that is an argument
    ///   Agent, Task → `agent:<subagent_type>`
    ///   Bash → for_shell_command(`command`)
    ///   any other, mcp__server__tool included → the tool's name; so also where the wanted field is missing
    [[nodiscard]] std::string for_tool(std::string_view tool_name, const nlohmann::json& input) const;

    /// The first known tool that the command line runs, a preparation (such as an install) only if there is no other;
    /// kUnknownCommand if there is none. Of the rules that match a command, the one with the most words wins.
    [[nodiscard]] std::string for_shell_command(std::string_view command) const;

    /// "/name" as typed → "name", without what follows a blank.
    [[nodiscard]] static std::string for_typed_command(std::string_view typed);

  private:
    struct Rule {
        std::vector<std::string> words;
        std::string skill;
        bool preparation;
    };
    const Rule* find_in_line(std::string_view command, int depth) const;
    const Rule* find_in_command(std::span<const std::string> words, int depth) const;

    void add(const ToolRule& rule);

    std::vector<Rule> rules_;  // more words first
};

}  // namespace session_buddy::ingest
