// Appends JSON values to a string. The messages are small and their keys fixed, so no tree is built to write one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "session_buddy/core/clock.hpp"

namespace session_buddy::protocol::json_text {

/// Quoted and escaped; bytes that are not UTF-8 become U+FFFD, so the result is always valid JSON.
void append_string(std::string& out, std::string_view text);

/// The shortest decimal that reads back as the same double, with a fraction or an exponent so that typed readers see a
/// float. JSON has no word for what is not finite: that is written as 0.0.
void append_number(std::string& out, double value);

void append_number(std::string& out, std::int64_t value);

/// Quoted `YYYY-MM-DDTHH:MM:SSZ`.
void append_timestamp(std::string& out, TimePoint at);

}  // namespace session_buddy::protocol::json_text
