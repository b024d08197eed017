// Handles the events of a connection: frames, verdicts, deadlines.
#include "websocket_protocol.hpp"

#include <algorithm>
#include <chrono>

#include "context.hpp"
#include "credentials.hpp"
#include "session_buddy/core/log.hpp"
#include "session_buddy/core/utf8.hpp"

namespace session_buddy::server {

namespace {

// Size of an auth message without its token.
constexpr std::size_t kAuthEnvelopeBytes = 1024;
// Queued replies are coalesced into writes of about this many bytes.
constexpr std::size_t kMaxCoalescedBytes = 16384;
// Backpressure: with this many bytes of control frames queued the server stops reading from the client.
constexpr std::size_t kMaxControlBytes = 1024;
// A compressed message counts as one more message per this many bytes, for the cost of decompression.
constexpr double kDeflatedBytesPerUnit = 4096;

}  // namespace

WebSocketProtocol::WebSocketProtocol(Peer peer, Admission::Slot slot, Client::Sender& sender, ServerContext& context,
                                     SteadyTime now)
    : context_(context),
      sender_(sender),
      peer_(std::move(peer)),
      slot_(std::move(slot)),
      // Before authentication only the auth message is accepted.
      decoder_(std::min(context.config.max_message_bytes, auth::kMaxTokenBytes + kAuthEnvelopeBytes)),
      last_activity_at_(now),
      due_at_(now + steady(context.config.ping_interval)),
      messages_(context.config.max_messages_per_second, now) {}

void WebSocketProtocol::start(std::string upgrade_response, bool deflate, const UpgradeDecision& decision,
                              SteadyTime now) {
    control_ = std::move(upgrade_response);
    if (deflate) {
        deflater_ = &context_.compression->deflater;
        decoder_.set_deflate(true);
    }
    const auto* admitted = std::get_if<Admitted>(&decision);
    if (admitted == nullptr || admitted->identity) {
        authentication_ = std::make_unique<Authentication>();
    }
    if (context_.stopping) {
        shut_down(now);
    } else if (admitted != nullptr) {
        open(admitted->identity, now);
    } else if (const auto* rejected = std::get_if<Rejected>(&decision)) {
        reject_token(rejected->reason, now);
    } else {
        authentication_->deadline = now + steady(context_.config.auth_timeout);
    }
}

void WebSocketProtocol::receive(std::span<char>& input, SteadyTime now) {
    last_activity_at_ = now;  // any input shows that the client is alive
    while (!input.empty() && accepts_input()) {
        on_event(decoder_.next(input), now);
    }
    if (client_closed_) {
        input = {};
    }
}

bool WebSocketProtocol::accepts_input() const {
    if (state_ == State::closing) {
        return !client_closed_;
    }
    const bool serves = state_ == State::unauthenticated || state_ == State::open;
    return serves && control_.size() < kMaxControlBytes && !(authentication_ && authentication_->pending) &&
           (!client_ || client_->outbox().accepts_requests());
}

void WebSocketProtocol::on_event(const FrameDecoder::Event& event, SteadyTime now) {
    using Kind = FrameDecoder::Kind;
    if (event.kind == Kind::close || event.kind == Kind::violation) {
        on_client_end(event.code, now);
    } else if (state_ == State::closing) {
        return;  // sent before the client saw our close frame
    } else if (event.kind == Kind::text) {
        on_text(event, now);
    } else if (event.kind == Kind::ping && spend(1, now)) {  // every ping is answered, so it counts as a message
        control_ += to_frame(Opcode::pong, event.payload);
    }
}

void WebSocketProtocol::on_text(const FrameDecoder::Event& event, SteadyTime now) {
    context_.counters.messages_received.add();
    // Charged before any work. A compressed message costs more, even if it is rejected later.
    const auto left =
        spend(event.deflated ? 1 + static_cast<double>(event.payload.size()) / kDeflatedBytesPerUnit : 1, now);
    if (!left) {
        return;
    }
    std::string_view text = event.payload;
    std::variant<std::string, InflateError> inflated;
    if (event.deflated) {
        inflated = context_.compression->inflater.inflate(text, decoder_.max_message_bytes());
        if (const auto* failed = std::get_if<InflateError>(&inflated)) {
            on_client_end(*failed == InflateError::too_big ? CloseCode::too_big : CloseCode::bad_payload, now);
            return;
        }
        text = std::get<std::string>(inflated);
        if (!is_valid_utf8(text)) {
            on_client_end(CloseCode::bad_payload, now);
            return;
        }
    }
    if (state_ == State::unauthenticated) {
        auto request = protocol::parse_request(text);
        if (auto* first = std::get_if<protocol::Authenticate>(&request)) {
            authentication_->deadline = kNever;
            authenticate(std::move(*first));
        } else {
            close(CloseCode::unauthorized, now, "The first message must be of type auth, with a token");
        }
    } else if (*left < 0) {
        client_->refuse(text);
    } else if (auto request = client_->handle(text)) {
        authenticate(*std::move(request));
    }
}

// Charges a message. Over the rate limit a client first gets errors; with one more second of messages as debt it is
// closed: nullopt. Otherwise returns what is left, below 0 if the limit is exceeded.
std::optional<double> WebSocketProtocol::spend(double cost, SteadyTime now) {
    const double left = messages_.spend(now, cost);
    if (left >= -static_cast<double>(context_.config.max_messages_per_second)) {
        return left;
    }
    log::kServerSession.debug("client {} exceeded max_messages_per_second", peer_.name);
    close(CloseCode::policy_error, now);
    return std::nullopt;
}

void WebSocketProtocol::authenticate(protocol::Authenticate request) {
    if (!authentication_) {
        client_->authenticated(request.request_id);
        return;
    }
    authentication_->pending = true;
    authentication_->token = std::move(request.token);
    authentication_->request_id = std::move(request.request_id);
}

std::optional<std::string> WebSocketProtocol::take_token() {
    if (!authentication_ || authentication_->token.empty()) {
        return std::nullopt;
    }
    return std::exchange(authentication_->token, {});
}

void WebSocketProtocol::on_verdict(auth::Verdict verdict, SteadyTime now) {
    if (!authentication_) {
        return;
    }
    if (auto* rejection = std::get_if<auth::Rejection>(&verdict)) {
        reject_token(std::move(rejection->reason), now);
        return;
    }
    auto identity = std::get<auth::Identity>(std::move(verdict));
    if (!identity.scopes.has(auth::Scope::read)) {
        reject_token(std::string(kLacksRead), now);
        return;
    }
    authentication_->pending = false;
    if (state_ == State::open) {
        set_identity(std::move(identity), now);
    } else {
        auto slot = context_.admission.admit_client(peer_, now);
        if (const auto* refusal = std::get_if<Refusal>(&slot)) {
            close(CloseCode::try_again_later, now, "Connection limit reached: " + describe(*refusal, context_.config));
            return;
        }
        slot_ = std::get<Admission::Slot>(std::move(slot));
        open(std::move(identity), now);
    }
    client_->authenticated(authentication_->request_id);
}

void WebSocketProtocol::reject_token(std::string reason, SteadyTime now) {
    context_.admission.count_refusal(Refusal::token);
    log::kServerSession.warning("authentication of {} failed: {}", peer_.name, reason);
    authentication_->pending = true;
    authentication_->reject_at = now + context_.admission.auth_failure_delay(peer_, now);
    authentication_->reason = std::move(reason);
}

void WebSocketProtocol::open(std::optional<auth::Identity> identity, SteadyTime now) {
    state_ = State::open;
    client_.emplace(context_.broadcaster, sender_, context_.config);
    log::kServerSession.debug("client {} connected ({} of {})", peer_.name, context_.admission.clients(),
                              context_.config.max_clients);
    if (identity) {
        set_identity(*std::move(identity), now);
    }
    decoder_.set_max_message_bytes(context_.config.max_message_bytes);
}

// Makes `identity` the one whose expiry and revocation close the connection.
void WebSocketProtocol::set_identity(auth::Identity identity, SteadyTime now) {
    // A token may be valid until the year 9999, which overflows a time in nanoseconds.
    constexpr std::chrono::hours kLongest{24 * 365 * 100};
    authentication_->deadline = identity.expires_at ? now + std::min<std::chrono::microseconds>(
                                                                *identity.expires_at - context_.clock.now(), kLongest)
                                                    : kNever;
    authentication_->identity = std::move(identity);
}

const auth::Identity* WebSocketProtocol::identity() const {
    return authentication_ && authentication_->identity ? &*authentication_->identity : nullptr;
}

SteadyTime WebSocketProtocol::wakeup() const {
    return authentication_ ? std::min(authentication_->deadline, authentication_->reject_at) : kNever;
}

void WebSocketProtocol::wake(SteadyTime now) {
    if (!authentication_) {
        return;
    }
    if (now >= authentication_->deadline) {
        close(CloseCode::unauthorized, now,
              state_ == State::open ? "The token has expired" : "Authentication timed out");
    } else if (now >= authentication_->reject_at) {
        authentication_->pending = false;
        authentication_->reject_at = kNever;
        if (state_ == State::open) {  // the previous token stays valid
            client_->unauthorized(std::move(authentication_->reason), std::move(authentication_->request_id));
        } else {
            close(CloseCode::unauthorized, now, authentication_->reason);
        }
    }
}

WebSocketProtocol::Output WebSocketProtocol::next_output() {
    Output next;
    if (blocked()) {
        return next;
    }
    if (!control_.empty()) {
        next.bytes = std::exchange(control_, {});
    } else if (client_) {
        next.frame = client_->outbox().next();
        if (!client_->outbox().empty()) {
            while (next.frame) {
                next.bytes += wire_bytes(*next.frame);
                context_.counters.messages_sent.add();
                next.frame = next.bytes.size() < kMaxCoalescedBytes ? client_->outbox().next() : nullptr;
            }
        }
    } else if (state_ == State::closing && client_closed_) {
        state_ = State::lingering;
    }
    return next;
}

std::string WebSocketProtocol::take_with(const Frame& frame) {
    context_.counters.messages_sent.add();
    return std::exchange(control_, {}).append(wire_bytes(*frame));
}

void WebSocketProtocol::on_writable(SteadyTime now) {
    blocked_since_ = {};
    if (!accepts_input()) {
        last_activity_at_ = now;  // the server has paused reading; that the client reads shows that it is alive
    }
}

// The client sent a close frame or violated the protocol.
void WebSocketProtocol::on_client_end(CloseCode code, SteadyTime now) {
    client_closed_ = true;
    close(code, now);
}

// CloseCode::none: a close frame without a code.
void WebSocketProtocol::close(CloseCode code, SteadyTime now, std::string_view reason) {
    if (state_ != State::unauthenticated && state_ != State::open) {
        return;
    }
    log::kServerSession.debug("closing client {} with {} {}", peer_.name, static_cast<unsigned>(code), reason);
    if (client_ && !blocked()) {  // send queued replies first
        while (const auto frame = client_->outbox().next()) {
            control_ += wire_bytes(*frame);
            context_.counters.messages_sent.add();
        }
    }
    control_ += close_frame(code, reason);
    state_ = State::closing;
    due_at_ = now + steady(context_.config.handshake_timeout);
    client_.reset();
    authentication_.reset();
}

std::string_view WebSocketProtocol::check_timeouts(SteadyTime now) {
    if (authentication_ && authentication_->pending) {
        last_activity_at_ = now;  // the server has paused reading
    }
    if (blocked() && now - blocked_since_ >= steady(context_.config.write_timeout)) {
        return "message not sent within write_timeout";
    }
    if (now - last_activity_at_ >= steady(context_.config.ping_timeout)) {
        return "no data received within ping_timeout";
    }
    if (now >= due_at_) {
        if (state_ == State::closing || state_ == State::lingering) {
            return "no close frame received within handshake_timeout";
        }
        due_at_ = now + steady(context_.config.ping_interval);
        if (state_ == State::open && control_.empty()) {
            control_ = to_frame(Opcode::ping, {});
        }
    }
    return {};
}

void WebSocketProtocol::end() noexcept {
    state_ = State::closed;
    client_.reset();
    authentication_.reset();
    slot_.reset();
    control_.clear();
}

}  // namespace session_buddy::server
