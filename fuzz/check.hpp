// How a fuzz target says what must hold, in every build: assert() is gone from an optimised one.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "session_buddy/core/log.hpp"

namespace session_buddy::fuzz {

/// Ends the process with `what` where it does not hold; libFuzzer keeps the input.
inline void check(bool holds, std::string_view what) {
    if (!holds) {
        std::fprintf(stderr, "does not hold: %.*s\n", static_cast<int>(what.size()), what.data());
        std::abort();
    }
}

/// From now on an error in the log ends the process: no input may take the server there. Every level is written, so
/// that what the log lines send of the input is tested, too.
inline void forbid_logged_errors() {
    log::set_level(log::Level::debug);
    log::set_sink([](const log::Record& record) { check(record.level < log::Level::error, record.message); });
}

}  // namespace session_buddy::fuzz
