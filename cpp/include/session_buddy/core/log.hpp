// The logging API of all layers: named loggers over spdlog. A disabled level costs one relaxed load.
// The program chooses where records go (stderr, Python's logging) with set_sink().
#pragma once

#include <spdlog/fmt/fmt.h>

#include <atomic>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>

namespace session_buddy::log {

enum class Level : int { debug = 10, info = 20, warning = 30, error = 40, off = 100 };  // Python's numbers

/// One finished record. `logger` is a dotted name such as "session_buddy.server".
struct Record {
    Level level;
    std::string_view logger;
    std::string_view message;
};

/// Receives every record at or above the level. Called concurrently from any thread; it should not block for long.
/// Exceptions from it are swallowed.
using Sink = std::function<void(const Record&)>;

void set_level(Level level) noexcept;
[[nodiscard]] Level level() noexcept;  ///< info by default

/// The level for a value of log_level ("debug", "info", "warning", "error", "off"); nullopt for another name.
[[nodiscard]] std::optional<Level> parse_level(std::string_view name) noexcept;

/// Replaces the sink. The default sink writes "time level logger: message" lines to stderr through spdlog. A call of
/// the old sink by another thread may still be running when this returns.
void set_sink(Sink sink);
void reset_sink();

namespace detail {
extern std::atomic<int> current_level;
/// One record is one line: control characters of the message are written as \xNN. Never throws.
void emit(Level level, std::string_view logger, std::string_view message) noexcept;
}  // namespace detail

[[nodiscard]] inline bool enabled(Level level) noexcept {
    return static_cast<int>(level) >= detail::current_level.load(std::memory_order_relaxed);
}

/// A named logger, such as kServer: `log::kServer.info("listening on {}", port)`.
class Logger {
  public:
    explicit constexpr Logger(std::string_view name) : name_(name) {}

    template <typename... Args>
    void debug(fmt::format_string<Args...> text, Args&&... args) const {
        write(Level::debug, text, std::forward<Args>(args)...);
    }
    template <typename... Args>
    void info(fmt::format_string<Args...> text, Args&&... args) const {
        write(Level::info, text, std::forward<Args>(args)...);
    }
    template <typename... Args>
    void warning(fmt::format_string<Args...> text, Args&&... args) const {
        write(Level::warning, text, std::forward<Args>(args)...);
    }
    template <typename... Args>
    void error(fmt::format_string<Args...> text, Args&&... args) const {
        write(Level::error, text, std::forward<Args>(args)...);
    }

  private:
    template <typename... Args>
    void write(Level level, fmt::format_string<Args...> text, Args&&... args) const {
        if (!enabled(level)) {
            return;
        }
        try {
            detail::emit(level, name_, fmt::format(text, std::forward<Args>(args)...));
        } catch (...) {
            // Out of memory, or a formatter that throws: a log line must not fail the caller.
            detail::emit(level, name_, "a record could not be formatted");
        }
    }

    std::string_view name_;
};

// All loggers. Their names are those of Python's logging: "session_buddy.server" is the parent of the following four.
inline constexpr Logger kAuth{"session_buddy.auth"};
inline constexpr Logger kCollector{"session_buddy.collector"};
inline constexpr Logger kHistory{"session_buddy.history"};
inline constexpr Logger kHook{"session_buddy.hook"};
inline constexpr Logger kIntake{"session_buddy.intake"};
inline constexpr Logger kQueries{"session_buddy.queries"};
inline constexpr Logger kRetention{"session_buddy.retention"};
inline constexpr Logger kServer{"session_buddy.server"};
inline constexpr Logger kServerAuth{"session_buddy.server.auth"};
inline constexpr Logger kServerHttp{"session_buddy.server.http"};
inline constexpr Logger kServerSession{"session_buddy.server.session"};
inline constexpr Logger kServerTls{"session_buddy.server.tls"};
inline constexpr Logger kSpool{"session_buddy.spool"};
inline constexpr Logger kStorage{"session_buddy.storage"};

}  // namespace session_buddy::log
