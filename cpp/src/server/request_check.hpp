// Rejects requests that violate HTTP or the WebSocket handshake, or that a proxy could parse differently (request
// smuggling).
#pragma once

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <optional>

#include "session_buddy/server/http_reply.hpp"

namespace session_buddy::server {

/// The error response to a complete request, after which the connection must be closed; nullopt if the request is
/// valid. Includes what Beast's parser lets through.
[[nodiscard]] std::optional<HttpReply> check_request(
    const boost::beast::http::request<boost::beast::http::string_body>& request);

}  // namespace session_buddy::server
