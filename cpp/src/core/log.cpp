// The process-wide log sink and the default sink, which writes to stderr.
#include "session_buddy/core/log.hpp"

#include <spdlog/details/log_msg.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <array>
#include <memory>
#include <mutex>
#include <string>

#include "session_buddy/core/enum_names.hpp"

namespace session_buddy::log {
namespace {

spdlog::level::level_enum to_spdlog(Level level) {
    switch (level) {
        case Level::debug:
            return spdlog::level::debug;
        case Level::info:
            return spdlog::level::info;
        case Level::warning:
            return spdlog::level::warn;
        case Level::error:
            return spdlog::level::err;
        case Level::off:
            break;
    }
    return spdlog::level::off;
}

Sink make_stderr_sink() {
    auto target = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
    target->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %n: %v");
    return [target](const Record& record) {
        target->log(spdlog::details::log_msg(spdlog::string_view_t(record.logger.data(), record.logger.size()),
                                             to_spdlog(record.level),
                                             spdlog::string_view_t(record.message.data(), record.message.size())));
    };
}

struct State {
    std::mutex mutex;
    std::shared_ptr<const Sink> sink = std::make_shared<const Sink>(make_stderr_sink());
};

// Never destroyed: a thread may still log during static destruction.
State& state() {
    static State& instance = *new State;
    return instance;
}

bool is_control(char character) {
    const auto byte = static_cast<unsigned char>(character);
    return byte < 0x20 || byte == 0x7F;
}

std::string escape_controls(std::string_view message) {
    std::string escaped;
    escaped.reserve(message.size() + 16);
    for (const char character : message) {
        if (is_control(character)) {
            escaped += fmt::format("\\x{:02x}", static_cast<unsigned char>(character));
        } else {
            escaped += character;
        }
    }
    return escaped;
}

}  // namespace

namespace detail {

std::atomic<int> current_level{static_cast<int>(Level::info)};

void emit(Level level, std::string_view logger, std::string_view message) noexcept {
    try {
        std::string escaped;
        for (const char character : message) {
            if (is_control(character)) {
                escaped = escape_controls(message);
                message = escaped;
                break;
            }
        }
        std::shared_ptr<const Sink> sink;
        {
            const std::lock_guard lock(state().mutex);
            sink = state().sink;
        }
        // Outside the lock, so that a slow sink delays only its caller and may itself replace the sink.
        if (*sink) {
            (*sink)(Record{level, logger, message});
        }
    } catch (...) {  // NOLINT(bugprone-empty-catch): logging must never stop the program
    }
}

}  // namespace detail

void set_level(Level level) noexcept {
    detail::current_level.store(static_cast<int>(level), std::memory_order_relaxed);
}

Level level() noexcept {
    return static_cast<Level>(detail::current_level.load(std::memory_order_relaxed));
}

std::optional<Level> parse_level(std::string_view name) noexcept {
    static constexpr EnumNames kNames{std::array{EnumName{Level::debug, "debug"}, EnumName{Level::info, "info"},
                                                 EnumName{Level::warning, "warning"}, EnumName{Level::error, "error"},
                                                 EnumName{Level::off, "off"}}};
    return kNames.find(name);
}

void set_sink(Sink sink) {
    auto shared = std::make_shared<const Sink>(std::move(sink));
    const std::lock_guard lock(state().mutex);
    state().sink.swap(shared);
}

void reset_sink() {
    set_sink(make_stderr_sink());
}

}  // namespace session_buddy::log
