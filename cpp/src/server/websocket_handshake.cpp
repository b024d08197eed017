// Computes Sec-WebSocket-Accept and writes the 101 response.
#include "websocket_handshake.hpp"

#include <openssl/evp.h>
#include <spdlog/fmt/fmt.h>

#include <array>
#include <boost/beast/http/field.hpp>

#include "deflate.hpp"
#include "replies.hpp"

namespace session_buddy::server {

namespace {

namespace http = boost::beast::http;

// Sec-WebSocket-Accept for the key (section 1.3).
std::string accept_value(std::string_view key) {
    const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr);
    std::array<unsigned char, 4 * EVP_MAX_MD_SIZE / 3 + 4> base64{};
    const int length = EVP_EncodeBlock(base64.data(), digest.data(), static_cast<int>(size));
    return {base64.begin(), base64.begin() + length};
}

}  // namespace

Handshake accept_handshake(const http::request<http::string_body>& request, std::string_view subprotocol,
                           bool may_deflate) {
    const auto key = request[http::field::sec_websocket_key];
    Handshake handshake;
    handshake.response = fmt::format(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n"
        "Server: session-buddy\r\n",
        accept_value({key.data(), key.size()}));
    if (!subprotocol.empty()) {
        handshake.response += fmt::format("Sec-WebSocket-Protocol: {}\r\n", subprotocol);
    }
    if (may_deflate) {
        if (const auto agreed = negotiate_deflate(joined_header(request, http::field::sec_websocket_extensions))) {
            handshake.response += fmt::format("Sec-WebSocket-Extensions: {}\r\n", *agreed);
            handshake.deflated = true;
        }
    }
    handshake.response += "\r\n";
    return handshake;
}

}  // namespace session_buddy::server
