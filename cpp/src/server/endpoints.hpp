// Resolves host and port and opens the listening sockets.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "asio.hpp"

namespace session_buddy::server {

/// Which addresses the server may listen on.
enum class BindScope : std::uint8_t { loopback, network };

/// Listens on every address of `host` with the same port; "localhost" always means 127.0.0.1 and ::1. Port 0 picks a
/// port that is free on all addresses. An address family that the machine lacks is skipped if another one works. Throws
/// std::system_error and ConfigError as NetworkServer::bind does.
[[nodiscard]] std::vector<Acceptor> listen_on(net::io_context& io, const std::string& host, std::uint16_t port,
                                              BindScope scope);

}  // namespace session_buddy::server
