// Fuzzes the bytes after a valid upgrade: valid and invalid frames, and their messages.
#include <cstddef>
#include <cstdint>

#include "conversation.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    session_buddy::fuzz::Conversation conversation;
    conversation.send(
        "GET / HTTP/1.1\r\n"
        "Host: localhost\r\n"
        "Upgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        "\r\n");
    conversation.play({reinterpret_cast<const char*>(data), size});
    conversation.disconnect();
    return 0;
}
