// WebSocket frames (RFC 6455): parses complete frames from a byte stream, and builds the frames to send.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace wire {

enum class Opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

struct Frame {
    Opcode opcode{};
    bool compressed = false;  ///< RSV1, as permessage-deflate uses it
    std::string_view payload;
    std::size_t wire_bytes = 0;  ///< including its header
    double arrived = 0.0;        ///< seconds, set by the reader from its clock
};

/// Parses one server frame and removes it from the front of `bytes`. Returns false if it is incomplete.
/// Throws std::runtime_error for a masked or fragmented frame.
inline bool parse_frame(std::string_view& bytes, Frame& frame) {
    const auto byte = [&](std::size_t index) { return static_cast<std::uint8_t>(bytes[index]); };
    if (bytes.size() < 2) {
        return false;
    }
    if ((byte(0) & 0x80U) == 0 || (byte(0) & 0x0fU) == 0) {
        throw std::runtime_error("the server sent a fragmented message");
    }
    if ((byte(1) & 0x80U) != 0) {
        throw std::runtime_error("the server sent a masked frame");
    }
    std::uint64_t length = byte(1);
    std::size_t header = 2;
    if (length >= 126) {
        const std::size_t extended = length == 126 ? 2 : 8;
        header += extended;
        if (bytes.size() < header) {
            return false;
        }
        length = 0;
        for (std::size_t index = 2; index < header; ++index) {
            length = length << 8U | byte(index);
        }
    }
    if (bytes.size() - header < length) {
        return false;
    }
    frame.opcode = static_cast<Opcode>(byte(0) & 0x0fU);
    frame.compressed = (byte(0) & 0x40U) != 0;
    frame.payload = bytes.substr(header, static_cast<std::size_t>(length));
    frame.wire_bytes = header + static_cast<std::size_t>(length);
    bytes.remove_prefix(frame.wire_bytes);
    return true;
}

namespace detail {

inline std::string header(Opcode opcode, std::size_t length, std::uint8_t mask_bit) {
    std::string out(1, static_cast<char>(0x80U | static_cast<std::uint8_t>(opcode)));
    const auto append = [&](std::size_t value) { out += static_cast<char>(static_cast<std::uint8_t>(value)); };
    if (length < 126) {
        append(mask_bit | length);
        return out;
    }
    const int bytes = length < 65536 ? 2 : 8;
    append(mask_bit | (bytes == 2 ? 126U : 127U));
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
        append(length >> static_cast<unsigned>(shift) & 0xffU);
    }
    return out;
}

}  // namespace detail

/// A frame of a server.
inline std::string server_frame(std::string_view payload) {
    return detail::header(Opcode::text, payload.size(), 0).append(payload);
}

/// A frame of a client. The mask is always zero; servers must apply it like any other.
inline std::string client_frame(Opcode opcode, std::string_view payload) {
    return detail::header(opcode, payload.size(), 0x80).append(4, '\0').append(payload);
}

}  // namespace wire
