// The routing table of the HTTP API, the handlers answered on the network thread, and every error response.
#include "routes.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "credentials.hpp"
#include "session_buddy/core/version.hpp"
#include "session_buddy/protocol/api_response.hpp"
#include "session_buddy/server/representation.hpp"

namespace session_buddy::server {

namespace {

namespace http = boost::beast::http;
using Json = nlohmann::ordered_json;

// /readyz fails once the snapshot is older than this many update intervals, but never below kMinFreshness.
constexpr double kFreshIntervals = 3.0;
constexpr Seconds kMinFreshness{5.0};
// Retry-After of a client over a limit.
constexpr int kRetryAfterSeconds = 5;
// Access-Control-Max-Age: how long a browser may cache a preflight.
constexpr int kPreflightSeconds = 600;

// The page may run and load only what this server serves, and no other page may embed it.
constexpr std::string_view kPagePolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

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

HttpReply upgrade_required(const ServerContext& /*context*/, bool /*trusted*/) {
    auto reply = http_error(426, "upgrade_required", "This is a WebSocket endpoint: connect with a WebSocket client");
    reply.headers = {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}};
    return reply;
}

struct Route {
    http::verb method;  // GET also serves HEAD
    std::string_view path;
    HttpReply (*handler)(const ServerContext&, bool trusted) = nullptr;
    std::optional<IntakeRequest::Kind> intake = std::nullopt;  // instead of a handler
    std::optional<QueryRequest::Kind> query = std::nullopt;    // likewise
};

constexpr std::array kRoutes{
    Route{.method = http::verb::get, .path = "/healthz", .handler = healthz},
    Route{.method = http::verb::get, .path = "/readyz", .handler = readyz},
    Route{.method = http::verb::get, .path = "/", .handler = upgrade_required},
    Route{.method = http::verb::get, .path = "/ws", .handler = upgrade_required},
    Route{.method = http::verb::post, .path = "/hooks/claude-code", .intake = IntakeRequest::Kind::hook},
    Route{.method = http::verb::post, .path = "/api/v1/invocations", .intake = IntakeRequest::Kind::invocations},
    Route{.method = http::verb::get, .path = "/api/v1/server", .query = QueryRequest::Kind::server_info},
    Route{.method = http::verb::get, .path = "/api/v1/skills", .query = QueryRequest::Kind::skills},
    Route{.method = http::verb::get, .path = "/api/v1/skill", .query = QueryRequest::Kind::skill},
    Route{.method = http::verb::get, .path = "/api/v1/series", .query = QueryRequest::Kind::series},
    Route{.method = http::verb::get, .path = "/api/v1/anomalies", .query = QueryRequest::Kind::anomalies},
    Route{.method = http::verb::get, .path = "/api/v1/sessions", .query = QueryRequest::Kind::sessions},
    Route{.method = http::verb::get, .path = "/metrics", .query = QueryRequest::Kind::metrics},
};

constexpr std::array<std::string_view, 2> kWebSocketPaths{"/", "/ws"};

// The value of Allow and Access-Control-Allow-Methods; empty for an unknown path.
std::string allowed_methods(std::string_view path) {
    std::string methods;
    for (const auto& candidate : kRoutes) {
        if (candidate.path == path) {
            methods += methods.empty() ? "" : ", ";
            methods += candidate.method == http::verb::get ? "GET, HEAD" : http::to_string(candidate.method);
        }
    }
    return methods;
}

HttpReply method_not_allowed(const std::string& allowed) {
    auto reply = http_error(405, "method_not_allowed", "Method not allowed; allowed: " + allowed);
    reply.headers = {{"Allow", allowed}};
    return reply;
}

}  // namespace

std::string joined_header(const http::request_header<>& request, http::field name) {
    std::string list;
    const auto [begin, end] = request.equal_range(name);
    for (auto field = begin; field != end; ++field) {
        list += list.empty() ? "" : ", ";
        list += field->value();
    }
    return list;
}

std::string_view strip_query(std::string_view target) {
    return target.substr(0, target.find('?'));
}

bool is_websocket_target(std::string_view target) {
    return std::ranges::find(kWebSocketPaths, strip_query(target)) != kWebSocketPaths.end();
}

HttpReply route(const ServerContext& context, http::verb method, std::string_view target, bool trusted) {
    const auto path = strip_query(target);
    const auto wanted = method == http::verb::head ? http::verb::get : method;
    bool path_known = false;
    for (const auto& candidate : kRoutes) {
        if (candidate.path != path) {
            continue;
        }
        if (candidate.method == wanted) {
            return candidate.handler(context, trusted);
        }
        path_known = true;
    }
    if (path_known) {
        return method_not_allowed(allowed_methods(path));
    }
    return context.assets.find(path) != nullptr ? method_not_allowed("GET, HEAD") : not_found();
}

HttpReply asset_reply(const Asset& asset, const http::request_header<>& request) {
    const bool compressed = !asset.gzip.empty() && accepts_gzip(joined_header(request, http::field::accept_encoding));
    auto etag = asset.etag;
    if (compressed) {
        etag.insert(etag.size() - 1, "-gzip");
    }
    HttpReply reply;
    // no-cache: browsers may store the file but must revalidate it, because another server version has other files.
    reply.headers = {{"Cache-Control", "no-cache"}, {"Vary", "Accept-Encoding, Origin"}, {"ETag", etag}};
    if (etag_matches(joined_header(request, http::field::if_none_match), etag)) {
        reply.status = 304;
        return reply;
    }
    reply.content_type = asset.content_type;
    reply.headers.emplace_back("X-Content-Type-Options", "nosniff");
    if (compressed) {
        reply.headers.emplace_back("Content-Encoding", "gzip");
    }
    if (asset.is_page) {
        reply.headers.emplace_back("Content-Security-Policy", kPagePolicy);
        reply.headers.emplace_back("Referrer-Policy", "no-referrer");
        reply.headers.emplace_back("Cross-Origin-Opener-Policy", "same-origin");
    }
    reply.body = Body(compressed ? std::string_view(asset.gzip) : asset.bytes, nullptr);
    return reply;
}

std::optional<IntakeRequest::Kind> intake_kind(http::verb method, std::string_view target) {
    const auto path = strip_query(target);
    const auto* const found = std::ranges::find_if(
        kRoutes, [&](const Route& candidate) { return candidate.path == path && candidate.method == method; });
    return found != kRoutes.end() ? found->intake : std::nullopt;
}

std::optional<QueryRequest::Kind> query_kind(http::verb method, std::string_view target) {
    const auto path = strip_query(target);
    const auto wanted = method == http::verb::head ? http::verb::get : method;
    const auto* const found = std::ranges::find_if(
        kRoutes, [&](const Route& candidate) { return candidate.path == path && candidate.method == wanted; });
    return found != kRoutes.end() ? found->query : std::nullopt;
}

HttpReply http_error(unsigned status, std::string_view code, std::string_view detail,
                     const std::vector<protocol::ProblemMember>& members) {
    HttpReply reply;
    reply.status = status;
    reply.body = protocol::problem(status, code, detail, members);
    reply.content_type = protocol::kProblemType;
    return reply;
}

HttpReply not_found() {
    return http_error(404, "not_found", "No such endpoint");
}

HttpReply token_required(std::string_view reason) {
    auto reply = http_error(401, "unauthorized", reason);
    reply.headers = {{"WWW-Authenticate", R"(Bearer realm="session-buddy")"}};
    reply.close = true;
    return reply;
}

HttpReply unauthorized(std::string_view reason) {
    auto reply = token_required(reason);
    reply.headers.front().second += R"(, error="invalid_token")";
    return reply;
}

HttpReply insufficient_scope(auth::Scope needed) {
    const auto lack = needed == auth::Scope::read      ? kLacksRead
                      : needed == auth::Scope::metrics ? kLacksMetrics
                                                       : kLacksWrite;
    auto reply = http_error(403, "insufficient_scope", lack);
    reply.headers = {
        {"WWW-Authenticate", fmt::format(R"(Bearer realm="session-buddy", error="insufficient_scope", scope="{}")",
                                         auth::kScopes[needed])}};
    return reply;
}

HttpReply loopback_only() {
    return http_error(
        403, "loopback_only",
        "Without authentication, data is accepted from loopback only, and not through a proxy; to accept it "
        "from elsewhere, start the server with --auth-token-file");
}

HttpReply intake_full(const ServerContext& context) {
    const auto limit = context.config.max_intake_bytes;
    auto reply = http_error(
        429, "intake_full",
        "Too much data in flight: at most " + std::to_string(limit) + " bytes (max_intake_bytes); retry later",
        {{"max_intake_bytes", static_cast<std::int64_t>(limit)}});
    reply.headers = {{"Retry-After", "1"}};
    return reply;
}

HttpReply forbidden(OriginPolicy::Verdict verdict) {
    return verdict == OriginPolicy::Verdict::host_refused
               ? http_error(403, "host_not_allowed",
                            "Host name not allowed; to allow it, start the server with --allow-host NAME")
               : http_error(403, "origin_not_allowed",
                            "Origin not allowed; to allow it, start the server with --allow-origin ORIGIN");
}

HttpReply preflight(std::string_view target) {
    auto methods = allowed_methods(strip_query(target));
    if (methods.empty()) {
        return not_found();
    }
    HttpReply reply;
    reply.status = 204;
    reply.headers = {{"Access-Control-Allow-Methods", std::move(methods)},
                     {"Access-Control-Allow-Headers", "Authorization, Content-Type, If-None-Match"},
                     {"Access-Control-Max-Age", std::to_string(kPreflightSeconds)}};
    return reply;
}

HttpReply limit_reached(Refusal refusal, const ServerContext& context) {
    const auto& config = context.config;
    HttpReply reply;
    if (refusal == Refusal::clients) {
        const auto limit = config.max_clients;
        reply = http_error(503, "too_many_clients",
                           "Connection limit reached: at most " + std::to_string(limit) + " clients (max_clients)",
                           {{"max_clients", limit}});
    } else if (refusal == Refusal::clients_of_address) {
        const auto limit = config.max_clients_per_address;
        reply = http_error(429, "too_many_clients_of_address",
                           "Connection limit of your address reached: at most " + std::to_string(limit) +
                               " clients (max_clients_per_address)",
                           {{"max_clients_per_address", limit}});
    } else {
        const auto limit = config.max_connections_per_second;
        reply = http_error(429, "too_many_connections",
                           "Rate limit exceeded: at most " + std::to_string(limit) +
                               " new connections per second and address (max_connections_per_second)",
                           {{"max_connections_per_second", limit}});
    }
    reply.headers = {{"Retry-After", std::to_string(kRetryAfterSeconds)}};
    reply.close = true;
    return reply;
}

}  // namespace session_buddy::server
