// Arguments, help, signals and exit statuses of the server command. The server itself is RealTimeServer.
#include "session_buddy/app/server_command.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>
#ifdef __linux__
#include <malloc.h>
#endif

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <system_error>

#include "service_notifier.hpp"
#include "session_buddy/app/real_time_server.hpp"
#include "session_buddy/auth/authenticator.hpp"
#include "session_buddy/core/log.hpp"
#include "session_buddy/core/out_of_memory.hpp"
#include "session_buddy/core/version.hpp"
#include "session_buddy/core/worker.hpp"
#include "session_buddy/storage/error.hpp"

namespace session_buddy::app {
namespace {

constexpr std::size_t kHelpColumn = 32;
constexpr std::size_t kHelpWidth = 100;

std::string_view placeholder(const options::Option& option) {
    switch (option.kind) {
        case options::Kind::integer:
        case options::Kind::number:
            return " N";
        case options::Kind::duration:
            return " TIME";
        case options::Kind::choice:
            return " WORD";
        case options::Kind::path:
            return " FILE";
        case options::Kind::list:
            return " LIST";
        case options::Kind::secret:
        case options::Kind::text:
            return option.name == "db_path" ? " FILE" : " TEXT";
        case options::Kind::boolean:
            break;
    }
    return "[=true|false]";
}

void append_help(std::string& text, std::string_view left, std::string_view help) {
    std::string line = fmt::format("  {:<{}}", left, kHelpColumn - 2);
    if (!line.ends_with(' ')) {
        text += line + '\n';
        line.assign(kHelpColumn, ' ');
    }
    bool empty = true;
    while (!help.empty()) {
        const auto end = std::min(help.find(' '), help.size());
        if (!empty && line.size() + 1 + end > kHelpWidth) {
            text += line + '\n';
            line.assign(kHelpColumn, ' ');
            empty = true;
        }
        line += (empty ? "" : " ");
        line += help.substr(0, end);
        empty = false;
        help.remove_prefix(std::min(end + 1, help.size()));
    }
    text += line + '\n';
}

std::string default_of(const options::Option& option) {
    if (option.name == "db_path") {
        return {};
    }
    return std::visit([](const auto& held) { return fmt::format("{}", held); }, options::read(Config{}, option));
}

std::string describe(const options::Option& option) {
    std::string help(option.help);
    const std::string range = options::range_of(option);
    const std::string value = default_of(option);
    if (!range.empty() && option.kind != options::Kind::boolean) {
        help += fmt::format(" ({}", range) + (value.empty() ? ")" : fmt::format("; default {})", value));
    } else if (!value.empty()) {
        help += fmt::format(" (default {})", value);
    }
    return help;
}

// CLI11 accepts "--name=value" and "--name value"; the rejected argument shows which error it is.
std::string unknown_argument(const std::string& argument) {
    if (!argument.starts_with('-')) {
        return fmt::format("unexpected argument '{}'", argument);
    }
    const std::string name = argument.substr(0, argument.find('='));
    const std::string meant = options::nearest(std::string_view(name).substr(std::min<std::size_t>(2, name.size())));
    return meant.empty()
               ? fmt::format("unknown option {}; --help lists them", name)
               : fmt::format("unknown option {}; did you mean {}?", name, options::flag_of(*options::find(meant)));
}

void print_line(std::FILE* stream, const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stream);
    std::fflush(stream);
}

// Prints the result and fails if not all of it was written, so that a truncated file is not taken for the whole.
void print_result(const std::string& text) {
    errno = 0;
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
        throw std::system_error(errno, std::generic_category(), "cannot write the output");
    }
}

void print_error(const std::string& message) {
    print_line(stderr, fmt::format("{}: error: {}\n", kServerProgram, message));
}

// Signal handling with the self-pipe trick: a handler may do little, and any thread may receive the signal.
class Signals {
  public:
    enum class Request { reload, stop };

    // Without `reloads`, SIGHUP keeps its default action: terminate when the terminal is closed.
    explicit Signals(bool reloads) : reloads_(reloads) {
        std::array<int, 2> ends{};
        if (::pipe(ends.data()) != 0) {
            throw std::system_error(errno, std::generic_category(), "cannot create a pipe");
        }
        read_end_ = ends[0];
        write_end = ends[1];
        received = 0;
        // The handler must not block. If the pipe is full, the reader wakes up anyway.
        ::fcntl(ends[1], F_SETFL, O_NONBLOCK);
        struct sigaction stop {};
        stop.sa_handler = &Signals::handle_stop;
        ::sigemptyset(&stop.sa_mask);
        stop.sa_flags = SA_RESTART;
        struct sigaction reload = stop;
        reload.sa_handler = &Signals::wake;
        struct sigaction ignore {};
        ignore.sa_handler = SIG_IGN;
        ::sigemptyset(&ignore.sa_mask);
        ::sigaction(SIGINT, &stop, &before_[0]);
        ::sigaction(SIGTERM, &stop, &before_[1]);
        // A write to a closed connection must return an error, not kill the process.
        ::sigaction(SIGPIPE, &ignore, &before_[2]);
        if (reloads_) {
            ::sigaction(SIGHUP, &reload, &before_[3]);
        }
    }
    ~Signals() {
        ::sigaction(SIGINT, &before_[0], nullptr);
        ::sigaction(SIGTERM, &before_[1], nullptr);
        ::sigaction(SIGPIPE, &before_[2], nullptr);
        if (reloads_) {
            ::sigaction(SIGHUP, &before_[3], nullptr);
        }
        ::close(write_end.exchange(-1));
        ::close(read_end_);
    }
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;

    // Blocks until a signal arrives.
    [[nodiscard]] Request wait() const {
        // Waits in poll(), because ThreadSanitizer would defer the handler forever in read().
        pollfd readable{.fd = read_end_, .events = POLLIN, .revents = 0};
        while (::poll(&readable, 1, -1) < 0 && errno == EINTR) {
        }
        char byte = 0;
        while (::read(read_end_, &byte, 1) < 0 && errno == EINTR) {
        }
        return received != 0 ? Request::stop : Request::reload;
    }

  private:
    // Only async-signal-safe calls.
    static void handle_stop(int signal) {
        if (received.exchange(1) != 0) {
            // A second signal terminates without a graceful shutdown.
            ::_exit(128 + signal);
        }
        wake(signal);
    }
    static void wake(int /*signal*/) {
        const int saved = errno;
        const char byte = 1;
        const auto written = ::write(write_end, &byte, 1);
        static_cast<void>(written);
        errno = saved;
    }

    static inline std::atomic<int> write_end{-1};
    static inline std::atomic<int> received{0};
    static_assert(std::atomic<int>::is_always_lock_free);

    const bool reloads_;
    int read_end_ = -1;
    std::array<struct sigaction, 4> before_{};
};

/// Fixes glibc's mmap threshold. By default glibc raises it, up to 32 MiB, when a mapped block is freed; later large
/// blocks then lie between small ones, and the memory of a burst of large responses is never returned to the system.
void return_large_blocks() {
#ifdef __GLIBC__
    constexpr int kLargeBlock = 256 * 1024;
    mallopt(M_MMAP_THRESHOLD, kLargeBlock);
#endif
}

/// Terminate handler, for an exception that escapes from code that must not throw. The data on disk is consistent at
/// any time.
[[noreturn]] void exit_immediately() {
    constexpr std::string_view kMessage =
        "session-buddy-server: error: terminated: out of memory or an internal error\n";
    const auto written = ::write(STDERR_FILENO, kMessage.data(), kMessage.size());
    static_cast<void>(written);
    ::_exit(static_cast<int>(ExitStatus::failed));
}

std::atomic<bool> thread_failed{false};

/// Runs the server. True if it was stopped by a signal, false if a thread failed.
bool serve(const options::Settings& settings) {
    return_large_blocks();
    out_of_memory::reserve();
    std::set_terminate(&exit_immediately);
    log::reset_sink();
    log::set_level(*log::parse_level(settings.config.log_level));
    const bool encrypted = !settings.config.tls_cert.empty();
    const bool reloads = encrypted || auth::requires_token(settings.config);
    const ServiceNotifier manager;
    // A service manager has no terminal: its SIGHUP always means reload, even if there is nothing to reload.
    const Signals signals(reloads || manager.active());
    RealTimeServer server(settings.config);
    server.start();
    std::string line = "listening on";
    for (const std::string& endpoint : server.endpoints()) {
        line += (encrypted ? " wss://" : " ws://") + endpoint;
    }
    print_line(stdout, line + "\n");
    log::kServer.info("dashboard: {}://{}/", encrypted ? "https" : "http", server.endpoints().front());
    manager.ready();
    thread_failed = false;
    Worker::on_failure([] {
        thread_failed = true;
        ::kill(::getpid(), SIGTERM);
    });
    while (signals.wait() == Signals::Request::reload) {
        manager.reloading();
        try {
            server.reload();
            if (reloads) {
                log::kServer.info("certificates and tokens reloaded");
            }
        } catch (const std::exception& error) {
            log::kServer.error("reload failed; keeping the previous certificates and tokens: {}", error.what());
        }
        manager.ready();
    }
    manager.stopping();
    server.stop();
    Worker::on_failure(nullptr);
    return !thread_failed;
}

ExitStatus run_command(std::span<const char* const> arguments, std::string_view program) {
    try {
        const ServerCommand command = parse_server_command(arguments);
        if (command.action == ServerCommand::Action::help) {
            print_result(server_help(program));
            return ExitStatus::stopped;
        }
        if (command.action == ServerCommand::Action::version) {
            print_result(fmt::format("{} {}\n", kServerProgram, kVersion));
            return ExitStatus::stopped;
        }
        const options::Settings settings =
            options::load(command.flags, command.config_file, options::Environment::from_process());
        if (command.action == ServerCommand::Action::print_config) {
            print_result(options::print(settings));
            return ExitStatus::stopped;
        }
        if (serve(settings)) {
            return ExitStatus::stopped;
        }
        print_error("stopped because a thread failed; see the log above");
        return ExitStatus::failed;
    } catch (const UsageError& error) {
        print_error(error.what());
        return ExitStatus::wrong_usage;
    } catch (const ConfigError& error) {
        print_error(error.what());
        return ExitStatus::wrong_usage;
    } catch (const std::system_error& error) {
        const bool taken = error.code() == std::errc::address_in_use;
        print_error(std::string(error.what()) +
                    (taken ? "; stop the other program or choose another port with --port" : ""));
    } catch (const std::bad_alloc&) {
        print_error("out of memory: raise the memory limit, or lower max_tracked_skills and max_rows_per_cycle");
    } catch (const std::exception& error) {
        print_error(error.what());
    }
    return ExitStatus::could_not_start;
}

}  // namespace

ServerCommand parse_server_command(std::span<const char* const> arguments) {
    ServerCommand command;
    CLI::App app;
    app.set_help_flag();
    app.allow_extras();

    bool help = false;
    bool version = false;
    bool print_config = false;
    std::string config_file;
    app.add_flag("-h,--help", help);
    app.add_flag("--version", version);
    app.add_flag("--print-config", print_config);
    CLI::Option* config = app.add_option("--config", config_file)->take_last();

    const auto table = options::table();
    std::vector<CLI::Option*> given;
    for (const options::Option& option : table) {
        given.push_back(app.add_option(options::flag_of(option))->take_all());
    }

    // A boolean option needs no value. CLI11's flags check values by CLI11's own rules, so it is a normal option, to
    // which the value is added here.
    std::vector<std::string> words;
    for (const char* argument : arguments) {
        const std::string word = argument;
        const bool without_value = std::any_of(table.begin(), table.end(), [&word](const options::Option& option) {
            return option.kind == options::Kind::boolean && word == options::flag_of(option);
        });
        words.push_back(without_value ? word + "=true" : word);
    }
    std::reverse(words.begin(), words.end());  // CLI11 parses from the back
    try {
        app.parse(words);
    } catch (const CLI::ParseError& error) {
        throw UsageError(error.what());
    }
    if (help) {
        command.action = ServerCommand::Action::help;
        return command;
    }
    if (const auto extras = app.remaining(); !extras.empty()) {
        throw UsageError(unknown_argument(extras.front()));
    }
    if (version) {
        command.action = ServerCommand::Action::version;
        return command;
    }
    if (print_config) {
        command.action = ServerCommand::Action::print_config;
    }
    if (config->count() > 0) {
        command.config_file = config_file;
    }
    for (std::size_t i = 0; i < table.size(); ++i) {
        const auto& texts = given[i]->results();
        if (texts.empty()) {
            continue;
        }
        if (table[i].kind == options::Kind::secret) {
            throw UsageError(
                fmt::format("{} is not accepted on the command line, which every user of this machine can read; set "
                            "{}, or {} in the config file",
                            options::flag_of(table[i]), options::environment_of(table[i]), table[i].name));
        }
        const bool is_list = table[i].kind == options::Kind::list;
        command.flags.push_back({&table[i], is_list ? fmt::format("{}", fmt::join(texts, ",")) : texts.back()});
    }
    return command;
}

std::string server_help(std::string_view program) {
    std::string text = fmt::format(
        "Usage: {} [OPTIONS]\n\n"
        "Streams live metrics of skill invocations from an SQLite database over WebSocket. The same port\n"
        "serves a dashboard (/), an HTTP API (/api/v1/) and metrics for Prometheus (/metrics).\n",
        program);
    std::string_view group;
    for (const options::Option& option : options::table()) {
        if (option.group != group) {
            group = option.group;
            text += fmt::format("\n{}:\n", group);
        }
        const bool secret = option.kind == options::Kind::secret;  // not accepted on the command line
        append_help(text,
                    secret ? options::environment_of(option) + '='
                           : options::flag_of(option) + std::string(placeholder(option)),
                    describe(option));
    }
    text += "\nGeneral:\n";
    append_help(text, "--config FILE",
                "TOML config file (default: SESSION_BUDDY_CONFIG, else session-buddy/config.toml in the user's config "
                "directory if it exists)");
    append_help(text, "--print-config", "Print all settings and their sources as a config file and exit");
    append_help(text, "--version", "Print the version and exit");
    append_help(text, "-h, --help", "Print this help and exit");
    text +=
        "\nTIME: seconds, or a number with a unit (ms, s, m, h, d, w): 0.5, 500ms, 24h.\n"
        "LIST: comma-separated items, or the option repeated once per item.\n"
        "Every setting has an environment variable (SESSION_BUDDY_UPDATE_INTERVAL) and a key in the\n"
        "config file (update_interval). Flags override variables, variables override the file.\n"
        "Exit status: 0 stopped by a signal, 1 failed to start, 2 usage error, 3 failed while running.\n";
    return text;
}

int run_server_command(std::span<const char* const> arguments, std::string_view program) {
    return static_cast<int>(run_command(arguments, program));
}

}  // namespace session_buddy::app
