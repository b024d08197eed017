// HTTP routing: what a request is for, by its method, path and query.
#pragma once

#include <boost/beast/http/message.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "assets.hpp"
#include "context.hpp"
#include "session_buddy/auth/authenticator.hpp"
#include "session_buddy/protocol/alert_command.hpp"
#include "session_buddy/protocol/api_request.hpp"
#include "session_buddy/server/http_reply.hpp"
#include "session_buddy/server/intake.hpp"

namespace session_buddy::server {

/// Nothing at this path, or nothing with this method.
struct NoRoute {
    std::string allowed_methods;  ///< "GET, HEAD"; empty for an unknown path
};

/// A CORS preflight.
struct Preflight {
    std::string allowed_methods;  ///< as in NoRoute
};

struct OpenWebSocket {};

/// Answers on the network thread. `trusted`: the client may see details of the machine, such as the path of the
/// database.
using Handler = HttpReply (*)(const ServerContext&, bool trusted);

/// Parses the body of a command about alerts.
using CommandParser = std::variant<AlertCommand, protocol::BadBody> (*)(std::string_view body);
using UnmuteRequest = protocol::ApiRequest<UnmuteSkill>;

/// HEAD has the route of GET; the connection omits the body.
using Route = std::variant<NoRoute, Preflight, OpenWebSocket, Handler, const Asset*, IntakeRequest::Kind,
                           protocol::ApiQuery, CommandParser, UnmuteRequest>;

[[nodiscard]] Route route_of(const boost::beast::http::request_header<>& request, const Assets& assets);

/// The scope that a token needs for this route; nullopt if none is needed, or if the token is checked later.
[[nodiscard]] std::optional<auth::Scope> required_scope(const Route& route);

}  // namespace session_buddy::server
