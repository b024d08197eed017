// Splits a shell command line into its simple commands, in order of execution. It determines which program is called
// with which words; it expands nothing and runs nothing.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace session_buddy::ingest {

/// Only this much of a longer command line is parsed.
inline constexpr std::size_t kMaxShellBytes = std::size_t{256} * 1024;
/// Subshells and substitutions nested deeper than this are skipped.
inline constexpr int kMaxShellNesting = 16;

/// The words of one simple command, without quotes and redirections, with leading assignments and keywords. An
/// expansion ($x, ${x}, $(…)) becomes "$" in its word.
using ShellWords = std::vector<std::string>;

/// Splits at `;`, `&`, `&&`, `||`, `|`, newlines and parentheses. Skips comments and here-documents. Commands inside
/// `$(…)`, backticks and `<(…)` follow the command that contains them. Never fails: an unterminated quote ends with the
/// text.
[[nodiscard]] std::vector<ShellWords> split_shell_command(std::string_view text);

}  // namespace session_buddy::ingest
