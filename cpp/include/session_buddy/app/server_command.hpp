// The command line of the server: what session-buddy-server, `session-buddy serve` and
// `python -m session_buddy.websocket-server` all run, so that they take the same options and end with the same
// statuses.
#pragma once

#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "session_buddy/core/options.hpp"

namespace session_buddy::app {

/// The name in messages, whichever way it was started.
inline constexpr const char* kServerProgram = "session-buddy-server";

enum class ExitStatus : int { stopped = 0, could_not_start = 1, wrong_usage = 2, failed = 3 };

/// Wrong usage of the command line that concerns no single setting. what() is one line.
class UsageError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct ServerCommand {
    enum class Action { run, help, version, print_config };
    Action action = Action::run;
    std::vector<options::Flag> flags;
    std::optional<std::string> config_file;
};

/// Reads the arguments (without the program's name). A flag that is given twice counts with its last value. Throws
/// UsageError.
[[nodiscard]] ServerCommand parse_server_command(std::span<const char* const> arguments);

/// The text of --help. `program` is what the user typed to start it.
[[nodiscard]] std::string server_help(std::string_view program);

/// Does what the arguments say. A server runs until SIGINT or SIGTERM; a second signal while it stops ends the process
/// at once. Handlers of these signals are put back afterwards. Prints results to stdout and one line for an error to
/// stderr, never throws. Returns an ExitStatus. One call at a time in a process.
int run_server_command(std::span<const char* const> arguments, std::string_view program = kServerProgram);

}  // namespace session_buddy::app
