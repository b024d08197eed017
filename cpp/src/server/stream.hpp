// Non-blocking transport of one connection: a TCP socket, plain or with TLS. WebSockets use it directly, HTTP through
// the asynchronous operations that Beast requires.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/post.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "asio.hpp"

namespace session_buddy::server {

/// Must not be moved while an operation is pending. OpenSSL writes to the socket itself, so a thread that uses TLS must
/// block SIGPIPE.
class Stream {
  public:
    using executor_type = Executor;

    explicit Stream(Socket socket);

    /// Switches to TLS; handshake() must follow.
    void start_tls(SSL_CTX& context);
    [[nodiscard]] bool encrypted() const noexcept { return tls_ != nullptr; }
    [[nodiscard]] executor_type get_executor() noexcept { return socket_.get_executor(); }

    // These do what is possible immediately, else fail with would_block: retry after the wait below. After any other
    // error the stream must be closed.

    /// Continues the TLS handshake; call again after each async_wait_to_read().
    void handshake(error_code& error);
    [[nodiscard]] std::size_t read_some(std::span<char> into, error_code& error);
    /// After would_block the next call must start with the same bytes.
    [[nodiscard]] std::size_t write_some(std::string_view bytes, error_code& error);
    /// Returns the first unread byte without consuming it.
    [[nodiscard]] std::uint8_t peek(error_code& error);

    /// Whether TLS holds decrypted bytes that were not read; no wait reports these.
    [[nodiscard]] bool has_unread() const noexcept { return tls_ != nullptr && SSL_pending(tls_.get()) > 0; }

    /// Waits until a read may succeed. With TLS that may require the socket to be writable.
    template <typename Handler>
    void async_wait_to_read(Handler&& handler) {
        socket_.async_wait(read_waits_for_, std::forward<Handler>(handler));
    }
    /// The same for writing, after would_block.
    template <typename Handler>
    void async_wait_to_write(Handler&& handler) {
        socket_.async_wait(write_waits_for_, std::forward<Handler>(handler));
    }

    /// Shuts down the sending side (close_notify, FIN).
    void end_writing();
    /// Reads and discards available bytes, below TLS: after end_writing() they are not decrypted any more.
    void discard(error_code& error);
    /// Closes immediately, without close_notify. Every pending operation completes with an error.
    void close() noexcept;

    /// Lingering close: end_writing(), then close() once the peer has closed its side; until then its data is
    /// discarded. Closing while the peer still sends would reset the connection and could lose our last bytes. The
    /// caller sets the time limit.
    template <typename Handler>
    void async_graceful_close(Handler handler) {
        end_writing();
        net::async_compose<Handler, void(error_code)>(GracefulClose{*this}, handler, get_executor());
    }

    // The AsyncStream interface of Beast, for completion handlers.
    template <typename Buffers, typename Handler>
    void async_read_some(const Buffers& buffers, Handler handler) {
        const auto read = [buffers](Stream& stream, error_code& error) {
            const net::mutable_buffer into = *net::buffer_sequence_begin(buffers);
            return stream.read_some({static_cast<char*>(into.data()), into.size()}, error);
        };
        net::async_compose<Handler, void(error_code, std::size_t)>(RetryUntilReady{*this, read, read_waits_for_},
                                                                   handler, get_executor());
    }
    template <typename Buffers, typename Handler>
    void async_write_some(const Buffers& buffers, Handler handler) {
        const auto write = [buffers](Stream& stream, error_code& error) {
            auto part = net::buffer_sequence_begin(buffers);
            while (net::const_buffer(*part).size() == 0 && std::next(part) != net::buffer_sequence_end(buffers)) {
                ++part;
            }
            const net::const_buffer from = *part;
            return stream.write_some({static_cast<const char*>(from.data()), from.size()}, error);
        };
        net::async_compose<Handler, void(error_code, std::size_t)>(RetryUntilReady{*this, write, write_waits_for_},
                                                                   handler, get_executor());
    }

  private:
    struct FreeTls {
        void operator()(SSL* tls) const noexcept { SSL_free(tls); }
    };

    // Retries `transfer` until it does not block.
    template <typename Transfer>
    struct RetryUntilReady {
        template <typename Self>
        void operator()(Self& self, error_code failed = {}) {
            if (step == Step::done || failed) {
                self.complete(failed ? failed : error, bytes);
                return;
            }
            Stream& its_stream = stream;  // `this` moves away below
            error = {};
            bytes = transfer(stream, error);
            if (error == net::error::would_block) {
                step = Step::waited;
                its_stream.socket_.async_wait(waits_for, std::move(self));
            } else if (step == Step::waited) {
                self.complete(error, bytes);
            } else {
                step = Step::done;  // a handler must not run inside the initiating function
                net::post(its_stream.get_executor(), std::move(self));
            }
        }

        enum class Step : std::uint8_t { begin, waited, done };
        Stream& stream;
        Transfer transfer;
        const Socket::wait_type& waits_for;  // direction that the last transfer of the stream needs
        Step step = Step::begin;
        error_code error = {};
        std::size_t bytes = 0;
    };
    template <typename Transfer>
    RetryUntilReady(Stream&, Transfer, const Socket::wait_type&) -> RetryUntilReady<Transfer>;

    struct GracefulClose {
        template <typename Self>
        void operator()(Self& self, error_code error = {}) {
            Stream& its_stream = stream;
            if (!error && begun) {
                its_stream.discard(error);
            }
            begun = true;
            if (error && error != net::error::would_block) {
                its_stream.close();
                self.complete(error == net::error::eof ? error_code() : error);
            } else {
                its_stream.async_wait_to_read(std::move(self));
            }
        }
        Stream& stream;
        bool begun = false;
    };

    [[nodiscard]] std::size_t tls_result(int result, Socket::wait_type& waits_for, error_code& error);

    Socket socket_;
    std::unique_ptr<SSL, FreeTls> tls_;
    Socket::wait_type read_waits_for_ = Socket::wait_read;
    Socket::wait_type write_waits_for_ = Socket::wait_write;
    bool tls_failed_ = false;
};

}  // namespace session_buddy::server
