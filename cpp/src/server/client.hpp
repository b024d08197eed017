// The API of one WebSocket client, independent of its socket: handles requests, subscriptions and the outbox.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "broadcaster.hpp"
#include "outbox.hpp"
#include "session_buddy/core/config.hpp"
#include "session_buddy/protocol/request.hpp"

namespace session_buddy::server {

/// Initially subscribed to all skills. `broadcaster`, `sender` and `config` must outlive it.
class Client final : public Subscriber {
  public:
    /// Owns the socket.
    class Sender {
      public:
        virtual ~Sender() = default;
        /// Sends the frame ahead of the outbox. Returns false and sends nothing if the socket is busy.
        [[nodiscard]] virtual bool send(const Frame& frame) = 0;
    };

    Client(Broadcaster& broadcaster, Sender& sender, const Config& config);

    /// Handles one text message. Exceptions end here and become an internal_error reply without details. Returns an
    /// auth request, which authenticated() or unauthorized() answers.
    [[nodiscard]] std::optional<protocol::Authenticate> handle(std::string_view text);

    /// Answers a message over max_messages_per_second with rate_limited.
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
