// Keep-alive: clients that answer pings stay; silent ones and unfinished handshakes are dropped.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "server/test_client.hpp"

namespace session_buddy::test {
namespace {

Config short_times() {
    Config config;
    config.ping_interval = Seconds{0.05};
    config.ping_timeout = Seconds{0.3};
    config.handshake_timeout = Seconds{0.2};
    return config;
}

TEST(KeepAlive, a_quiet_client_that_answers_pings_stays) {
    TestServer server(short_times());
    TestClient client(server.port());
    client.wait_for_pings(15);  // more than twice the timeout
    EXPECT_EQ(client.ask({{"type", "ping"}}).at("type"), "pong");
}

TEST(KeepAlive, a_silent_peer_is_pinged_and_then_dropped) {
    const auto config = short_times();
    TestServer server(config);
    RawConnection raw(server.port());
    const auto begin = std::chrono::steady_clock::now();
    raw.send(upgrade_request("/"));
    EXPECT_EQ(raw.read_http().status, 101U);
    const auto bytes = raw.read_to_end();
    EXPECT_GE(std::chrono::steady_clock::now() - begin, config.ping_timeout);
    EXPECT_EQ(bytes.substr(0, 4), std::string("\x89\0\x89\0", 4));
}

TEST(KeepAlive, a_peer_that_does_not_answer_our_close_is_dropped) {
    TestServer server(short_times());
    RawConnection raw(server.port());
    raw.send(upgrade_request("/"));
    EXPECT_EQ(raw.read_http().status, 101U);
    raw.send(std::string("\x82\x80\0\0\0\0", 6));  // binary, so 1003
    EXPECT_NE(raw.read_to_end().find("\x88\x02\x03\xeb"), std::string::npos);
}

TEST(HandshakeTimeout, drops_clients_that_send_no_or_half_a_request) {
    const auto config = short_times();
    TestServer server(config);
    for (const char* beginning : {"", "GET / HT", "GET / HTTP/1.1\r\nHost: x\r\n"}) {
        RawConnection raw(server.port());
        const auto begin = std::chrono::steady_clock::now();
        raw.send(beginning);
        EXPECT_EQ(raw.read_to_end(), "");
        EXPECT_GE(std::chrono::steady_clock::now() - begin, config.handshake_timeout * 0.9);
    }
}

TEST(HandshakeTimeout, ends_with_the_handshake) {
    auto config = short_times();
    config.ping_timeout = Seconds{20.0};
    TestServer server(config);
    TestClient client(server.port());
    client.wait_for_pings(10);  // longer than the handshake may take
    EXPECT_EQ(client.ask({{"type", "ping"}}).at("type"), "pong");
}

}  // namespace
}  // namespace session_buddy::test
