// One HTTP connection: serves requests until it closes or is upgraded to a WebSocket.
#pragma once

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/string_body.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "asio.hpp"
#include "context.hpp"
#include "credentials.hpp"
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

    /// The share of ServerContext::intake_bytes held by one request. Counts received bytes, not Content-Length.
    class IntakeReservation {
      public:
        explicit IntakeReservation(ServerContext& context) : context_(context) {}
        ~IntakeReservation() { context_.intake_bytes -= bytes_; }
        [[nodiscard]] std::size_t bytes() const { return bytes_; }
        void grow_to(std::size_t bytes) {
            context_.intake_bytes += bytes - bytes_;
            bytes_ = bytes;
        }
        IntakeReservation(const IntakeReservation&) = delete;
        IntakeReservation& operator=(const IntakeReservation&) = delete;

      private:
        ServerContext& context_;
        std::size_t bytes_ = 0;
    };

    void read();
    void on_header(const error_code& error);
    void on_read(const error_code& error);
    void check();
    void reject(const error_code& error);
    void reject_origin(OriginPolicy::Verdict verdict);
    void on_token_checked(auth::Verdict verdict);
    void serve(std::optional<auth::Verdict> verdict);
    void answer(HttpReply reply);
    void upgrade(const UpgradeDecision& decision);
    [[nodiscard]] bool is_local_client() const;
    void receive_events(const std::optional<auth::Verdict>& verdict);
    [[nodiscard]] bool has_intake_capacity(std::uint64_t bytes) const;
    void read_ingestion_body();
    void on_body_chunk(const error_code& error);
    void submit_to_intake(const error_code& error);
    void on_intake_response(IntakeResponse response);
    void submit_query(QueryRequest::Kind kind, const std::optional<auth::Verdict>& verdict);
    void on_query_response(QueryResponse response);
    void reject_token(std::string_view reason);
    void send(HttpReply reply);
    void on_sent(const error_code& error);

    Stream stream_;
    ServerContext& context_;
    ConnectionHandle handle_;
    Admission::Slot slot_;
    Peer direct_peer_;  // the other end of the TCP connection
    Peer peer_;         // the client, behind a proxy if there is one
    boost::beast::flat_buffer buffer_;
    std::optional<Parser> parser_;                         // one per request
    std::optional<IntakeRequest::Kind> intake_kind_;       // set for an ingestion request
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
