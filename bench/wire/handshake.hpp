// Both sides of a WebSocket handshake, as short as it may be, and small helpers of sockets.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace wire {

/// Of all our clients: a benchmark has no need of a random one.
inline constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
inline constexpr std::string_view kEndOfHeader = "\r\n\r\n";

/// `compression` offers permessage-deflate as browsers do.
std::string upgrade_request(bool compression);

/// Answers a request for an upgrade. Throws std::runtime_error where it has no key.
std::string upgrade_response(std::string_view request);

/// Throws std::system_error with the words `what` where `result` is that of a failed system call; else returns it.
int checked(int result, const char* what);

/// A socket that listens on a free port of 127.0.0.1; the address is printed as "listening on <scheme>://...".
int listen_on_loopback(std::string_view scheme);

/// Raises the limit of open files as far as it goes.
void raise_file_limit();

/// The content of a file. Throws std::runtime_error.
std::string read_whole(const std::string& path);

}  // namespace wire
