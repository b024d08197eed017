// Lists of names, because a transcript does not say where a command comes from.
#include "typed_command.hpp"

#include <algorithm>
#include <array>

namespace session_buddy::ingest {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

/// Run by Claude Code itself. Sorted.
constexpr std::array kLocalCommands = std::to_array<std::string_view>({
    "add-dir",
    "advisor",
    "agents",
    "allowed-tools",
    "android",
    "app",
    "background",
    "bashes",
    "bg",
    "branch",
    "btw",
    "bug",
    "cd",
    "checkpoint",
    "chrome",
    "clear",
    "color",
    "compact",
    "config",
    "context",
    "continue",
    "copy",
    "cost",
    "desktop",
    "diff",
    "doctor",
    "effort",
    "exit",
    "export",
    "extra-usage",
    "fast",
    "feedback",
    "files",
    "focus",
    "fork",
    "goal",
    "heapdump",
    "help",
    "hooks",
    "ide",
    "install-github-app",
    "install-slack-app",
    "ios",
    "keybindings",
    "login",
    "logout",
    "mcp",
    "memory",
    "migrate-installer",
    "mobile",
    "model",
    "new",
    "output-style",
    "passes",
    "permissions",
    "plan",
    "plugin",
    "plugins",
    "powerup",
    "privacy-settings",
    "quit",
    "rc",
    "recap",
    "release-notes",
    "reload-plugins",
    "remote-control",
    "remote-env",
    "rename",
    "reset",
    "resume",
    "rewind",
    "sandbox",
    "scroll-speed",
    "session",
    "settings",
    "setup-bedrock",
    "setup-vertex",
    "share",
    "skills",
    "stats",
    "status",
    "statusline",
    "stickers",
    "stop",
    "tag",
    "tasks",
    "teleport",
    "terminal-setup",
    "theme",
    "think-back",
    "todos",
    "tp",
    "tui",
    "ultraplan",
    "undo",
    "upgrade",
    "usage",
    "vim",
    "voice",
    "web-setup",
});
static_assert(std::ranges::is_sorted(kLocalCommands));

/// Expanded to a prompt. Sorted.
constexpr std::array kPromptCommands = std::to_array<std::string_view>({
    "init",
    "insights",
    "pr-comments",
    "pr_comments",
    "security-review",
    "statusline",
    "team-onboarding",
});
static_assert(std::ranges::is_sorted(kPromptCommands));

/// Removes `<tag>…</tag>` and the blanks behind it, and returns the content.
[[nodiscard]] std::optional<std::string_view> take_element(std::string_view& text, std::string_view open,
                                                           std::string_view close) {
    if (!text.starts_with(open)) {
        return std::nullopt;
    }
    const std::size_t end = text.find(close, open.size());
    if (end == std::string_view::npos) {
        return std::nullopt;
    }
    const std::string_view content = text.substr(open.size(), end - open.size());
    text.remove_prefix(end + close.size());
    text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
    return content;
}

}  // namespace

std::optional<TypedCommand> find_typed_command(std::string_view message) {
    message.remove_prefix(std::min(message.find_first_not_of(kBlanks), message.size()));
    if (!message.starts_with("<")) {
        return std::nullopt;
    }
    static_cast<void>(take_element(message, "<local-command-caveat>", "</local-command-caveat>"));
    const bool is_local = !take_element(message, "<command-message>", "</command-message>");
    const auto name = take_element(message, "<command-name>", "</command-name>");
    const bool is_name =
        name && name->size() > 1 && name->front() == '/' && name->find_first_of(" \t\r\n<") == std::string_view::npos;
    if (!is_name || (!message.empty() && !message.starts_with("<"))) {
        return std::nullopt;
    }
    return TypedCommand{.name = *name, .is_local = is_local};
}

bool is_builtin_command(std::string_view name, bool is_local) {
    return std::ranges::binary_search(kPromptCommands, name) ||
           (is_local && std::ranges::binary_search(kLocalCommands, name));
}

}  // namespace session_buddy::ingest
