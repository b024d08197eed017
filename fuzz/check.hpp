// Assertions of the fuzz targets, active in every build type, unlike assert().
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "session_buddy/core/log.hpp"

namespace session_buddy::fuzz {

/// Aborts with the message `what` if `holds` is false; libFuzzer then saves the input.
inline void check(bool holds, std::string_view what) {
    if (!holds) {
        std::fprintf(stderr, "check failed: %.*s\n", static_cast<int>(what.size()), what.data());
        std::abort();
    }
}

/// Aborts on any error that is logged from now on: no input may cause one. Enables all log levels, so that the
/// formatting of all log messages is tested, too.
inline void forbid_logged_errors() {
    log::set_level(log::Level::debug);
    log::set_sink([](const log::Record& record) { check(record.level < log::Level::error, record.message); });
}

}  // namespace session_buddy::fuzz
