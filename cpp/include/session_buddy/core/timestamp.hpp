// Reads the timestamp forms that databases and transcripts hold, and writes the one form of the wire.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "session_buddy/core/clock.hpp"

namespace session_buddy {

/// Reads an ISO 8601 calendar timestamp: `YYYY-MM-DD`, alone or followed by `T`, `t` or a blank and
/// `HH:MM[:SS[.fraction]]`
/// (`.` or `,`, cut to microseconds), then `Z`, `z`, an offset `±HH`, `±HHMM`, `±HH:MM[:SS]`, or nothing, which means
/// UTC. Years 0001 to 9999, in UTC too. Returns nothing for anything else, an impossible date or time included.
[[nodiscard]] std::optional<TimePoint> parse_timestamp(std::string_view text);

/// Of one that is stored: a fraction has no end by itself.
inline constexpr std::size_t kMaxTimestampBytes = 64;

/// `YYYY-MM-DDTHH:MM:SSZ`, the fraction cut off.
[[nodiscard]] std::string format_timestamp(TimePoint at);

/// `YYYY-MM-DDTHH:MM:SS.mmmZ`, or six digits of fraction where three do not hold it; parse_timestamp gives `at` back.
[[nodiscard]] std::string format_precise_timestamp(TimePoint at);

/// `Sun, 06 Nov 1994 08:49:37 GMT`, as in the header Date (RFC 9110, 5.6.7).
[[nodiscard]] std::string format_http_date(TimePoint at);

/// When that began which ended at `end`; `end` itself where the duration (seconds, not negative) is of more than 31
/// years: no date might tell it.
[[nodiscard]] TimePoint start_time(TimePoint end, double duration);

}  // namespace session_buddy
