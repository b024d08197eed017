// The slash commands that the user typed: which text is one, and which of them Claude Code itself provides.
#pragma once

#include <optional>
#include <string_view>

namespace session_buddy::ingest {

struct TypedCommand {
    std::string_view name;  ///< with its slash
    /// Claude Code ran it itself: it wrote the name first. Of a command that became a prompt, as those of the user do,
    /// it writes the message first.
    bool is_local = false;
};

/// nullopt unless the message has the form in which Claude Code writes a typed command. The same tags further inside a
/// message are pasted text.
[[nodiscard]] std::optional<TypedCommand> find_typed_command(std::string_view message);

/// Whether Claude Code provides the command, as `command_source` of UserPromptExpansion says it. `name`: without the
/// slash. Some names of local commands are also used for commands of the user, which become prompts.
[[nodiscard]] bool is_builtin_command(std::string_view name, bool is_local);

}  // namespace session_buddy::ingest
