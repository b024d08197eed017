// Lists that are written in one text, separated by commas.
#pragma once

#include <string_view>
#include <vector>

namespace session_buddy {

/// The items without the blanks around them; an empty text is one empty item. They are views into `text`.
[[nodiscard]] inline std::vector<std::string_view> list_items(std::string_view text) {
    std::vector<std::string_view> items;
    while (true) {
        const auto comma = text.find(',');
        const auto item = text.substr(0, comma);
        const auto begin = item.find_first_not_of(" \t");
        items.push_back(begin == std::string_view::npos ? std::string_view()
                                                        : item.substr(begin, item.find_last_not_of(" \t") - begin + 1));
        if (comma == std::string_view::npos) {
            return items;
        }
        text.remove_prefix(comma + 1);
    }
}

}  // namespace session_buddy
