// Reads and writes as the protocol demands.
#include "websocket_connection.hpp"

#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/post.hpp>
#include <optional>
#include <utility>

#include "guarded.hpp"
#include "session_buddy/core/log.hpp"

namespace session_buddy::server {

namespace {

using State = WebSocketProtocol::State;

// Reads before other connections get their turn.
constexpr int kMaxReadsPerTurn = 4;

// Bounds the memory per client.
static_assert(sizeof(WebSocketConnection) <= 664);

SteadyTime now() {
    return std::chrono::steady_clock::now();
}

}  // namespace

WebSocketConnection::WebSocketConnection(Stream stream, Peer peer, Admission::Slot slot, ServerContext& context)
    : stream_(std::move(stream)),
      handle_(context, *this),
      protocol_(std::move(peer), std::move(slot), *this, context, now()) {}

void WebSocketConnection::run(Handshake handshake, const UpgradeDecision& decision) {
    protocol_.start(std::move(handshake.response), handshake.deflated, decision, now());
    advance();
}

void WebSocketConnection::shut_down() {
    protocol_.shut_down(now());
    advance();
}

void WebSocketConnection::abort() {
    finish({});
}

void WebSocketConnection::on_tokens_replaced() {
    const auto* identity = protocol_.identity();
    if (identity != nullptr && !handle_.context().tokens->still_accepts(*identity)) {
        protocol_.revoke(now());
        advance();
    }
}

void WebSocketConnection::check_timeouts(SteadyTime now) {
    if (protocol_.state() == State::closed) {
        return;
    }
    write();  // a ping that no broadcast has carried since the last check
    if (const auto limit = protocol_.check_timeouts(now); !limit.empty()) {
        log::kServerSession.debug("dropping client {}: {}", protocol_.peer().name, limit);
        finish(net::error::timed_out);
    }
}

// Does what the protocol demands after an input.
void WebSocketConnection::advance() {
    write();
    if (auto token = protocol_.take_token()) {
        handle_.context().tokens->check(*std::move(token), [self = shared_from_this()](auth::Verdict verdict) {
            run_guarded(*self, [&] {
                self->protocol_.on_verdict(std::move(verdict), now());
                self->advance();
            });
        });
    }
    set_timer();
    read();
}

void WebSocketConnection::set_timer() {
    const SteadyTime wakeup = protocol_.wakeup();
    if (timer_ ? timer_->expiry() == wakeup : wakeup == SteadyTime::max()) {
        return;
    }
    if (!timer_) {
        timer_ = std::make_unique<Timer>(stream_.get_executor());
    }
    timer_->expires_at(wakeup);
    if (wakeup != SteadyTime::max()) {
        timer_->async_wait(guarded(shared_from_this(), [](WebSocketConnection& self, const error_code& error) {
            if (!error) {
                self.protocol_.wake(now());
                self.advance();
            }
        }));
    }
}

// Processes held-back input, then waits for more.
void WebSocketConnection::read() {
    if (reading_) {
        return;
    }
    reading_ = true;
    while (!unread_.empty() && protocol_.accepts_input()) {
        std::string input = std::exchange(unread_, {});
        process_input(input);
    }
    reading_ = (unread_.empty() && protocol_.accepts_input()) || protocol_.state() == State::lingering;
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
    for (int reads = 0; reads < kMaxReadsPerTurn && unread_.empty() && protocol_.accepts_input(); ++reads) {
        error_code failed;
        const auto bytes = stream_.read_some(handle_.context().received, failed);
        if (failed == net::error::would_block) {
            break;
        }
        if (failed) {
            finish(failed);
            return;
        }
        process_input(std::span(handle_.context().received).first(bytes));
        if (bytes < handle_.context().received.size()) {
            break;  // the socket is probably drained
        }
    }
    if (protocol_.state() == State::lingering) {
        error_code ended;
        stream_.discard(ended);
        if (ended && ended != net::error::would_block) {
            finish({});
        }
    }
    reading_ = false;
    read();
}

void WebSocketConnection::process_input(std::span<char> input) {
    do {
        protocol_.receive(input, now());
        advance();
    } while (!input.empty() && protocol_.accepts_input());
    unread_.assign(input.data(), input.size());
}

// Fast path of nearly every broadcast: the socket accepts the frame, without an allocation or a wait.
bool WebSocketConnection::send(const Frame& frame) {
    if (!protocol_.may_send()) {
        return false;
    }
    try {
        if (protocol_.has_control_frames()) {
            write_now(nullptr, protocol_.take_with(frame));
        } else {
            write_now(frame, {});
        }
    } catch (const std::exception& failure) {  // out of memory: ends this client only, not the broadcast
        handle_.context().counters.failures.add();
        log::kServerSession.error("WebSocket connection of {} failed: {}", protocol_.peer().name, failure.what());
        fail_later(net::error::no_memory);
    }
    return true;
}

void WebSocketConnection::write() {
    for (auto next = protocol_.next_output(); !next.empty(); next = protocol_.next_output()) {
        write_now(next.frame, std::move(next.bytes));
    }
    if (protocol_.state() == State::lingering && !std::exchange(output_ended_, true)) {
        // Lingering close: closing the socket while the client still sends would reset the connection, and our close
        // frame could be lost.
        stream_.end_writing();
    }
}

// Writes `frame`, or `bytes` if it is nullptr.
void WebSocketConnection::write_now(const Frame& frame, std::string bytes) {
    std::size_t sent = 0;
    const auto error = write_rest(frame ? protocol_.wire_bytes(*frame) : std::string_view(bytes), sent);
    handle_.context().counters.bytes_sent.add(sent);
    handle_.context().counters.messages_sent.add(frame ? 1 : 0);
    if (error == net::error::would_block) {
        unsent_ = std::make_unique<Unsent>(Unsent{frame, std::move(bytes), sent});
        protocol_.on_blocked(now());
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

void WebSocketConnection::await_writable() {
    stream_.async_wait_to_write(guarded(
        shared_from_this(), [](WebSocketConnection& self, const error_code& error) { self.on_writable(error); }));
}

void WebSocketConnection::on_writable(const error_code& error) {
    if (error) {
        finish(error);
        return;
    }
    const std::size_t before = unsent_->sent;
    const auto failed = write_rest(
        unsent_->frame ? protocol_.wire_bytes(*unsent_->frame) : std::string_view(unsent_->bytes), unsent_->sent);
    handle_.context().counters.bytes_sent.add(unsent_->sent - before);
    if (failed == net::error::would_block) {
        await_writable();
    } else if (failed) {
        finish(failed);
    } else {
        unsent_.reset();
        protocol_.on_writable(now());
        advance();
    }
}

// Deferred, because a broadcast may be iterating over the clients.
void WebSocketConnection::fail_later(const error_code& error) {
    net::post(stream_.get_executor(), [self = shared_from_this(), error] { self->finish(error); });
}

// Ends the connection: releases its slot and subscriptions and closes the socket. Every pending wait then completes and
// releases its reference to this.
void WebSocketConnection::finish(const error_code& reason) {
    if (protocol_.state() == State::closed) {
        return;
    }
    log::kServerSession.debug("client {} disconnected{}{}", protocol_.peer().name, reason ? ": " : "",
                              reason ? reason.message() : "");
    protocol_.end();
    set_timer();
    stream_.close();
}

void WebSocketConnection::fail(const char* what) {
    handle_.context().counters.failures.add();
    log::kServerSession.error("WebSocket connection of {} failed: {}", protocol_.peer().name, what);
    finish({});
}

}  // namespace session_buddy::server
