// Runs the handshake; answers plain HTTP with an error that names TLS.
#include "tls_handshake.hpp"

#include <cstdint>
#include <utility>

#include "guarded.hpp"
#include "http_connection.hpp"
#include "session_buddy/core/log.hpp"
#include "session_buddy/server/http_reply.hpp"

namespace session_buddy::server {

namespace {

constexpr std::uint8_t kHandshakeRecord = 0x16;  // record type of a ClientHello; plain HTTP cannot start with it

}  // namespace

TlsHandshake::TlsHandshake(Stream stream, Peer peer, Admission::Slot slot, SteadyTime deadline, ServerContext& context)
    : stream_(std::move(stream)),
      context_(context),
      handle_(context, *this),
      peer_(std::move(peer)),
      slot_(std::move(slot)),
      deadline_(deadline) {}

void TlsHandshake::run() {
    wait();
}

void TlsHandshake::shut_down() {
    abort();
}

void TlsHandshake::abort() {
    deadline_ = SteadyTime::max();
    stream_.close();
}

void TlsHandshake::check_timeouts(SteadyTime now) {
    if (now >= deadline_) {
        log::kServerTls.debug("TLS handshake with {} timed out", peer_.name);
        abort();
    }
}

void TlsHandshake::wait() {
    stream_.async_wait_to_read(guarded(shared_from_this(), [](TlsHandshake& self, const error_code& error) {
        if (error) {
            self.abort();
        } else if (self.stream_.encrypted()) {
            self.continue_handshake();
        } else {
            self.detect_protocol();
        }
    }));
}

void TlsHandshake::detect_protocol() {
    error_code error;
    const auto first = stream_.peek(error);
    if (error == net::error::would_block) {
        wait();
    } else if (error) {
        abort();
    } else if (first == kHandshakeRecord) {
        stream_.start_tls(*context_.tls->native_handle());
        continue_handshake();
    } else {
        std::make_shared<HttpConnection>(std::move(stream_), std::move(peer_), std::move(slot_), deadline_, context_)
            ->answer_and_close(
                http_error(400, "tls_required", "This port accepts TLS connections only: use https:// or wss://"));
    }
}

void TlsHandshake::continue_handshake() {
    error_code error;
    stream_.handshake(error);
    if (error == net::error::would_block) {
        wait();
    } else if (error) {
        log::kServerTls.debug("TLS handshake with {} failed: {}", peer_.name, error.message());
        abort();
    } else {
        std::make_shared<HttpConnection>(std::move(stream_), std::move(peer_), std::move(slot_), deadline_, context_)
            ->run();
    }
}

void TlsHandshake::fail(const char* what) {
    log::kServerTls.error("TLS handshake with {} failed: {}", peer_.name, what);
    abort();
}

}  // namespace session_buddy::server
