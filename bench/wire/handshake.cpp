// Builds the HTTP upgrade request and response, and implements the socket helpers.
#include "handshake.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>

namespace wire {

namespace {

constexpr int kBacklog = 4096;

}  // namespace

std::string upgrade_request(bool compression) {
    return fmt::format(
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n{}\r\n",
        kKey, compression ? "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" : "");
}

std::string upgrade_response(std::string_view request) {
    constexpr std::string_view kField = "Sec-WebSocket-Key: ";
    const auto start = request.find(kField);
    if (start == std::string_view::npos) {
        throw std::runtime_error("a client sent a request without Sec-WebSocket-Key");
    }
    const auto value = request.substr(start + kField.size());
    std::string text(value.substr(0, value.find('\r')));
    text += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
    SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
    std::array<unsigned char, 4 * ((SHA_DIGEST_LENGTH + 2) / 3) + 1> accept{};
    EVP_EncodeBlock(accept.data(), digest.data(), SHA_DIGEST_LENGTH);
    return fmt::format(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
        "{}\r\n\r\n",
        reinterpret_cast<const char*>(accept.data()));
}

int checked(int result, const char* what) {
    if (result < 0) {
        throw std::system_error(errno, std::generic_category(), what);
    }
    return result;
}

int listen_on_loopback(std::string_view scheme) {
    const int listener = checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    checked(bind(listener, plain, size), "bind");
    checked(listen(listener, kBacklog), "listen");
    checked(getsockname(listener, plain, &size), "getsockname");
    fmt::print("listening on {}://127.0.0.1:{}\n", scheme, ntohs(address.sin_port));
    std::fflush(stdout);
    return listener;
}

void raise_file_limit() {
    rlimit limit{};
    checked(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    checked(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
}

std::string read_whole(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        throw std::runtime_error("cannot read " + path);
    }
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace wire
