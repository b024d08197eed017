// Both sides of a minimal WebSocket handshake, and socket helpers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace wire {

/// The Sec-WebSocket-Key of all clients: a benchmark needs no random one.
inline constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
inline constexpr std::string_view kEndOfHeader = "\r\n\r\n";

/// `compression` offers permessage-deflate as browsers do.
std::string upgrade_request(bool compression);

/// The response to an upgrade request. Throws std::runtime_error if the request has no key.
std::string upgrade_response(std::string_view request);

/// Returns the result of a system call. Throws std::system_error with the message `what` if it failed.
int checked(int result, const char* what);

/// Listens on a free port of 127.0.0.1 and prints its URL as "listening on <scheme>://...".
int listen_on_loopback(std::string_view scheme);

/// Raises the limit of open files to the maximum.
void raise_file_limit();

/// The content of a file. Throws std::runtime_error if it cannot be read.
std::string read_whole(const std::string& path);

}  // namespace wire
