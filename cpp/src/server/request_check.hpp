// Rejects requests that violate HTTP or the WebSocket handshake, or that a proxy could parse differently (request
// smuggling).
#pragma once

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstdint>
#include <optional>

#include "session_buddy/server/http_reply.hpp"

namespace session_buddy::server {

/// How the end of the body may be marked.
enum class BodyFraming : std::uint8_t {
    length,            ///< by Content-Length only
    length_or_chunks,  ///< or by "Transfer-Encoding: chunked"
};

/// The error response to a complete request, after which the connection must be closed; nullopt if the request is
/// valid. Includes what Beast's parser lets through.
[[nodiscard]] std::optional<HttpReply> check_request(
    const boost::beast::http::request<boost::beast::http::string_body>& request, BodyFraming framing);

}  // namespace session_buddy::server
