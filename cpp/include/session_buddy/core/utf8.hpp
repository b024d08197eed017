// Strict UTF-8, one code point at a time: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace session_buddy {

inline constexpr char32_t kInvalidCodePoint = 0xFFFFFFFF;

/// Reads the code point at `position` and advances `position` past it. Returns kInvalidCodePoint and leaves `position`
/// unchanged if the bytes are not well-formed UTF-8. `position` must be inside `text`.
[[nodiscard]] constexpr char32_t next_code_point(std::string_view text, std::size_t& position) noexcept {
    const auto byte = [text](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    const unsigned lead = byte(position);
    if (lead < 0x80) {
        ++position;
        return lead;
    }
    std::size_t length = 0;
    char32_t code = 0;
    char32_t smallest = 0;  // smallest valid code point of this length; below it the form is overlong
    if ((lead & 0xE0U) == 0xC0U) {
        length = 2;
        code = lead & 0x1FU;
        smallest = 0x80;
    } else if ((lead & 0xF0U) == 0xE0U) {
        length = 3;
        code = lead & 0x0FU;
        smallest = 0x800;
    } else if ((lead & 0xF8U) == 0xF0U) {
        length = 4;
        code = lead & 0x07U;
        smallest = 0x10000;
    } else {
        return kInvalidCodePoint;
    }
    if (text.size() - position < length) {
        return kInvalidCodePoint;
    }
    for (std::size_t i = 1; i < length; ++i) {
        const unsigned next = byte(position + i);
        if ((next & 0xC0U) != 0x80U) {
            return kInvalidCodePoint;
        }
        code = (code << 6U) | (next & 0x3FU);
    }
    const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
    if (code < smallest || code > 0x10FFFF || surrogate) {
        return kInvalidCodePoint;
    }
    position += length;
    return code;
}

[[nodiscard]] constexpr bool is_valid_utf8(std::string_view text) noexcept {
    for (std::size_t position = 0; position < text.size();) {
        if (next_code_point(text, position) == kInvalidCodePoint) {
            return false;
        }
    }
    return true;
}

/// C0, DEL and C1.
[[nodiscard]] constexpr bool is_control(char32_t code) noexcept {
    return code < 0x20 || (code >= 0x7F && code <= 0x9F);
}

/// Valid UTF-8 without control characters, which a terminal would interpret.
[[nodiscard]] constexpr bool is_printable_utf8(std::string_view text) noexcept {
    for (std::size_t position = 0; position < text.size();) {
        const char32_t code = next_code_point(text, position);
        if (code == kInvalidCodePoint || is_control(code)) {
            return false;
        }
    }
    return true;
}

/// For text that arrives in pieces: reads on from `position`, the start of a character, and returns the end of the last
/// complete character; nullopt if no continuation can make the text well-formed UTF-8.
[[nodiscard]] constexpr std::optional<std::size_t> utf8_boundary(std::string_view text, std::size_t position) noexcept {
    while (position < text.size()) {
        if (next_code_point(text, position) != kInvalidCodePoint) {
            continue;
        }
        const auto lead = static_cast<unsigned char>(text[position]);
        const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
        const auto begun = text.substr(position);
        // If any continuation is valid, one of these two is.
        for (const char rest : {'\x80', '\xBF'}) {
            std::array<char, 4> whole{rest, rest, rest, rest};
            std::copy_n(begun.begin(), std::min(begun.size(), length), whole.begin());
            std::size_t end = 0;
            if (begun.size() < length && next_code_point({whole.data(), length}, end) != kInvalidCodePoint) {
                return position;
            }
        }
        return std::nullopt;
    }
    return position;
}

/// At most the first `limit` bytes, cut between characters.
[[nodiscard]] constexpr std::string_view utf8_prefix(std::string_view text, std::size_t limit) noexcept {
    if (text.size() <= limit) {
        return text;
    }
    while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xC0U) == 0x80U) {
        --limit;
    }
    return text.substr(0, limit);
}

}  // namespace session_buddy
