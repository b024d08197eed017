// The transport of the test clients: TCP, plain or with TLS, implemented with Asio and Beast, independently of the
// server.
#pragma once

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/compose.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>
#include <variant>

#include "server/asio.hpp"

namespace session_buddy::test {

namespace beast = boost::beast;
namespace net = boost::asio;
using server::error_code;
using server::tcp;

/// An AsyncStream of Beast for completion handlers.
class ClientStream {
  public:
    using Tls = beast::ssl_stream<beast::tcp_stream>;
    using executor_type = beast::tcp_stream::executor_type;

    explicit ClientStream(beast::tcp_stream plain) : layer_(std::move(plain)) {}
    /// After the handshake.
    explicit ClientStream(Tls tls) : layer_(std::move(tls)) {}

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

    /// Closes immediately, without close_notify. Every pending operation completes with an error.
    void close() { tcp().close(); }

    // Handlers are passed on in one type. Otherwise each operation of Beast would compile the streams below again,
    // which took half a minute.
    using Done = std::function<void(const error_code&, std::size_t)>;

    template <typename Buffers, typename Handler>
    void async_read_some(const Buffers& buffers, Handler&& handler) {
        read_some(first_of<net::mutable_buffer>(buffers), erased(std::forward<Handler>(handler)));
    }

    template <typename Buffers, typename Handler>
    void async_write_some(const Buffers& buffers, Handler&& handler) {
        write_some(first_of<net::const_buffer>(buffers), erased(std::forward<Handler>(handler)));
    }

    /// Lingering close: shuts down the sending side and closes once the peer has closed its side; until then its data
    /// is discarded. Closing while the peer still sends would reset the connection and could lose our last bytes. The
    /// caller sets the time limit. No error if the peer closed gracefully, too.
    void async_graceful_close(std::function<void(const error_code&)> done) {
        net::async_compose<std::function<void(const error_code&)>, void(error_code)>(GracefulClose{*this}, done,
                                                                                     get_executor());
    }

    /// Called by Beast's WebSocket after the closing handshake or a protocol error. Beast's default for sockets
    /// discards input once and may then reset the connection.
    template <typename Handler>
    friend void async_teardown(beast::role_type /*role*/, ClientStream& stream, Handler&& handler) {
        stream.async_graceful_close(
            [shared = share(std::forward<Handler>(handler))](const error_code& error) { std::move (*shared)(error); });
    }
    /// Called by Beast to abort a connection.
    friend void beast_close_socket(ClientStream& stream) { stream.close(); }

  private:
    // std::function requires what can be copied.
    template <typename Handler>
    static auto share(Handler&& handler) {
        return std::make_shared<std::decay_t<Handler>>(std::forward<Handler>(handler));
    }
    template <typename Handler>
    static Done erased(Handler&& handler) {
        return [shared = share(std::forward<Handler>(handler))](const error_code& error, std::size_t bytes) {
            std::move (*shared)(error, bytes);
        };
    }
    /// The first one that is not empty: to transfer a part is what these operations may do.
    template <typename Buffer, typename Buffers>
    static Buffer first_of(const Buffers& buffers) {
        for (auto buffer = net::buffer_sequence_begin(buffers); buffer != net::buffer_sequence_end(buffers); ++buffer) {
            if (Buffer(*buffer).size() > 0) {
                return *buffer;
            }
        }
        return {};
    }
    void read_some(net::mutable_buffer buffer, Done done) {
        std::visit([&](auto& layer) { layer.async_read_some(buffer, std::move(done)); }, layer_);
    }
    void write_some(net::const_buffer buffer, Done done) {
        std::visit([&](auto& layer) { layer.async_write_some(buffer, std::move(done)); }, layer_);
    }

    static constexpr std::size_t kDiscardChunkBytes = 4096;  // per read

    struct GracefulClose {
        template <typename Self>
        void operator()(Self& self, error_code error = {}, std::size_t /*bytes*/ = 0) {
            if (step == Step::dropping && error) {
                stream.close();
                self.complete(error == net::error::eof ? error_code() : error);
                return;
            }
            if (auto* tls = std::get_if<Tls>(&stream.layer_); tls != nullptr && step == Step::begin) {
                step = Step::notified;
                tls->async_shutdown(std::move(self));  // fails if the peer sends something else
                return;
            }
            auto& tcp = stream.tcp();
            if (step != Step::dropping) {
                step = Step::dropping;
                error_code ignored;
                tcp.socket().shutdown(tcp::socket::shutdown_send, ignored);
            }
            // Below TLS: the data is not decrypted any more.
            tcp.async_read_some(net::buffer(*dropped), std::move(self));
        }

        enum class Step : std::uint8_t { begin, notified, dropping };
        ClientStream& stream;
        Step step = Step::begin;
        std::unique_ptr<std::array<char, kDiscardChunkBytes>> dropped =
            std::make_unique<std::array<char, kDiscardChunkBytes>>();
    };

    std::variant<beast::tcp_stream, Tls> layer_;
};

}  // namespace session_buddy::test
