// One WebSocket connection: the socket, its keep-alive and its end. What is said over it is the business of Client.
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

/// How a client stands when its upgrade is answered: it may come in; it has yet to show a token, as its first message;
/// it showed one that is not accepted.
struct Admitted {
    std::optional<auth::Identity> identity;  ///< where a token was asked for
};
struct AwaitsToken {};
struct Rejected {
    std::string reason;
};
using UpgradeDecision = std::variant<Admitted, AwaitsToken, Rejected>;

/// There is one for every client, so what is needed at times alone is kept behind pointers.
class WebSocketConnection final : public std::enable_shared_from_this<WebSocketConnection>,
                                  public Connection,
                                  private Client::Sender {
  public:
    /// `context` must outlive it.
    WebSocketConnection(Stream stream, Peer peer, Admission::Slot slot, ServerContext& context);

    /// Answers the upgrade request and serves the client.
    void run(Handshake handshake, const UpgradeDecision& decision);
    void shut_down() override;
    void abort() override;
    void on_tokens_replaced() override;
    void check_timeouts(SteadyTime now) override;
    /// Logs what a handler threw, and cuts the connection.
    void fail(const char* what);

  private:
    enum class State : std::uint8_t {
        unauthenticated,
        open,
        closing,    // our close frame is on its way, and the client's is waited for
        lingering,  // nothing is said any more; the client is to end the connection
        closed
    };

    // Of a client that must show a token.
    struct Authentication {
        explicit Authentication(const Executor& executor) : deadline(executor), delay(executor) {}
        Timer deadline;  // for the token to come; then of the token
        Timer delay;     // of a refusal
        std::optional<auth::Identity> identity;
        bool pending = false;  // a check or a refusal; nothing is read meanwhile
    };

    // What the socket did not take at once.
    struct Unsent {
        Frame frame;        // or else
        std::string bytes;  // these
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

    // First, and close together, what each broadcast touches: with many clients nothing of it is in the cache.
    Stream stream_;
    State state_ = State::unauthenticated;
    bool deflate_enabled_ = false;
    bool reading_ = false;            // or waited for
    bool client_closed_ = false;      // nothing that it says counts any more
    std::unique_ptr<Unsent> unsent_;  // while the socket is full
    std::string control_;             // frames that go before everything else
    std::optional<Client> client_;    // while open

    ServerContext& context_;
    ConnectionHandle handle_;
    Peer peer_;
    Admission::Slot slot_;
    std::unique_ptr<Authentication> authentication_;  // where tokens are asked for
    HandlerSlot read_slot_;
    FrameDecoder decoder_;
    std::string unread_;  // received, and waiting until the client takes its answers
    SteadyTime last_activity_at_;
    SteadyTime ping_due_at_;
    SteadyTime close_deadline_ = SteadyTime::max();  // of what comes after our close frame
    TokenBucket messages_;
};

}  // namespace session_buddy::server
