// See http_session.hpp.
#include "http_session.hpp"

#include <algorithm>
#include <array>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <cstddef>
#include <utility>

#include "guarded.hpp"
#include "session_buddy/core/log.hpp"
#include "websocket_session.hpp"

namespace session_buddy::server {

namespace http = boost::beast::http;

namespace {

constexpr log::Logger logger{"session_buddy.server.http"};

constexpr std::uint32_t kMaxHeaderBytes = 8192;
constexpr std::uint64_t kMaxBodyBytes = 8192;  // no route takes a body yet
// What the read buffer may hold: a request and the beginning of the next.
constexpr std::size_t kMaxBufferBytes = 32768;

}  // namespace

HttpSession::HttpSession(Stream stream, ServerContext& context)
    : stream_(std::move(stream)), context_(context), handle_(context, *this), buffer_(kMaxBufferBytes) {}

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
    parser_->header_limit(kMaxHeaderBytes);
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
    if (boost::beast::websocket::is_upgrade(request)) {
        if (!is_websocket_target(target)) {
            send(not_found());
        } else {
            upgrade();
        }
        return;
    }
    auto reply = route(context_, request.method(), target);
    logger.debug("{} answered with {}", std::string_view(http::to_string(request.method())), reply.status);
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
            logger.debug("connection ended: {}", error.message());
        }
        cut();
        return;
    }
    logger.debug("bad request: {}", error.message());
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
    auto slot = context_.clients.take();
    if (!slot) {
        logger.debug("client refused: all {} places are taken", context_.clients.limit());
        send(too_many_clients(context_));
        return;
    }
    stream_.expires_never();  // the WebSocket keeps its own time
    std::make_shared<WebSocketSession>(std::move(stream_), context_, std::move(slot))->run(parser_->get());
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
    stream_.expires_after(steady(context_.config.handshake_timeout));
    http::async_write(stream_, response_, guarded(shared_from_this(), [](HttpSession& self, const error_code& error) {
                          self.on_sent(error);
                      }));
}

void HttpSession::on_sent(const error_code& error) {
    if (error) {
        cut();
    } else if (response_.keep_alive()) {
        stream_.expires_after(steady(context_.config.handshake_timeout));
        read();
    } else if (stream_.encrypted()) {
        stream_.async_close_notify(
            guarded(shared_from_this(), [](HttpSession& self, const error_code&) { self.stop_sending(); }));
    } else {
        stop_sending();
    }
}

void HttpSession::stop_sending() {
    error_code ignored;
    stream_.tcp().socket().shutdown(tcp::socket::shutdown_send, ignored);
    drain();
}

// Closing while the client is still sending would reset the connection, and the answer might be lost with it. The time
// limit of the answer goes on running. Below TLS, as what comes means nothing any more.
void HttpSession::drain() {
    buffer_.clear();
    stream_.tcp().async_read_some(buffer_.prepare(kMaxBufferBytes),
                                  guarded(shared_from_this(), [](HttpSession& self, const error_code& error) {
                                      if (error) {
                                          self.cut();
                                      } else {
                                          self.drain();
                                      }
                                  }));
}

void HttpSession::fail(const char* what) {
    logger.error("HTTP session failed: {}", what);
    cut();
}

}  // namespace session_buddy::server
