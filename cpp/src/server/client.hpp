// One WebSocket client without its socket: answers its requests, holds its subscriptions and what waits to be sent to
// it.
#pragma once

#include <string>
#include <string_view>

#include "broadcaster.hpp"
#include "outbox.hpp"
#include "session_buddy/core/config.hpp"
#include "session_buddy/protocol/request.hpp"

namespace session_buddy::server {

/// Subscribed to all skills from the start. `broadcaster`, `sender` and `config` must outlive it.
class Client final : public Subscriber {
  public:
    /// Whoever owns the socket.
    class Sender {
      public:
        virtual ~Sender() = default;
        /// Sends the frame ahead of what waits in the outbox. False, and nothing is sent, where the socket is not free.
        [[nodiscard]] virtual bool send(const Frame& frame) = 0;
        /// The client shows a token. Answered with authenticated() or unauthorized(), later or at once.
        virtual void authenticate(protocol::Authenticate request) = 0;
    };

    Client(Broadcaster& broadcaster, Sender& sender, const Config& config);

    /// Answers one text message. The request boundary: whatever fails in here becomes an error reply that reveals
    /// nothing.
    void handle(std::string_view text);

    /// Answers one text message that came beyond max_messages_per_second: it is not served.
    void refuse(std::string_view text);

    void authenticated(const protocol::RequestId& request_id);
    void unauthorized(std::string reason, protocol::RequestId request_id);

    [[nodiscard]] Outbox& outbox() { return outbox_; }
    [[nodiscard]] const Outbox& outbox() const { return outbox_; }

    void offer_metrics(const Frame& frame) override;
    void offer_sessions(const Frame& frame) override;

  private:
    [[nodiscard]] bool try_send(const Frame& frame) { return outbox_.empty() && sender_.send(frame); }
    void answer(const protocol::Subscribe& request);
    void answer(const protocol::Unsubscribe& request);
    void answer(const protocol::GetMetrics& request);
    void answer(const protocol::Ping& request);
    void answer(const protocol::SubscribeSessions& request);
    void answer(const protocol::Authenticate& request);
    void answer(const protocol::ErrorReply& reply);
    void reply(std::string_view text);

    Broadcaster& broadcaster_;
    Sender& sender_;
    const Config& config_;
    Outbox outbox_;
    Broadcaster::Membership metrics_;
    Broadcaster::SessionsMembership sessions_;
};

}  // namespace session_buddy::server
