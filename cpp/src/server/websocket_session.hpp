// One WebSocket connection: the socket, its keep-alive and its end. What is said over it is the business of Client.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

#include "asio.hpp"
#include "client.hpp"
#include "context.hpp"
#include "stream.hpp"
#include "token_bucket.hpp"

namespace session_buddy::server {

class WebSocketSession final : public std::enable_shared_from_this<WebSocketSession>,
                               public Connection,
                               private Client::Sender {
  public:
    using Request = boost::beast::http::request<boost::beast::http::string_body>;

    /// `context` must outlive it.
    WebSocketSession(Stream stream, Peer peer, Admission::Place place, ServerContext& context);

    /// Answers the upgrade request and serves the client.
    void run(const Request& upgrade);
    void shut_down() override;
    void cut() override;
    /// Logs what a handler threw, and cuts the connection.
    void fail(const char* what);

  private:
    using TimePoint = std::chrono::steady_clock::time_point;
    enum class State { handshake, open, closing, over };

    void on_accept(const error_code& error);
    void read();
    void on_read(const error_code& error);
    void on_message(std::string_view text);
    void on_ping();
    void wake() override;
    void write();
    void on_write(const error_code& error);
    void close(boost::beast::websocket::close_code code);
    void heard();
    void keep_alive();
    void on_keep_alive();
    void finish(const error_code& reason);

    boost::beast::websocket::stream<Stream, false> socket_;  // false: no compression
    ServerContext& context_;
    ConnectionHandle handle_;
    Peer peer_;
    Admission::Place place_;
    State state_ = State::handshake;
    std::optional<Client> client_;  // while open

    boost::beast::flat_buffer incoming_;
    bool reading_ = false;
    Frame outgoing_;  // being written

    net::steady_timer timer_;
    TimePoint heard_at_;
    TimePoint ping_due_at_;
    bool pinging_ = false;
    TimePoint writing_since_;  // of outgoing_

    TokenBucket messages_;
    bool flooding_ = false;  // is about to be closed for its pings
};

}  // namespace session_buddy::server
