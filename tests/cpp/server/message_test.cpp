// The encoding of a message, uncompressed and compressed.
#include "server/message.hpp"

#include <gtest/gtest.h>

#include <string>
#include <variant>

#include "server/deflate.hpp"

namespace session_buddy::server {
namespace {

TEST(Message, is_one_frame_and_its_text) {
    const Message message("{}");
    EXPECT_EQ(message.frame(), "\x81\x02{}");
    EXPECT_EQ(message.text(), "{}");
    const std::string longer(70000, 'x');
    EXPECT_EQ(Message(longer).text(), longer);
}

TEST(Message, is_compressed_once_for_all_clients) {
    Deflater deflater;
    const std::string text(1000, 'x');
    const Message message(text);
    const auto frame = message.deflated_frame(deflater);
    EXPECT_EQ(static_cast<unsigned char>(frame[0]), 0xC1U);
    EXPECT_LT(frame.size(), 100U);
    EXPECT_EQ(message.deflated_frame(deflater).data(), frame.data());
    Inflater inflater;
    EXPECT_EQ(std::get<std::string>(inflater.inflate(frame.substr(2), text.size())), text);
}

TEST(Message, stays_uncompressed_if_compression_does_not_help) {
    Deflater deflater;
    const Message brief("{}");
    EXPECT_EQ(brief.deflated_frame(deflater), brief.frame());
    std::string random;
    for (unsigned i = 0, state = 1; i < 500; ++i) {
        state = state * 1664525U + 1013904223U;
        random += static_cast<char>(state >> 24U);
    }
    const Message noise(random);
    EXPECT_EQ(noise.deflated_frame(deflater), noise.frame());
}

}  // namespace
}  // namespace session_buddy::server
