// Reads and writes frames, checks tokens and timeouts, and runs the closing handshake.
#include "websocket_connection.hpp"

#include <algorithm>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/post.hpp>
#include <string_view>
#include <utility>

#include "credentials.hpp"
#include "guarded.hpp"
#include "session_buddy/core/log.hpp"
#include "session_buddy/core/utf8.hpp"

namespace session_buddy::server {

namespace {

constexpr log::Logger kLogger{"session_buddy.server.session"};

// Size of an auth message without its token.
constexpr std::size_t kAuthEnvelopeBytes = 1024;
// Private codes start at 4000 (RFC 6455, section 7.4.2); 4401 follows HTTP 401.
constexpr auto kUnauthorized = static_cast<CloseCode>(4401);
constexpr std::string_view kNoLongerAccepted = "The token is no longer accepted";
// Queued replies are coalesced into writes of about this many bytes.
constexpr std::size_t kMaxCoalescedBytes = 16384;
// Backpressure: with this many bytes of control frames queued the server stops reading from the client.
constexpr std::size_t kMaxControlBytes = 1024;
// Reads before other connections get their turn.
constexpr int kMaxReadsPerTurn = 4;
// A compressed message counts as one more message per this many bytes, for the cost of decompression.
constexpr double kDeflatedBytesPerUnit = 4096;

// Bounds the memory per client.
static_assert(sizeof(WebSocketConnection) <= 648);

std::size_t first_message_limit(const Config& config) {
    return std::min(config.max_message_bytes, auth::kMaxTokenBytes + kAuthEnvelopeBytes);
}

}  // namespace

WebSocketConnection::WebSocketConnection(Stream stream, Peer peer, Admission::Slot slot, ServerContext& context)
    : stream_(std::move(stream)),
      context_(context),
      handle_(context, *this),
      peer_(std::move(peer)),
      slot_(std::move(slot)),
      decoder_(first_message_limit(context.config)),  // before authentication only the auth message is accepted
      last_activity_at_(std::chrono::steady_clock::now()),
      ping_due_at_(last_activity_at_ + steady(context.config.ping_interval)),
      messages_(context.config.max_messages_per_second, last_activity_at_) {}

void WebSocketConnection::run(Handshake handshake, const UpgradeDecision& decision) {
    deflate_enabled_ = handshake.deflated;
    decoder_.set_deflate(deflate_enabled_);
    control_ = std::move(handshake.response);
    write();
    if (context_.tokens != nullptr) {
        authentication_ = std::make_unique<Authentication>(stream_.get_executor());
    }
    if (context_.stopping) {
        shut_down();
    } else if (const auto* admitted = std::get_if<Admitted>(&decision)) {
        open(admitted->identity);
        read();
    } else if (const auto* refused = std::get_if<Rejected>(&decision)) {
        reject_token(refused->reason, std::nullopt);
    } else {
        await_token();
    }
}

void WebSocketConnection::await_token() {
    authentication_->deadline.expires_after(steady(context_.config.auth_timeout));
    authentication_->deadline.async_wait(
        guarded(shared_from_this(), [](WebSocketConnection& self, const error_code& error) {
            // A token may have arrived after this handler was queued.
            if (!error && self.state_ == State::unauthenticated && !self.authentication_->pending) {
                self.close(kUnauthorized, "Authentication timed out");
            }
        }));
    read();
}

void WebSocketConnection::on_first_message(std::string_view text) {
    auto request = protocol::parse_request(text);
    if (auto* printable_prefix = std::get_if<protocol::Authenticate>(&request)) {
        authentication_->deadline.cancel();
        authenticate(std::move(*printable_prefix));
    } else {
        close(kUnauthorized, "The first message must be of type auth, with a token");
    }
}

void WebSocketConnection::authenticate(protocol::Authenticate request) {
    if (!authentication_) {
        client_->authenticated(request.request_id);
        return;
    }
    authentication_->pending = true;
    context_.tokens->check(std::move(request.token),
                           [self = shared_from_this(), id = std::move(request.request_id)](auth::Verdict verdict) {
                               run_guarded(*self, [&] { self->on_checked(std::move(verdict), id); });
                           });
}

void WebSocketConnection::on_checked(auth::Verdict verdict, const protocol::RequestId& request_id) {
    if (state_ != State::unauthenticated && state_ != State::open) {
        return;
    }
    if (auto* rejection = std::get_if<auth::Rejection>(&verdict)) {
        reject_token(std::move(rejection->reason), request_id);
        return;
    }
    auto identity = std::get<auth::Identity>(std::move(verdict));
    if (!identity.scopes.has(auth::Scope::read)) {
        reject_token(std::string(kLacksRead), request_id);
        return;
    }
    authentication_->pending = false;
    if (state_ == State::open) {
        set_identity(std::move(identity));
    } else {
        auto slot = context_.admission.admit_client(peer_, std::chrono::steady_clock::now());
        if (const auto* refusal = std::get_if<Refusal>(&slot)) {
            close(CloseCode::try_again_later, "Connection limit reached: " + describe(*refusal, context_.config));
            return;
        }
        slot_ = std::get<Admission::Slot>(std::move(slot));
        open(std::move(identity));
    }
    client_->authenticated(request_id);
    write();
    read();
}

void WebSocketConnection::reject_token(std::string reason, protocol::RequestId request_id) {
    context_.admission.count_refusal(Refusal::token);
    kLogger.warning("authentication of {} failed: {}", peer_.name, reason);
    authentication_->pending = true;
    authentication_->delay.expires_after(
        context_.admission.auth_failure_delay(peer_, std::chrono::steady_clock::now()));
    authentication_->delay.async_wait(
        guarded(shared_from_this(), [why = std::move(reason), id = std::move(request_id)](
                                        WebSocketConnection& self, const error_code& error) mutable {
            if (error) {
                return;
            }
            self.authentication_->pending = false;
            if (self.state_ == State::open) {  // the previous token stays valid
                self.client_->unauthorized(std::move(why), std::move(id));
                self.write();
                self.read();
            } else {
                self.close(kUnauthorized, why);
            }
        }));
}

void WebSocketConnection::open(std::optional<auth::Identity> identity) {
    state_ = State::open;
    client_.emplace(context_.broadcaster, static_cast<Client::Sender&>(*this), context_.config);
    kLogger.debug("client {} connected ({} of {})", peer_.name, context_.admission.clients(),
                  context_.config.max_clients);
    if (identity) {
        set_identity(*std::move(identity));
    }
    decoder_.set_max_message_bytes(context_.config.max_message_bytes);
}

// Makes `identity` the one whose expiry and revocation close the connection.
void WebSocketConnection::set_identity(auth::Identity identity) {
    authentication_->identity = std::move(identity);
    authentication_->deadline.expires_at(SteadyTime::max());
    const auto& expires_at = authentication_->identity->expires_at;
    if (!expires_at) {
        return;
    }
    // A token may be valid until the year 9999, which overflows a timer in nanoseconds.
    constexpr std::chrono::hours kLongest{24 * 365 * 100};
    authentication_->deadline.expires_after(
        std::min<std::chrono::microseconds>(*expires_at - context_.clock.now(), kLongest));
    authentication_->deadline.async_wait(
        guarded(shared_from_this(), [](WebSocketConnection& self, const error_code& error) {
            if (!error && self.authentication_->deadline.expiry() <= std::chrono::steady_clock::now()) {
                self.close(kUnauthorized, "The token has expired");
            }
        }));
}

void WebSocketConnection::on_tokens_replaced() {
    if (authentication_ && authentication_->identity && !context_.tokens->still_accepts(*authentication_->identity)) {
        close(kUnauthorized, kNoLongerAccepted);
    }
}

void WebSocketConnection::shut_down() {
    close(CloseCode::going_away);
}

void WebSocketConnection::abort() {
    finish({});
}

// Whether input of the client is processed now.
bool WebSocketConnection::accepts_input() const {
    if (state_ == State::closing) {
        return !client_closed_;
    }
    const bool serves = state_ == State::unauthenticated || state_ == State::open;
    return serves && control_.size() < kMaxControlBytes && !(authentication_ && authentication_->pending) &&
           (!client_ || client_->outbox().accepts_requests());
}

// Processes held-back input, then waits for more.
void WebSocketConnection::read() {
    if (reading_) {
        return;
    }
    reading_ = true;
    while (!unread_.empty() && accepts_input()) {
        std::string input = std::exchange(unread_, {});
        process_input(input);
    }
    reading_ = (unread_.empty() && accepts_input()) || state_ == State::lingering;
    if (reading_) {
        stream_.async_wait_to_read(net::bind_allocator(
            HandlerSlot::Allocator<void>(read_slot_),
            guarded(shared_from_this(),
                    [](WebSocketConnection& self, const error_code& error) { self.on_readable(error); })));
    }
}

void WebSocketConnection::on_readable(const error_code& error) {
    if (error) {
        finish(error);
        return;
    }
    for (int reads = 0; reads < kMaxReadsPerTurn && unread_.empty() && accepts_input(); ++reads) {
        error_code failed;
        const auto bytes = stream_.read_some(context_.received, failed);
        if (failed == net::error::would_block) {
            break;
        }
        if (failed) {
            finish(failed);
            return;
        }
        record_activity();  // any input shows that the client is alive
        process_input(std::span(context_.received).first(bytes));
        if (bytes < context_.received.size()) {
            break;  // the socket is probably drained
        }
    }
    if (state_ == State::lingering) {
        discard_input();
    }
    reading_ = false;
    read();
}

void WebSocketConnection::process_input(std::span<char> input) {
    while (!input.empty() && accepts_input()) {
        on_event(decoder_.next(input));
        if (client_ && !client_->outbox().accepts_requests()) {
            write();
        }
    }
    if (!client_closed_) {
        unread_.assign(input.data(), input.size());
    }
    write();
}

void WebSocketConnection::on_event(const FrameDecoder::Event& event) {
    using Kind = FrameDecoder::Kind;
    if (event.kind == Kind::close || event.kind == Kind::violation) {
        on_client_end(event.code);
        return;
    }
    if (state_ == State::closing) {
        return;  // sent before the client saw our close frame
    }
    if (event.kind == Kind::text) {
        on_text(event);
    } else if (event.kind == Kind::ping) {
        on_ping(event.payload);
    }
}

// Over the rate limit a client first gets errors; with one more second of messages as debt it is closed.
void WebSocketConnection::on_text(const FrameDecoder::Event& event) {
    context_.counters.messages_received.add();
    // Charged before any work. A compressed message costs more, even if it is rejected later.
    const double cost = event.deflated ? 1 + static_cast<double>(event.payload.size()) / kDeflatedBytesPerUnit : 1;
    const double left = messages_.spend(last_activity_at_, cost);
    if (left < -static_cast<double>(context_.config.max_messages_per_second)) {
        kLogger.debug("client {} exceeded max_messages_per_second", peer_.name);
        close(CloseCode::policy_error);
        return;
    }
    std::string_view text = event.payload;
    std::variant<std::string, InflateError> inflated;
    if (event.deflated) {
        inflated = context_.compression->inflater.inflate(text, decoder_.max_message_bytes());
        if (const auto* failed = std::get_if<InflateError>(&inflated)) {
            on_client_end(*failed == InflateError::too_big ? CloseCode::too_big : CloseCode::bad_payload);
            return;
        }
        text = std::get<std::string>(inflated);
        if (!is_valid_utf8(text)) {
            on_client_end(CloseCode::bad_payload);
            return;
        }
    }
    if (state_ == State::unauthenticated) {
        on_first_message(text);
    } else if (left >= 0) {
        client_->handle(text);
    } else {
        client_->refuse(text);
    }
}

// Every ping is answered, so it counts as a message.
void WebSocketConnection::on_ping(std::string_view payload) {
    if (messages_.spend(last_activity_at_) < -static_cast<double>(context_.config.max_messages_per_second)) {
        kLogger.debug("client {} exceeded max_messages_per_second", peer_.name);
        close(CloseCode::policy_error);
        return;
    }
    control_ += to_frame(Opcode::pong, payload);
}

// Fast path of nearly every broadcast: the socket accepts the frame, without an allocation or a wait.
bool WebSocketConnection::send(const Frame& frame) {
    if (unsent_ || state_ != State::open) {
        return false;
    }
    try {
        if (control_.empty()) {
            write_now(frame, {});
        } else {
            context_.counters.messages_sent.add();
            write_now(nullptr, std::exchange(control_, {}).append(wire_bytes(*frame)));
        }
    } catch (const std::exception& failure) {  // out of memory: ends this client only, not the broadcast
        context_.counters.failures.add();
        kLogger.error("WebSocket connection of {} failed: {}", peer_.name, failure.what());
        fail_later(net::error::no_memory);
    }
    return true;
}

void WebSocketConnection::write() {
    while (!unsent_) {
        if (!control_.empty()) {
            write_now(nullptr, std::exchange(control_, {}));
            continue;
        }
        Frame frame = client_ ? client_->outbox().next() : nullptr;
        if (!frame) {
            break;
        }
        if (client_->outbox().empty()) {
            write_now(frame, {});
            continue;
        }
        std::string joined;
        while (frame) {
            joined += wire_bytes(*frame);
            context_.counters.messages_sent.add();
            frame = joined.size() < kMaxCoalescedBytes ? client_->outbox().next() : nullptr;
        }
        write_now(nullptr, std::move(joined));
    }
    linger_if_done();
}

// Writes `frame`, or `bytes` if it is nullptr.
void WebSocketConnection::write_now(const Frame& frame, std::string bytes) {
    if (state_ == State::lingering || state_ == State::closed) {
        return;
    }
    std::size_t sent = 0;
    const auto error = write_rest(frame ? wire_bytes(*frame) : std::string_view(bytes), sent);
    context_.counters.bytes_sent.add(sent);
    context_.counters.messages_sent.add(frame ? 1 : 0);
    if (error == net::error::would_block) {
        unsent_ = std::make_unique<Unsent>(Unsent{frame, std::move(bytes), sent, std::chrono::steady_clock::now()});
        await_writable();
    } else if (error) {
        fail_later(error);
    }
}

// Continues at `sent` and advances it.
error_code WebSocketConnection::write_rest(std::string_view bytes, std::size_t& sent) {
    error_code error;
    while (sent < bytes.size() && !error) {
        sent += stream_.write_some(bytes.substr(sent), error);
    }
    return error;
}

std::string_view WebSocketConnection::wire_bytes(const Message& message) const {
    return deflate_enabled_ ? message.deflated_frame(context_.compression->deflater) : message.frame();
}

void WebSocketConnection::await_writable() {
    stream_.async_wait_to_write(guarded(
        shared_from_this(), [](WebSocketConnection& self, const error_code& error) { self.on_writable(error); }));
}

void WebSocketConnection::on_writable(const error_code& error) {
    if (state_ == State::closed) {
        return;
    }
    if (error) {
        finish(error);
        return;
    }
    const std::size_t before = unsent_->sent;
    const auto failed =
        write_rest(unsent_->frame ? wire_bytes(*unsent_->frame) : std::string_view(unsent_->bytes), unsent_->sent);
    context_.counters.bytes_sent.add(unsent_->sent - before);
    if (failed == net::error::would_block) {
        await_writable();
        return;
    }
    if (failed) {
        finish(failed);
        return;
    }
    unsent_.reset();
    if (!reading_) {
        record_activity();  // the server has paused reading; that the client reads shows that it is alive
    }
    write();
    read();
}

// Deferred, because a broadcast may be iterating over the clients.
void WebSocketConnection::fail_later(const error_code& error) {
    net::post(stream_.get_executor(), [self = shared_from_this(), error] { self->finish(error); });
}

// The client sent a close frame or violated the protocol.
void WebSocketConnection::on_client_end(CloseCode code) {
    client_closed_ = true;
    if (state_ == State::closing) {
        linger_if_done();
    } else {
        close(code);
    }
}

// CloseCode::none: a close frame without a code.
void WebSocketConnection::close(CloseCode code, std::string_view reason) {
    if (state_ != State::unauthenticated && state_ != State::open) {
        return;
    }
    write();  // send queued replies first
    state_ = State::closing;
    close_deadline_ = std::chrono::steady_clock::now() + steady(context_.config.handshake_timeout);
    client_.reset();
    stop_authentication();
    kLogger.debug("closing client {} with {} {}", peer_.name, static_cast<unsigned>(code), reason);
    control_ += close_frame(code, reason);
    write();
    read();
}

void WebSocketConnection::linger_if_done() {
    if (state_ == State::closing && client_closed_ && !unsent_ && control_.empty()) {
        linger();
    }
}

// Lingering close: waits for the client to close the TCP connection. Closing it while the client still sends would
// reset it, and our close frame could be lost.
void WebSocketConnection::linger() {
    state_ = State::lingering;
    stream_.end_writing();
    read();
}

void WebSocketConnection::discard_input() {
    error_code error;
    stream_.discard(error);
    if (error && error != net::error::would_block) {
        finish({});
    }
}

void WebSocketConnection::stop_authentication() {
    if (authentication_) {
        authentication_->deadline.cancel();
        authentication_->delay.cancel();
    }
}

void WebSocketConnection::record_activity() {
    last_activity_at_ = std::chrono::steady_clock::now();
}

// Empty if no limit is exceeded.
std::string_view WebSocketConnection::exceeded_limit(SteadyTime now) const {
    if (unsent_ && now - unsent_->since >= steady(context_.config.write_timeout)) {
        return "message not sent within write_timeout";
    }
    if (now >= close_deadline_) {
        return "no close frame received within handshake_timeout";
    }
    if (now - last_activity_at_ >= steady(context_.config.ping_timeout)) {
        return "no data received within ping_timeout";
    }
    return {};
}

void WebSocketConnection::check_timeouts(SteadyTime now) {
    if (state_ == State::closed) {
        return;
    }
    if (authentication_ && authentication_->pending) {
        record_activity();  // the server has paused reading
    }
    if (const auto limit = exceeded_limit(now); !limit.empty()) {
        kLogger.debug("dropping client {}: {}", peer_.name, limit);
        finish(net::error::timed_out);
        return;
    }
    if (!control_.empty()) {
        write();  // a ping that no broadcast has carried since the last check
    }
    if (now >= ping_due_at_) {
        ping_due_at_ = now + steady(context_.config.ping_interval);
        if (state_ == State::open && control_.empty()) {
            control_ = to_frame(Opcode::ping, {});
        }
    }
}

// Ends the connection: releases its slot and subscriptions and closes the socket. Every pending wait then completes and
// releases its reference to this.
void WebSocketConnection::finish(const error_code& reason) {
    if (state_ == State::closed) {
        return;
    }
    kLogger.debug("client {} disconnected{}{}", peer_.name, reason ? ": " : "", reason ? reason.message() : "");
    state_ = State::closed;
    client_.reset();
    stop_authentication();
    slot_.reset();
    stream_.close();
}

void WebSocketConnection::fail(const char* what) {
    context_.counters.failures.add();
    kLogger.error("WebSocket connection of {} failed: {}", peer_.name, what);
    finish({});
}

}  // namespace session_buddy::server
