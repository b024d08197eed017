// The frames of WebSocket (RFC 6455, section 5), of an established connection and without its socket: a server's side.
#pragma once

#include <array>
#include <boost/beast/websocket/rfc6455.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace session_buddy::server {

using CloseCode = boost::beast::websocket::close_code;

enum class Opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

/// One whole message in one frame, not masked. `deflated`: the payload is, as RFC 7692 says.
[[nodiscard]] std::string to_frame(Opcode opcode, std::string_view payload, bool deflated = false);
/// A close frame. No payload for CloseCode::none; a longer `reason` is cut to what a control frame holds.
[[nodiscard]] std::string close_frame(CloseCode code, std::string_view reason);

/// Takes the bytes of a client apart. Holds no memory while it is between two messages whose frames came whole.
class FrameDecoder {
  public:
    /// `max_message_bytes`: of a message's payload, all its frames together, as it is on the wire.
    explicit FrameDecoder(std::size_t max_message_bytes) : max_message_bytes_(max_message_bytes) {}

    [[nodiscard]] std::size_t max_message_bytes() const { return max_message_bytes_; }
    void set_max_message_bytes(std::size_t bytes) { max_message_bytes_ = bytes; }
    /// Whether messages may be compressed.
    void set_deflate(bool allowed) { deflate_ = allowed; }

    enum class Kind : std::uint8_t {
        nothing,   ///< the input is used up
        progress,  ///< a frame of a message that is not whole yet
        text,      ///< a whole message, well-formed UTF-8 unless it is deflated
        ping,
        pong,
        close,     ///< a close frame with this code and reason, valid ones; CloseCode::none where it has none
        violation  ///< the client broke the protocol, or a limit; `code` is what to close with. Nothing comes after it.
    };
    struct Event {
        Kind kind = Kind::nothing;
        std::string_view payload = {};  ///< of text, ping and pong; the reason of close. Good until the next call.
        bool deflated = false;          ///< the payload of this text
        CloseCode code = CloseCode::none;
    };

    /// Takes from the front of `input`, which it unmasks in place, up to the next event.
    [[nodiscard]] Event next(std::span<char>& input);

  private:
    static constexpr std::size_t kMaxHeaderBytes = 14;

    // Payload that came before, where it is not all in the input.
    struct Fragments {
        std::string message;
        std::size_t valid_utf8_bytes = 0;  // so many bytes of it are whole characters
        std::string control;               // of a control frame, which may come between the frames of the message
    };

    [[nodiscard]] bool read_header(std::span<char>& input);
    [[nodiscard]] CloseCode check_header();
    void unmask(std::span<char> bytes);
    [[nodiscard]] Fragments& fragments();
    [[nodiscard]] bool append_payload(std::string_view bytes);
    [[nodiscard]] Event control(std::string_view payload) const;
    [[nodiscard]] static Event closed(std::string_view payload);
    [[nodiscard]] static Event violation(CloseCode code) { return {.kind = Kind::violation, .code = code}; }

    std::size_t max_message_bytes_;
    bool deflate_ = false;

    std::array<std::uint8_t, kMaxHeaderBytes> header_{};
    std::uint8_t header_size_ = 0;  // bytes of it that are here

    // The frame whose header is complete.
    bool in_frame_ = false;
    bool final_ = false;
    Opcode opcode_ = Opcode::continuation;
    std::uint8_t mask_offset_ = 0;
    std::array<std::uint8_t, 4> mask_{};
    std::uint64_t payload_left_ = 0;  // of its payload

    bool in_message_ = false;  // a frame of it was there that is not the last
    bool message_deflated_ = false;
    std::unique_ptr<Fragments> fragments_;  // nullptr between two messages
};

}  // namespace session_buddy::server
