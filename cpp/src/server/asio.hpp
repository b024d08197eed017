// The names of Asio and Beast as this layer uses them.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/error.hpp>
#include <chrono>
#include <string>

#include "session_buddy/core/config.hpp"

namespace session_buddy::server {

namespace net = boost::asio;
namespace beast = boost::beast;
using beast::error_code;
using net::ip::tcp;

[[nodiscard]] inline std::chrono::steady_clock::duration steady(Seconds seconds) {
    return std::chrono::duration_cast<std::chrono::steady_clock::duration>(seconds);
}

/// "127.0.0.1:8765", "[::1]:8765".
[[nodiscard]] std::string to_string(const tcp::endpoint& endpoint);

}  // namespace session_buddy::server
