// The table of development tools whose output shows whether they passed, and the patterns of the lines that show it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace session_buddy::ingest {

/// What a line of an output proves.
enum class Says : std::uint8_t {
    failed,
    failed_if_named,  ///< as failed, but other programs write such lines, too: not if a wrapper ran the tool
    passed,           ///< the tool never writes it if it failed
    passed_if_last,   ///< if it failed, the line is followed by one that says so
    passed_if_all,    ///< if it failed, some other line says so
    passed_if_named,  ///< as passed_if_last, but other programs write such lines, too
};

/// A pattern must match the whole line, without colours, blanks around it, and the `=` or `!` that frame it.
///   `#`  an integer above zero
///   `~`  any number, such as 0, 12 or 1.25
///   `&`  the same number as the last `#`
///   `@`  one or more characters that are not blank
///   `*`  any characters, or none
///   ` `  one or more blanks
///   `\`  the next character stands for itself
/// Of several `@` and `*`, the shortest match of each earlier one holds.
struct VerdictLine {
    Says says;
    std::string_view pattern;
};

/// What a tool does; of several wrappers in one command, the one whose name fits gets the verdict of a tool inside.
enum class ToolKind : std::uint8_t { other, test, check, build };

/// Which verdicts of the tools that it ran count for a tool.
enum class Inner : std::uint8_t {
    none,
    failed,  ///< their failures: the tool itself says if all passed
    all,
};

struct ToolVerdicts {
    /// Skill names, separated by commas; `*` at the end of one: all that begin so.
    std::string_view skills;
    ToolKind kind;
    Inner inner;
    std::span<const VerdictLine> lines;
    std::string_view
        program{};  ///< its name in "command not found", if it is not the first word of the first skill name
};

inline constexpr std::size_t kMaxToolVerdicts = 128;
[[nodiscard]] std::span<const ToolVerdicts> tool_verdicts();

/// Whether a pattern matches a line. Linear in the length of the line for each wildcard, without allocation.
[[nodiscard]] bool matches(std::string_view pattern, std::string_view line);

}  // namespace session_buddy::ingest
