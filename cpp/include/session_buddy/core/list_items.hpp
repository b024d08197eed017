// Lists that are written in one text: those of settings, separated by commas, and those of HTTP headers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

namespace session_buddy {

/// Without the blanks and tabs at both ends.
[[nodiscard]] inline std::string_view trimmed(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    return text.substr(0, text.find_last_not_of(" \t") + 1);
}

/// The items without the blanks around them; an empty text is one empty item. They are views into `text`.
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

/// Takes what stands before the separator off `rest`, with the separator; one inside of quotes is none (RFC 9110,
/// 5.6.4). Without the blanks around it.
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
