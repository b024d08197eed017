// The valid range of durations.
#pragma once

namespace session_buddy {

/// About three years; a longer duration cannot be a measurement. A macro, because SQL texts contain it.
#define SESSION_BUDDY_MAX_DURATION_SECONDS "100000000"
inline constexpr double kMaxDurationSeconds = 1e8;
inline constexpr const char* kDurationRule =
    "must be a number of seconds from 0 to " SESSION_BUDDY_MAX_DURATION_SECONDS;

/// Whether a duration is valid. Ingestion rejects any other. If another program stored an invalid one, the invocation
/// is counted and its duration is ignored.
[[nodiscard]] constexpr bool is_valid_duration(double seconds) {
    return seconds >= 0.0 && seconds <= kMaxDurationSeconds;
}

}  // namespace session_buddy
