// The names of Asio and Beast as this layer uses them, and the stream that its connections run on.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <chrono>

#include "session_buddy/core/config.hpp"

namespace session_buddy::server {

namespace net = boost::asio;
namespace beast = boost::beast;
using beast::error_code;
using net::ip::tcp;

/// Plain TCP. HTTP and WebSocket sessions name this type alone, so that another stream (TLS) has one place to come in.
using Stream = beast::tcp_stream;

[[nodiscard]] inline std::chrono::steady_clock::duration steady(Seconds seconds) {
    return std::chrono::duration_cast<std::chrono::steady_clock::duration>(seconds);
}

/// "127.0.0.1:8765", "[::1]:8765".
[[nodiscard]] std::string to_string(const tcp::endpoint& endpoint);

}  // namespace session_buddy::server
