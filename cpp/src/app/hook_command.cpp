// Reads the event, stores or spools it, and logs errors to hook.log. The user waits while this runs, so it does only
// what cannot be deferred.
#include "session_buddy/app/hook_command.hpp"

#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "session_buddy/app/skill_events.hpp"
#include "session_buddy/app/spool.hpp"
#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/duration.hpp"
#include "session_buddy/core/log.hpp"
#include "session_buddy/core/options.hpp"
#include "session_buddy/core/tool_rule.hpp"
#include "session_buddy/core/version.hpp"
#include "session_buddy/ingest/hook_event.hpp"
#include "session_buddy/storage/event_store.hpp"

namespace session_buddy::app {
namespace {

namespace fs = std::filesystem;

/// Busy timeout for the database lock, which is requested at most three times.
constexpr std::chrono::milliseconds kHookBusyTimeout{10};
/// Read timeout in milliseconds for an incomplete event.
constexpr int kInputTimeout = 2000;
/// Larger events are skipped; session-buddy watch recovers their invocations from the transcripts.
constexpr std::size_t kMaxHookEventBytes = std::size_t{64} << 20U;
/// Spooled events that one hook stores in addition to its own.
constexpr std::size_t kMaxDrainedByHook = 50;
/// Maximum time for draining them, in case triggers of another tool are slow.
constexpr std::chrono::milliseconds kMaxSpoolLock{500};
constexpr std::size_t kMaxLogBytes = std::size_t{1} << 20U;
constexpr int kRotatedLogs = 2;  // in addition to the current one

constexpr std::array<std::string_view, 5> kSettings{"db_path", "tools", "builtin_commands", "hook_timeout",
                                                    "max_spool_events"};

constexpr std::string_view kHelp =
    "Usage: session-buddy-hook [--db-path FILE]\n"
    "\n"
    "Stores one hook event of Claude Code, read from stdin, in the skills database. Prints nothing and exits with\n"
    "status 0 even after an error. \"session-buddy hooks install\" sets it up.\n"
    "\n"
    "  --db-path FILE  database (default: SESSION_BUDDY_DB_PATH, else the config file, else the default path)\n"
    "  --version       print the version\n"
    "  --help          print this\n";

/// Empty if there is no state directory.
fs::path log_file(const options::Environment& environment) {
    if (const auto state = environment.get("XDG_STATE_HOME"); state && state->starts_with('/')) {
        return fs::path(*state) / "session-buddy" / "hook.log";
    }
    const auto home = environment.get("HOME");
    if (!home || !home->starts_with('/')) {
        return {};
    }
    return fs::path(*home) / (environment.macos ? "Library/Logs" : ".local/state") / "session-buddy" / "hook.log";
}

/// Not spdlog's rotation, which writes to stderr and waits if it fails.
void rotate(const fs::path& path) {
    std::error_code error;
    if (const auto size = fs::file_size(path, error); error || size < kMaxLogBytes) {
        return;
    }
    const auto rotated = [&](int number) {
        return path.parent_path() / fmt::format("{}.{}{}", path.stem().string(), number, path.extension().string());
    };
    for (int number = kRotatedLogs; number > 1; --number) {
        fs::rename(rotated(number - 1), rotated(number), error);
    }
    fs::rename(path, rotated(1), error);
}

/// Opens the file for the first record, because nearly always there is none.
void log_to_file(const options::Environment& environment) {
    log::set_level(log::Level::warning);
    log::set_sink(
        [path = log_file(environment), logger = std::shared_ptr<spdlog::logger>()](const log::Record& record) mutable {
            std::error_code error;
            const auto status = fs::status(path, error);
            if (path.empty() || (fs::exists(status) && !fs::is_regular_file(status))) {
                return;
            }
            if (!logger) {
                rotate(path);
                logger = std::make_shared<spdlog::logger>(
                    kHookProgram, std::make_shared<spdlog::sinks::basic_file_sink_st>(path.string()));
                logger->set_error_handler([](const std::string&) {});  // the default one prints to stderr
                logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %P %v");
            }
            logger->error("{}: {}", record.logger, record.message);
            logger->flush();
        });
}

struct Arguments {
    std::optional<std::string> db_path;
    std::string_view print;  ///< text to print instead of reading an event
};

Arguments parse(std::span<const char* const> arguments) {
    Arguments parsed;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string_view word = arguments[i];
        constexpr std::string_view kPath = "--db-path=";
        if (word == "--help" || word == "-h") {
            parsed.print = kHelp;
        } else if (word == "--version") {
            parsed.print = kVersion;
        } else if (word.starts_with(kPath)) {
            parsed.db_path = word.substr(kPath.size());
        } else if (word == "--db-path" && i + 1 < arguments.size()) {
            parsed.db_path = arguments[++i];
        } else {
            log::kHook.error("argument {} is unknown or incomplete and is ignored", i + 1);
        }
    }
    return parsed;
}

std::string read_stdin() {
    constexpr std::size_t kPiece = 65536;
    std::string text;
    for (;;) {
        const std::size_t size = text.size();
        text.resize(size + kPiece);
        const auto count = ::read(STDIN_FILENO, text.data() + size, kPiece);
        text.resize(size + (count > 0 ? static_cast<std::size_t>(count) : 0));
        if (count == 0) {
            return text;
        }
        if (count < 0 &&
            (errno == EAGAIN || errno == EWOULDBLOCK)) {  // Claude Code may have set the pipe to non-blocking
            pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
            if (::poll(&input, 1, kInputTimeout) == 0) {
                throw std::runtime_error("timed out while reading an event: no data for 2 s");
            }
        } else if (count < 0 && errno != EINTR) {
            throw std::runtime_error("cannot read stdin");
        }
        if (text.size() > kMaxHookEventBytes) {
            throw std::runtime_error("event larger than 64 MiB");
        }
    }
}

/// `events`: one or more, of one hook event.
void store(std::span<const storage::SkillEvent> events, const Config& config) {
    const Spool spool(config.db_path, config.max_spool_events);
    const auto spool_events = [&](std::string_view why) {
        for (const storage::SkillEvent& event : events) {
            spool.put(event, storage::Source::hook, storage::Durability::process);
        }
        log::kHook.warning("event spooled in \"{}\": {}", spool.folder().string(), why);
    };
    std::optional<storage::EventStore> store;
    try {
        store.emplace(config.db_path, storage::OpenOptions{.busy_timeout = kHookBusyTimeout, .short_lived = true});
        // Drain the spool first and completely: it may hold the start event of the tool use that ends now.
        if (spool.drain(*store, kMaxDrainedByHook, kMaxSpoolLock)) {
            spool_events("older events in the spool are stored first");
            return;
        }
        store->ingest(events, storage::Source::hook);
    } catch (const std::exception& error) {
        spool_events(error.what());
        return;
    }
    if (events.front().kind == storage::SkillEvent::Kind::session_end) {
        store->expire(events.front().at - std::chrono::duration_cast<TimePoint::duration>(config.hook_timeout));
    }
}

void handle_event(const std::optional<std::string>& db_path, const options::Environment& environment) {
    const std::string text = read_stdin();
    const TimePoint now = SystemClock().now();
    const options::PartialSettings settings = options::load_lenient(kSettings, db_path, environment);
    for (const std::string& error : settings.errors) {
        log::kHook.error("setting ignored: {}", error);
    }
    const std::vector<ToolRule> rules = parse_tool_rules(settings.config.tools);
    auto read = ingest::read_hook_event(text, ingest::SkillNamer(rules), now, settings.config.builtin_commands);
    if (const auto* bad = std::get_if<ingest::BadEvent>(&read)) {
        log::kHook.error("invalid event: {}", bad->reason);
        return;
    }
    std::vector<storage::SkillEvent> events;
    for (ingest::AgentEvent& event : std::get<std::vector<ingest::AgentEvent>>(read)) {
        if (event.bad_duration) {
            log::kHook.error("duration of an invocation of {} ignored: duration_ms, in seconds, {}", event.skill_name,
                             kDurationRule);
        }
        events.push_back(to_skill_event(std::move(event)));
    }
    if (!events.empty()) {
        store(events, settings.config);
    }
}

}  // namespace

int run_hook_command(std::span<const char* const> arguments) {
    try {
        const auto environment = options::Environment::from_process();
        log_to_file(environment);
        const Arguments parsed = parse(arguments);
        if (!parsed.print.empty()) {
            std::puts(std::string(parsed.print).c_str());
            return 0;
        }
        handle_event(parsed.db_path, environment);
    } catch (const std::exception& error) {
        log::kHook.error("event lost: {}", error.what());
    } catch (...) {
        log::kHook.error("event lost");
    }
    return 0;
}

}  // namespace session_buddy::app
