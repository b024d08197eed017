// See hook_command.hpp. The user waits while this runs, so nothing is done here that can be done later.
#include "session_buddy/app/hook_command.hpp"

#include <spdlog/common.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>

#include "session_buddy/app/skill_events.hpp"
#include "session_buddy/app/spool.hpp"
#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/log.hpp"
#include "session_buddy/core/options.hpp"
#include "session_buddy/core/tool_rule.hpp"
#include "session_buddy/core/version.hpp"
#include "session_buddy/ingest/hook_event.hpp"
#include "session_buddy/storage/event_store.hpp"

namespace session_buddy::app {
namespace {

constexpr log::Logger kLog{"session_buddy.hook"};

/// For a lock on the database. It is asked for at most three times.
constexpr std::chrono::milliseconds kBusyTimeout{10};
/// A larger event is left to the transcripts.
constexpr std::size_t kMaxEventBytes = std::size_t{64} << 20U;
/// Spooled events that one hook takes in beside its own.
constexpr std::size_t kMaxTakenIn = 50;
constexpr std::size_t kMaxLogBytes = std::size_t{1} << 20U;
constexpr std::size_t kLogFiles = 2;  // full ones, beside the one that is written

constexpr std::string_view kHelp =
    "Usage: session-buddy-hook [--db-path FILE]\n"
    "\n"
    "Stores one hook event of Claude Code, read from stdin, in the skills database. Prints nothing and ends with\n"
    "status 0 whatever happens. \"session-buddy hooks install\" sets it up.\n"
    "\n"
    "  --db-path FILE  the database; without it the one of SESSION_BUDDY_DB_PATH, the config file or the default\n"
    "  --version       print the version\n"
    "  --help          print this\n";

std::filesystem::path log_file(const options::Surroundings& surroundings) {
    if (const auto state = surroundings.environment("XDG_STATE_HOME"); state && state->starts_with('/')) {
        return std::filesystem::path(*state) / "session-buddy" / "hook.log";
    }
    const auto home = surroundings.environment("HOME");
    if (!home) {
        return {};
    }
    return std::filesystem::path(*home) / (surroundings.macos ? "Library/Logs" : ".local/state") / "session-buddy" /
           "hook.log";
}

/// The file is opened with the first record: nearly always there is none.
void log_to_file(const options::Surroundings& surroundings) {
    log::set_level(log::Level::warning);
    log::set_sink(
        [path = log_file(surroundings), logger = std::shared_ptr<spdlog::logger>()](const log::Record& record) mutable {
            if (path.empty()) {
                return;
            }
            if (!logger) {
                logger = std::make_shared<spdlog::logger>(
                    kHookProgram,
                    std::make_shared<spdlog::sinks::rotating_file_sink_st>(path.string(), kMaxLogBytes, kLogFiles));
                logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %P %v");
            }
            logger->error("{}: {}", record.logger, record.message);
            logger->flush();
        });
}

struct Arguments {
    std::optional<std::string> db_path;
    std::string_view print;  ///< and nothing else
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
            kLog.error("argument {} is not known or not complete; it is passed over", i + 1);
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
        if (count < 0 && errno != EINTR) {
            throw std::runtime_error("stdin cannot be read");
        }
        if (text.size() > kMaxEventBytes) {
            throw std::runtime_error("an event of more than 64 MiB is passed over");
        }
    }
}

/// A config that cannot be used must not cost the event: then what the arguments and the defaults say counts.
Config settings(const std::optional<std::string>& db_path, const options::Surroundings& surroundings) {
    std::vector<options::Flag> flags;
    if (db_path) {
        flags.push_back({.option = options::find("db_path"), .text = *db_path});
    }
    try {
        return options::load(flags, std::nullopt, surroundings).config;
    } catch (const ConfigError& error) {
        kLog.error("the settings cannot be used: {}", error.what());
    }
    Config config;
    config.db_path = options::resolve_db_path(db_path, surroundings).value;
    return config;
}

void store(const storage::SkillEvent& event, const Config& config) {
    const Spool spool(config.db_path, config.max_spool_events);
    try {
        storage::EventStore store(config.db_path, {.busy_timeout = kBusyTimeout, .brief = true});
        spool.take_in(store, kMaxTakenIn);  // first: the start of what ends now may be among them
        store.take({&event, 1}, storage::Source::hook);
        if (event.kind == storage::SkillEvent::Kind::session_end) {
            store.expire(event.at - std::chrono::duration_cast<TimePoint::duration>(config.hook_timeout));
        }
    } catch (const std::exception& error) {
        spool.put(event, Spool::Durability::process);
        kLog.warning("an event waits in \"{}\": {}", spool.folder().string(), error.what());
    }
}

void take_event(const std::optional<std::string>& db_path, const options::Surroundings& surroundings) {
    const std::string text = read_stdin();
    const TimePoint now = SystemClock().now();
    const Config config = settings(db_path, surroundings);
    const std::vector<ToolRule> rules = parse_tool_rules(config.tools);
    auto read = ingest::read_hook_event(text, ingest::SkillNamer(rules));
    if (const auto* bad = std::get_if<ingest::BadEvent>(&read)) {
        kLog.error("an event cannot be read: {}", bad->reason);
    } else if (auto* event = std::get_if<ingest::HookEvent>(&read)) {
        store(to_skill_event(std::move(*event), now), config);
    }
}

}  // namespace

int run_hook_command(std::span<const char* const> arguments) {
    const auto surroundings = options::Surroundings::of_process();
    log_to_file(surroundings);
    try {
        const Arguments parsed = parse(arguments);
        if (!parsed.print.empty()) {
            std::puts(std::string(parsed.print).c_str());
            return 0;
        }
        take_event(parsed.db_path, surroundings);
    } catch (const std::exception& error) {
        kLog.error("an event is lost: {}", error.what());
    }
    return 0;
}

}  // namespace session_buddy::app
