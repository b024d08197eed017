// Applies admission control and socket options to accepted sockets.
#include "accept_connection.hpp"

#include <chrono>
#include <memory>
#include <utility>
#include <variant>

#include "client_of_request.hpp"
#include "http_connection.hpp"
#include "session_buddy/core/log.hpp"
#include "stream.hpp"
#include "tls_handshake.hpp"

namespace session_buddy::server {

namespace {

// SO_SNDBUF. Small enough that a stalled client does not receive minutes of stale updates when it reads again, large
// enough for connections with a high latency.
constexpr int kSendBufferBytes = 131072;

Peer peer_of(const tcp::endpoint& endpoint, const ServerContext& context) {
    Peer peer{
        .address = to_ip_address(endpoint.address()), .name = to_string(endpoint), .secure = context.tls != nullptr};
    peer.proxy = context.config.behind_proxy && context.trusted_proxies.contains(peer.address);
    return peer;
}

void log_refusal(ServerContext& context, const Peer& peer, Refusal refusal, Admission::TimePoint now) {
    log::kServer.debug("connection from {} closed: {} exceeded", peer.name, describe(refusal, context.config));
    if (const auto count = context.refused_connections_log.count(now); count > 0) {
        log::kServer.warning(
            "connections over a limit are closed: {} since the last report, the latest from {}: {} exceeded", count,
            peer.name, describe(refusal, context.config));
    }
}

}  // namespace

void accept_connection(Socket socket, ServerContext& context) {
    if (context.stopping) {
        return;
    }
    error_code gone;
    const auto endpoint = socket.remote_endpoint(gone);
    if (gone) {
        return;
    }
    auto peer = peer_of(endpoint, context);
    const auto now = std::chrono::steady_clock::now();
    auto verdict = context.admission.admit_connection(peer, now);
    if (const auto* refusal = std::get_if<Refusal>(&verdict)) {
        log_refusal(context, peer, *refusal, now);
        return;  // the destructor closes the socket
    }
    auto slot = std::get<Admission::Slot>(std::move(verdict));
    error_code ignored;  // options are optional: the socket works without them
    socket.set_option(tcp::no_delay(true), ignored);
    socket.set_option(net::socket_base::send_buffer_size(kSendBufferBytes), ignored);
    // Covers the TLS handshake and the first request.
    const auto deadline = now + steady(context.config.handshake_timeout);
    Stream stream(std::move(socket));
    if (context.tls) {
        std::make_shared<TlsHandshake>(std::move(stream), std::move(peer), std::move(slot), deadline, context)->run();
    } else {
        std::make_shared<HttpConnection>(std::move(stream), std::move(peer), std::move(slot), deadline, context)->run();
    }
}

}  // namespace session_buddy::server
