// The answer that makes a WebSocket of an HTTP connection (RFC 6455, section 4.2.2).
#pragma once

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <string>
#include <string_view>

namespace session_buddy::server {

struct Handshake {
    std::string response;   ///< complete, as it goes over the wire
    bool deflated = false;  ///< messages may be compressed from here on
};

/// For a request that check_request() let pass and that is an upgrade. `subprotocol`: the one to choose; empty for
/// none. `may_deflate`: whether permessage-deflate is agreed to where the client offers it.
[[nodiscard]] Handshake accept_handshake(const boost::beast::http::request<boost::beast::http::string_body>& request,
                                         std::string_view subprotocol, bool may_deflate);

}  // namespace session_buddy::server
