// Fuzzes the reader of timestamps: what it takes must come back, to the second, from what is written of it.
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
        fuzz::check(again.has_value(), "a written timestamp can be read");
        fuzz::check(*again == std::chrono::floor<std::chrono::seconds>(*moment), "it is the same second");
        fuzz::check(format_timestamp(*again) == text, "it is written the same again");
    }
    return 0;
}
