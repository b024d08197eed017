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
constexpr std::string_view kToolErrorTag = "<tool_use_error>";

/// Removes the next non-blank line from `text` and returns it in lower case, without leading markup and "error:".
[[nodiscard]] std::string next_line(std::string_view& text) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string line = ascii::lower(text.substr(0, std::min(end, kMaxLineBytes)));
    text.remove_prefix(end);
    for (const std::string_view prefix : {kToolErrorTag, std::string_view("error: "), std::string_view("error:")}) {
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

constexpr std::array kRejections = std::to_array<std::string_view>({
    "doesn't want to proceed with this tool use",
    "doesn't want to take this action",
    "tool use was rejected",
    "user rejected",
    "haven't granted it yet",
    "requires approval",
    "permission for this action has been denied",
    "permission for this action was denied",
    "permission for this tool use was denied",
    "was blocked. for security, claude code may only",
});

constexpr std::array<std::string_view, 7> kInterruptions = {
    "[request interrupted by user", "interrupted by user", "cancelled: parallel tool call", "sibling tool call errored",
    "operation was aborted",        "streaming fallback",  "request was aborted",
};
constexpr std::array<std::string_view, 4> kTimeouts = {"timed out", "timeout of ", "timeout exceeded",
                                                       "exceeded timeout"};

/// "PreToolUse:Bash hook error: …", "Hook PreToolUse:Bash denied this tool", "Execution stopped by PreToolUse hook".
[[nodiscard]] bool is_denied_by_hook(std::string_view line) {
    return (line.starts_with("pretooluse:") && line.find(" hook error") != std::string_view::npos) ||
           (line.starts_with("hook pretooluse") && line.find(" denied this tool") != std::string_view::npos) ||
           line.starts_with("execution stopped by pretooluse hook");
}

[[nodiscard]] bool is_rejection(std::string_view line) {
    return (line.starts_with("permission to use ") && line.find("denied") != std::string_view::npos) ||
           is_denied_by_hook(line) || contains_any(line, kRejections);
}

}  // namespace

std::string_view refusal_class(std::string_view text) {
    const bool has_tag = text.starts_with(kToolErrorTag);
    const std::string_view error_class = classify_tool_error(text, false);
    if (has_tag) {
        return error_class == kExitCode ? kToolError : error_class;
    }
    return error_class == kRejected ? kRejected : std::string_view{};
}

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
    if (is_rejection(first)) {
        return kRejected;
    }
    if (contains_any(first, kTimeouts)) {
        return kTimeout;
    }
    return first.starts_with("command failed with exit code") ? kExitCode : kToolError;
}

}  // namespace session_buddy::ingest
