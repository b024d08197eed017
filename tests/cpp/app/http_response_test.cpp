// Entity tags, conditional requests (304) and compression.
#include "app/http_response.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>

#include "support/gzip.hpp"

namespace session_buddy::app {
namespace {

using test::unzipped;

protocol::ApiBody body_of(const std::string& varying, const std::string& rest) {
    return {.text = varying + rest, .volatile_begin = 0, .volatile_end = varying.size()};
}

std::string header(const server::HttpReply& response, const std::string& name) {
    for (const auto& [key, value] : response.headers) {
        if (key == name) {
            return value;
        }
    }
    return {};
}

TEST(HttpResponse, has_a_weak_tag_over_the_invariant_part) {
    const auto first = to_response(body_of("1", "data"), {});
    EXPECT_EQ(first.status, 200U);
    EXPECT_EQ(first.body, "1data");
    EXPECT_EQ(header(first, "ETag").size(), 2U + 34U);
    EXPECT_EQ(header(first, "ETag").substr(0, 3), "W/\"");
    EXPECT_EQ(header(first, "Cache-Control"), "no-cache");
    EXPECT_EQ(header(to_response(body_of("22", "data"), {}), "ETag"), header(first, "ETag"));
    EXPECT_NE(header(to_response(body_of("1", "date"), {}), "ETag"), header(first, "ETag"));
}

TEST(HttpResponse, is_304_if_the_client_sends_the_tag) {
    const std::string tag = header(to_response(body_of("1", "data"), {}), "ETag");
    for (const auto& sent : {tag, tag.substr(2), "\"x\" , " + tag, tag + ",W/\"y\"", std::string("*")}) {
        const auto response = to_response(body_of("2", "data"), {.if_none_match = sent});
        EXPECT_EQ(response.status, 304U) << sent;
        EXPECT_EQ(response.body, "");
        EXPECT_EQ(header(response, "ETag"), tag);
    }
    for (const auto& sent : {std::string(), std::string("\"x\""), tag.substr(0, 10), tag + "x"}) {
        EXPECT_EQ(to_response(body_of("2", "data"), {.if_none_match = sent}).status, 200U) << sent;
    }
}

TEST(HttpResponse, is_compressed_if_large_enough_and_the_client_accepts_gzip) {
    struct Case {
        const char* accept;
        bool compressed;
    };
    const std::string text(5000, 'a');
    for (const auto& [accept, compressed] :
         {Case{"gzip", true}, Case{"deflate, GZIP;q=0.5", true}, Case{"*", true}, Case{"x-gzip", true},
          Case{"br;q=1.0, gzip ; q=0.001", true}, Case{"", false}, Case{"identity", false}, Case{"gzip;q=0", false},
          Case{"gzip;q=0.000, *", false}, Case{"*;q=0", false}, Case{"gzipped", false}}) {
        server::HttpReply response;
        response.body = text;
        compress(response, {.accept_encoding = accept});
        EXPECT_EQ(header(response, "Content-Encoding"), compressed ? "gzip" : "") << accept;
        EXPECT_EQ(compressed ? unzipped(response.body) : response.body, text) << accept;
    }
    server::HttpReply small;
    small.body = std::string(1000, 'a');
    compress(small, {.accept_encoding = "gzip"});
    EXPECT_EQ(small.body.size(), 1000U);
}

}  // namespace
}  // namespace session_buddy::app
