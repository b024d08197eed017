// Every error response of the server, and the responses to CORS preflights and to requests for the dashboard's files.
#pragma once

#include <boost/beast/http/message.hpp>
#include <string>
#include <string_view>

#include "context.hpp"
#include "session_buddy/auth/authenticator.hpp"
#include "session_buddy/core/alert_command.hpp"
#include "session_buddy/protocol/alert_command.hpp"
#include "session_buddy/server/http_reply.hpp"

namespace session_buddy::server {

/// The values of a list header that may be sent more than once, joined with commas.
[[nodiscard]] std::string joined_header(const boost::beast::http::request_header<>& request,
                                        boost::beast::http::field name);

/// 400 that names the field.
[[nodiscard]] HttpReply bad_body(const protocol::BadBody& bad);
/// The answer to a command about alerts. `unmutes`: what was not found is a mute.
[[nodiscard]] HttpReply command_reply(const AlertCommandResult& result, bool unmutes);

/// A file of the dashboard, compressed or 304 as the request headers allow.
[[nodiscard]] HttpReply asset_reply(const Asset& asset, const boost::beast::http::request_header<>& request);

/// 405; 404 if no method is allowed.
[[nodiscard]] HttpReply no_route(const std::string& allowed_methods);
/// The response to a CORS preflight of an allowed origin, without the CORS headers that every response gets.
[[nodiscard]] HttpReply preflight(const std::string& allowed_methods);
/// 426 for a WebSocket endpoint; `version`: the supported version of the protocol, if that is what was wrong.
[[nodiscard]] HttpReply upgrade_required(std::string_view detail, std::string_view version = {});
/// 401 for a request without a token (RFC 6750, 3.1: the challenge then names no error). Closes the connection.
[[nodiscard]] HttpReply token_required(auth::Scope needed);
/// 401 for a rejected token; `reason` is a sentence without a full stop. Closes the connection.
[[nodiscard]] HttpReply unauthorized(std::string_view reason);
/// 403 for a token without the required scope.
[[nodiscard]] HttpReply insufficient_scope(auth::Scope needed);
/// 403 for ingestion and commands from beyond loopback when authentication is off.
[[nodiscard]] HttpReply loopback_only();
/// 403 for a Host or Origin that is not allowed.
[[nodiscard]] HttpReply forbidden(OriginPolicy::Verdict verdict);
/// 429 for ingestion while max_intake_bytes are in flight.
[[nodiscard]] HttpReply intake_full(const ServerContext& context);
/// For a client over a limit: 503 if the limit is shared by all clients, 429 if it is one per address. Closes the
/// connection.
[[nodiscard]] HttpReply limit_reached(Refusal refusal, const ServerContext& context);

}  // namespace session_buddy::server
