// Frames as a client sends them, for tests below the socket.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "server/frame_codec.hpp"

namespace session_buddy::test {

/// A masked frame. `first`: FIN, reserved bits and opcode.
inline std::string client_frame(unsigned first, std::string_view payload) {
    constexpr std::array<unsigned char, 4> kMask{0x37, 0xfa, 0x21, 0x3d};  // of the examples in RFC 6455, section 5.7
    std::string frame = server::to_frame(server::Opcode::text, payload);
    frame[0] = static_cast<char>(first);
    frame[1] = static_cast<char>(static_cast<unsigned char>(frame[1]) | 0x80U);
    const std::size_t header = frame.size() - payload.size();
    for (std::size_t i = 0; i < payload.size(); ++i) {
        frame[header + i] = static_cast<char>(static_cast<unsigned char>(frame[header + i]) ^ kMask[i % 4]);
    }
    frame.insert(header, reinterpret_cast<const char*>(kMask.data()), kMask.size());
    return frame;
}

}  // namespace session_buddy::test
