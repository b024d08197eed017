// See websocket_session.hpp.
#include "websocket_session.hpp"

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/http/field.hpp>
#include <string_view>
#include <utility>

#include "credentials.hpp"
#include "guarded.hpp"
#include "session_buddy/core/log.hpp"
#include "session_buddy/core/utf8.hpp"

namespace session_buddy::server {

namespace websocket = boost::beast::websocket;

namespace {

constexpr log::Logger logger{"session_buddy.server.session"};

// After a larger message the read buffer gives its memory back.
constexpr std::size_t kKeptBufferBytes = 2048;
// Of the message with the token, what is not the token.
constexpr std::size_t kAuthEnvelopeBytes = 1024;
// Private codes begin at 4000 (RFC 6455, section 7.4.2); this one looks like the status of HTTP.
constexpr auto kUnauthorized = static_cast<websocket::close_code>(4401);
constexpr std::string_view kNoLongerAccepted = "The token is no longer accepted";

}  // namespace

WebSocketSession::WebSocketSession(Stream stream, Peer peer, Admission::Place place, ServerContext& context)
    : socket_(std::move(stream)),
      context_(context),
      handle_(context, *this),
      peer_(std::move(peer)),
      place_(std::move(place)),
      timer_(socket_.get_executor()),
      messages_(context.config.max_messages_per_second, std::chrono::steady_clock::now()) {}

void WebSocketSession::run(const Request& upgrade, Welcome welcome, std::string subprotocol) {
    // Beast's own idle timeout knows one duration for two; keep_alive() keeps both. Its other timeout also bounds how
    // long a peer may take to answer our close.
    socket_.set_option(websocket::stream_base::timeout{.handshake_timeout = steady(context_.config.handshake_timeout),
                                                       .idle_timeout = websocket::stream_base::none(),
                                                       .keep_alive_pings = false});
    socket_.set_option(
        websocket::stream_base::decorator([protocol = std::move(subprotocol)](websocket::response_type& response) {
            response.set(boost::beast::http::field::server, "session-buddy");
            if (!protocol.empty()) {
                response.set(boost::beast::http::field::sec_websocket_protocol, protocol);
            }
        }));
    // Until it has shown its token a client has nothing else to say.
    socket_.read_message_max(
        std::holds_alternative<Admitted>(welcome)
            ? context_.config.max_message_bytes
            : std::min(context_.config.max_message_bytes, auth::kMaxTokenBytes + kAuthEnvelopeBytes));
    socket_.auto_fragment(false);
    socket_.text(true);
    socket_.async_accept(upgrade, guarded(shared_from_this(), [welcome = std::move(welcome)](WebSocketSession& self,
                                                                                             const error_code& error) {
                             self.on_accept(error, welcome);
                         }));
}

void WebSocketSession::on_accept(const error_code& error, const Welcome& welcome) {
    if (error || state_ == State::over) {
        finish(error);
        return;
    }
    state_ = State::unauthenticated;
    heard();
    ping_due_at_ = heard_at_ + steady(context_.config.ping_interval);
    keep_alive();
    // Weak: the callback lives in the socket, which lives in this.
    socket_.control_callback([weak = weak_from_this()](websocket::frame_type type, beast::string_view) {
        if (const auto self = weak.lock()) {
            self->heard();
            if (type == websocket::frame_type::ping) {
                self->on_ping();
            }
        }
    });
    if (context_.tokens != nullptr) {
        authentication_ = std::make_unique<Authentication>(socket_.get_executor());
    }
    if (context_.stopping) {
        shut_down();
    } else if (const auto* admitted = std::get_if<Admitted>(&welcome)) {
        // Other tokens may count since the upgrade was answered: the client chooses when it takes the answer.
        if (admitted->identity && !context_.tokens->still_accepts(*admitted->identity)) {
            close(kUnauthorized, kNoLongerAccepted);
        } else {
            open(admitted->identity);
        }
    } else if (const auto* refused = std::get_if<Refused>(&welcome)) {
        refuse_token(refused->reason, std::nullopt);
    } else {
        await_token();
    }
}

void WebSocketSession::await_token() {
    authentication_->deadline.expires_after(steady(context_.config.auth_timeout));
    authentication_->deadline.async_wait(
        guarded(shared_from_this(), [](WebSocketSession& self, const error_code& error) {
            if (!error) {
                self.close(kUnauthorized, "No token came in time");
            }
        }));
    read();
}

void WebSocketSession::on_first_message(std::string_view text) {
    auto request = protocol::parse_request(text);
    if (auto* shown = std::get_if<protocol::Authenticate>(&request)) {
        authentication_->deadline.cancel();
        authenticate(std::move(*shown));
    } else {
        close(kUnauthorized, "The first message must be of type auth, with a token");
    }
}

void WebSocketSession::authenticate(protocol::Authenticate request) {
    if (!authentication_) {
        client_->authenticated(request.request_id);
        return;
    }
    authentication_->under_way = true;
    context_.tokens->check(std::move(request.token),
                           [self = shared_from_this(), id = std::move(request.request_id)](auth::Verdict verdict) {
                               run_guarded(*self, [&] { self->on_checked(std::move(verdict), id); });
                           });
}

void WebSocketSession::on_checked(auth::Verdict verdict, const protocol::RequestId& request_id) {
    if (state_ != State::unauthenticated && state_ != State::open) {
        return;
    }
    if (auto* rejection = std::get_if<auth::Rejection>(&verdict)) {
        refuse_token(std::move(rejection->reason), request_id);
        return;
    }
    auto identity = std::get<auth::Identity>(std::move(verdict));
    if (!identity.scopes.has(auth::Scope::read)) {
        refuse_token(std::string(kLacksRead), request_id);
        return;
    }
    authentication_->under_way = false;
    if (state_ == State::open) {
        adopt(std::move(identity));
    } else {
        auto place = context_.admission.take_websocket(peer_, std::chrono::steady_clock::now());
        if (const auto* refusal = std::get_if<Refusal>(&place)) {
            close(websocket::close_code::try_again_later, "beyond " + describe(*refusal, context_.config));
            return;
        }
        place_ = std::get<Admission::Place>(std::move(place));
        open(std::move(identity));
    }
    client_->authenticated(request_id);
    write();
    read();
}

void WebSocketSession::refuse_token(std::string reason, protocol::RequestId request_id) {
    logger.warning("a token of {} was refused: {}", peer_.name, reason);
    authentication_->under_way = true;
    authentication_->delay.expires_after(context_.admission.delay_of_refusal(peer_, std::chrono::steady_clock::now()));
    authentication_->delay.async_wait(guarded(
        shared_from_this(),
        [why = std::move(reason), id = std::move(request_id)](WebSocketSession& self, const error_code& error) mutable {
            if (error) {
                return;
            }
            self.authentication_->under_way = false;
            if (self.state_ == State::open) {  // with the token it had before
                self.client_->unauthorized(std::move(why), std::move(id));
                self.write();
                self.read();
            } else {
                self.close(kUnauthorized, why);
            }
        }));
}

void WebSocketSession::open(std::optional<auth::Identity> identity) {
    state_ = State::open;
    client_.emplace(context_.broadcaster, static_cast<Client::Sender&>(*this), context_.config);
    logger.debug("client {} connected ({} of {})", peer_.name, context_.admission.clients(),
                 context_.config.max_clients);
    if (identity) {
        adopt(*std::move(identity));
    }
    socket_.read_message_max(context_.config.max_message_bytes);
    read();
}

// From here on this token is what the client is here by.
void WebSocketSession::adopt(auth::Identity identity) {
    authentication_->identity = std::move(identity);
    authentication_->deadline.cancel();
    const auto& expires_at = authentication_->identity->expires_at;
    if (!expires_at) {
        return;
    }
    // A token may be good until the year 9999, which no timer counts in nanoseconds.
    constexpr std::chrono::hours kLongest{24 * 365 * 100};
    authentication_->deadline.expires_after(
        std::min<std::chrono::microseconds>(*expires_at - context_.clock.now(), kLongest));
    authentication_->deadline.async_wait(
        guarded(shared_from_this(), [](WebSocketSession& self, const error_code& error) {
            if (!error) {
                self.close(kUnauthorized, "The token has expired");
            }
        }));
}

void WebSocketSession::tokens_replaced() {
    if (authentication_ && authentication_->identity && !context_.tokens->still_accepts(*authentication_->identity)) {
        close(kUnauthorized, kNoLongerAccepted);
    }
}

void WebSocketSession::shut_down() {
    // One that is still in its handshake is told by on_accept.
    close(websocket::close_code::going_away);
}

void WebSocketSession::cut() {
    finish({});
}

// Reads piece by piece: each one is a sign of life.
void WebSocketSession::read() {
    if (reading_ || !may_read()) {
        return;
    }
    reading_ = true;
    socket_.async_read_some(
        incoming_, context_.config.max_message_bytes,
        net::bind_cancellation_slot(
            read_cancel_.slot(),
            guarded(shared_from_this(), [](WebSocketSession& self, const error_code& error) { self.on_read(error); })));
}

bool WebSocketSession::may_read() {
    if (authentication_ && authentication_->under_way) {
        return false;
    }
    return state_ == State::unauthenticated || (state_ == State::open && client_->outbox().accepts_requests());
}

void WebSocketSession::on_read(const error_code& error) {
    reading_ = false;
    if (state_ != State::unauthenticated && state_ != State::open) {
        return;  // whoever began the end also finishes it
    }
    if (error) {
        finish(error);
        return;
    }
    heard();
    if (socket_.got_binary()) {
        close(websocket::close_code::unknown_data);
        return;
    }
    if (socket_.is_message_done()) {
        const std::string_view text(static_cast<const char*>(incoming_.data().data()), incoming_.size());
        // Beast looks at what comes, and so not at an empty last fragment behind half a letter.
        if (!is_valid_utf8(text)) {
            close(websocket::close_code::bad_payload);
            return;
        }
        on_message(text);
        incoming_.clear();
        if (incoming_.capacity() > kKeptBufferBytes) {
            incoming_.shrink_to_fit();
        }
        write();
    }
    read();
}

// A client that sends too much is told so first. One that does not heed it, and sends as many again, is closed.
void WebSocketSession::on_message(std::string_view text) {
    if (state_ == State::unauthenticated) {
        on_first_message(text);
        return;
    }
    const double left = messages_.spend(heard_at_);
    if (left >= 0) {
        client_->handle(text);
    } else if (left >= -static_cast<double>(context_.config.max_messages_per_second)) {
        client_->refuse(text);
    } else {
        logger.debug("client {} goes beyond max_messages_per_second", peer_.name);
        close(websocket::close_code::policy_error);
    }
}

// Each is answered by the library, so it costs what a message costs. It cannot be refused, though.
void WebSocketSession::on_ping() {
    if (messages_.spend(heard_at_) >= -static_cast<double>(context_.config.max_messages_per_second) || flooding_) {
        return;
    }
    flooding_ = true;
    // Not from within the read that is under way.
    net::post(socket_.get_executor(), [self = shared_from_this()] {
        run_guarded(*self, [&] { self->close(websocket::close_code::policy_error); });
    });
}

void WebSocketSession::wake() {
    write();
}

void WebSocketSession::write() {
    if (outgoing_ || state_ != State::open) {
        return;
    }
    outgoing_ = client_->outbox().next();
    if (!outgoing_) {
        return;
    }
    writing_since_ = std::chrono::steady_clock::now();
    socket_.async_write(
        net::buffer(*outgoing_),
        guarded(shared_from_this(), [](WebSocketSession& self, const error_code& error) { self.on_write(error); }));
}

void WebSocketSession::on_write(const error_code& error) {
    outgoing_.reset();
    if (state_ != State::open) {
        return;
    }
    if (error) {
        finish(error);
        return;
    }
    if (!reading_) {
        heard();  // it is we who do not listen; that it takes its answers shows that it is there
    }
    write();
    read();
}

void WebSocketSession::close(websocket::close_code code, std::string_view reason) {
    if (state_ != State::unauthenticated && state_ != State::open) {
        return;
    }
    state_ = State::closing;
    client_.reset();
    stop_authentication();
    logger.debug("closing client {} with {} {}", peer_.name, static_cast<unsigned>(code), reason);
    socket_.async_close(
        {code, reason},
        net::bind_cancellation_slot(
            close_cancel_.slot(),
            guarded(shared_from_this(), [](WebSocketSession& self, const error_code& error) { self.finish(error); })));
}

void WebSocketSession::stop_authentication() {
    if (authentication_) {
        authentication_->deadline.cancel();
        authentication_->delay.cancel();
    }
}

void WebSocketSession::heard() {
    heard_at_ = std::chrono::steady_clock::now();
}

void WebSocketSession::keep_alive() {
    const auto write_timeout = steady(context_.config.write_timeout);
    // A write that begins after this has its end after that.
    const auto written_by = (outgoing_ ? writing_since_ : std::chrono::steady_clock::now()) + write_timeout;
    timer_.expires_at(std::min({ping_due_at_, heard_at_ + steady(context_.config.ping_timeout), written_by}));
    timer_.async_wait(guarded(shared_from_this(), [](WebSocketSession& self, const error_code& error) {
        if (!error) {
            self.on_keep_alive();
        }
    }));
}

// Runs on while closing, too: nothing is heard then any more, so a peer that does not take our close is dropped as
// well.
void WebSocketSession::on_keep_alive() {
    if (state_ == State::over) {
        return;
    }
    const auto now = std::chrono::steady_clock::now();
    if (authentication_ && authentication_->under_way) {
        heard();  // it is we who do not listen
    }
    const bool stuck = outgoing_ && now - writing_since_ >= steady(context_.config.write_timeout);
    if (stuck || now - heard_at_ >= steady(context_.config.ping_timeout)) {
        finish(net::error::timed_out);
        return;
    }
    if (now >= ping_due_at_) {
        ping_due_at_ = now + steady(context_.config.ping_interval);
        if (state_ == State::open && !pinging_) {
            pinging_ = true;
            socket_.async_ping({}, guarded(shared_from_this(),
                                           [](WebSocketSession& self, const error_code&) { self.pinging_ = false; }));
        }
    }
    keep_alive();
}

// The end, however it came: gives the place and the subscriptions back and closes what is still open, upon which every
// operation under way completes and lets go of this.
void WebSocketSession::finish(const error_code& reason) {
    if (state_ == State::over) {
        return;
    }
    if (state_ != State::handshake) {
        logger.debug("client {} disconnected{}{}", peer_.name, reason ? ": " : "", reason ? reason.message() : "");
    }
    state_ = State::over;
    client_.reset();
    stop_authentication();
    place_.reset();
    timer_.cancel();
    socket_.next_layer().close();
    // Of Beast's operations a close waits for the right to read and a read that failed for the right to write, which
    // the other one has. Neither is at the socket then, so that its end reaches neither.
    read_cancel_.emit(net::cancellation_type::terminal);
    close_cancel_.emit(net::cancellation_type::terminal);
}

void WebSocketSession::fail(const char* what) {
    logger.error("session of client {} failed: {}", peer_.name, what);
    finish({});
}

}  // namespace session_buddy::server
