// WebSocket framing (RFC 6455, section 5), server side, independent of sockets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace session_buddy::server {

/// Codes of RFC 6455, section 7.4. A client may send others.
enum class CloseCode : std::uint16_t {
    none = 0,  ///< a close frame without a code
    normal = 1000,
    going_away = 1001,
    protocol_error = 1002,
    unknown_data = 1003,
    bad_payload = 1007,
    policy_error = 1008,
    too_big = 1009,
    try_again_later = 1013,
    unauthorized = 4401  ///< private; follows HTTP 401
};

enum class Opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

/// Encodes a message as one unmasked frame. `deflated`: the payload is compressed (RFC 7692).
[[nodiscard]] std::string to_frame(Opcode opcode, std::string_view payload, bool deflated = false);
/// Encodes a close frame. CloseCode::none: without payload. Truncates `reason` to the limit of a control frame.
[[nodiscard]] std::string close_frame(CloseCode code, std::string_view reason);

/// Decodes the byte stream of a client into events. Holds no heap memory between messages, and buffers only frames that
/// arrive in several pieces.
class FrameDecoder {
  public:
    /// `max_message_bytes`: limit of a message's payload over all its frames, as on the wire.
    explicit FrameDecoder(std::size_t max_message_bytes) : max_message_bytes_(max_message_bytes) {}

    [[nodiscard]] std::size_t max_message_bytes() const { return max_message_bytes_; }
    void set_max_message_bytes(std::size_t bytes) { max_message_bytes_ = bytes; }
    /// Whether messages may be compressed.
    void set_deflate(bool allowed) { deflate_ = allowed; }

    enum class Kind : std::uint8_t {
        nothing,   ///< the input is consumed
        progress,  ///< a frame of a message that is not complete yet
        text,      ///< a complete message; valid UTF-8 unless it is deflated
        ping,
        pong,
        close,     ///< a close frame with a valid code and reason; CloseCode::none if it has no code
        violation  ///< protocol error or exceeded limit; close with `code`. No event follows.
    };
    struct Event {
        Kind kind = Kind::nothing;
        std::string_view payload = {};  ///< of text, ping and pong; the reason of close. Valid until the next call.
        bool deflated = false;          ///< the payload of this text is compressed
        CloseCode code = CloseCode::none;
    };

    /// Consumes `input` from the front up to the next event, unmasking it in the buffer.
    [[nodiscard]] Event next(std::span<char>& input);

  private:
    static constexpr std::size_t kMaxHeaderBytes = 14;

    // Buffered payload that arrived in earlier input.
    struct Fragments {
        std::string message;
        std::size_t valid_utf8_bytes = 0;  // length of the prefix known to be valid UTF-8
        std::string control;  // payload of a control frame, which may arrive between the frames of the message
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
    std::uint8_t header_size_ = 0;  // bytes received

    // The frame whose header is complete.
    bool in_frame_ = false;
    bool final_ = false;
    Opcode opcode_ = Opcode::continuation;
    std::uint8_t mask_offset_ = 0;
    std::array<std::uint8_t, 4> mask_{};
    std::uint64_t payload_left_ = 0;  // bytes of payload still to come

    bool in_message_ = false;  // a frame without FIN was received
    bool message_deflated_ = false;
    std::unique_ptr<Fragments> fragments_;  // nullptr between messages
};

}  // namespace session_buddy::server
