// Encodes and decodes WebSocket frames. Section numbers refer to RFC 6455.
#include "frame_codec.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "session_buddy/core/utf8.hpp"

namespace session_buddy::server {

namespace {

constexpr std::uint8_t kFinal = 0x80;
constexpr std::uint8_t kDeflated = 0x40;  // RFC 7692, section 6
constexpr std::uint8_t kReservedBits = 0x70;
constexpr std::uint8_t kOpcodeBits = 0x0F;
constexpr std::uint8_t kMasked = 0x80;
constexpr std::uint8_t kLengthBits = 0x7F;
constexpr std::size_t kMaskBytes = 4;
constexpr std::size_t kMaxControlPayload = 125;
constexpr std::uint8_t kTwoByteLength = 126;
constexpr std::uint8_t kEightByteLength = 127;

bool is_control(Opcode opcode) {
    return (static_cast<std::uint8_t>(opcode) & 0x08U) != 0;
}

// Size of the extended length field.
std::size_t extended_length_bytes(std::uint8_t second) {
    switch (second & kLengthBits) {
        case kTwoByteLength:
            return 2;
        case kEightByteLength:
            return 8;
        default:
            return 0;
    }
}

void append_big_endian(std::string& out, std::uint64_t value, std::size_t bytes) {
    while (bytes-- > 0) {
        out += static_cast<char>(value >> (8 * bytes) & 0xFFU);
    }
}

// Section 7.4: codes allowed on the wire. The gaps are reserved, or mean that no close frame was received.
bool is_valid_close_code(unsigned code) {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

}  // namespace

std::string to_frame(Opcode opcode, std::string_view payload, bool deflated) {
    std::string frame;
    frame.reserve(payload.size() + 10);
    frame += static_cast<char>(kFinal | (deflated ? kDeflated : 0U) | static_cast<std::uint8_t>(opcode));
    if (payload.size() < kTwoByteLength) {
        frame += static_cast<char>(payload.size());
    } else if (payload.size() <= 0xFFFF) {
        frame += static_cast<char>(kTwoByteLength);
        append_big_endian(frame, payload.size(), 2);
    } else {
        frame += static_cast<char>(kEightByteLength);
        append_big_endian(frame, payload.size(), 8);
    }
    frame += payload;
    return frame;
}

std::string close_frame(CloseCode code, std::string_view reason) {
    std::string payload;
    if (code != CloseCode::none) {
        append_big_endian(payload, static_cast<std::uint16_t>(code), 2);
        payload += utf8_prefix(reason, kMaxControlPayload - 2);
    }
    return to_frame(Opcode::close, payload);
}

FrameDecoder::Event FrameDecoder::next(std::span<char>& input) {
    if (!in_frame_) {
        // The caller has consumed the payload of the last event.
        if (!in_message_) {
            fragments_.reset();
        } else if (fragments_) {
            fragments_->control.clear();
        }
        if (!read_header(input)) {
            return {};
        }
        if (const CloseCode fault = check_header(); fault != CloseCode::none) {
            return violation(fault);
        }
    }
    const auto part = input.first(static_cast<std::size_t>(std::min<std::uint64_t>(input.size(), payload_left_)));
    input = input.subspan(part.size());
    unmask(part);
    payload_left_ -= part.size();
    const std::string_view bytes(part.data(), part.size());
    const bool whole = payload_left_ == 0;
    if (is_control(opcode_)) {
        in_frame_ = !whole;
        const bool begun = fragments_ && !fragments_->control.empty();
        if (whole && !begun) {
            return control(bytes);
        }
        fragments().control += bytes;
        return whole ? control(fragments_->control) : Event{};
    }
    const bool fragmented = in_message_ || !whole || !final_ || fragments_;
    if (fragmented && !append_payload(bytes)) {
        return violation(CloseCode::bad_payload);
    }
    if (!whole) {
        return {};
    }
    in_frame_ = false;
    in_message_ = !final_;
    if (!final_) {
        return {.kind = Kind::progress};
    }
    if (!message_deflated_ &&
        (fragmented ? fragments_->valid_utf8_bytes != fragments_->message.size() : !is_valid_utf8(bytes))) {
        return violation(CloseCode::bad_payload);
    }
    return {.kind = Kind::text, .payload = fragmented ? fragments_->message : bytes, .deflated = message_deflated_};
}

FrameDecoder::Fragments& FrameDecoder::fragments() {
    if (!fragments_) {
        fragments_ = std::make_unique<Fragments>();
    }
    return *fragments_;
}

// False if the text so far cannot be a prefix of valid UTF-8.
bool FrameDecoder::append_payload(std::string_view bytes) {
    auto& [message, valid_utf8_bytes, control] = fragments();
    message += bytes;
    if (message_deflated_) {
        return true;
    }
    const auto boundary = utf8_boundary(message, valid_utf8_bytes);
    valid_utf8_bytes = boundary.value_or(0);
    return boundary.has_value();
}

// False if the header is still incomplete.
bool FrameDecoder::read_header(std::span<char>& input) {
    std::size_t wanted = 2;
    while (true) {
        while (header_size_ < wanted && !input.empty()) {
            header_[header_size_++] = static_cast<std::uint8_t>(input.front());
            input = input.subspan(1);
        }
        if (header_size_ < wanted) {
            return false;
        }
        const std::size_t all = 2 + extended_length_bytes(header_[1]) + ((header_[1] & kMasked) != 0 ? kMaskBytes : 0);
        if (wanted == all) {
            return true;
        }
        wanted = all;
    }
}

// Parses and validates the complete header. CloseCode::none: the frame is acceptable.
CloseCode FrameDecoder::check_header() {
    const std::uint8_t first = header_[0];
    const std::size_t wide = extended_length_bytes(header_[1]);
    final_ = (first & kFinal) != 0;
    opcode_ = static_cast<Opcode>(first & kOpcodeBits);
    header_size_ = 0;
    if ((header_[1] & kMasked) == 0) {
        return CloseCode::protocol_error;  // section 5.1
    }
    payload_left_ = wide == 0 ? header_[1] & kLengthBits : 0;
    for (std::size_t i = 0; i < wide; ++i) {
        payload_left_ = payload_left_ << 8U | header_[2 + i];
    }
    // Section 5.2: minimal encoding is required. The limit below also rejects lengths over 63 bits.
    if ((wide == 2 && payload_left_ < kTwoByteLength) || (wide == 8 && payload_left_ <= 0xFFFF)) {
        return CloseCode::protocol_error;
    }
    std::copy_n(header_.begin() + 2 + wide, kMaskBytes, mask_.begin());
    mask_offset_ = 0;
    const bool deflated = (first & kDeflated) != 0;
    const bool begins = opcode_ == Opcode::text || opcode_ == Opcode::binary;
    if ((first & kReservedBits & ~kDeflated) != 0 || (deflated && !(deflate_ && begins))) {
        return CloseCode::protocol_error;
    }
    switch (opcode_) {
        case Opcode::close:
        case Opcode::ping:
        case Opcode::pong:
            if (!final_ || payload_left_ > kMaxControlPayload) {
                return CloseCode::protocol_error;  // section 5.5
            }
            in_frame_ = true;
            return CloseCode::none;
        case Opcode::continuation:
        case Opcode::text:
        case Opcode::binary:
            if (begins == in_message_) {
                return CloseCode::protocol_error;  // section 5.4
            }
            break;
        default:
            return CloseCode::protocol_error;
    }
    if (opcode_ == Opcode::binary) {
        return CloseCode::unknown_data;
    }
    const std::size_t before = fragments_ ? fragments_->message.size() : 0;
    if (payload_left_ > max_message_bytes_ - std::min(before, max_message_bytes_)) {
        return CloseCode::too_big;
    }
    if (begins) {
        message_deflated_ = deflated;
    }
    in_frame_ = true;
    return CloseCode::none;
}

void FrameDecoder::unmask(std::span<char> bytes) {
    std::array<std::uint8_t, 8> twice{};  // the mask, starting at the current offset
    for (std::size_t i = 0; i < twice.size(); ++i) {
        twice[i] = mask_[(mask_offset_ + i) % kMaskBytes];
    }
    std::uint64_t word_mask = 0;
    std::memcpy(&word_mask, twice.data(), sizeof word_mask);
    std::size_t at = 0;
    for (; bytes.size() - at >= sizeof word_mask; at += sizeof word_mask) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data() + at, sizeof word);
        word ^= word_mask;
        std::memcpy(bytes.data() + at, &word, sizeof word);
    }
    for (std::size_t i = 0; at < bytes.size(); ++at, ++i) {
        bytes[at] = static_cast<char>(static_cast<std::uint8_t>(bytes[at]) ^ twice[i]);
    }
    mask_offset_ = static_cast<std::uint8_t>((mask_offset_ + bytes.size()) % kMaskBytes);
}

FrameDecoder::Event FrameDecoder::control(std::string_view payload) const {
    if (opcode_ == Opcode::close) {
        return closed(payload);
    }
    return {.kind = opcode_ == Opcode::ping ? Kind::ping : Kind::pong, .payload = payload};
}

FrameDecoder::Event FrameDecoder::closed(std::string_view payload) {
    if (payload.empty()) {
        return {.kind = Kind::close};
    }
    if (payload.size() < 2) {
        return violation(CloseCode::protocol_error);  // section 5.5.1
    }
    const unsigned high = static_cast<std::uint8_t>(payload[0]);
    const unsigned low = static_cast<std::uint8_t>(payload[1]);
    const unsigned code = high << 8U | low;
    const auto reason = payload.substr(2);
    if (!is_valid_close_code(code)) {
        return violation(CloseCode::protocol_error);
    }
    if (!is_valid_utf8(reason)) {
        return violation(CloseCode::bad_payload);
    }
    return {.kind = Kind::close, .payload = reason, .code = static_cast<CloseCode>(code)};
}

}  // namespace session_buddy::server
