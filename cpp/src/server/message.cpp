// Encodes a message as a frame, and compresses it on first use.
#include "message.hpp"

#include "deflate.hpp"
#include "frame_codec.hpp"

namespace session_buddy::server {

namespace {

// Smaller messages fit into one packet anyway.
constexpr std::size_t kWorthDeflatingBytes = 128;

}  // namespace

Message::Message(std::string_view text)
    : frame_(to_frame(Opcode::text, text)), header_bytes_(frame_.size() - text.size()) {}

std::string_view Message::deflated_frame(Deflater& deflater) const {
    if (!deflated_) {
        deflated_ = true;
        if (text().size() >= kWorthDeflatingBytes) {
            deflated_frame_ = to_frame(Opcode::text, deflater.deflate(text()), true);
        }
    }
    return deflated_frame_.empty() || deflated_frame_.size() >= frame_.size() ? frame() : deflated_frame_;
}

}  // namespace session_buddy::server
