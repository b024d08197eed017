// A client's connection to the server's real sessions, in one thread and without waiting: the client writes, the
// server runs until it has nothing left to do.
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
    /// With a server whose limits are small, which has figures, and which takes the client for a trusted proxy.
    Conversation();

    void send(std::string_view bytes);
    /// The first byte of `script` says how its rest is said: its low 7 bits how many bytes at a time, 0 for all at
    /// once; the top bit that the server stops at the end. After each piece the server has new figures.
    void play(std::string_view script);
    /// The client says nothing more. Checks that the session has ended then, and that all it said was well-formed.
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
