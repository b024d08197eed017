// Refuses requests that break the rules of HTTP or of the WebSocket handshake, or that a proxy in front could read
// differently.
#pragma once

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <optional>

#include "routes.hpp"

namespace session_buddy::server {

/// The answer to a complete request that is refused, after which the connection has to end; nothing for a good one.
/// What Beast's parser accepts and its WebSocket would answer by itself is covered, too.
[[nodiscard]] std::optional<HttpReply> check_request(
    const boost::beast::http::request<boost::beast::http::string_body>& request);

}  // namespace session_buddy::server
