// Parses a shell command line: which programs it calls, with which words, and how their exit statuses are joined. It
// expands nothing and runs nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace session_buddy::ingest {

/// Only this much of a longer command line is parsed.
inline constexpr std::size_t kMaxShellBytes = std::size_t{256} * 1024;
/// What is nested deeper than this (subshells, substitutions, compound commands) is skipped.
inline constexpr int kMaxShellNesting = 16;

/// The words of one simple command, without quotes and redirections, with leading assignments. An expansion of a simple
/// parameter is "$name", "$?" or "$name[0]", with or without braces; any other (${x:-y}, $(…)) becomes "$" in its word.
using ShellWords = std::vector<std::string>;

struct ShellNode {
    enum class Kind : std::uint8_t {
        command,     ///< a simple command: `words`, and `substitutions`
        pipeline,    ///< parts: its commands
        negation,    ///< "! part"
        and_or,      ///< parts: joined by && and ||, see is_alternative
        list,        ///< parts: one after another
        background,  ///< "part &"
        subshell,    ///< "(part)"
        condition,   ///< if: a condition and what follows it, any number of times; then the part after `else`, if any
        loop,        ///< while, until: the condition and the body; for, select: only the body
        choice,      ///< case: its branches
        function,    ///< the definition of the function `words[0]`
    };

    Kind kind = Kind::list;
    bool is_alternative = false;  ///< of a part of and_or: it follows "||"
    bool is_redirected = false;   ///< of a simple command: standard output or error goes to a file
    ShellWords words{};
    std::vector<ShellNode> parts{};
    /// The lists in `$(…)`, backticks, `<(…)` and `>(…)` among the words.
    std::vector<ShellNode> substitutions{};
};

/// Skips comments and here-documents. Never fails: an unterminated quote or compound command ends with the text, and
/// what the grammar does not allow is skipped. The result is a list.
[[nodiscard]] ShellNode parse_shell_command(std::string_view text);

}  // namespace session_buddy::ingest
