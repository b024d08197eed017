// A client that is connected to the real HttpConnection and WebSocketConnection classes, in one thread and without
// waiting: the client writes, then the server runs until it is idle.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "server/context.hpp"

namespace session_buddy::fuzz {

class Conversation {
  public:
    /// The server has small limits and sample metrics, and trusts the client as a proxy.
    Conversation();

    void send(std::string_view bytes);
    /// Sends `script` in pieces; after each the server publishes new metrics. The first byte controls how: the low 7
    /// bits are the size of the pieces, 0 for a single one; with the top bit the server shuts down at the end.
    void play(std::string_view script);
    /// Ends the output of the client. Checks that the connection has ended, and that all responses were well-formed.
    void disconnect();

  private:
    void publish();
    void run();
    std::size_t receive();

    const SystemClock clock_;
    server::ServerContext context_;
    boost::asio::local::stream_protocol::socket client_;
    std::string received_;
    std::uint64_t published_ = 0;
};

}  // namespace session_buddy::fuzz
