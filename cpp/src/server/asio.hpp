// Aliases for the Asio and Beast types of this layer.
#pragma once

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/error.hpp>
#include <chrono>
#include <string>

#include "steady_time.hpp"

namespace session_buddy::server {

namespace net = boost::asio;
namespace beast = boost::beast;
using beast::error_code;
using net::ip::tcp;

// The concrete executor type instead of any_io_executor makes these smaller; each client has one of each.
using Executor = net::io_context::executor_type;
using Socket = net::basic_stream_socket<tcp, Executor>;
using Acceptor = net::basic_socket_acceptor<tcp, Executor>;
using Timer =
    net::basic_waitable_timer<std::chrono::steady_clock, net::wait_traits<std::chrono::steady_clock>, Executor>;

/// "127.0.0.1:8765", "[::1]:8765".
[[nodiscard]] std::string to_string(const tcp::endpoint& endpoint);

}  // namespace session_buddy::server
