// Appends JSON strings, numbers and timestamps; the common case of plain ASCII is copied without a JSON library.
#include "json_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "session_buddy/core/timestamp.hpp"

namespace session_buddy::protocol::json_text {

namespace {

// Large enough for any double (at most 24 characters) and any 64-bit integer (20).
constexpr std::size_t kNumberBytes = 32;

bool is_plain(char byte) {
    return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

}  // namespace

void append_string(std::string& out, std::string_view text) {
    if (std::ranges::all_of(text, is_plain)) {
        out += '"';
        out += text;
        out += '"';
        return;
    }
    using Json = nlohmann::json;
    out += Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

void append_number(std::string& out, double value) {
    if (!std::isfinite(value)) {
        value = 0.0;
    }
    std::array<char, kNumberBytes> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    out.append(text.data(), end);
    if (std::none_of(text.data(), end, [](char c) { return c == '.' || c == 'e'; })) {
        out += ".0";
    }
}

void append_number(std::string& out, std::int64_t value) {
    std::array<char, kNumberBytes> text{};
    out.append(text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr);
}

void append_timestamp(std::string& out, TimePoint at) {
    out += '"';
    out += format_timestamp(at);
    out += '"';
}

}  // namespace session_buddy::protocol::json_text
