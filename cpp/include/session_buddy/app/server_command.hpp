// The server's command line, shared by session-buddy-server, `session-buddy serve` and `python -m
// session_buddy.websocket-server`, so that all have the same options and exit statuses.
#pragma once

#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "session_buddy/core/options.hpp"

namespace session_buddy::app {

/// The name in messages, however the server was started.
inline constexpr const char* kServerProgram = "session-buddy-server";

enum class ExitStatus : int { stopped = 0, could_not_start = 1, wrong_usage = 2, failed = 3 };

/// A command-line error that concerns no single setting. what() is one line.
class UsageError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct ServerCommand {
    enum class Action { run, help, version, print_config };
    Action action = Action::run;
    std::vector<options::Flag> flags;
    std::optional<std::string> config_file;
};

/// Parses the arguments (without the program's name). Of a repeated flag the last value counts. Throws UsageError.
[[nodiscard]] ServerCommand parse_server_command(std::span<const char* const> arguments);

/// The text of --help. `program` is the command as the user typed it.
[[nodiscard]] std::string server_help(std::string_view program);

/// Runs the command. A server runs until SIGINT or SIGTERM; a second signal during the shutdown terminates the process
/// immediately. The previous signal handlers are restored afterwards. Prints results to stdout and an error as one line
/// to stderr; never throws. Returns an ExitStatus. Only one call at a time per process.
int run_server_command(std::span<const char* const> arguments, std::string_view program = kServerProgram);

}  // namespace session_buddy::app
