// Fuzzes what a connection sends from its first byte on: HTTP requests, upgrades, and whatever follows.
#include <cstddef>
#include <cstdint>

#include "conversation.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    session_buddy::fuzz::Conversation conversation;
    conversation.play({reinterpret_cast<const char*>(data), size});
    conversation.disconnect();
    return 0;
}
