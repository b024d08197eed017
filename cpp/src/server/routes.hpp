// The plain HTTP side: which paths there are, what they answer, and where a WebSocket may be opened.
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

/// One answer.
struct HttpReply {
    unsigned status = 200;
    Body body;
    std::string content_type = "application/json";
    std::vector<std::pair<std::string, std::string>> headers;
    bool close = false;  ///< the connection ends with it
};

/// A header that is a list, however many times it was sent.
[[nodiscard]] std::string joined_header(const boost::beast::http::request_header<>& request,
                                        boost::beast::http::field name);

/// A target without its query.
[[nodiscard]] std::string_view strip_query(std::string_view target);

/// True for a target (query included) where an upgrade to WebSocket is served.
[[nodiscard]] bool is_websocket_target(std::string_view target);

/// The answer to a request that is not an upgrade. HEAD gets what GET would get; the caller leaves the body out.
/// `trusted`: whether the client may be told what concerns the machine, such as the path of the database.
[[nodiscard]] HttpReply route(const ServerContext& context, boost::beast::http::verb method, std::string_view target,
                              bool trusted);

/// A file of the dashboard, in the form that the header of the request asks for.
[[nodiscard]] HttpReply asset_reply(const Asset& asset, const boost::beast::http::request_header<>& request);

/// What the request hands in; nothing for one that hands in nothing.
[[nodiscard]] std::optional<IntakeRequest::Kind> intake_kind(boost::beast::http::verb method, std::string_view target);

/// What the request asks of Queries; nothing for any other.
[[nodiscard]] std::optional<QueryRequest::Kind> query_kind(boost::beast::http::verb method, std::string_view target);

/// A problem as protocol/problem.hpp has it; `detail` is a sentence.
[[nodiscard]] HttpReply http_error(unsigned status, std::string_view code, std::string_view detail,
                                   const std::vector<protocol::ProblemMember>& members = {});
[[nodiscard]] HttpReply not_found();
/// 401 where no token was shown (RFC 6750, 3.1: the challenge then names no error); closes.
[[nodiscard]] HttpReply token_required(std::string_view reason);
/// 401 for a token that is not accepted; `reason` is a sentence without a full stop. Closes.
[[nodiscard]] HttpReply unauthorized(std::string_view reason);
/// 403 for a token without the scope that is needed.
[[nodiscard]] HttpReply insufficient_scope(auth::Scope needed);
/// 403 for a client of another machine where nobody is asked for a token.
[[nodiscard]] HttpReply loopback_only();
/// For a request that is refused for its Host or its Origin.
[[nodiscard]] HttpReply forbidden(OriginPolicy::Verdict verdict);
/// The answer to a CORS preflight of an allowed origin, without the headers that every answer to it gets.
[[nodiscard]] HttpReply preflight(std::string_view target);
/// 429 for data that comes when max_intake_bytes are on their way into the database.
[[nodiscard]] HttpReply intake_full(const ServerContext& context);
/// For the client that comes when its limit is reached: 503 where all clients share it, 429 where it is its own.
[[nodiscard]] HttpReply limit_reached(Refusal refusal, const ServerContext& context);

}  // namespace session_buddy::server
