// Connects a WebSocketProtocol to a socket, a timer and the token checker.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "asio.hpp"
#include "context.hpp"
#include "handler_slot.hpp"
#include "stream.hpp"
#include "websocket_handshake.hpp"
#include "websocket_protocol.hpp"

namespace session_buddy::server {

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
    // Output that the socket has not accepted yet.
    struct Unsent {
        Frame frame;        // or, if nullptr,
        std::string bytes;  // these bytes
        std::size_t sent = 0;
    };

    void advance();
    void set_timer();

    void read();
    void on_readable(const error_code& error);
    void process_input(std::span<char> input);

    [[nodiscard]] bool send(const Frame& frame) override;
    void write();
    void write_now(const Frame& frame, std::string bytes);
    [[nodiscard]] error_code write_rest(std::string_view bytes, std::size_t& sent);
    void await_writable();
    void on_writable(const error_code& error);
    void fail_later(const error_code& error);
    void finish(const error_code& reason);

    // The first three are what each broadcast touches.
    Stream stream_;
    ConnectionHandle handle_;
    WebSocketProtocol protocol_;

    bool reading_ = false;  // or waiting to read
    bool output_ended_ = false;
    std::unique_ptr<Unsent> unsent_;  // set while the socket buffer is full
    std::string unread_;              // received input, held back until the protocol accepts it
    std::unique_ptr<Timer> timer_;    // set once the protocol had to be woken
    HandlerSlot read_slot_;
};

}  // namespace session_buddy::server
