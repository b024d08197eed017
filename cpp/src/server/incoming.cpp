// See incoming.hpp.
#include "incoming.hpp"

#include <boost/beast/core/tcp_stream.hpp>
#include <memory>
#include <utility>

#include "http_session.hpp"
#include "stream.hpp"
#include "tls_handshake.hpp"

namespace session_buddy::server {

namespace {

// What the system may hold for one client that does not read. Small enough that such a client is not fed stale updates
// for minutes once it reads again, large enough for a distant one.
constexpr int kSendBufferBytes = 131072;

}  // namespace

void take_in(tcp::socket socket, ServerContext& context) {
    if (context.stopping) {
        return;
    }
    error_code ignored;  // a socket that takes no option still works
    socket.set_option(tcp::no_delay(true), ignored);
    socket.set_option(net::socket_base::send_buffer_size(kSendBufferBytes), ignored);
    beast::tcp_stream tcp(std::move(socket));
    // Up to the end of the first request, TLS included.
    tcp.expires_after(steady(context.config.handshake_timeout));
    if (context.tls) {
        std::make_shared<TlsHandshake>(std::move(tcp), context)->run();
    } else {
        std::make_shared<HttpSession>(Stream(std::move(tcp)), context)->run();
    }
}

}  // namespace session_buddy::server
