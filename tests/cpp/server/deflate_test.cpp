// permessage-deflate: negotiation, round trips, invalid input and limits.
#include "server/deflate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace session_buddy::server {
namespace {

using ::testing::Eq;
using ::testing::Optional;
using ::testing::VariantWith;

constexpr std::size_t kMaxBytes = 65536;
const std::string kAccepted = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

template <std::size_t size>
std::string bytes(const char (&literal)[size]) {
    return {literal, size - 1};
}

auto is_text(const std::string& text) {
    return VariantWith<std::string>(text);
}

auto is_error(InflateError error) {
    return VariantWith<InflateError>(error);
}

TEST(NegotiateDeflate, accepts_what_clients_offer) {
    for (const auto& [offer, answer] : std::vector<std::pair<std::string, std::string>>{
             // As sent by browsers and ws for Node, the Python package websockets, and curl.
             {"permessage-deflate; client_max_window_bits", kAccepted},
             {"permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
              kAccepted + "; server_max_window_bits=12"},
             {"permessage-deflate", kAccepted},
             // Every parameter of the standard.
             {"permessage-deflate; server_no_context_takeover", kAccepted},
             {"permessage-deflate; client_no_context_takeover", kAccepted},
             {"permessage-deflate; server_max_window_bits=15", kAccepted + "; server_max_window_bits=15"},
             {"permessage-deflate; client_max_window_bits=8", kAccepted},
             {"permessage-deflate; client_max_window_bits; server_no_context_takeover; server_max_window_bits=13; "
              "client_no_context_takeover",
              kAccepted + "; server_max_window_bits=13"},
             // Every syntax.
             {"permessage-deflate;client_max_window_bits=\"10\"", kAccepted},
             {"permessage-deflate; server_max_window_bits=\"1\\4\"", kAccepted + "; server_max_window_bits=14"},
             {" \t permessage-deflate \t ;\tserver_no_context_takeover\t", kAccepted},
             {"permessage-deflate; server_max_window_bits = 12", kAccepted + "; server_max_window_bits=12"},
             {",, permessage-deflate ,,", kAccepted},
             // The first acceptable offer.
             {"x-webkit-deflate-frame, permessage-deflate", kAccepted},
             {"mux; max-channels=4; flow-control, permessage-deflate; client_max_window_bits", kAccepted},
             {"x-note; text=\"a\", permessage-deflate", kAccepted},
             {"permessage-deflate; server_max_window_bits=10, permessage-deflate", kAccepted},
             {"permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=14, "
              "permessage-deflate",
              kAccepted + "; server_max_window_bits=14"},
             {"permessage-deflate; surprise, permessage-deflate", kAccepted},
             {"permessage-deflate, permessage-deflate; server_max_window_bits=12", kAccepted},
         }) {
        EXPECT_THAT(negotiate_deflate(offer), Optional(answer)) << offer;
    }
}

TEST(NegotiateDeflate, declines_every_other_offer) {
    for (const std::string offer : {
             "",
             " ",
             ",",
             "x-webkit-deflate-frame",
             "permessage-bzip2",
             "permessage-deflate-2",
             "PERMESSAGE-DEFLATE",
             // A window smaller than ours.
             "permessage-deflate; server_max_window_bits=11",
             "permessage-deflate; server_max_window_bits=8",
             // Invalid parameters.
             "permessage-deflate; surprise",
             "permessage-deflate; Server_No_Context_Takeover",
             "permessage-deflate; server_no_context_takeover=true",
             "permessage-deflate; client_no_context_takeover=\"1\"",
             "permessage-deflate; server_max_window_bits",
             "permessage-deflate; server_max_window_bits=7",
             "permessage-deflate; server_max_window_bits=16",
             "permessage-deflate; server_max_window_bits=012",
             "permessage-deflate; server_max_window_bits=+12",
             "permessage-deflate; server_max_window_bits=1e1",
             "permessage-deflate; server_max_window_bits=99999999999999999999",
             "permessage-deflate; client_max_window_bits=7",
             "permessage-deflate; client_max_window_bits=16",
             "permessage-deflate; client_max_window_bits=09",
             "permessage-deflate; client_max_window_bits=-8",
             // Repeated parameters.
             "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
             "permessage-deflate; server_max_window_bits=12; server_max_window_bits=12",
             "permessage-deflate; client_max_window_bits; client_max_window_bits=12",
             // Syntax errors.
             "permessage-deflate;",
             "permessage-deflate; ; server_no_context_takeover",
             "permessage-deflate; server_max_window_bits=",
             "permessage-deflate; server_max_window_bits=\"\"",
             "permessage-deflate; server_max_window_bits=\"12",
             "permessage-deflate; server_max_window_bits=\"12\\",
             "permessage-deflate; server_max_window_bits=\" 12\"",
             "permessage-deflate; server_max_window_bits=1 2",
             "permessage-deflate; =12",
             "permessage-deflate server_no_context_takeover",
             "permessage-deflate permessage-deflate",
             "(permessage-deflate)",
             "\"permessage-deflate\"",
             "; permessage-deflate",
             "x-broken=1, permessage-deflate",
             "x-broken; \"a\", permessage-deflate",
         }) {
        EXPECT_THAT(negotiate_deflate(offer), Eq(std::nullopt)) << offer;
    }
}

TEST(NegotiateDeflate, parses_a_long_list_in_linear_time_and_memory) {
    std::string offers;
    while (offers.size() < 60000) {
        offers += "permessage-deflate; server_max_window_bits=8,";
    }
    EXPECT_THAT(negotiate_deflate(offers), Eq(std::nullopt));
    EXPECT_THAT(negotiate_deflate(offers + "permessage-deflate"), Optional(kAccepted));
}

TEST(Deflater, writes_the_examples_of_the_standard) {
    Deflater deflater;
    EXPECT_EQ(deflater.deflate("Hello"), bytes("\xf2\x48\xcd\xc9\xc9\x07\x00"));
    EXPECT_EQ(deflater.deflate(""), bytes("\x00")) << "the empty message is an empty block";
    EXPECT_EQ(deflater.deflate("Hello"), bytes("\xf2\x48\xcd\xc9\xc9\x07\x00")) << "no message refers to another";
}

// Whether a client with a window of `bits` decodes the payload to `text`. Reads in small pieces: otherwise zlib would
// resolve references in the output buffer instead of in its window.
bool client_reads(std::string payload, int bits, const std::string& text) {
    payload += bytes("\x00\x00\xff\xff");
    z_stream stream{};
    stream.next_in = reinterpret_cast<const Bytef*>(payload.data());
    stream.avail_in = static_cast<uInt>(payload.size());
    EXPECT_EQ(inflateInit2(&stream, -bits), Z_OK);
    std::string read;
    int result = Z_OK;
    while (result == Z_OK && read.size() < text.size()) {
        std::array<char, 64> piece{};
        stream.next_out = reinterpret_cast<Bytef*>(piece.data());
        stream.avail_out = piece.size();
        result = ::inflate(&stream, Z_SYNC_FLUSH);
        read.append(piece.data(), piece.size() - stream.avail_out);
    }
    inflateEnd(&stream);
    return read == text;
}

TEST(Deflater, stays_within_the_negotiated_window) {
    std::mt19937 random(4096);  // NOLINT(bugprone-random-generator-seed): the same text each time
    std::string text(3000, '\0');
    for (char& letter : text) {
        letter = static_cast<char>(random());
    }
    text += text + text;
    Deflater deflater;
    EXPECT_TRUE(client_reads(deflater.deflate(text), kDeflateWindowBits, text));
    EXPECT_FALSE(client_reads(deflater.deflate(text), kDeflateWindowBits - 1, text))
        << "the text does not exercise the window";
}

TEST(Inflater, reads_the_examples_of_the_standard) {
    Inflater inflater;
    for (const auto& [name, payload, text] : std::vector<std::array<std::string, 3>>{
             {"one block", bytes("\xf2\x48\xcd\xc9\xc9\x07\x00"), "Hello"},
             {"a block without compression", bytes("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), "Hello"},
             {"a block that says it is the last", bytes("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), "Hello"},
             {"two blocks", bytes("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), "Hello"},
             {"the empty message", bytes("\x00"), ""},
             {"the empty message in a block that says it is the last", bytes("\x01"), ""},
             // Not in the standard, but seen in practice.
             {"ended, not flushed", bytes("\xf3\x48\xcd\xc9\xc9\x07\x00"), "Hello"},
             {"nothing at all", "", ""},
         }) {
        EXPECT_THAT(inflater.inflate(payload, kMaxBytes), is_text(text)) << name;
    }
}

TEST(Inflater, rejects_a_message_that_depends_on_the_previous_one) {
    Inflater inflater;
    EXPECT_THAT(inflater.inflate(bytes("\xf2\x48\xcd\xc9\xc9\x07\x00"), kMaxBytes), is_text("Hello"));
    EXPECT_THAT(inflater.inflate(bytes("\xf2\x00\x11\x00\x00"), kMaxBytes), is_error(InflateError::invalid));
}

TEST(Inflater, rejects_invalid_or_truncated_data_and_recovers) {
    Deflater deflater;
    Inflater inflater;
    std::string text;
    for (int number = 0; number < 200; ++number) {
        text += std::to_string(number * number) + ' ';
    }
    const std::string whole = deflater.deflate(text);
    for (std::size_t size = 1; size < whole.size(); ++size) {
        EXPECT_THAT(inflater.inflate(std::string_view(whole).substr(0, size), kMaxBytes),
                    is_error(InflateError::invalid))
            << "the first " << size << " bytes of " << whole.size();
    }
    for (const auto& payload : {bytes("\x06"), bytes("\xff\xff\xff\xff"), std::string(R"({"type":"ping"})"),
                                bytes("\x00\x05\x00\x00\x00Hello"), whole + "!"}) {
        EXPECT_THAT(inflater.inflate(payload, kMaxBytes), is_error(InflateError::invalid)) << payload.size();
    }
    EXPECT_THAT(inflater.inflate(whole, kMaxBytes), is_text(text));
}

TEST(Inflater, enforces_the_exact_limit) {
    Deflater deflater;
    Inflater inflater;
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{1023}, std::size_t{1024},
                                   std::size_t{1025}, std::size_t{2048}, std::size_t{5000}, kMaxBytes}) {
        const std::string text(size, 'a');
        const std::string payload = deflater.deflate(text);
        EXPECT_THAT(inflater.inflate(payload, size), is_text(text)) << size;
        EXPECT_THAT(inflater.inflate(payload, size + 1), is_text(text)) << size;
        if (size > 0) {
            EXPECT_THAT(inflater.inflate(payload, size - 1), is_error(InflateError::too_big)) << size;
        }
    }
}

TEST(Inflater, stops_a_decompression_bomb_at_the_limit) {
    Deflater deflater;
    Inflater inflater;
    const std::string bomb = deflater.deflate(std::string(16U << 20U, '\0'));
    ASSERT_LT(bomb.size(), kMaxBytes * 4);
    EXPECT_THAT(inflater.inflate(bomb, kMaxBytes), is_error(InflateError::too_big));
    EXPECT_THAT(inflater.inflate(bomb, 0), is_error(InflateError::too_big));
    // Empty blocks, each marked as final.
    std::string blocks;
    for (int count = 0; count < 20000; ++count) {
        blocks += bytes("\x03\x00");
    }
    EXPECT_THAT(inflater.inflate(blocks, kMaxBytes), is_text(""));
    EXPECT_THAT(inflater.inflate(bytes("\xf2\x48\xcd\xc9\xc9\x07\x00"), kMaxBytes), is_text("Hello"));
}

// Texts that compress well, not at all, or that repeat at a distance larger than the window.
std::string random_text(std::mt19937& random, std::size_t size) {
    const auto letters = 1 + random() % 256;
    const std::size_t repeat = random() % 2 == 0 ? 0 : 1 + random() % 40000;
    std::string text(size, '\0');
    for (std::size_t index = 0; index < size; ++index) {
        text[index] = repeat != 0 && index >= repeat ? text[index - repeat] : static_cast<char>(random() % letters);
    }
    return text;
}

TEST(Deflate, every_message_survives_a_round_trip) {
    std::mt19937 random(7692);  // NOLINT(bugprone-random-generator-seed): the same texts each time
    Deflater deflater;
    Inflater inflater;
    for (int round = 0; round < 500; ++round) {
        const std::string text = random_text(random, random() % (round % 50 == 0 ? 200000 : 3000));
        const std::string payload = deflater.deflate(text);
        ASSERT_EQ(payload, Deflater().deflate(text)) << "round " << round << ": it depends on previous messages";
        ASSERT_THAT(inflater.inflate(payload, text.size()), is_text(text)) << "round " << round;
    }
}

TEST(Deflate, a_corrupted_message_is_text_or_an_error_within_the_limit) {
    std::mt19937 random(1951);  // NOLINT(bugprone-random-generator-seed): the same texts each time
    Deflater deflater;
    Inflater inflater;
    for (int round = 0; round < 2000; ++round) {
        std::string payload = deflater.deflate(random_text(random, random() % 2000));
        for (auto changes = 1 + random() % 3; changes > 0; --changes) {
            payload[random() % payload.size()] = static_cast<char>(random());
        }
        const auto result = inflater.inflate(payload, 1500);
        if (const auto* text = std::get_if<std::string>(&result)) {
            ASSERT_LE(text->size(), 1500U) << "round " << round;
        }
    }
}

TEST(Deflate, an_update_shrinks_to_a_third_or_less) {
    std::string update = R"({"type":"metrics_update","data":{"top_skills":[)";
    for (int skill = 0; skill < 10; ++skill) {
        update += R"({"skill_name":"skill-)" + std::to_string(skill * 37) + R"(","invocation_count":)" +
                  std::to_string(skill * 91) + R"(,"completed_count":)" + std::to_string(skill * 77) +
                  R"(,"last_invoked_at":"2026-02-10T12:00:00Z"},)";
    }
    EXPECT_LT(Deflater().deflate(update).size(), update.size() / 3);
}

}  // namespace
}  // namespace session_buddy::server
