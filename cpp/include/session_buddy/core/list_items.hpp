// Splits lists in text: comma-separated settings and HTTP header fields.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

namespace session_buddy {

/// `text` without leading and trailing blanks and tabs.
[[nodiscard]] inline std::string_view trimmed(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    return text.substr(0, text.find_last_not_of(" \t") + 1);
}

/// The comma-separated items, trimmed, as views into `text`; an empty text is one empty item.
[[nodiscard]] inline std::vector<std::string_view> list_items(std::string_view text) {
    std::vector<std::string_view> items;
    while (true) {
        const auto comma = text.find(',');
        items.push_back(trimmed(text.substr(0, comma)));
        if (comma == std::string_view::npos) {
            return items;
        }
        text.remove_prefix(comma + 1);
    }
}

/// Removes the part before the next separator, and the separator, from `rest` and returns the part trimmed. Separators
/// in quoted strings do not count (RFC 9110, 5.6.4).
[[nodiscard]] inline std::string_view split_next(std::string_view& rest, char separator) {
    bool quoted = false;
    std::size_t end = 0;
    for (; end < rest.size() && (quoted || rest[end] != separator); ++end) {
        if (rest[end] == '"') {
            quoted = !quoted;
        } else if (quoted && rest[end] == '\\') {
            ++end;
        }
    }
    end = std::min(end, rest.size());
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return trimmed(part);
}

}  // namespace session_buddy
