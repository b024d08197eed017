// Character classes and case of ASCII text. Unlike <cctype>, independent of the locale, which could treat other bytes
// as letters.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace session_buddy::ascii {

[[nodiscard]] constexpr bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

[[nodiscard]] constexpr char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

[[nodiscard]] constexpr char upper(char c) noexcept {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

[[nodiscard]] constexpr bool is_alphanumeric(char c) noexcept {
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z');
}

/// Whether `c` is a letter, a digit or one of `marks`.
[[nodiscard]] constexpr bool is_alphanumeric_or(std::string_view marks, char c) noexcept {
    return is_alphanumeric(c) || marks.find(c) != std::string_view::npos;
}

/// -1 if it is not a hexadecimal digit.
[[nodiscard]] constexpr int hex_digit(char c) noexcept {
    if (is_digit(c)) {
        return c - '0';
    }
    return lower(c) >= 'a' && lower(c) <= 'f' ? lower(c) - 'a' + 10 : -1;
}

/// `text` with A to Z as a to z; other bytes, such as those of UTF-8, stay as they are.
[[nodiscard]] inline std::string lower(std::string_view text) {
    std::string result(text);
    std::ranges::transform(result, result.begin(), [](char c) { return lower(c); });
    return result;
}

[[nodiscard]] inline std::string upper(std::string_view text) {
    std::string result(text);
    std::ranges::transform(result, result.begin(), [](char c) { return upper(c); });
    return result;
}

[[nodiscard]] constexpr bool is_ascii(std::string_view text) noexcept {
    return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace session_buddy::ascii
