// See tls_handshake.hpp.
#include "tls_handshake.hpp"

#include <cstdint>
#include <utility>

#include "guarded.hpp"
#include "http_session.hpp"
#include "routes.hpp"
#include "session_buddy/core/log.hpp"

namespace session_buddy::server {

namespace {

constexpr log::Logger logger{"session_buddy.server.tls"};

// Any ClientHello of today in one piece; of a longer one TLS reads the rest itself.
constexpr std::size_t kFirstReadBytes = 4096;
constexpr std::uint8_t kHandshakeRecord = 0x16;  // no text begins with it

}  // namespace

TlsHandshake::TlsHandshake(beast::tcp_stream tcp, Peer peer, Admission::Place place, ServerContext& context)
    : context_(context),
      handle_(context, *this),
      peer_(std::move(peer)),
      place_(std::move(place)),
      stream_(std::move(tcp)) {}

void TlsHandshake::run() {
    std::get<beast::tcp_stream>(stream_).async_read_some(
        buffer_.prepare(kFirstReadBytes), [self = shared_from_this()](const error_code& error, std::size_t bytes) {
            self->buffer_.commit(bytes);
            guarded(self,
                    [](TlsHandshake& session, const error_code& result) { session.on_first_bytes(result); })(error);
        });
}

void TlsHandshake::shut_down() {
    cut();
}

void TlsHandshake::cut() {
    if (auto* plain = std::get_if<beast::tcp_stream>(&stream_)) {
        plain->close();
    } else {
        std::get<Stream::Tls>(stream_).next_layer().close();
    }
}

void TlsHandshake::on_first_bytes(const error_code& error) {
    if (error) {
        cut();
        return;
    }
    auto& plain = std::get<beast::tcp_stream>(stream_);
    if (*static_cast<const std::uint8_t*>(buffer_.data().data()) != kHandshakeRecord) {
        auto reply = http_error(400, "tls_required", "This port speaks TLS alone: use https:// or wss://");
        std::make_shared<HttpSession>(Stream(std::move(plain)), std::move(peer_), std::move(place_), context_)
            ->answer_and_close(std::move(reply));
        return;
    }
    stream_.emplace<Stream::Tls>(beast::tcp_stream(std::move(plain)), *context_.tls);
    std::get<Stream::Tls>(stream_).async_handshake(
        Stream::Tls::server, buffer_.data(),
        guarded(shared_from_this(), [](TlsHandshake& self, const error_code& result) { self.on_handshake(result); }));
}

void TlsHandshake::on_handshake(const error_code& error) {
    if (error) {
        logger.debug("TLS handshake of {} failed: {}", peer_.name, error.message());
        cut();
        return;
    }
    std::make_shared<HttpSession>(Stream(std::get<Stream::Tls>(std::move(stream_))), std::move(peer_),
                                  std::move(place_), context_)
        ->run();
}

void TlsHandshake::fail(const char* what) {
    logger.error("TLS handshake of {} failed: {}", peer_.name, what);
    cut();
}

}  // namespace session_buddy::server
