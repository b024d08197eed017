// HTTP routing: the paths of the API, their responses, and where a WebSocket may be opened.
#pragma once

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/verb.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "context.hpp"
#include "session_buddy/protocol/problem.hpp"
#include "session_buddy/server/body.hpp"

namespace session_buddy::server {

/// One HTTP response.
struct HttpReply {
    unsigned status = 200;
    Body body;
    std::string content_type = "application/json";
    std::vector<std::pair<std::string, std::string>> headers;
    bool close = false;  ///< close the connection after it
};

/// The values of a list header that may be sent more than once, joined with commas.
[[nodiscard]] std::string joined_header(const boost::beast::http::request_header<>& request,
                                        boost::beast::http::field name);

/// The path of a request target, without its query.
[[nodiscard]] std::string_view strip_query(std::string_view target);

/// Whether a request target (query included) accepts a WebSocket upgrade.
[[nodiscard]] bool is_websocket_target(std::string_view target);

/// The response to a request that is not an upgrade. HEAD gets the response of GET; the caller omits the body.
/// `trusted`: the client may see details of the machine, such as the path of the database.
[[nodiscard]] HttpReply route(const ServerContext& context, boost::beast::http::verb method, std::string_view target,
                              bool trusted);

/// A file of the dashboard, compressed or 304 as the request headers allow.
[[nodiscard]] HttpReply asset_reply(const Asset& asset, const boost::beast::http::request_header<>& request);

/// The kind of data that an ingestion request submits; nullopt for any other request.
[[nodiscard]] std::optional<IntakeRequest::Kind> intake_kind(boost::beast::http::verb method, std::string_view target);

/// The kind of query for Queries; nullopt for any other request.
[[nodiscard]] std::optional<QueryRequest::Kind> query_kind(boost::beast::http::verb method, std::string_view target);

/// A problem document (protocol/problem.hpp); `detail` is a sentence.
[[nodiscard]] HttpReply http_error(unsigned status, std::string_view code, std::string_view detail,
                                   const std::vector<protocol::ProblemMember>& members = {});
[[nodiscard]] HttpReply not_found();
/// 401 for a request without a token (RFC 6750, 3.1: the challenge then names no error). Closes the connection.
[[nodiscard]] HttpReply token_required(std::string_view reason);
/// 401 for a rejected token; `reason` is a sentence without a full stop. Closes the connection.
[[nodiscard]] HttpReply unauthorized(std::string_view reason);
/// 403 for a token without the required scope.
[[nodiscard]] HttpReply insufficient_scope(auth::Scope needed);
/// 403 for ingestion from beyond loopback when authentication is off.
[[nodiscard]] HttpReply loopback_only();
/// 403 for a Host or Origin that is not allowed.
[[nodiscard]] HttpReply forbidden(OriginPolicy::Verdict verdict);
/// The response to a CORS preflight of an allowed origin, without the CORS headers that every response gets.
[[nodiscard]] HttpReply preflight(std::string_view target);
/// 429 for ingestion while max_intake_bytes are in flight.
[[nodiscard]] HttpReply intake_full(const ServerContext& context);
/// For a client over a limit: 503 if the limit is shared by all clients, 429 if it is one per address.
[[nodiscard]] HttpReply limit_reached(Refusal refusal, const ServerContext& context);

}  // namespace session_buddy::server
