// An encoded message, shared by all clients that receive it.
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
    /// For clients with permessage-deflate: compressed once, at the first call; frame() if that is not smaller.
    [[nodiscard]] std::string_view deflated_frame(Deflater& deflater) const;

  private:
    std::string frame_;
    std::size_t header_bytes_;
    mutable bool deflated_ = false;  // compression was tried
    mutable std::string deflated_frame_;
};

/// Shared by the clients of one subscription. Used by the network thread only.
using Frame = std::shared_ptr<const Message>;

}  // namespace session_buddy::server
