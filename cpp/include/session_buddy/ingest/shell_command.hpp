// Takes a shell command line apart into the simple commands that it runs, in order.
// It finds out which program is called with which words; it expands nothing and runs nothing.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace session_buddy::ingest {

/// Of a longer command line only this much is looked at.
inline constexpr std::size_t kMaxShellBytes = std::size_t{256} * 1024;
/// Subshells and substitutions deeper than this are passed over.
inline constexpr int kMaxShellNesting = 16;

/// The words of one simple command with quotes removed, redirections left out, leading assignments and keywords
/// included. An expansion ($x, ${x}, $(…)) stands in its word as "$".
using ShellWords = std::vector<std::string>;

/// Splits at `;`, `&`, `&&`, `||`, `|`, newlines and parentheses. Comments and here-documents are passed over. The
/// commands inside `$(…)`, backticks and `<(…)` follow the command they stand in. Never fails: unfinished quoting ends
/// with the text.
[[nodiscard]] std::vector<ShellWords> split_shell_command(std::string_view text);

}  // namespace session_buddy::ingest
