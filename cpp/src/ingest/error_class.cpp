// Patterns of the error texts that Claude Code writes. Only the first two lines are matched, because the output of a
// program follows.
#include "session_buddy/ingest/error_class.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "session_buddy/core/ascii.hpp"

namespace session_buddy::ingest {
namespace {

constexpr std::size_t kMaxLineBytes = 400;

/// Removes the next non-blank line from `text` and returns it in lower case, without leading markup and "error:".
[[nodiscard]] std::string next_line(std::string_view& text) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string line = ascii::lower(text.substr(0, std::min(end, kMaxLineBytes)));
    text.remove_prefix(end);
    for (const std::string_view prefix : {"<tool_use_error>", "error: ", "error:"}) {
        if (line.starts_with(prefix)) {
            line.erase(0, prefix.size());
        }
    }
    return line;
}

template <std::size_t N>
[[nodiscard]] bool contains_any(std::string_view line, const std::array<std::string_view, N>& parts) {
    return std::any_of(parts.begin(), parts.end(),
                       [&](std::string_view part) { return line.find(part) != std::string_view::npos; });
}

constexpr std::array<std::string_view, 6> kRejections = {
    "doesn't want to proceed with this tool use",
    "doesn't want to take this action",
    "tool use was rejected",
    "user rejected",
    "haven't granted it yet",
    "requires approval",
};
constexpr std::array<std::string_view, 7> kInterruptions = {
    "[request interrupted by user", "interrupted by user", "cancelled: parallel tool call", "sibling tool call errored",
    "operation was aborted",        "streaming fallback",  "request was aborted",
};
constexpr std::array<std::string_view, 4> kTimeouts = {"timed out", "timeout of ", "timeout exceeded",
                                                       "exceeded timeout"};

}  // namespace

std::string_view classify_tool_error(std::string_view text, bool is_interrupt) {
    if (is_interrupt) {
        return kInterrupted;
    }
    const std::string first = next_line(text);
    const std::string second = next_line(text);
    if (first.starts_with("exit code ")) {
        if (second.starts_with("command timed out")) {
            return kTimeout;
        }
        return second.starts_with("[request interrupted by user") ? kInterrupted : kExitCode;
    }
    if (contains_any(first, kInterruptions)) {
        return kInterrupted;
    }
    const bool denied = first.starts_with("permission to use ") && first.find("denied") != std::string::npos;
    if (denied || contains_any(first, kRejections)) {
        return kRejected;
    }
    if (contains_any(first, kTimeouts)) {
        return kTimeout;
    }
    return first.starts_with("command failed with exit code") ? kExitCode : kToolError;
}

}  // namespace session_buddy::ingest
