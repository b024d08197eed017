// What session-buddy-hook runs: one hook event of Claude Code from stdin into the database.
#pragma once

#include <span>

namespace session_buddy::app {

inline constexpr const char* kHookProgram = "session-buddy-hook";

/// Arguments (without the program's name): --db-path FILE, --help, --version. Prints nothing but for the last two, and
/// returns 0 whatever happens, as Claude Code would show what it prints and stop at another status. What went wrong is
/// in the log (hook.log in session-buddy in the user's state directory). An event that the database does not take
/// within milliseconds is spooled. Never throws.
int run_hook_command(std::span<const char* const> arguments);

}  // namespace session_buddy::app
