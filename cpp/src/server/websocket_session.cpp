// See websocket_session.hpp.
#include "websocket_session.hpp"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/http/field.hpp>
#include <string_view>
#include <utility>

#include "guarded.hpp"
#include "session_buddy/core/log.hpp"
#include "session_buddy/core/utf8.hpp"

namespace session_buddy::server {

namespace websocket = boost::beast::websocket;

namespace {

constexpr log::Logger logger{"session_buddy.server.session"};

// After a larger message the read buffer gives its memory back.
constexpr std::size_t kKeptBufferBytes = 2048;

}  // namespace

WebSocketSession::WebSocketSession(Stream stream, Peer peer, Admission::Place place, ServerContext& context)
    : socket_(std::move(stream)),
      context_(context),
      handle_(context, *this),
      peer_(std::move(peer)),
      place_(std::move(place)),
      timer_(socket_.get_executor()),
      messages_(context.config.max_messages_per_second, std::chrono::steady_clock::now()) {}

void WebSocketSession::run(const Request& upgrade) {
    // Beast's own idle timeout knows one duration for two; keep_alive() keeps both. Its other timeout also bounds how
    // long a peer may take to answer our close.
    socket_.set_option(websocket::stream_base::timeout{.handshake_timeout = steady(context_.config.handshake_timeout),
                                                       .idle_timeout = websocket::stream_base::none(),
                                                       .keep_alive_pings = false});
    socket_.set_option(websocket::stream_base::decorator(
        [](websocket::response_type& response) { response.set(boost::beast::http::field::server, "session-buddy"); }));
    socket_.read_message_max(context_.config.max_message_bytes);
    socket_.auto_fragment(false);
    socket_.text(true);
    socket_.async_accept(upgrade, guarded(shared_from_this(), [](WebSocketSession& self, const error_code& error) {
                             self.on_accept(error);
                         }));
}

void WebSocketSession::on_accept(const error_code& error) {
    if (error || state_ == State::over) {
        finish(error);
        return;
    }
    state_ = State::open;
    client_.emplace(context_.broadcaster, static_cast<Client::Sender&>(*this), context_.config);
    logger.debug("client {} connected ({} of {})", peer_.name, context_.admission.clients(),
                 context_.config.max_clients);
    // Weak: the callback lives in the socket, which lives in this.
    socket_.control_callback([weak = weak_from_this()](websocket::frame_type type, beast::string_view) {
        if (const auto self = weak.lock()) {
            self->heard();
            if (type == websocket::frame_type::ping) {
                self->on_ping();
            }
        }
    });
    if (context_.stopping) {
        shut_down();
        return;
    }
    heard();
    ping_due_at_ = heard_at_ + steady(context_.config.ping_interval);
    keep_alive();
    read();
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
    if (reading_ || state_ != State::open || !client_->outbox().accepts_requests()) {
        return;
    }
    reading_ = true;
    socket_.async_read_some(
        incoming_, context_.config.max_message_bytes,
        guarded(shared_from_this(), [](WebSocketSession& self, const error_code& error) { self.on_read(error); }));
}

void WebSocketSession::on_read(const error_code& error) {
    reading_ = false;
    if (state_ != State::open) {
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
        guarded(self, [](WebSocketSession& session, const error_code&) {
            session.close(websocket::close_code::policy_error);
        })(error_code());
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

void WebSocketSession::close(websocket::close_code code) {
    if (state_ != State::open) {
        return;
    }
    state_ = State::closing;
    client_.reset();
    logger.debug("closing client {} with {}", peer_.name, static_cast<unsigned>(code));
    socket_.async_close(
        code, guarded(shared_from_this(), [](WebSocketSession& self, const error_code& error) { self.finish(error); }));
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
    place_.reset();
    timer_.cancel();
    socket_.next_layer().close();
}

void WebSocketSession::fail(const char* what) {
    logger.error("session of client {} failed: {}", peer_.name, what);
    finish({});
}

}  // namespace session_buddy::server
