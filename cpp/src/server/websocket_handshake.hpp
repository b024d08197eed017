// The response that upgrades an HTTP connection to a WebSocket (RFC 6455, section 4.2.2).
#pragma once

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <string>
#include <string_view>

namespace session_buddy::server {

struct Handshake {
    std::string response;   ///< the complete HTTP response
    bool deflated = false;  ///< permessage-deflate was negotiated
};

/// For an upgrade request that passed check_request(). `subprotocol`: the subprotocol to select; empty for none.
/// `may_deflate`: accept an offer of permessage-deflate.
[[nodiscard]] Handshake accept_handshake(const boost::beast::http::request<boost::beast::http::string_body>& request,
                                         std::string_view subprotocol, bool may_deflate);

}  // namespace session_buddy::server
