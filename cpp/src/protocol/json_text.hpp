// Appends JSON values to a string, without building a document tree.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "session_buddy/core/clock.hpp"

namespace session_buddy::protocol::json_text {

/// Quoted and escaped; bytes that are not UTF-8 become U+FFFD, so the result is always valid JSON.
void append_string(std::string& out, std::string_view text);

/// The shortest decimal that reads back as the same double, always with a fraction or an exponent, so that
/// typed readers see a float. NaN and infinity, which JSON cannot represent, become 0.0.
void append_number(std::string& out, double value);

void append_number(std::string& out, std::int64_t value);

/// Quoted `YYYY-MM-DDTHH:MM:SSZ`.
void append_timestamp(std::string& out, TimePoint at);

}  // namespace session_buddy::protocol::json_text
