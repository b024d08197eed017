// See http_session.hpp.
#include "http_session.hpp"

#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <chrono>
#include <utility>
#include <variant>

#include "guarded.hpp"
#include "request_check.hpp"
#include "session_buddy/core/log.hpp"
#include "websocket_session.hpp"

namespace session_buddy::server {

namespace http = boost::beast::http;

namespace {

constexpr log::Logger logger{"session_buddy.server.http"};

constexpr std::uint64_t kMaxBodyBytes = 8192;  // no route takes a body yet

}  // namespace

HttpSession::HttpSession(Stream stream, Peer peer, Admission::Place place, ServerContext& context)
    : stream_(std::move(stream)),
      context_(context),
      handle_(context, *this),
      place_(std::move(place)),
      direct_(std::move(peer)),
      peer_(direct_),
      // A request and the beginning of the next.
      buffer_(2 * (context.config.max_header_bytes + kMaxBodyBytes)) {}

void HttpSession::run() {
    read();
}

void HttpSession::answer_and_close(HttpReply reply) {
    reply.close = true;
    send(std::move(reply));
}

void HttpSession::shut_down() {
    cut();
}

void HttpSession::cut() {
    stream_.close();
}

void HttpSession::read() {
    parser_.emplace();
    parser_->header_limit(context_.config.max_header_bytes);
    parser_->body_limit(kMaxBodyBytes);
    // Read into the parser and not into a message of its own: only so are the limits kept.
    http::async_read(
        stream_, buffer_, *parser_,
        guarded(shared_from_this(), [](HttpSession& self, const error_code& error) { self.on_read(error); }));
}

void HttpSession::on_read(const error_code& error) {
    if (error) {
        refuse(error);
        return;
    }
    const auto& request = parser_->get();
    const std::string_view target(request.target().data(), request.target().size());
    peer_ = client_of_request(direct_, request, context_.trusted_proxies);
    if (!context_.admission.take_request(peer_, std::chrono::steady_clock::now())) {
        logger.debug("request of {} refused: beyond {}", peer_.name,
                     describe(Refusal::connection_rate, context_.config));
        send(too_many(Refusal::connection_rate, context_));
        return;
    }
    if (auto refusal = check_request(request)) {
        logger.debug("bad request of {}: answered with {}", peer_.name, refusal->status);
        send(std::move(*refusal));
        return;
    }
    if (boost::beast::websocket::is_upgrade(request)) {
        if (!is_websocket_target(target)) {
            send(not_found());
        } else {
            upgrade();
        }
        return;
    }
    auto reply = route(context_, request.method(), target);
    logger.debug("{} of {} answered with {}", std::string_view(http::to_string(request.method())), peer_.name,
                 reply.status);
    reply.close = reply.close || !request.keep_alive();
    send(std::move(reply));
}

void HttpSession::refuse(const error_code& error) {
    HttpReply reply;
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
        reply = http_error(431, "header_too_large", "The request header is too large");
    } else if (error == http::error::body_limit) {
        reply = http_error(413, "body_too_large", "The request body is too large");
    } else if (error != http::error::end_of_stream && error != http::error::partial_message &&
               error.category() == http::make_error_code(http::error::bad_method).category()) {
        reply = http_error(400, "bad_request", "The request is not valid HTTP");
    } else {
        // Gone, or silent for too long: nobody to answer to.
        if (error != http::error::end_of_stream) {
            logger.debug("connection of {} ended: {}", peer_.name, error.message());
        }
        cut();
        return;
    }
    logger.debug("bad request of {}: {}", peer_.name, error.message());
    reply.close = true;
    send(std::move(reply));
}

void HttpSession::upgrade() {
    if (buffer_.size() > 0) {
        // A client may not speak WebSocket before it has the answer; what it sent would be lost.
        auto reply = http_error(400, "bad_request", "Data before the end of the WebSocket handshake");
        reply.close = true;
        send(std::move(reply));
        return;
    }
    auto verdict = context_.admission.take_websocket(peer_, std::chrono::steady_clock::now());
    if (const auto* refusal = std::get_if<Refusal>(&verdict)) {
        logger.debug("client {} refused: beyond {}", peer_.name, describe(*refusal, context_.config));
        send(too_many(*refusal, context_));
        return;
    }
    stream_.expires_never();  // the WebSocket keeps its own time
    std::make_shared<WebSocketSession>(std::move(stream_), peer_, std::get<Admission::Place>(std::move(verdict)),
                                       context_)
        ->run(parser_->get());
}

void HttpSession::send(HttpReply reply) {
    const bool head = parser_ && parser_->get().method() == http::verb::head;
    response_ = Response(static_cast<http::status>(reply.status), 11);
    response_.set(http::field::server, "session-buddy");
    response_.set(http::field::content_type, "application/json");
    response_.set(http::field::cache_control, "no-store");
    for (const auto& [name, value] : reply.headers) {
        response_.set(name, value);
    }
    response_.keep_alive(!reply.close);  // after the headers, one of which may be Connection
    response_.content_length(reply.body.size());
    if (!head) {
        response_.body() = std::move(reply.body);
    }
    stream_.expires_after(steady(context_.config.write_timeout));
    http::async_write(stream_, response_, guarded(shared_from_this(), [](HttpSession& self, const error_code& error) {
                          self.on_sent(error);
                      }));
}

void HttpSession::on_sent(const error_code& error) {
    if (error) {
        cut();
    } else if (response_.keep_alive()) {
        stream_.expires_after(steady(context_.config.idle_timeout));
        read();
    } else {
        // The time limit of the answer goes on running.
        stream_.async_close_in_order(
            guarded(shared_from_this(), [](HttpSession& self, const error_code&) { self.cut(); }));
    }
}

void HttpSession::fail(const char* what) {
    logger.error("HTTP session of {} failed: {}", peer_.name, what);
    cut();
}

}  // namespace session_buddy::server
