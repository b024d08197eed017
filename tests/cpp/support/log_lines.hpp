// Captures log records during its lifetime, for tests of log messages.
#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "session_buddy/core/log.hpp"

namespace session_buddy::test {

class LogLines {
  public:
    explicit LogLines(log::Level level) : level_before_(log::level()) {
        log::set_level(level);
        log::set_sink([this](const log::Record& record) {
            const std::lock_guard lock(mutex_);
            lines_.emplace_back(record.message);
        });
    }
    ~LogLines() {
        log::reset_sink();
        log::set_level(level_before_);
    }
    LogLines(const LogLines&) = delete;
    LogLines& operator=(const LogLines&) = delete;

    /// Number of lines that contain `text`. Thread-safe.
    [[nodiscard]] std::size_t count(std::string_view text) const {
        const std::lock_guard lock(mutex_);
        std::size_t found = 0;
        for (const auto& line : lines_) {
            found += line.find(text) != std::string::npos ? 1U : 0U;
        }
        return found;
    }

  private:
    const log::Level level_before_;
    mutable std::mutex mutex_;
    std::vector<std::string> lines_;
};

}  // namespace session_buddy::test
