// One WebSocket connection: socket, authentication, keep-alive, backpressure and close. Client implements the API.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "asio.hpp"
#include "client.hpp"
#include "context.hpp"
#include "frame_codec.hpp"
#include "handler_slot.hpp"
#include "stream.hpp"
#include "token_bucket.hpp"
#include "websocket_handshake.hpp"

namespace session_buddy::server {

/// The state of a client when its upgrade is accepted: admitted; must authenticate with its first message; or its token
/// was rejected, and the connection will be closed with the reason.
struct Admitted {
    std::optional<auth::Identity> identity;  ///< nullopt without authentication
};
struct AwaitsToken {};
struct Rejected {
    std::string reason;
};
using UpgradeDecision = std::variant<Admitted, AwaitsToken, Rejected>;

/// There is one per client, so rarely used state is kept behind pointers to save memory.
class WebSocketConnection final : public std::enable_shared_from_this<WebSocketConnection>,
                                  public Connection,
                                  private Client::Sender {
  public:
    /// `context` must outlive it.
    WebSocketConnection(Stream stream, Peer peer, Admission::Slot slot, ServerContext& context);

    /// Sends the upgrade response and serves the client.
    void run(Handshake handshake, const UpgradeDecision& decision);
    void shut_down() override;
    void abort() override;
    void on_tokens_replaced() override;
    void check_timeouts(SteadyTime now) override;
    /// Called when a handler has thrown: logs the exception and aborts the connection.
    void fail(const char* what);

  private:
    enum class State : std::uint8_t {
        unauthenticated,
        open,
        closing,    // our close frame was sent; waits for the client's
        lingering,  // closing handshake done; waits for the client to close the TCP connection
        closed
    };

    // Only if clients must authenticate.
    struct Authentication {
        explicit Authentication(const Executor& executor) : deadline(executor), delay(executor) {}
        Timer deadline;  // auth_timeout; then the expiry of the token
        Timer delay;     // delays the response to a rejected token
        std::optional<auth::Identity> identity;
        bool pending = false;  // a check or a delayed rejection; nothing is read meanwhile
    };

    // Output that the socket has not accepted yet.
    struct Unsent {
        Frame frame;        // or, if nullptr,
        std::string bytes;  // these bytes
        std::size_t sent = 0;
        SteadyTime since;
    };

    void await_token();
    void on_first_message(std::string_view text);
    void authenticate(protocol::Authenticate request) override;
    void on_checked(auth::Verdict verdict, const protocol::RequestId& request_id);
    void reject_token(std::string reason, protocol::RequestId request_id);
    void open(std::optional<auth::Identity> identity);
    void set_identity(auth::Identity identity);
    void stop_authentication();

    [[nodiscard]] bool accepts_input() const;
    [[nodiscard]] std::string_view exceeded_limit(SteadyTime now) const;
    void read();
    void on_readable(const error_code& error);
    void process_input(std::span<char> input);
    void on_event(const FrameDecoder::Event& event);
    void on_text(const FrameDecoder::Event& event);
    void on_ping(std::string_view payload);

    [[nodiscard]] bool send(const Frame& frame) override;
    void write();
    void write_now(const Frame& frame, std::string bytes);
    [[nodiscard]] error_code write_rest(std::string_view bytes, std::size_t& sent);
    [[nodiscard]] std::string_view wire_bytes(const Message& message) const;
    void await_writable();
    void on_writable(const error_code& error);
    void fail_later(const error_code& error);

    void on_client_end(CloseCode code);
    void close(CloseCode code, std::string_view reason = {});
    void linger_if_done();
    void linger();
    void discard_input();
    void record_activity();
    void finish(const error_code& reason);

    // The fields that each broadcast touches come first and adjacent: with many clients every access is a cache miss.
    Stream stream_;
    State state_ = State::unauthenticated;
    bool deflate_enabled_ = false;
    bool reading_ = false;            // or waiting to read
    bool client_closed_ = false;      // its later input is ignored
    std::unique_ptr<Unsent> unsent_;  // set while the socket buffer is full
    std::string control_;             // control frames, sent before everything else
    std::optional<Client> client_;    // set while open

    ServerContext& context_;
    ConnectionHandle handle_;
    Peer peer_;
    Admission::Slot slot_;
    std::unique_ptr<Authentication> authentication_;  // set if clients must authenticate
    HandlerSlot read_slot_;
    FrameDecoder decoder_;
    std::string unread_;  // received input, held back until the client reads its replies
    SteadyTime last_activity_at_;
    SteadyTime ping_due_at_;
    SteadyTime close_deadline_ = SteadyTime::max();  // deadline for the close frame of the client
    TokenBucket messages_;
};

}  // namespace session_buddy::server
