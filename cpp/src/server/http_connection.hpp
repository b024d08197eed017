// One accepted connection while it speaks HTTP: answers requests until it closes or becomes a WebSocket.
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
    /// `context` must outlive it. `deadline`: of the first request.
    HttpConnection(Stream stream, Peer peer, Admission::Slot slot, SteadyTime deadline, ServerContext& context);

    void run();
    /// In place of run(), for a connection that is over before its first request.
    void answer_and_close(HttpReply reply);
    void shut_down() override;
    void abort() override;
    void check_timeouts(SteadyTime now) override;
    /// Logs what a handler threw, and cuts the connection.
    void fail(const char* what);

  private:
    using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
    using Response = boost::beast::http::response<boost::beast::http::span_body<const char>>;

    /// A part of ServerContext::intake_bytes: what has come of a body, not what its header announces.
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
    Peer direct_peer_;  // who is connected
    Peer peer_;         // for whom the request came
    boost::beast::flat_buffer buffer_;
    std::optional<Parser> parser_;                         // a new one for each request
    std::optional<IntakeRequest::Kind> intake_kind_;       // of the request, where it hands in data
    std::optional<IntakeReservation> intake_reservation_;  // of the request, until it is answered
    std::string allowed_origin_;                           // of the page that may read the answer; empty for none
    Credentials credentials_;                              // of the request
    bool aborted_ = false;                                 // cut
    SteadyTime deadline_;                                  // of the request, or of the answer
    Timer delay_;                                          // of a refusal
    Response response_;
    Body body_;  // of response_, until it is sent
};

}  // namespace session_buddy::server
