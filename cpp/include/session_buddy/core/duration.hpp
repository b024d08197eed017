// How long an invocation may have taken.
#pragma once

namespace session_buddy {

/// About three years: a longer one is no measurement.
inline constexpr double kMaxDurationSeconds = 1e8;
inline constexpr const char* kDurationRule = "must be a number of seconds from 0 to 100000000";

/// Whether a duration counts. Where data comes in, any other is refused; of rows that other programs wrote with one the
/// invocation counts, and the duration does not.
[[nodiscard]] constexpr bool is_valid_duration(double seconds) {
    return seconds >= 0.0 && seconds <= kMaxDurationSeconds;
}

}  // namespace session_buddy
