// The floor of a broadcast over TLS: accepts the clients, then calls SSL_write() once per client.
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <array>
#include <csignal>
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

void require(bool good, const char* what) {
    if (!good) {
        const char* reason = ERR_reason_error_string(ERR_peek_last_error());
        throw std::runtime_error(fmt::format("{}: {}", what, reason != nullptr ? reason : "failed"));
    }
}

// The same protocol version and performance-relevant settings as the server.
SSL_CTX* make_context(const wire::FloorOptions& options) {
    SSL_CTX* context = SSL_CTX_new(TLS_server_method());
    require(context != nullptr, "SSL_CTX_new");
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 0);
    require(SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1, "TLS 1.3");
    require(SSL_CTX_use_certificate_chain_file(context, options.tls_cert.c_str()) == 1, "certificate");
    require(SSL_CTX_use_PrivateKey_file(context, options.tls_key.c_str(), SSL_FILETYPE_PEM) == 1, "key");
    return context;
}

SSL* accept_client(int listener, SSL_CTX* context) {
    const int client = checked(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC), "accept");
    const int on = 1;
    checked(setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
    SSL* ssl = SSL_new(context);
    require(ssl != nullptr && SSL_set_fd(ssl, client) == 1 && SSL_accept(ssl) == 1, "TLS handshake");
    std::string request;
    std::array<char, 4096> part{};
    while (request.find(wire::kEndOfHeader) == std::string::npos) {
        const int count = SSL_read(ssl, part.data(), static_cast<int>(part.size()));
        require(count > 0, "request");
        request.append(part.data(), static_cast<std::size_t>(count));
    }
    const std::string response = wire::upgrade_response(request);
    require(SSL_write(ssl, response.data(), static_cast<int>(response.size())) > 0, "response");
    checked(fcntl(client, F_SETFL, checked(fcntl(client, F_GETFL), "fcntl") | O_NONBLOCK), "fcntl");
    return ssl;
}

[[noreturn]] void run(const wire::FloorOptions& options) {
    wire::raise_file_limit();
    SSL_CTX* context = make_context(options);
    const std::string frame = wire::server_frame(options.message);
    const int listener = wire::listen_on_loopback("wss");
    std::vector<SSL*> clients;
    for (int index = 0; index < options.clients; ++index) {
        clients.push_back(accept_client(listener, context));
    }
    wire::repeat(options.interval, [&] {
        for (SSL* client : clients) {
            require(SSL_write(client, frame.data(), static_cast<int>(frame.size())) > 0,
                    "a client did not read its frame");
        }
    });
}

}  // namespace

int main(int count, char** words) {
    std::signal(SIGPIPE, SIG_IGN);
    try {
        run(wire::parse_floor_options(count, words, "The floor of a broadcast over TLS.", true));
    } catch (const std::exception& error) {
        fmt::print(stderr, "floor_tls: {}\n", error.what());
        return EXIT_FAILURE;
    }
}
