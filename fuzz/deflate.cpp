// Fuzzes permessage-deflate: the negotiation, decompression of a client message, and compression of a server message.
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
    check(same != nullptr && *same == text, "a message is unchanged after compression and decompression");
}

void check_message_of_client(std::string_view payload) {
    static server::Inflater inflater;
    const auto read = inflater.inflate(payload, kMaxBytes);
    if (const auto* text = std::get_if<std::string>(&read)) {
        check(text->size() <= kMaxBytes, "a message has at most kMaxBytes bytes");
        check_round_trip(*text);
    }
    check(inflater.inflate(payload, kMaxBytes) == read, "decompression does not depend on earlier messages");
}

void check_offers(std::string_view offers) {
    if (const auto answer = server::negotiate_deflate(offers)) {
        check(offers.find("permessage-deflate") != std::string_view::npos, "only an offered extension is accepted");
        check(server::negotiate_deflate(*answer) == answer, "the response is itself an acceptable offer");
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
