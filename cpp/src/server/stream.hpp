// The transport of one connection: a TCP socket, plain or under TLS, that never makes anybody wait. WebSockets use it
// as it is, HTTP through the asynchronous operations that Beast asks for.
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

/// Moved only while no operation is under way. OpenSSL writes to the socket by itself, so the thread that uses one with
/// TLS must have SIGPIPE blocked.
class Stream {
  public:
    using executor_type = Executor;

    explicit Stream(Socket socket);

    /// From here on everything goes through TLS, the handshake first.
    void start_tls(SSL_CTX& context);
    [[nodiscard]] bool encrypted() const noexcept { return tls_ != nullptr; }
    [[nodiscard]] executor_type get_executor() noexcept { return socket_.get_executor(); }

    // These do what can be done at once. Where that is nothing, the error is would_block; the waits below tell when to
    // try again. After any other error there is nothing left to do but to close.

    /// Of TLS; once more after each async_wait_to_read().
    void handshake(error_code& error);
    [[nodiscard]] std::size_t read_some(std::span<char> into, error_code& error);
    /// After would_block the next one must begin with the same bytes.
    [[nodiscard]] std::size_t write_some(std::string_view bytes, error_code& error);
    /// The first byte that is there, which stays there.
    [[nodiscard]] std::uint8_t peek(error_code& error);

    /// What TLS has decrypted and nobody has read: no wait tells of it.
    [[nodiscard]] bool has_unread() const noexcept { return tls_ != nullptr && SSL_pending(tls_.get()) > 0; }

    /// Until it is worth trying to read. Under TLS that may be when the socket can be written.
    template <typename Handler>
    void async_wait_to_read(Handler&& handler) {
        socket_.async_wait(read_waits_for_, std::forward<Handler>(handler));
    }
    /// The same for writing, after would_block.
    template <typename Handler>
    void async_wait_to_write(Handler&& handler) {
        socket_.async_wait(write_waits_for_, std::forward<Handler>(handler));
    }

    /// Tells the peer that nothing more comes.
    void end_writing();
    /// Reads and forgets what there is, below TLS, where it means nothing any more after end_writing().
    void discard(error_code& error);
    /// At once, without a word to the peer. Every operation under way completes with an error.
    void close() noexcept;

    /// end_writing(), and close() once the peer has ended its side: closing while it is still sending would reset the
    /// connection, and what was sent last might be lost with it. What it sends until then is dropped. The caller bounds
    /// the time.
    template <typename Handler>
    void async_graceful_close(Handler handler) {
        end_writing();
        net::async_compose<Handler, void(error_code)>(GracefulClose{*this}, handler, get_executor());
    }

    // As Beast wants them (AsyncStream), for completion handlers.
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

    // Tries `transfer` until it does not block.
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
                step = Step::done;  // but no handler is called before its operation has begun
                net::post(its_stream.get_executor(), std::move(self));
            }
        }

        enum class Step : std::uint8_t { begin, waited, done };
        Stream& stream;
        Transfer transfer;
        const Socket::wait_type& waits_for;  // of the stream, as the last transfer has left it
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
