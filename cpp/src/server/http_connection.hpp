// One HTTP connection: serves requests until it closes or is upgraded to a WebSocket.
#pragma once

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "asio.hpp"
#include "context.hpp"
#include "credentials.hpp"
#include "intake_reservation.hpp"
#include "routes.hpp"
#include "stream.hpp"
#include "websocket_connection.hpp"

namespace session_buddy::server {

class HttpConnection final : public std::enable_shared_from_this<HttpConnection>, public Connection {
  public:
    /// `context` must outlive it. `deadline` applies to the first request.
    HttpConnection(Stream stream, Peer peer, Admission::Slot slot, SteadyTime deadline, ServerContext& context);

    void run();
    /// Instead of run(): sends one response without reading a request.
    void answer_and_close(HttpReply reply);
    void shut_down() override;
    void abort() override;
    void check_timeouts(SteadyTime now) override;
    /// Called when a handler has thrown: logs the exception and aborts the connection.
    void fail(const char* what);

  private:
    using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
    using Response = boost::beast::http::response<boost::beast::http::span_body<const char>>;

    void read();
    void on_header();
    void check();
    void reject(const error_code& error);
    void reject_origin(OriginPolicy::Verdict verdict);
    void reject_token(std::string_view reason);
    void on_token_checked(auth::Verdict verdict);
    void serve(const std::optional<auth::Verdict>& verdict);
    void open_websocket(const std::optional<auth::Verdict>& verdict);
    void upgrade(const UpgradeDecision& decision);
    [[nodiscard]] bool is_local_client() const;
    // Answers clients that may not; `what` is for the log.
    [[nodiscard]] bool may_write(std::string_view what);
    void receive_events(IntakeRequest::Kind kind);
    void read_ingestion_body();
    void on_body_chunk();
    void submit_to_intake();
    void submit_query(protocol::ApiQuery query);
    void submit_command(std::variant<AlertCommand, HttpReply> command);
    void answer(HttpReply reply);
    void send(HttpReply reply);
    void on_sent(const error_code& error);

    void set_timeout(Seconds timeout) { deadline_ = std::chrono::steady_clock::now() + steady(timeout); }
    // The handler of a read that continues with `next`, unless it failed or the connection was aborted.
    [[nodiscard]] auto when_read(void (HttpConnection::*next)());
    // The callback of Intake, Queries and AlertCommands, for any thread, that answers on the network thread.
    [[nodiscard]] auto answer_later();

    Stream stream_;
    ServerContext& context_;
    ConnectionHandle handle_;
    Admission::Slot slot_;
    Peer direct_peer_;  // the other end of the TCP connection
    Peer peer_;         // the client, behind a proxy if there is one
    boost::beast::flat_buffer buffer_;
    std::optional<Parser> parser_;                         // one per request
    Route route_;                                          // of the current request
    std::optional<IntakeReservation> intake_reservation_;  // held from admission to the response of the intake
    std::string allowed_origin_;                           // CORS: origin that may read the response; empty for none
    Credentials credentials_;                              // of the current request
    bool aborted_ = false;                                 // by abort() or a failure
    SteadyTime deadline_;                                  // for the request, or for the response
    Timer delay_;                                          // delays the response to a rejected token
    Response response_;
    Body body_;  // keeps the bytes of response_ alive until they are sent
};

}  // namespace session_buddy::server
