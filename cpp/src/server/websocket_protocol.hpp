// State machine of one WebSocket connection, without its socket and clock: authentication, requests, broadcasts,
// limits, keep-alive and the closing handshake. WebSocketConnection connects it to a socket; Client implements the API.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "admission.hpp"
#include "client.hpp"
#include "frame_codec.hpp"
#include "message.hpp"
#include "peer.hpp"
#include "session_buddy/auth/authenticator.hpp"
#include "steady_time.hpp"
#include "token_bucket.hpp"

namespace session_buddy::server {

struct ServerContext;

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

/// After each input the owner writes next_output() until that is empty, has take_token() checked, sets its timer to
/// wakeup(), and reads while accepts_input(). There is one per client, so rarely used state is kept behind pointers to
/// save memory.
class WebSocketProtocol {
  public:
    enum class State : std::uint8_t {
        unauthenticated,
        open,
        closing,    // our close frame was sent or is next_output(); waits for the client's
        lingering,  // closing handshake done, all output sent; waits for the client to close the TCP connection
        closed
    };

    /// What to write next: `frame` or, if that is nullptr, `bytes`; nothing if both are empty.
    struct Output {
        Frame frame;
        std::string bytes;
        [[nodiscard]] bool empty() const { return !frame && bytes.empty(); }
    };

    /// `sender` and `context` must outlive it.
    WebSocketProtocol(Peer peer, Admission::Slot slot, Client::Sender& sender, ServerContext& context, SteadyTime now);

    // Inputs. All are ignored after the end that they would cause has begun.

    /// `upgrade_response`: the first bytes to send. `deflate`: it accepts permessage-deflate.
    void start(std::string upgrade_response, bool deflate, const UpgradeDecision& decision, SteadyTime now);
    /// Consumes `input` from the front while accepts_input(). The rest must be passed again later.
    void receive(std::span<char>& input, SteadyTime now);
    /// The socket does not accept all of the last output. No further output until on_writable().
    void on_blocked(SteadyTime now) { blocked_since_ = now; }
    /// The socket has accepted the rest.
    void on_writable(SteadyTime now);
    void on_verdict(auth::Verdict verdict, SteadyTime now);
    /// The time wakeup() has come.
    void wake(SteadyTime now);
    /// Called periodically; queues the pings. Returns the limit that ends the connection now, for the log; else empty.
    [[nodiscard]] std::string_view check_timeouts(SteadyTime now);
    /// The token of identity() is no longer accepted.
    void revoke(SteadyTime now) { close(CloseCode::unauthorized, now, "The token is no longer accepted"); }
    void shut_down(SteadyTime now) { close(CloseCode::going_away, now); }
    /// The connection ends: releases its slot and subscriptions.
    void end() noexcept;

    // Outputs.

    [[nodiscard]] State state() const { return state_; }
    [[nodiscard]] bool accepts_input() const;
    [[nodiscard]] Output next_output();
    /// A token to pass to the check whose result is on_verdict().
    [[nodiscard]] std::optional<std::string> take_token();
    /// SteadyTime::max(): none.
    [[nodiscard]] SteadyTime wakeup() const;
    [[nodiscard]] const Peer& peer() const { return peer_; }
    /// nullptr if the client has not authenticated, or need not.
    [[nodiscard]] const auth::Identity* identity() const;

    // For Sender::send(): a broadcast is written immediately, if it may be, and passes by next_output().

    [[nodiscard]] bool may_send() const { return !blocked() && state_ == State::open; }
    /// Whether control frames are queued, which take_with() sends together with the broadcast.
    [[nodiscard]] bool has_control_frames() const { return !control_.empty(); }
    [[nodiscard]] std::string take_with(const Frame& frame);
    /// The bytes of `message` for this client.
    [[nodiscard]] std::string_view wire_bytes(const Message& message) const {
        return deflater_ == nullptr ? message.frame() : message.deflated_frame(*deflater_);
    }

  private:
    static constexpr SteadyTime kNever = SteadyTime::max();

    // Only if clients must authenticate, until the connection closes.
    struct Authentication {
        bool pending = false;          // a check or a delayed rejection; nothing is read meanwhile
        SteadyTime deadline = kNever;  // auth_timeout; then the expiry of the token
        SteadyTime reject_at = kNever;
        std::string token;   // to be checked
        std::string reason;  // of the rejection
        protocol::RequestId request_id;
        std::optional<auth::Identity> identity;
    };

    [[nodiscard]] bool blocked() const { return blocked_since_ != SteadyTime(); }
    void on_event(const FrameDecoder::Event& event, SteadyTime now);
    void on_text(const FrameDecoder::Event& event, SteadyTime now);
    void on_client_end(CloseCode code, SteadyTime now);
    [[nodiscard]] std::optional<double> spend(double cost, SteadyTime now);
    void authenticate(protocol::Authenticate request);
    void reject_token(std::string reason, SteadyTime now);
    void open(std::optional<auth::Identity> identity, SteadyTime now);
    void set_identity(auth::Identity identity, SteadyTime now);
    void close(CloseCode code, SteadyTime now, std::string_view reason = {});

    // The fields that each broadcast touches come first and adjacent: with many clients every access is a cache miss.
    SteadyTime blocked_since_;  // SteadyTime(): the socket accepts output
    State state_ = State::unauthenticated;
    bool client_closed_ = false;    // its later input is ignored
    Deflater* deflater_ = nullptr;  // nullptr: permessage-deflate was not negotiated
    std::string control_;           // sent before everything else: control frames, at a close also the last replies
    std::optional<Client> client_;  // set while open

    ServerContext& context_;
    Client::Sender& sender_;
    Peer peer_;
    Admission::Slot slot_;
    std::unique_ptr<Authentication> authentication_;
    FrameDecoder decoder_;
    SteadyTime last_activity_at_;
    SteadyTime due_at_;  // of the next ping; after our close frame, deadline for the client's
    TokenBucket messages_;
};

}  // namespace session_buddy::server
