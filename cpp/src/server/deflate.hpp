// permessage-deflate (RFC 7692), independent of sockets: negotiation and compression of whole messages. There is no
// context takeover, so one compressed frame serves every client of a broadcast and no client needs its own window.
#pragma once

#define ZLIB_CONST  // input is a pointer to const
#include <zlib.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace session_buddy::server {

/// Base-2 logarithm of the LZ77 window of our messages. 4096 bytes is the default offer of the Python package
/// `websockets`.
inline constexpr int kDeflateWindowBits = 12;

/// The value of Sec-WebSocket-Extensions that accepts the first acceptable offer of the client; nullopt if there is
/// none. `offers`: the client's header value, several lines joined with commas. Parsing stops at the first syntax
/// error (RFC 6455, section 9.1).
[[nodiscard]] std::optional<std::string> negotiate_deflate(std::string_view offers);

/// Compresses each message independently. Allocates all its memory at construction, about 40 KiB.
class Deflater {
  public:
    Deflater();
    ~Deflater();
    Deflater(const Deflater&) = delete;
    Deflater& operator=(const Deflater&) = delete;

    /// The payload of a compressed message. Throws std::length_error for 4 GiB and more.
    [[nodiscard]] std::string deflate(std::string_view text);

  private:
    z_stream stream_{};
};

enum class InflateError {
    too_big,  ///< longer than the limit
    invalid,  ///< malformed or truncated
};

/// Decompresses messages of clients, with any window the format allows.
class Inflater {
  public:
    Inflater();
    ~Inflater();
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;

    /// Decompresses the payload of one message. Memory is bounded by `max_bytes` of text for any input (protection
    /// against decompression bombs); time is linear in the sizes of input and output.
    [[nodiscard]] std::variant<std::string, InflateError> inflate(std::string_view compressed, std::size_t max_bytes);

  private:
    /// False if `input` was not consumed completely: invalid data, or `text` reached its limit.
    [[nodiscard]] bool feed(std::string_view input, std::string& text, std::size_t max_bytes);

    z_stream stream_{};
    std::size_t written_ = 0;  // bytes of text written
    bool ended_ = false;       // the final block was read
};

}  // namespace session_buddy::server
