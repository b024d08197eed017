// One WebSocket connection: the socket, its keep-alive and its end. What is said over it is the business of Client.
#pragma once

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "asio.hpp"
#include "client.hpp"
#include "context.hpp"
#include "stream.hpp"
#include "token_bucket.hpp"

namespace session_buddy::server {

/// How a client stands when its upgrade is answered: it may come in; it has yet to show a token, as its first message;
/// it showed one that is not accepted.
struct Admitted {
    std::optional<auth::Identity> identity;  ///< where a token was asked for
};
struct AwaitsToken {};
struct Refused {
    std::string reason;
};
using Welcome = std::variant<Admitted, AwaitsToken, Refused>;

class WebSocketSession final : public std::enable_shared_from_this<WebSocketSession>,
                               public Connection,
                               private Client::Sender {
  public:
    using Request = boost::beast::http::request<boost::beast::http::string_body>;

    /// `context` must outlive it.
    WebSocketSession(Stream stream, Peer peer, Admission::Place place, ServerContext& context);

    /// Answers the upgrade request and serves the client. `subprotocol`: the one to choose; empty for none.
    void run(const Request& upgrade, Welcome welcome, std::string subprotocol);
    void shut_down() override;
    void cut() override;
    void tokens_replaced() override;
    /// Logs what a handler threw, and cuts the connection.
    void fail(const char* what);

  private:
    using TimePoint = std::chrono::steady_clock::time_point;
    enum class State { handshake, unauthenticated, open, closing, over };

    // Of a client that must show a token.
    struct Authentication {
        explicit Authentication(const Stream::executor_type& executor) : deadline(executor), delay(executor) {}
        net::steady_timer deadline;  // for the token to come; then of the token
        net::steady_timer delay;     // of a refusal
        std::optional<auth::Identity> identity;
        bool under_way = false;  // a check or a refusal; nothing is read meanwhile
    };

    void on_accept(const error_code& error, const Welcome& welcome);
    void await_token();
    void on_first_message(std::string_view text);
    void authenticate(protocol::Authenticate request) override;
    void on_checked(auth::Verdict verdict, const protocol::RequestId& request_id);
    void refuse_token(std::string reason, protocol::RequestId request_id);
    void open(std::optional<auth::Identity> identity);
    void adopt(auth::Identity identity);
    [[nodiscard]] bool may_read();
    void read();
    void on_read(const error_code& error);
    void on_message(std::string_view text);
    void on_ping();
    void wake() override;
    void write();
    void on_write(const error_code& error);
    void close(boost::beast::websocket::close_code code, std::string_view reason = {});
    void stop_authentication();
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
    std::optional<Client> client_;                    // while open
    std::unique_ptr<Authentication> authentication_;  // where tokens are asked for

    boost::beast::flat_buffer incoming_;
    bool reading_ = false;
    net::cancellation_signal read_cancel_;
    net::cancellation_signal close_cancel_;
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
