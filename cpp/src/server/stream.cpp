// Reads and writes over the socket or OpenSSL, and maps the results of OpenSSL to error codes.
#include "stream.hpp"

#include <openssl/err.h>

#include <algorithm>
#include <boost/asio/ssl/error.hpp>
#include <climits>
#include <new>

namespace session_buddy::server {

namespace {

constexpr std::size_t kDiscardChunkBytes = 4096;  // per read

// OpenSSL takes sizes as int.
int tls_size(std::size_t size) {
    return static_cast<int>(std::min<std::size_t>(size, INT_MAX));
}

}  // namespace

Stream::Stream(Socket socket) : socket_(std::move(socket)) {
    error_code ignored;  // an error here recurs at the first use
    socket_.non_blocking(true, ignored);
}

void Stream::start_tls(SSL_CTX& context) {
    tls_.reset(SSL_new(&context));
    if (!tls_ || SSL_set_fd(tls_.get(), socket_.native_handle()) != 1) {
        ERR_clear_error();
        throw std::bad_alloc();
    }
    SSL_set_accept_state(tls_.get());
    // With this mode a read would loop while the peer sends non-data records, such as key updates or renegotiation
    // requests.
    SSL_clear_mode(tls_.get(), SSL_MODE_AUTO_RETRY);
    // A retried write continues with the rest of a frame, possibly at another address.
    SSL_set_mode(tls_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

void Stream::handshake(error_code& error) {
    ERR_clear_error();
    static_cast<void>(tls_result(SSL_do_handshake(tls_.get()), read_waits_for_, error));
}

std::size_t Stream::read_some(std::span<char> into, error_code& error) {
    if (!tls_) {
        return socket_.read_some(net::buffer(into.data(), into.size()), error);
    }
    ERR_clear_error();
    return tls_result(SSL_read(tls_.get(), into.data(), tls_size(into.size())), read_waits_for_, error);
}

std::size_t Stream::write_some(std::string_view bytes, error_code& error) {
    if (!tls_) {
        return socket_.write_some(net::buffer(bytes.data(), bytes.size()), error);
    }
    ERR_clear_error();
    return tls_result(SSL_write(tls_.get(), bytes.data(), tls_size(bytes.size())), write_waits_for_, error);
}

// Maps the result of one OpenSSL call.
std::size_t Stream::tls_result(int result, Socket::wait_type& waits_for, error_code& error) {
    if (result > 0) {
        error = {};
        read_waits_for_ = Socket::wait_read;  // a write that the read needed is done
        return static_cast<std::size_t>(result);
    }
    const int system = errno;
    switch (SSL_get_error(tls_.get(), result)) {
        case SSL_ERROR_WANT_READ:
            waits_for = Socket::wait_read;
            error = net::error::would_block;
            return 0;
        case SSL_ERROR_WANT_WRITE:
            waits_for = Socket::wait_write;
            error = net::error::would_block;
            return 0;
        case SSL_ERROR_ZERO_RETURN:
            error = net::error::eof;
            return 0;
        case SSL_ERROR_SYSCALL:
            error = system != 0 ? error_code(system, boost::system::system_category())
                                : error_code(net::ssl::error::stream_truncated);
            break;
        default:
            error = {static_cast<int>(ERR_get_error()), net::error::get_ssl_category()};
    }
    tls_failed_ = true;
    ERR_clear_error();
    return 0;
}

std::uint8_t Stream::peek(error_code& error) {
    std::uint8_t first = 0;
    socket_.receive(net::buffer(&first, 1), net::socket_base::message_peek, error);
    return first;
}

void Stream::end_writing() {
    if (tls_ && !tls_failed_) {
        ERR_clear_error();
        SSL_shutdown(tls_.get());  // best effort: does not wait for socket buffer space
        ERR_clear_error();
    }
    read_waits_for_ = Socket::wait_read;
    error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
}

void Stream::discard(error_code& error) {
    std::array<char, kDiscardChunkBytes> dropped{};
    socket_.read_some(net::buffer(dropped), error);
}

void Stream::close() noexcept {
    tls_.reset();  // first: it would write to the next owner of the descriptor
    error_code ignored;
    socket_.close(ignored);
}

}  // namespace session_buddy::server
