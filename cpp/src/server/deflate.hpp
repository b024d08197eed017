// permessage-deflate (RFC 7692) without a socket: its negotiation, and the compression of whole messages. No message
// refers to one before it, so that one compressed frame serves every client of a broadcast and no client needs a
// window.
#pragma once

#define ZLIB_CONST  // input is a pointer to const
#include <zlib.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace session_buddy::server {

/// Base-2 logarithm of how far back a compressed message of ours refers. 4096 bytes are what the `websockets` package
/// of Python offers by itself.
inline constexpr int kDeflateWindowBits = 12;

/// The value of our Sec-WebSocket-Extensions for the first of the client's offers that can be accepted; nothing where
/// none can. `offers` is the value of the client's, several lines joined with commas. What is not a list as RFC 6455
/// has it ends at the first error.
[[nodiscard]] std::optional<std::string> negotiate_deflate(std::string_view offers);

/// Compresses messages, each by itself. All its memory is taken when it is made: some 40 KiB.
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
    too_big,  ///< more than was allowed
    invalid,  ///< not the whole of a compressed message
};

/// The reverse, for messages of clients, which may refer as far back as the format allows.
class Inflater {
  public:
    Inflater();
    ~Inflater();
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;

    /// The text of the message whose payload is `compressed`. Whatever that holds, it takes no more memory than
    /// `max_bytes` of text need; its time goes by the size of both.
    [[nodiscard]] std::variant<std::string, InflateError> inflate(std::string_view compressed, std::size_t max_bytes);

  private:
    /// False where `input` is not taken to its end: it is no deflated data, or there is no more room in `text`.
    [[nodiscard]] bool feed(std::string_view input, std::string& text, std::size_t max_bytes);

    z_stream stream_{};
    std::size_t written_ = 0;  // bytes of the text so far
    bool ended_ = false;       // the last block of the data has come
};

}  // namespace session_buddy::server
