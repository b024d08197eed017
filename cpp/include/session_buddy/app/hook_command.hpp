// The session-buddy-hook command: reads one hook event of Claude Code from stdin and stores it in the database.
#pragma once

#include <span>

namespace session_buddy::app {

inline constexpr const char* kHookProgram = "session-buddy-hook";

/// Arguments (without the program's name): --db-path FILE, --help, --version. Prints nothing except for the last two
/// and always returns 0, because Claude Code shows the output of a hook and stops at a non-zero status. Errors are
/// logged to session-buddy/hook.log in the user's state directory. If the database cannot be written within
/// milliseconds, the event is spooled. Never throws.
int run_hook_command(std::span<const char* const> arguments);

}  // namespace session_buddy::app
