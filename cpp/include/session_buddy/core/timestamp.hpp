// Parses the timestamp formats found in databases and transcripts, and formats timestamps for the wire.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "session_buddy/core/clock.hpp"

namespace session_buddy {

/// Parses an ISO 8601 calendar timestamp: `YYYY-MM-DD`, optionally followed by `T`, `t` or a blank and
/// `HH:MM[:SS[.fraction]]` (`.` or `,`, truncated to microseconds), then `Z`, `z`, an offset `±HH`, `±HHMM`,
/// `±HH:MM[:SS]`, or nothing, which means UTC. Years 0001 to 9999, in UTC too. nullopt for anything else, including an
/// impossible date or time.
[[nodiscard]] std::optional<TimePoint> parse_timestamp(std::string_view text);

/// Maximum length of a stored timestamp; the syntax does not limit the digits of a fraction.
inline constexpr std::size_t kMaxTimestampBytes = 64;

/// `YYYY-MM-DDTHH:MM:SSZ`, without the fraction.
[[nodiscard]] std::string format_timestamp(TimePoint at);

/// `YYYY-MM-DDTHH:MM:SS.mmmZ`, or six fraction digits if three would lose precision; parse_timestamp() returns `at`.
[[nodiscard]] std::string format_precise_timestamp(TimePoint at);

/// `Sun, 06 Nov 1994 08:49:37 GMT`, as in the Date header (RFC 9110, 5.6.7).
[[nodiscard]] std::string format_http_date(TimePoint at);

/// The start of something that took `duration` seconds and ended at `end`; `end` itself if the duration is not valid
/// (core/duration.hpp), as the result might be out of range.
[[nodiscard]] TimePoint start_time(TimePoint end, double duration);

}  // namespace session_buddy
