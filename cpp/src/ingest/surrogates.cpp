// Scans the escapes of a JSON text for surrogates without a partner.
#include "surrogates.hpp"

#include <optional>

#include "session_buddy/core/ascii.hpp"

namespace session_buddy::ingest {
namespace {

std::optional<unsigned> hex4(std::string_view text) {
    if (text.size() < 4) {
        return std::nullopt;
    }
    unsigned value = 0;
    for (const char c : text.substr(0, 4)) {
        const int digit = ascii::hex_digit(c);
        if (digit < 0) {
            return std::nullopt;
        }
        value = value * 16 + static_cast<unsigned>(digit);
    }
    return value;
}

}  // namespace

std::string replace_lone_surrogates(std::string_view line) {
    constexpr std::string_view kReplacement = "\\ufffd";
    std::string result;
    result.reserve(line.size());
    for (std::size_t at = 0; at < line.size();) {
        if (line[at] != '\\' || at + 1 >= line.size()) {
            result += line[at++];
            continue;
        }
        const auto unit = line[at + 1] == 'u' ? hex4(line.substr(at + 2)) : std::nullopt;
        if (!unit || *unit < 0xD800 || *unit > 0xDFFF) {
            result += line.substr(at, 2);
            at += 2;
            continue;
        }
        const bool followed = *unit < 0xDC00 && line.substr(at + 6, 2) == "\\u";
        const auto second = followed ? hex4(line.substr(at + 8)) : std::nullopt;
        if (second && *second >= 0xDC00 && *second <= 0xDFFF) {
            result += line.substr(at, 12);
            at += 12;
        } else {
            result += kReplacement;
            at += 6;
        }
    }
    return result;
}

}  // namespace session_buddy::ingest
