// The transport of one connection: TCP, plain or under TLS. Sessions are written once over it, and whatever takes the
// place of Beast's WebSocket one day needs nothing else of a connection.
#pragma once

#include <boost/beast/core/role.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/teardown.hpp>
#include <chrono>
#include <utility>
#include <variant>

#include "asio.hpp"

namespace session_buddy::server {

/// An AsyncStream of Beast for completion handlers (not for other tokens). A plain connection costs one branch an
/// operation and no memory more than its socket. Moved only while no operation is under way.
class Stream {
  public:
    using Tls = beast::ssl_stream<beast::tcp_stream>;
    using executor_type = beast::tcp_stream::executor_type;

    explicit Stream(beast::tcp_stream plain) : layer_(std::move(plain)) {}
    /// After the handshake.
    explicit Stream(Tls tls) : layer_(std::move(tls)) {}

    [[nodiscard]] bool encrypted() const noexcept { return std::holds_alternative<Tls>(layer_); }
    /// Below TLS.
    [[nodiscard]] beast::tcp_stream& tcp() noexcept {
        auto* plain = std::get_if<beast::tcp_stream>(&layer_);
        return plain != nullptr ? *plain : std::get_if<Tls>(&layer_)->next_layer();
    }
    /// nullptr for a plain connection.
    [[nodiscard]] SSL* native_handle() noexcept {
        auto* tls = std::get_if<Tls>(&layer_);
        return tls != nullptr ? tls->native_handle() : nullptr;
    }
    [[nodiscard]] executor_type get_executor() noexcept { return tcp().get_executor(); }

    /// Bounds everything that is under way or begun until it is set anew.
    void expires_after(std::chrono::steady_clock::duration time) { tcp().expires_after(time); }
    void expires_never() { tcp().expires_never(); }
    /// At once, without a close_notify. Every operation under way completes with an error.
    void close() { tcp().close(); }

    template <typename Buffers, typename Handler>
    void async_read_some(const Buffers& buffers, Handler&& handler) {
        if (auto* plain = std::get_if<beast::tcp_stream>(&layer_)) {
            plain->async_read_some(buffers, std::forward<Handler>(handler));
        } else {
            std::get_if<Tls>(&layer_)->async_read_some(buffers, std::forward<Handler>(handler));
        }
    }

    template <typename Buffers, typename Handler>
    void async_write_some(const Buffers& buffers, Handler&& handler) {
        if (auto* plain = std::get_if<beast::tcp_stream>(&layer_)) {
            plain->async_write_some(buffers, std::forward<Handler>(handler));
        } else {
            std::get_if<Tls>(&layer_)->async_write_some(buffers, std::forward<Handler>(handler));
        }
    }

    /// Only where encrypted(): sends close_notify and waits for the peer's. What the peer sends in its place is an
    /// error.
    template <typename Handler>
    void async_close_notify(Handler&& handler) {
        std::get_if<Tls>(&layer_)->async_shutdown(std::forward<Handler>(handler));
    }

    /// How Beast's WebSocket ends a connection whose close frames are exchanged.
    template <typename Handler>
    friend void async_teardown(beast::role_type role, Stream& stream, Handler&& handler) {
        using beast::websocket::async_teardown;
        if (auto* plain = std::get_if<beast::tcp_stream>(&stream.layer_)) {
            async_teardown(role, *plain, std::forward<Handler>(handler));
        } else {
            async_teardown(role, *std::get_if<Tls>(&stream.layer_), std::forward<Handler>(handler));
        }
    }
    /// How Beast cuts one.
    friend void beast_close_socket(Stream& stream) { stream.close(); }

  private:
    std::variant<beast::tcp_stream, Tls> layer_;
};

}  // namespace session_buddy::server
