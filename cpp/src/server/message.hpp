// A message to clients in the bytes of the wire, made once for all who get it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace session_buddy::server {

class Deflater;

class Message {
  public:
    explicit Message(std::string_view text);

    [[nodiscard]] std::string_view text() const { return std::string_view(frame_).substr(header_bytes_); }
    [[nodiscard]] std::string_view frame() const { return frame_; }
    /// For clients with permessage-deflate: compressed at the first call alone, and frame() where that would not be
    /// smaller.
    [[nodiscard]] std::string_view deflated_frame(Deflater& deflater) const;

  private:
    std::string frame_;
    std::size_t header_bytes_;
    mutable bool deflated_ = false;  // tried
    mutable std::string deflated_frame_;
};

/// Clients of the same subscription share it. For the network thread alone.
using Frame = std::shared_ptr<const Message>;

}  // namespace session_buddy::server
