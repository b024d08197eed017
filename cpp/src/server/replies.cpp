// The error responses, and the responses with the dashboard's files.
#include "replies.hpp"

#include <spdlog/fmt/fmt.h>

#include <boost/beast/http/field.hpp>
#include <utility>
#include <variant>

#include "credentials.hpp"
#include "session_buddy/core/overloaded.hpp"
#include "session_buddy/protocol/api_response.hpp"
#include "session_buddy/server/representation.hpp"

namespace session_buddy::server {

namespace {

namespace http = boost::beast::http;

// Retry-After of a client over a limit.
constexpr unsigned kRetryAfterSeconds = 5;
// Access-Control-Max-Age: how long a browser may cache a preflight.
constexpr int kPreflightSeconds = 600;

// The page may run and load only what this server serves, and no other page may embed it.
constexpr std::string_view kPagePolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

// RFC 6750; `error`: further parameters of the challenge.
std::pair<std::string, std::string> challenge(std::string_view error = {}) {
    return {"WWW-Authenticate", fmt::format(R"(Bearer realm="session-buddy"{})", error)};
}

HttpReply command_error(AlertCommandError error, bool unmutes) {
    constexpr unsigned kRetrySeconds = 2;
    switch (error) {
        case AlertCommandError::not_found:
            return unmutes ? http_error(404, "not_muted", "The skill is not muted")
                           : http_error(404, "unknown_alert", "No alert has this id; /api/v1/alerts lists all alerts");
        case AlertCommandError::read_only:
            return http_error(503, "database_read_only",
                              "The database is read-only: alerts cannot be acknowledged, skills not muted");
        case AlertCommandError::locked:
            return http_error(503, "database_unavailable", "The database is locked by another program; retry later", {},
                              kRetrySeconds);
        case AlertCommandError::too_many:
            return http_error(503, "too_many_commands", "Too many commands are queued; retry later", {}, kRetrySeconds);
        case AlertCommandError::stopping:
            return http_error(503, "stopping", "The server is stopping", {}, kRetrySeconds);
        case AlertCommandError::unavailable:
            break;
    }
    return http_error(503, "database_unavailable", "The database cannot be written; retry later", {}, kRetrySeconds);
}

}  // namespace

HttpReply http_error(unsigned status, std::string_view code, std::string_view detail,
                     const std::vector<protocol::ProblemMember>& members, unsigned retry_after) {
    HttpReply reply{.status = status,
                    .body = protocol::problem(status, code, detail, members),
                    .content_type = std::string(protocol::kProblemType)};
    if (retry_after > 0) {
        reply.headers = {{"Retry-After", std::to_string(retry_after)}};
    }
    return reply;
}

HttpReply bad_parameter(const protocol::BadParameter& bad) {
    return http_error(400, "bad_parameter", bad.detail, {{"parameter", bad.parameter}});
}

HttpReply bad_body(const protocol::BadBody& bad) {
    std::vector<protocol::ProblemMember> members;
    if (!bad.field.empty()) {
        members.emplace_back("field", bad.field);
    }
    return http_error(400, "bad_request", bad.detail, members);
}

HttpReply command_reply(const AlertCommandResult& result, bool unmutes) {
    return std::visit(Overloaded{
                          [unmutes](AlertCommandError error) { return command_error(error, unmutes); },
                          [](const auto& done) { return HttpReply{.body = protocol::command_response(done)}; },
                      },
                      result);
}

std::string joined_header(const http::request_header<>& request, http::field name) {
    std::string list;
    const auto [begin, end] = request.equal_range(name);
    for (auto field = begin; field != end; ++field) {
        list += list.empty() ? "" : ", ";
        list += field->value();
    }
    return list;
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

HttpReply no_route(const std::string& allowed_methods) {
    if (allowed_methods.empty()) {
        return http_error(404, "not_found", "No such endpoint");
    }
    auto reply = http_error(405, "method_not_allowed", "Method not allowed; allowed: " + allowed_methods);
    reply.headers = {{"Allow", allowed_methods}};
    return reply;
}

HttpReply preflight(const std::string& allowed_methods) {
    if (allowed_methods.empty()) {
        return no_route(allowed_methods);
    }
    return {.status = 204,
            .headers = {{"Access-Control-Allow-Methods", allowed_methods},
                        {"Access-Control-Allow-Headers", "Authorization, Content-Type, If-None-Match"},
                        {"Access-Control-Max-Age", std::to_string(kPreflightSeconds)}}};
}

HttpReply upgrade_required(std::string_view detail, std::string_view version) {
    auto reply = http_error(426, "upgrade_required", detail);
    reply.headers = {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}};
    if (!version.empty()) {
        reply.headers.emplace_back("Sec-WebSocket-Version", version);
    }
    return reply;
}

HttpReply token_required(auth::Scope needed) {
    auto reply = http_error(401, "unauthorized",
                            fmt::format("Authentication required: send a token with the scope {}",
                                        needed == auth::Scope::metrics ? "metrics or read" : auth::kScopes[needed]));
    reply.headers = {challenge()};
    reply.close = true;
    return reply;
}

HttpReply unauthorized(std::string_view reason) {
    auto reply = http_error(401, "unauthorized", reason);
    reply.headers = {challenge(R"(, error="invalid_token")")};
    reply.close = true;
    return reply;
}

HttpReply insufficient_scope(auth::Scope needed) {
    const auto lack = needed == auth::Scope::metrics
                          ? std::string(kLacksMetrics)
                          : fmt::format("The token lacks the scope {}", auth::kScopes[needed]);
    auto reply = http_error(403, "insufficient_scope", lack);
    reply.headers = {challenge(fmt::format(R"(, error="insufficient_scope", scope="{}")", auth::kScopes[needed]))};
    return reply;
}

HttpReply loopback_only() {
    return http_error(
        403, "loopback_only",
        "Without authentication, data is accepted from loopback only, and not through a proxy; to accept it "
        "from elsewhere, start the server with --auth-token-file");
}

HttpReply forbidden(OriginPolicy::Verdict verdict) {
    return verdict == OriginPolicy::Verdict::host_refused
               ? http_error(403, "host_not_allowed",
                            "Host name not allowed; to allow it, start the server with --allow-host NAME")
               : http_error(403, "origin_not_allowed",
                            "Origin not allowed; to allow it, start the server with --allow-origin ORIGIN");
}

HttpReply intake_full(const ServerContext& context) {
    const auto limit = context.config.max_intake_bytes;
    return http_error(429, "intake_full",
                      fmt::format("Too much data in flight: at most {} bytes (max_intake_bytes); retry later", limit),
                      {{"max_intake_bytes", static_cast<std::int64_t>(limit)}}, 1);
}

HttpReply limit_reached(Refusal refusal, const ServerContext& context) {
    const auto [option, limit] = limit_of(refusal, context.config);
    const auto over = [&](unsigned status, std::string_view code, const std::string& text) {
        auto reply =
            http_error(status, code, fmt::format("{} ({})", text, option), {{option, limit}}, kRetryAfterSeconds);
        reply.close = true;
        return reply;
    };
    if (refusal == Refusal::clients) {
        return over(503, "too_many_clients", fmt::format("Connection limit reached: at most {} clients", limit));
    }
    if (refusal == Refusal::clients_of_address) {
        return over(429, "too_many_clients_of_address",
                    fmt::format("Connection limit of your address reached: at most {} clients", limit));
    }
    return over(429, "too_many_connections",
                fmt::format("Rate limit exceeded: at most {} new connections per second and address", limit));
}

}  // namespace session_buddy::server
