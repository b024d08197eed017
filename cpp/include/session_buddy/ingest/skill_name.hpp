// Gives every use of a tool the name of a skill: the same naming for transcripts, hooks and whatever comes next.
// Only names leave this file: arguments, paths and prompts are looked at and forgotten.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "session_buddy/core/tool_rule.hpp"

namespace session_buddy::ingest {

/// The built-in table. Names follow one rule: the words of the command as typed ("npm test", "git commit", "mypy"), but
/// for the three that always had names of their own: pytest-run, ruff-check, ruff-format.
[[nodiscard]] std::span<const ToolRule> default_tool_rules();

/// What a shell command is called that runs no known tool: the name of the assistant's own tool.
inline constexpr std::string_view kUnknownCommand = "Bash";

/// A usable skill name out of any text: control characters and malformed UTF-8 go, blanks around it too, at most 256
/// bytes are kept (whole characters). `fallback` where nothing is left.
[[nodiscard]] std::string to_skill_name(std::string_view text, std::string_view fallback = "unknown");

/// Immutable after construction: safe to share between threads.
class SkillNamer {
  public:
    /// `extra` rules stand beside the built-in ones and win over a built-in rule with as many words.
    explicit SkillNamer(std::span<const ToolRule> extra = {});

    /// `input` is the tool's input object; anything else (null, a string) counts as an empty one.
    ///   Skill → `skill`, else `skill_name`, else `command`, without a leading slash
    ///     and without what follows a blank: that is an argument
    ///   Agent, Task → `agent:<subagent_type>`
    ///   Bash → for_shell_command(`command`)
    ///   any other, mcp__server__tool included → the tool's name; so also where the wanted field is missing
    [[nodiscard]] std::string for_tool(std::string_view tool_name, const nlohmann::json& input) const;

    /// The first known tool that the command line runs; a preparation only where there is nothing else; kUnknownCommand
    /// where no tool is known. Among rules that fit one command, the one with the most words wins.
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
