// Turns host and port into listening sockets.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "asio.hpp"

namespace session_buddy::server {

/// Who may reach the listening sockets.
enum class BindScope : std::uint8_t { loopback, network };

/// Listens on every address of `host` with the same port; "localhost" is 127.0.0.1 and ::1, whatever the resolver says.
/// Port 0 picks one that is free on all of them. An address family that the machine does not have is left out while
/// another works. Throws std::system_error and ConfigError as NetworkServer::bind does.
[[nodiscard]] std::vector<Acceptor> listen_on(net::io_context& io, const std::string& host, std::uint16_t port,
                                              BindScope reach);

}  // namespace session_buddy::server
