// Which requests are rejected before routing.
#include "server/request_check.hpp"

#include <gtest/gtest.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "server/test_client.hpp"

namespace session_buddy::server {
namespace {

namespace http_ns = boost::beast::http;

http_ns::request<http_ns::string_body> parsed(const std::string& text) {
    http_ns::request_parser<http_ns::string_body> parser;
    parser.eager(true);
    boost::beast::error_code error;
    parser.put(boost::asio::buffer(text), error);
    EXPECT_FALSE(error) << error.message() << ": " << text;
    EXPECT_TRUE(parser.is_done()) << text;
    return parser.release();
}

std::string with_key(const std::string& key) {
    return "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Key: " +
           key + "\r\n\r\n";
}

TEST(RequestCheck, accepts_valid_requests) {
    for (const auto& text :
         {test::upgrade_request("/"), test::upgrade_request("/ws?token=a"), test::http_request("GET", "/healthz"),
          test::http_request("GET", "/healthz", "Content-Length: 0\r\n"),
          test::http_request("POST", "/healthz", "Content-Length: 3\r\nExpect: 100-continue\r\n") + "abc",
          test::http_request("GET", "/healthz", "Accept: a\r\nAccept: b\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n"),
          std::string("GET /healthz HTTP/1.1\r\nHost: [::1]:8765\r\n\r\n"),
          std::string("GET /healthz HTTP/1.1\r\nHost:\r\n\r\n"), std::string("GET /healthz HTTP/1.0\r\n\r\n"),
          with_key("AAAAAAAAAAAAAAAAAAAAAA=="), with_key("/////////////////////w==")}) {
        EXPECT_FALSE(check_request(parsed(text), BodyFraming::length)) << text;
    }
}

TEST(RequestCheck, rejects_ambiguous_or_invalid_requests_with_the_reason) {
    struct Case {
        std::string text;
        unsigned status;
        std::string message;  // a substring
    };
    const auto get = [](const std::string& headers) { return test::http_request("GET", "/healthz", headers); };
    const auto upgrade = [](const std::string& header) {
        auto text = test::upgrade_request("/");
        return text.insert(text.size() - 2, header + "\r\n");
    };
    for (const auto& [text, status, message] :
         {Case{get("Host: b\r\n"), 400, "Host is repeated"},
          Case{get("Origin: a\r\nOrigin: a\r\n"), 400, "Origin is repeated"},
          Case{get("Authorization: a\r\nauthorization: b\r\n"), 400, "Authorization is repeated"},
          Case{get("Content-Length: 0\r\nContent-Length: 0\r\n"), 400, "Content-Length is repeated"},
          Case{get("Content-Length: 0, 0\r\n"), 400, "Content-Length must be a single number"},
          Case{get("Content-Length: 3\r\n") + "abc", 400, "A GET request has no body"},
          Case{test::http_request("HEAD", "/", "Content-Length: 3\r\n") + "abc", 400, "A GET request has no body"},
          Case{get("Transfer-Encoding: chunked\r\n") + "0\r\n\r\n", 411, "Transfer-Encoding is not accepted"},
          Case{get("Transfer-Encoding: xchunked\r\n"), 411, "Transfer-Encoding is not accepted"},
          Case{"GET /healthz HTTP/1.1\r\n\r\n", 400, "Host is missing"},
          Case{"GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "Host must be"},
          Case{"GET /healthz HTTP/1.0\r\nHost: a/b\r\n\r\n", 400, "Host must be"},
          Case{test::http_request("GET", "http://localhost/healthz"), 400, "must be a path"},
          Case{test::http_request("OPTIONS", "*"), 400, "must be a path"},
          Case{test::http_request("CONNECT", "localhost:80"), 400, "must be a path"},
          Case{upgrade("Upgrade: websocket"), 400, "Upgrade is repeated"},
          Case{upgrade("Sec-WebSocket-Version: 13"), 400, "Sec-WebSocket-Version is repeated"},
          Case{upgrade("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="), 400, "Key is repeated"},
          Case{upgrade("Expect: 100-continue"), 417, "no body to expect"}}) {
        const auto reply = check_request(parsed(text), BodyFraming::length);
        ASSERT_TRUE(reply) << text;
        EXPECT_EQ(reply->status, status) << text;
        EXPECT_TRUE(reply->close) << text;
        EXPECT_NE(nlohmann::json::parse(reply->body).at("detail").get<std::string>().find(message), std::string::npos)
            << reply->body;
    }
}

TEST(RequestCheck, accepts_chunks_only_in_the_one_form_that_every_proxy_reads_alike) {
    const auto post = [](const std::string& headers, const std::string& body = "3\r\nabc\r\n0\r\n\r\n") {
        return test::http_request("POST", "/hooks/claude-code", headers) + body;
    };
    for (const auto& text :
         {post("Transfer-Encoding: chunked\r\n"), post("transfer-encoding:\tCHUNKED \r\n"),
          post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), post("Content-Length: 3\r\n", "abc")}) {
        EXPECT_FALSE(check_request(parsed(text), BodyFraming::length_or_chunks)) << text;
    }
    for (const auto& text :
         {post("Transfer-Encoding: gzip, chunked\r\n"), post("Transfer-Encoding: chunked, chunked\r\n"),
          post("Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n"), post("Transfer-Encoding: identity\r\n", ""),
          std::string("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")}) {
        const auto reply = check_request(parsed(text), BodyFraming::length_or_chunks);
        ASSERT_TRUE(reply) << text;
        EXPECT_EQ(reply->status, 411U) << text;
        EXPECT_TRUE(reply->close) << text;
    }
}

TEST(RequestCheck, requires_a_websocket_key_of_16_bytes_in_base64) {
    for (const char* key : {"", "x", "AAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAA=", "AAAAAAAAAAAAAAAAAAAAAAAA",
                            "AAAAAAAAAAAAAAAAAAAAAB==", "AAAAAAAAAAA AAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAA-==",
                            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}) {
        const auto reply = check_request(parsed(with_key(key)), BodyFraming::length);
        ASSERT_TRUE(reply) << key;
        EXPECT_EQ(reply->status, 400U) << key;
    }
}

TEST(RequestCheck, answers_another_websocket_version_with_the_supported_one) {
    for (const char* version : {"8", "12", "14", "013", "13, 8", "x", ""}) {
        auto text = with_key("AAAAAAAAAAAAAAAAAAAAAA==");
        text.replace(text.find("13\r\n"), 2, version);
        const auto reply = check_request(parsed(text), BodyFraming::length);
        ASSERT_TRUE(reply) << version;
        EXPECT_EQ(reply->status, 426U) << version;
        EXPECT_EQ(reply->headers.back(), std::pair(std::string("Sec-WebSocket-Version"), std::string("13")));
    }
}

}  // namespace
}  // namespace session_buddy::server
