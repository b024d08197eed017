// Fuzzes permessage-deflate: the offers of a client, a compressed message of it, and a message to it.
#include "server/deflate.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "check.hpp"

namespace session_buddy::fuzz {
namespace {

constexpr std::size_t kMaxBytes = 4096;

void check_round_trip(std::string_view text) {
    static server::Deflater deflater;
    static server::Inflater inflater;
    const auto read = inflater.inflate(deflater.deflate(text), text.size());
    const auto* same = std::get_if<std::string>(&read);
    check(same != nullptr && *same == text, "a compressed message comes back as it was");
}

void check_message_of_client(std::string_view payload) {
    static server::Inflater inflater;
    const auto read = inflater.inflate(payload, kMaxBytes);
    if (const auto* text = std::get_if<std::string>(&read)) {
        check(text->size() <= kMaxBytes, "a message is no longer than allowed");
        check_round_trip(*text);
    }
    check(inflater.inflate(payload, kMaxBytes) == read, "a message is read the same again, whatever came before");
}

void check_offers(std::string_view offers) {
    if (const auto answer = server::negotiate_deflate(offers)) {
        check(offers.find("permessage-deflate") != std::string_view::npos, "nothing is accepted that was not offered");
        check(server::negotiate_deflate(*answer) == answer, "the answer would be an offer to accept");
    }
}

}  // namespace
}  // namespace session_buddy::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace session_buddy;
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    fuzz::check_offers(input);
    fuzz::check_message_of_client(input);
    fuzz::check_round_trip(input);
    return 0;
}
