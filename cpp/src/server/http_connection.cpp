// Reads and validates requests, authenticates them, and routes them to handlers, Intake, Queries or the upgrade.
#include "http_connection.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <chrono>
#include <utility>
#include <variant>

#include "client_of_request.hpp"
#include "guarded.hpp"
#include "replies.hpp"
#include "request_check.hpp"
#include "session_buddy/core/log.hpp"
#include "session_buddy/core/overloaded.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/server/representation.hpp"

namespace session_buddy::server {

namespace http = boost::beast::http;

namespace {

constexpr std::uint64_t kMaxBodyBytes = 8192;             // of a request that is not ingestion
constexpr std::chrono::seconds kRejectedCloseTimeout{2};  // for the client to close after an origin was rejected
constexpr std::size_t kMaxLoggedBytes = 80;               // of untrusted text in a log line

// Sanitizes untrusted text for the log: truncated, and without control characters that a terminal would interpret.
std::string printable_prefix(std::string_view value) {
    std::string text(value.substr(0, kMaxLoggedBytes));
    std::replace_if(
        text.begin(), text.end(), [](unsigned char character) { return character < 0x20 || character > 0x7e; }, '?');
    return text;
}

// A no-cors load by a page of another site, such as an image: browsers send no Origin with it.
bool is_from_other_site(const http::request_header<>& request, std::string_view allowed_origin) {
    return allowed_origin.empty() && request["Sec-Fetch-Site"] == "cross-site";
}

std::variant<AlertCommand, HttpReply> command_in_body(const http::request<http::string_body>& request,
                                                      CommandParser parse) {
    if (media_type(request[http::field::content_type]) != "application/json") {
        return http_error(415, "unsupported_media_type", "The Content-Type must be application/json");
    }
    auto parsed = parse(request.body());
    if (const auto* const bad = std::get_if<protocol::BadBody>(&parsed)) {
        return bad_body(*bad);
    }
    return std::get<AlertCommand>(std::move(parsed));
}

std::variant<AlertCommand, HttpReply> command_in_query(UnmuteRequest unmute) {
    if (const auto* const bad = std::get_if<protocol::BadParameter>(&unmute)) {
        return bad_parameter(*bad);
    }
    return std::get<UnmuteSkill>(std::move(unmute));
}

bool grants(const auth::Identity* identity, auth::Scope needed) {
    return identity != nullptr && (identity->scopes.has(needed) ||
                                   (needed == auth::Scope::metrics && identity->scopes.has(auth::Scope::read)));
}

}  // namespace

HttpConnection::HttpConnection(Stream stream, Peer peer, Admission::Slot slot, SteadyTime deadline,
                               ServerContext& context)
    : stream_(std::move(stream)),
      context_(context),
      handle_(context, *this),
      slot_(std::move(slot)),
      direct_peer_(std::move(peer)),
      peer_(direct_peer_),
      // One request and the beginning of a pipelined one.
      buffer_(2 * (context.config.max_header_bytes + kMaxBodyBytes)),
      deadline_(deadline),
      delay_(stream_.get_executor()) {}

void HttpConnection::run() {
    read();
}

void HttpConnection::answer_and_close(HttpReply reply) {
    reply.close = true;
    send(std::move(reply));
}

void HttpConnection::shut_down() {
    abort();
}

void HttpConnection::check_timeouts(SteadyTime now) {
    if (!aborted_ && now >= deadline_) {
        log::kServerHttp.debug("connection from {} timed out", peer_.name);
        abort();
    }
}

void HttpConnection::abort() {
    aborted_ = true;
    delay_.cancel();
    stream_.close();
}

auto HttpConnection::when_read(void (HttpConnection::*next)()) {
    return guarded(shared_from_this(), [next](HttpConnection& self, const error_code& error) {
        if (self.aborted_) {
            return;
        }
        if (error) {
            self.intake_reservation_.reset();
            self.reject(error);
        } else {
            (self.*next)();
        }
    });
}

// The last reference to this connection must not be released on another thread, so it moves back with the response.
auto HttpConnection::answer_later() {
    return [self = shared_from_this(), executor = stream_.get_executor()](HttpReply response) mutable {
        net::post(executor, [self = std::move(self), response = std::move(response)]() mutable {
            run_guarded(*self, [&] {
                self->intake_reservation_.reset();
                if (!self->aborted_) {
                    self->answer(std::move(response));
                }
            });
        });
    };
}

void HttpConnection::read() {
    parser_.emplace();
    allowed_origin_.clear();
    parser_->header_limit(context_.config.max_header_bytes);
    parser_->body_limit(context_.config.max_body_bytes);
    // Reads into the parser, not into a message: only the parser enforces the limits.
    http::async_read_header(stream_, buffer_, *parser_, when_read(&HttpConnection::on_header));
}

// The body of an ingestion request is read only after the request was accepted; any other body is small, and ignored
// unless it is that of a command.
void HttpConnection::on_header() {
    route_ = route_of(parser_->get(), context_.assets);
    if (std::holds_alternative<IntakeRequest::Kind>(route_) || parser_->is_done()) {
        check();
        return;
    }
    if (parser_->content_length().value_or(0) > kMaxBodyBytes) {
        reject(http::error::body_limit);
        return;
    }
    parser_->body_limit(kMaxBodyBytes);
    http::async_read(stream_, buffer_, *parser_, when_read(&HttpConnection::check));
}

void HttpConnection::check() {
    deadline_ = SteadyTime::max();  // processing time does not count against the client
    const auto& request = parser_->get();
    peer_ = client_of_request(direct_peer_, request, context_.trusted_proxies);
    if (!context_.admission.admit_request(peer_, std::chrono::steady_clock::now())) {
        log::kServerHttp.debug("request from {} rejected: {} exceeded", peer_.name,
                               describe(Refusal::connection_rate, context_.config));
        send(limit_reached(Refusal::connection_rate, context_));
        return;
    }
    const auto framing =
        std::holds_alternative<IntakeRequest::Kind>(route_) ? BodyFraming::length_or_chunks : BodyFraming::length;
    if (auto refusal = check_request(request, framing)) {
        log::kServerHttp.debug("bad request from {}: answered with {}", peer_.name, refusal->status);
        send(std::move(*refusal));
        return;
    }
    if (const auto verdict = context_.origin_policy.check(request, peer_.secure);
        verdict != OriginPolicy::Verdict::allowed) {
        reject_origin(verdict);
        return;
    }
    allowed_origin_ = std::string_view(request[http::field::origin]);
    if (const auto* asked = std::get_if<Preflight>(&route_)) {
        answer(preflight(asked->allowed_methods));  // browsers send no token with a preflight
        return;
    }
    credentials_ = extract_credentials(request);
    if (credentials_.source == Credentials::Source::subprotocol && !std::holds_alternative<OpenWebSocket>(route_)) {
        credentials_ = {};
    }
    if (context_.tokens == nullptr || credentials_.source == Credentials::Source::none) {
        serve(std::nullopt);
    } else if (credentials_.token.empty()) {
        on_token_checked(auth::Rejection{"Malformed Authorization header: expected \"Authorization: Bearer <token>\""});
    } else {
        context_.tokens->check(std::move(credentials_.token), [self = shared_from_this()](auth::Verdict verdict) {
            run_guarded(*self, [&] { self->on_token_checked(std::move(verdict)); });
        });
    }
}

void HttpConnection::on_token_checked(auth::Verdict verdict) {
    if (aborted_) {
        return;
    }
    const auto* rejection = std::get_if<auth::Rejection>(&verdict);
    if (rejection != nullptr && credentials_.source == Credentials::Source::header) {
        reject_token(rejection->reason);
    } else {
        serve(verdict);
    }
}

// `verdict`: of the token; nullopt if none was required or sent.
void HttpConnection::serve(const std::optional<auth::Verdict>& verdict) {
    const auto* identity = verdict ? std::get_if<auth::Identity>(&*verdict) : nullptr;
    const bool open = context_.tokens == nullptr;  // without authentication every client is trusted
    if (const auto needed = required_scope(route_); needed && !open && !grants(identity, *needed)) {
        answer(identity == nullptr ? token_required(*needed) : insufficient_scope(*needed));
        return;
    }
    std::visit(Overloaded{
                   [&](const NoRoute& none) { answer(no_route(none.allowed_methods)); },
                   [&](const Preflight& asked) { answer(preflight(asked.allowed_methods)); },
                   [&](OpenWebSocket) { open_websocket(verdict); },
                   [&](Handler handler) { answer(handler(context_, open || grants(identity, auth::Scope::metrics))); },
                   [&](const Asset* asset) { answer(asset_reply(*asset, parser_->get())); },
                   [&](IntakeRequest::Kind kind) { receive_events(kind); },
                   [&](protocol::ApiQuery& query) { submit_query(std::move(query)); },
                   [&](CommandParser parse) { submit_command(command_in_body(parser_->get(), parse)); },
                   [&](UnmuteRequest& unmute) { submit_command(command_in_query(std::move(unmute))); },
               },
               route_);
}

// `verdict`: see serve().
void HttpConnection::open_websocket(const std::optional<auth::Verdict>& verdict) {
    const auto* identity = verdict ? std::get_if<auth::Identity>(&*verdict) : nullptr;
    if (context_.tokens == nullptr) {
        upgrade(Admitted{});
    } else if (!verdict) {
        upgrade(AwaitsToken{});
    } else if (grants(identity, auth::Scope::read)) {
        upgrade(Admitted{*identity});
    } else if (credentials_.source == Credentials::Source::header) {
        answer(insufficient_scope(auth::Scope::read));
    } else {
        // Browsers hide the response of a failed upgrade, so this one succeeds and is closed with the reason.
        upgrade(Rejected{std::string(identity != nullptr ? kLacksRead : std::get<auth::Rejection>(*verdict).reason)});
    }
}

// Requests through an unknown proxy are not local: otherwise a proxy on this machine would make every client local.
bool HttpConnection::is_local_client() const {
    const auto& request = parser_->get();
    const bool through_proxy = request.count("X-Forwarded-For") > 0 || request.count(http::field::forwarded) > 0 ||
                               request.count(http::field::via) > 0 || request.count("X-Real-IP") > 0;
    return peer_.address.is_loopback() && (!through_proxy || peer_.forwarded);
}

bool HttpConnection::may_write(std::string_view what) {
    const bool allowed = context_.tokens != nullptr || is_local_client();
    if (!allowed) {
        log::kServerHttp.debug("{} from {} rejected: not from loopback", what, peer_.name);
        answer(loopback_only());
    }
    return allowed;
}

void HttpConnection::receive_events(IntakeRequest::Kind kind) {
    const auto& request = parser_->get();
    if (!may_write("ingestion")) {
        return;
    }
    if (context_.intake == nullptr) {
        answer(http_error(503, "no_intake", "Ingestion is not enabled on this server"));
        return;
    }
    if (!IntakeReservation::has_capacity(context_, kind, parser_->content_length().value_or(0))) {
        answer(intake_full(context_));
        return;
    }
    intake_reservation_.emplace(context_, kind, std::chrono::steady_clock::now());
    deadline_ = intake_reservation_->deadline();
    constexpr unsigned kHttp11 = 11;  // HTTP/1.0 has no status 100
    if (boost::beast::iequals(request[http::field::expect], "100-continue") && request.version() >= kHttp11 &&
        !parser_->is_done()) {
        response_ = Response(http::status::continue_, kHttp11);
        http::async_write(stream_, response_,
                          guarded(shared_from_this(), [](HttpConnection& self, const error_code& error) {
                              if (error) {
                                  self.abort();
                              } else {
                                  self.read_ingestion_body();
                              }
                          }));
    } else {
        read_ingestion_body();
    }
}

void HttpConnection::read_ingestion_body() {
    if (aborted_) {
        return;
    }
    if (parser_->is_done()) {
        submit_to_intake();
    } else {
        http::async_read_some(stream_, buffer_, *parser_, when_read(&HttpConnection::on_body_chunk));
    }
}

void HttpConnection::on_body_chunk() {
    if (!intake_reservation_->grow_to(parser_->get().body().size(), std::chrono::steady_clock::now())) {
        intake_reservation_.reset();
        answer(intake_full(context_));
        return;
    }
    deadline_ = intake_reservation_->deadline();
    read_ingestion_body();
}

void HttpConnection::submit_to_intake() {
    deadline_ = SteadyTime::max();
    const auto kind = std::get<IntakeRequest::Kind>(route_);
    (kind == IntakeRequest::Kind::hook ? context_.counters.hook_requests : context_.counters.invocation_requests).add();
    auto& request = parser_->get();
    context_.intake->submit({.kind = kind,
                             .content_type = std::string(request[http::field::content_type]),
                             .body = std::move(request.body())},
                            answer_later());
}

void HttpConnection::submit_query(protocol::ApiQuery query) {
    if (context_.queries == nullptr) {
        answer(http_error(503, "no_queries", "Queries are not enabled on this server"));
        return;
    }
    const auto& request = parser_->get();
    context_.queries->submit({.query = std::move(query),
                              .accept = joined_header(request, http::field::accept),
                              .accept_encoding = joined_header(request, http::field::accept_encoding),
                              .if_none_match = joined_header(request, http::field::if_none_match),
                              .clients = context_.admission.clients(),
                              .may_see_paths = context_.tokens != nullptr || is_local_client()},
                             answer_later());
}

void HttpConnection::submit_command(std::variant<AlertCommand, HttpReply> command) {
    if (!may_write("command")) {
        return;
    }
    if (auto* const fault = std::get_if<HttpReply>(&command)) {
        answer(std::move(*fault));
    } else if (context_.commands == nullptr) {
        answer(http_error(503, "no_commands", "Commands about alerts are not enabled on this server"));
    } else {
        auto& accepted = std::get<AlertCommand>(command);
        const bool unmutes = std::holds_alternative<UnmuteSkill>(accepted);
        context_.commands->submit(std::move(accepted),
                                  [respond = answer_later(), unmutes](const AlertCommandResult& result) mutable {
                                      respond(command_reply(result, unmutes));
                                  });
    }
}

void HttpConnection::reject_origin(OriginPolicy::Verdict verdict) {
    context_.admission.count_refusal(Refusal::origin);
    const bool by_host = verdict == OriginPolicy::Verdict::host_refused;
    const std::string_view header = by_host ? "Host" : "Origin";
    const auto value = printable_prefix(parser_->get()[header]);
    log::kServerHttp.debug("request from {} rejected for its {} '{}'", peer_.name, header, value);
    if (const auto count = context_.refused_origins_log.count(std::chrono::steady_clock::now()); count > 0) {
        log::kServerHttp.warning(
            "requests are rejected: {} since the last report, the latest from {} for its {} '{}', which is not in {}",
            count, peer_.name, header, value, by_host ? "allow_host" : "allow_origin");
    }
    // Close, so that a malicious page cannot occupy all connections with rejected requests.
    auto reply = forbidden(verdict);
    reply.close = true;
    answer(std::move(reply));
    deadline_ = std::min(deadline_, std::chrono::steady_clock::now() + kRejectedCloseTimeout);
}

void HttpConnection::answer(HttpReply reply) {
    const auto& request = parser_->get();
    log::kServerHttp.debug("{} from {} answered with {}", std::string_view(http::to_string(request.method())),
                           peer_.name, reply.status);
    reply.close = reply.close || !request.keep_alive() || is_from_other_site(request, allowed_origin_);
    send(std::move(reply));
}

void HttpConnection::reject(const error_code& error) {
    HttpReply reply;
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
        reply = http_error(431, "header_too_large", "The request header is too large");
    } else if (error == http::error::body_limit) {
        reply = http_error(413, "body_too_large", "The request body is too large");
    } else if (error != http::error::end_of_stream && error != http::error::partial_message &&
               error.category() == http::make_error_code(http::error::bad_method).category()) {
        reply = http_error(400, "bad_request", "The request is not valid HTTP");
    } else {
        // The client disconnected or timed out; no response can reach it.
        if (error != http::error::end_of_stream) {
            log::kServerHttp.debug("connection from {} ended: {}", peer_.name, error.message());
        }
        abort();
        return;
    }
    log::kServerHttp.debug("bad request from {}: {}", peer_.name, error.message());
    reply.close = true;
    send(std::move(reply));
}

void HttpConnection::upgrade(const UpgradeDecision& decision) {
    if (buffer_.size() > 0 || stream_.has_unread()) {
        // A client must not send frames before it has received the upgrade response; they would be lost.
        answer_and_close(http_error(400, "bad_request", "Data received before the WebSocket handshake was complete"));
        return;
    }
    // Only an admitted client takes a client slot. Unauthenticated ones still count as HTTP connections of their
    // address.
    const bool admitted = std::holds_alternative<Admitted>(decision);
    if (admitted || peer_.forwarded) {
        const auto now = std::chrono::steady_clock::now();
        auto verdict = admitted ? context_.admission.admit_client(peer_, now)
                                : context_.admission.admit_unauthenticated(peer_, now);
        if (const auto* refusal = std::get_if<Refusal>(&verdict)) {
            log::kServerHttp.debug("client {} rejected: {} reached", peer_.name, describe(*refusal, context_.config));
            send(limit_reached(*refusal, context_));
            return;
        }
        slot_ = std::get<Admission::Slot>(std::move(verdict));
    }
    auto handshake = accept_handshake(parser_->get(), credentials_.subprotocol, context_.compression != nullptr);
    std::make_shared<WebSocketConnection>(std::move(stream_), peer_, std::move(slot_), context_)
        ->run(std::move(handshake), decision);
}

void HttpConnection::reject_token(std::string_view reason) {
    context_.admission.count_refusal(Refusal::token);
    log::kServerHttp.warning("authentication of {} failed: {}", peer_.name, reason);
    delay_.expires_after(context_.admission.auth_failure_delay(peer_, std::chrono::steady_clock::now()));
    delay_.async_wait(guarded(shared_from_this(),
                              [reply = unauthorized(reason)](HttpConnection& self, const error_code& error) mutable {
                                  if (!error) {
                                      self.send(std::move(reply));
                                  }
                              }));
}

void HttpConnection::send(HttpReply reply) {
    const bool head = parser_ && parser_->get().method() == http::verb::head;
    response_ = Response(static_cast<http::status>(reply.status), 11);
    response_.set(http::field::server, "session-buddy");
    response_.set(http::field::date, format_http_date(context_.clock.now()));
    response_.set(http::field::content_type, reply.content_type);
    response_.set(http::field::cache_control, "no-store");
    response_.set(http::field::vary, "Origin");
    if (!allowed_origin_.empty()) {
        response_.set(http::field::access_control_allow_origin, allowed_origin_);
        response_.set(http::field::access_control_expose_headers, "ETag, Retry-After");
    }
    for (const auto& [name, value] : reply.headers) {
        response_.set(name, value);
    }
    // An unread rest of the body would be parsed as the next request.
    const bool unread = parser_ && !parser_->is_done();
    response_.keep_alive(!reply.close && !unread);  // set after the headers, which may include Connection
    if (reply.body.empty()) {
        response_.erase(http::field::content_type);
    }
    if (response_.result() != http::status::no_content && response_.result() != http::status::not_modified) {
        response_.content_length(reply.body.size());
    }
    if (!head) {
        body_ = std::move(reply.body);
        response_.body() = {body_.data(), body_.size()};
    }
    set_timeout(context_.config.write_timeout);
    http::async_write(
        stream_, response_,
        guarded(shared_from_this(), [](HttpConnection& self, const error_code& error) { self.on_sent(error); }));
}

void HttpConnection::on_sent(const error_code& error) {
    // Release the body of a keep-alive connection.
    response_.body() = {};
    body_ = {};
    if (error) {
        abort();
    } else if (response_.keep_alive()) {
        set_timeout(context_.config.idle_timeout);
        read();
    } else {
        // The deadline of the response still applies.
        stream_.async_graceful_close(
            guarded(shared_from_this(), [](HttpConnection& self, const error_code&) { self.abort(); }));
    }
}

void HttpConnection::fail(const char* what) {
    context_.counters.failures.add();
    log::kServerHttp.error("HTTP connection of {} failed: {}", peer_.name, what);
    abort();
}

}  // namespace session_buddy::server
