// Fuzzes the timestamp parser: a parsed timestamp must survive formatting and parsing, to the second.
#include "session_buddy/core/timestamp.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace session_buddy;
    const auto moment = parse_timestamp({reinterpret_cast<const char*>(data), size});
    if (moment) {
        const auto text = format_timestamp(*moment);
        const auto again = parse_timestamp(text);
        fuzz::check(again.has_value(), "a formatted timestamp can be parsed");
        fuzz::check(*again == std::chrono::floor<std::chrono::seconds>(*moment), "the second is unchanged");
        fuzz::check(format_timestamp(*again) == text, "formatting is deterministic");
    }
    return 0;
}
