// The floor of a broadcast over plain TCP: accepts the clients, then sends the same bytes with one send() per client.
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "floor.hpp"
#include "frames.hpp"
#include "handshake.hpp"

namespace {

using wire::checked;

int accept_client(int listener) {
    const int client = checked(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC), "accept");
    const int on = 1;
    checked(setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
    std::string request;
    std::array<char, 4096> part{};
    while (request.find(wire::kEndOfHeader) == std::string::npos) {
        const auto count = recv(client, part.data(), part.size(), 0);
        if (count <= 0) {
            throw std::runtime_error("a client disconnected before its request");
        }
        request.append(part.data(), static_cast<std::size_t>(count));
    }
    const std::string response = wire::upgrade_response(request);
    checked(static_cast<int>(send(client, response.data(), response.size(), MSG_NOSIGNAL)), "send");
    return client;
}

[[noreturn]] void run(const wire::FloorOptions& options) {
    wire::raise_file_limit();
    const std::string frame = wire::server_frame(options.message);
    const int listener = wire::listen_on_loopback("ws");
    std::vector<int> clients;
    for (int index = 0; index < options.clients; ++index) {
        clients.push_back(accept_client(listener));
    }
    wire::repeat(options.interval, [&] {
        for (const int client : clients) {
            const auto sent = send(client, frame.data(), frame.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
            if (sent != static_cast<ssize_t>(frame.size())) {
                throw std::runtime_error("a client did not read its frame");
            }
        }
    });
}

}  // namespace

int main(int count, char** words) {
    try {
        run(wire::parse_floor_options(count, words, "The floor of a broadcast over plain TCP.", false));
    } catch (const std::exception& error) {
        fmt::print(stderr, "floor_plain: {}\n", error.what());
        return EXIT_FAILURE;
    }
}
