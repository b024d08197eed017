// The routing table of the HTTP API, and the handlers answered on the network thread.
#include "routes.hpp"

#include <algorithm>
#include <array>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/verb.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "replies.hpp"
#include "session_buddy/core/overloaded.hpp"
#include "session_buddy/core/version.hpp"
#include "session_buddy/protocol/api_response.hpp"

namespace session_buddy::server {

namespace {

namespace http = boost::beast::http;
using Json = nlohmann::ordered_json;

// /readyz fails once the snapshot is older than this many update intervals, but never below kMinFreshness.
constexpr double kFreshIntervals = 3.0;
constexpr Seconds kMinFreshness{5.0};

HttpReply json_reply(unsigned status, const Json& body) {
    HttpReply reply;
    reply.status = status;
    reply.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
    return reply;
}

HttpReply healthz(const ServerContext& /*context*/, bool /*trusted*/) {
    return json_reply(200, {{"status", "ok"}, {"version", kVersion}});
}

// Empty if the server is ready.
std::string unready_reason(const ServerContext& context) {
    const auto& latest = context.broadcaster.latest();
    if (!latest) {
        return "no metrics have been computed yet";
    }
    if (!latest->database.readable) {
        return latest->database.reason.empty() ? "the database cannot be read" : latest->database.reason;
    }
    const Seconds age = std::chrono::steady_clock::now() - context.published_at;
    if (age > std::max(kFreshIntervals * context.config.update_interval, kMinFreshness)) {
        return "the last metrics are " + std::to_string(static_cast<long>(age.count())) + " seconds old";
    }
    return {};
}

HttpReply readyz(const ServerContext& context, bool trusted) {
    if (const auto reason = unready_reason(context); !reason.empty()) {
        return json_reply(503, {{"status", "unavailable"}, {"reason", trusted ? reason : "authentication required"}});
    }
    Json body{{"status", "ready"}};
    for (const std::string_view option : protocol::limits_reached(*context.broadcaster.latest())) {
        body["limits_reached"].push_back(option);
    }
    return json_reply(200, body);
}

HttpReply not_an_upgrade(const ServerContext& /*context*/, bool /*trusted*/) {
    return upgrade_required("This is a WebSocket endpoint: connect with a WebSocket client");
}

using QueryParser = protocol::ApiQuery (*)(std::string_view query);

using UnmuteParser = UnmuteRequest (*)(std::string_view query);

template <auto parse>
protocol::ApiQuery parsed_by(std::string_view query) {
    return protocol::to_query(parse(query));
}

struct Endpoint {
    http::verb method;  // GET also serves HEAD
    std::string_view path;
    std::variant<Handler, IntakeRequest::Kind, QueryParser, CommandParser, UnmuteParser> target;
};

constexpr std::array kEndpoints{
    Endpoint{http::verb::get, "/healthz", healthz},
    Endpoint{http::verb::get, "/readyz", readyz},
    Endpoint{http::verb::get, "/", not_an_upgrade},
    Endpoint{http::verb::get, "/ws", not_an_upgrade},
    Endpoint{http::verb::post, "/hooks/claude-code", IntakeRequest::Kind::hook},
    Endpoint{http::verb::post, "/api/v1/invocations", IntakeRequest::Kind::invocations},
    Endpoint{http::verb::get, "/api/v1/server", parsed_by<protocol::parse_server_request>},
    Endpoint{http::verb::get, "/api/v1/skills", parsed_by<protocol::parse_skills_request>},
    Endpoint{http::verb::get, "/api/v1/groups", parsed_by<protocol::parse_groups_request>},
    Endpoint{http::verb::get, "/api/v1/skill", parsed_by<protocol::parse_skill_request>},
    Endpoint{http::verb::get, "/api/v1/series", parsed_by<protocol::parse_series_request>},
    Endpoint{http::verb::get, "/api/v1/anomalies", parsed_by<protocol::parse_anomalies_request>},
    Endpoint{http::verb::get, "/api/v1/alerts", parsed_by<protocol::parse_alerts_request>},
    Endpoint{http::verb::post, "/api/v1/alerts/acknowledge", protocol::parse_acknowledge_body},
    Endpoint{http::verb::post, "/api/v1/mutes", protocol::parse_mute_body},
    Endpoint{http::verb::delete_, "/api/v1/mutes", protocol::parse_unmute_request},
    Endpoint{http::verb::get, "/api/v1/sessions", parsed_by<protocol::parse_sessions_request>},
    Endpoint{http::verb::get, "/metrics",
             [](std::string_view) -> protocol::ApiQuery { return protocol::MetricsRequest(); }},
};

// The value of Allow and Access-Control-Allow-Methods; empty for an unknown path.
std::string allowed_methods(std::string_view path) {
    std::string methods;
    for (const auto& endpoint : kEndpoints) {
        if (endpoint.path == path) {
            methods += methods.empty() ? "" : ", ";
            methods += endpoint.method == http::verb::get ? "GET, HEAD" : http::to_string(endpoint.method);
        }
    }
    return methods;
}

bool is_preflight(const http::request_header<>& request) {
    return request.method() == http::verb::options && request.count(http::field::origin) > 0 &&
           request.count(http::field::access_control_request_method) > 0;
}

// Not a failed upgrade, which gets an error instead of the dashboard.
bool may_be_for_page(const http::request_header<>& request) {
    return request.count(http::field::upgrade) == 0 && request.count(http::field::sec_websocket_key) == 0;
}

}  // namespace

Route route_of(const http::request_header<>& request, const Assets& assets) {
    const std::string_view target(request.target().data(), request.target().size());
    const auto mark = std::min(target.find('?'), target.size());
    const auto path = target.substr(0, mark);
    if (is_preflight(request)) {
        return Preflight{allowed_methods(path)};
    }
    if (boost::beast::websocket::is_upgrade(request)) {
        return path == "/" || path == "/ws" ? Route(OpenWebSocket{}) : NoRoute{};
    }
    const auto method = request.method() == http::verb::head ? http::verb::get : request.method();
    const Asset* const asset = assets.find(path);
    if (asset != nullptr && method == http::verb::get && may_be_for_page(request)) {
        return asset;
    }
    const auto* const endpoint = std::ranges::find_if(
        kEndpoints, [&](const Endpoint& each) { return each.path == path && each.method == method; });
    if (endpoint == kEndpoints.end()) {
        auto methods = allowed_methods(path);
        return NoRoute{methods.empty() && asset != nullptr ? "GET, HEAD" : std::move(methods)};
    }
    const auto query = target.substr(std::min(mark + 1, target.size()));
    return std::visit(Overloaded{
                          [query](QueryParser parse) -> Route { return parse(query); },
                          [query](UnmuteParser parse) -> Route { return parse(query); },
                          [](auto each) -> Route { return each; },
                      },
                      endpoint->target);
}

std::optional<auth::Scope> required_scope(const Route& route) {
    if (std::holds_alternative<IntakeRequest::Kind>(route) || std::holds_alternative<CommandParser>(route) ||
        std::holds_alternative<UnmuteRequest>(route)) {
        return auth::Scope::write;
    }
    if (const auto* const query = std::get_if<protocol::ApiQuery>(&route)) {
        return std::holds_alternative<protocol::MetricsRequest>(*query) ? auth::Scope::metrics : auth::Scope::read;
    }
    return std::nullopt;
}

}  // namespace session_buddy::server
