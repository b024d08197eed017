// WebSocket framing: valid input in any split, and protocol violations.
#include "server/frame_codec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "server/client_frame.hpp"

namespace session_buddy::server {
namespace {

using test::client_frame;
using testing::ElementsAre;
using Kind = FrameDecoder::Kind;

constexpr std::size_t kLimit = 100'000;

/// The events decoded from `bytes`, such as "text:Hello".
std::vector<std::string> decode_all(FrameDecoder& decoder, std::string bytes) {
    std::vector<std::string> events;
    std::span<char> input = bytes;
    while (!input.empty()) {
        const auto event = decoder.next(input);
        const std::string payload(event.payload);
        switch (event.kind) {
            case Kind::nothing:
                EXPECT_TRUE(input.empty());
                break;
            case Kind::progress:
                events.emplace_back("progress");
                break;
            case Kind::text:
                events.push_back((event.deflated ? "deflated:" : "text:") + payload);
                break;
            case Kind::ping:
                events.push_back("ping:" + payload);
                break;
            case Kind::pong:
                events.push_back("pong:" + payload);
                break;
            case Kind::close:
                events.push_back("close " + std::to_string(static_cast<unsigned>(event.code)) + ":" + payload);
                break;
            case Kind::violation:
                events.push_back("violation " + std::to_string(static_cast<unsigned>(event.code)));
                return events;
        }
    }
    return events;
}

std::vector<std::string> decode_all(const std::string& bytes) {
    FrameDecoder decoder(kLimit);
    return decode_all(decoder, bytes);
}

TEST(FrameDecoder, reads_the_example_of_the_rfc) {
    EXPECT_THAT(decode_all("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), ElementsAre("text:Hello"));
}

TEST(FrameDecoder, decodes_each_kind_of_frame) {
    EXPECT_THAT(decode_all(client_frame(0x81, "a") + client_frame(0x89, "b") + client_frame(0x8A, "c") +
                           client_frame(0x88,
                                        "\x03\xe8"
                                        "bye")),
                ElementsAre("text:a", "ping:b", "pong:c", "close 1000:bye"));
    EXPECT_THAT(decode_all(client_frame(0x81, "") + client_frame(0x89, "") + client_frame(0x88, "")),
                ElementsAre("text:", "ping:", "close 0:"));
}

TEST(FrameDecoder, reassembles_fragments_around_control_frames) {
    EXPECT_THAT(decode_all(client_frame(0x01, "one ") + client_frame(0x89, "p") + client_frame(0x00, "two ") +
                           client_frame(0x80, "three") + client_frame(0x81, "next")),
                ElementsAre("progress", "ping:p", "progress", "text:one two three", "text:next"));
    EXPECT_THAT(decode_all(client_frame(0x01, "") + client_frame(0x80, "")), ElementsAre("progress", "text:"));
}

TEST(FrameDecoder, decodes_the_same_events_for_any_split_of_the_input) {
    std::mt19937 random(20260210);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same ones each time
    std::string bytes;
    for (const std::size_t size : {0U, 1U, 7U, 8U, 125U, 126U, 200U, 65535U, 65536U, 70000U}) {
        std::string text;
        while (text.size() < size) {
            const std::vector<std::string> letters{"a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
            const auto& letter = letters[random() % letters.size()];
            text += text.size() + letter.size() <= size ? letter : "b";
        }
        const std::size_t half = size / 2;  // possibly inside a character
        bytes += client_frame(0x81, text);
        bytes += client_frame(0x01, text.substr(0, half)) + client_frame(0x89, text.substr(0, 125)) +
                 client_frame(0x80, text.substr(half));
    }
    bytes += client_frame(0x88,
                          "\x0f\xa0"
                          "the end");
    const auto expected = decode_all(bytes);
    ASSERT_EQ(expected.size(), 10U * 4 + 1);
    for (const std::size_t largest : {1U, 2U, 3U, 9U, 100U, 4096U, 65536U}) {
        FrameDecoder decoder(kLimit);
        std::vector<std::string> events;
        for (std::size_t at = 0; at < bytes.size();) {
            const std::size_t size = largest == 1 ? 1 : 1 + random() % largest;
            const auto piece = decode_all(decoder, bytes.substr(at, size));
            events.insert(events.end(), piece.begin(), piece.end());
            at += size;
        }
        EXPECT_EQ(events, expected) << "pieces of at most " << largest;
    }
}

struct Violation {
    const char* what;
    std::string bytes;
    unsigned code;
};

TEST(FrameDecoder, rejects_protocol_violations) {
    std::string not_minimal_16_bit = client_frame(0x81, std::string(126, 'x'));
    not_minimal_16_bit[3] = 125;
    std::string not_minimal_64_bit = client_frame(0x81, std::string(65536, 'x'));
    not_minimal_64_bit[7] = 0;
    std::string too_wide = client_frame(0x81, std::string(65536, 'x'));
    too_wide[2] = '\x80';
    const std::vector<Violation> cases{
        {"no mask", "\x81\x05Hello", 1002},
        {"first reserved bit without an extension", client_frame(0xC1, "x"), 1002},
        {"second reserved bit", client_frame(0xA1, "x"), 1002},
        {"third reserved bit", client_frame(0x91, "x"), 1002},
        {"opcode 3", client_frame(0x83, "x"), 1002},
        {"opcode 7", client_frame(0x87, "x"), 1002},
        {"opcode 11", client_frame(0x8B, "x"), 1002},
        {"opcode 15", client_frame(0x8F, "x"), 1002},
        {"a continuation of nothing", client_frame(0x80, "x"), 1002},
        {"a continuation after the end", client_frame(0x01, "x") + client_frame(0x80, "y") + client_frame(0x80, "z"),
         1002},
        {"a message inside another", client_frame(0x01, "x") + client_frame(0x81, "y"), 1002},
        {"a fragmented ping", client_frame(0x09, "x"), 1002},
        {"a long ping", client_frame(0x89, std::string(126, 'x')), 1002},
        {"a long close", client_frame(0x88, std::string(126, 'x')), 1002},
        {"a length in more bytes than it needs (2)", not_minimal_16_bit, 1002},
        {"a length in more bytes than it needs (8)", not_minimal_64_bit, 1002},
        {"a length of 64 bits", too_wide, 1009},
        {"binary", client_frame(0x82, "x"), 1003},
        {"empty binary", client_frame(0x82, ""), 1003},
        {"binary in fragments", client_frame(0x02, "x"), 1003},
        {"a close with half a code", client_frame(0x88, "\x03"), 1002},
        {"a text that is not UTF-8", client_frame(0x81, "\xff"), 1007},
        {"half a character", client_frame(0x81, "\xc3"), 1007},
        {"half a character in fragments", client_frame(0x01, "\xe2") + client_frame(0x80, "\x82"), 1007},
        {"half a character and an empty last fragment", client_frame(0x01, "\xe2") + client_frame(0x80, ""), 1007},
        {"a fragment that no continuation can make valid", client_frame(0x01, "a\xff"), 1007},
        {"the start of a frame that nothing can make valid",
         client_frame(0x81, "a\xff" + std::string(50, 'x')).substr(0, 10), 1007},
        {"a surrogate in fragments", client_frame(0x01, "\xed") + client_frame(0x00, "\xa0"), 1007},
        {"a close reason that is not UTF-8", client_frame(0x88, "\x03\xe8\xff"), 1007},
    };
    for (const auto& [what, bytes, code] : cases) {
        const auto events = decode_all(bytes);
        ASSERT_FALSE(events.empty()) << what;
        EXPECT_EQ(events.back(), "violation " + std::to_string(code)) << what;
    }
}

TEST(FrameDecoder, accepts_only_valid_close_codes) {
    std::vector<unsigned> taken;
    for (unsigned code = 0; code <= 0xFFFF; ++code) {
        const std::string payload{static_cast<char>(code >> 8U), static_cast<char>(code & 0xFFU)};
        if (decode_all(client_frame(0x88, payload)).at(0) == "close " + std::to_string(code) + ":") {
            taken.push_back(code);
        }
    }
    std::vector<unsigned> expected{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014};
    for (unsigned code = 3000; code <= 4999; ++code) {
        expected.push_back(code);
    }
    EXPECT_EQ(taken, expected);
}

TEST(FrameDecoder, rejects_a_message_over_the_limit_by_its_header) {
    FrameDecoder decoder(10);
    EXPECT_THAT(decode_all(decoder, client_frame(0x81, "0123456789")), ElementsAre("text:0123456789"));
    EXPECT_THAT(decode_all(decoder, client_frame(0x81, "0123456789x").substr(0, 6)), ElementsAre("violation 1009"));
    FrameDecoder of_fragments(10);
    EXPECT_THAT(decode_all(of_fragments, client_frame(0x01, "01234") + client_frame(0x00, "56789") +
                                             client_frame(0x80, "x").substr(0, 6)),
                ElementsAre("progress", "progress", "violation 1009"));
}

TEST(FrameDecoder, accepts_deflated_messages_if_negotiated) {
    FrameDecoder decoder(kLimit);
    decoder.set_deflate(true);
    EXPECT_THAT(decode_all(decoder, client_frame(0xC1, "x") + client_frame(0x81, "y") + client_frame(0x41, "a") +
                                        client_frame(0x80, "b")),
                ElementsAre("deflated:x", "text:y", "progress", "deflated:ab"));
    for (const auto& bytes : {client_frame(0xC9, "x"), client_frame(0x41, "x") + client_frame(0xC0, "y")}) {
        FrameDecoder another(kLimit);
        another.set_deflate(true);
        EXPECT_EQ(decode_all(another, bytes).back(), "violation 1002");
    }
}

TEST(ToFrame, uses_the_minimal_length_encoding) {
    EXPECT_EQ(to_frame(Opcode::text, ""), std::string("\x81\x00", 2));
    EXPECT_EQ(to_frame(Opcode::pong, "Hello"), "\x8a\x05Hello");
    EXPECT_EQ(to_frame(Opcode::text, std::string(125, 'x')).substr(0, 2), "\x81\x7d");
    EXPECT_EQ(to_frame(Opcode::text, std::string(126, 'x')).substr(0, 4), std::string("\x81\x7e\x00\x7e", 4));
    EXPECT_EQ(to_frame(Opcode::text, std::string(65535, 'x')).substr(0, 4), "\x81\x7e\xff\xff");
    EXPECT_EQ(to_frame(Opcode::text, std::string(65536, 'x'), true).substr(0, 10),
              std::string("\xc1\x7f\0\0\0\0\0\x01\0\0", 10));
}

TEST(CloseFrame, truncates_the_reason_to_the_limit) {
    EXPECT_EQ(close_frame(CloseCode::none, ""), std::string("\x88\x00", 2));
    EXPECT_EQ(close_frame(CloseCode::going_away, "bye"),
              "\x88\x05\x03\xe9"
              "bye");
    std::string long_reason;
    for (int i = 0; i < 100; ++i) {
        long_reason += "\xc3\xa4";
    }
    EXPECT_EQ(close_frame(CloseCode::normal, long_reason).size(), 2U + 2 + 122);  // no partial character
}

}  // namespace
}  // namespace session_buddy::server
