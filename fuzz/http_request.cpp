// Fuzzes all bytes of a connection: HTTP requests, upgrades, and the data after them.
#include <cstddef>
#include <cstdint>

#include "conversation.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    session_buddy::fuzz::Conversation conversation;
    conversation.play({reinterpret_cast<const char*>(data), size});
    conversation.disconnect();
    return 0;
}
