// The client address of a request, with genuine and forged forwarding headers.
#include "server/client_of_request.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace session_buddy::server {
namespace {

namespace http_ns = boost::beast::http;

const IpNetworks kTrusted = IpNetworks::parse("loopback,10.0.0.0/8");
const Peer kProxy{.address = *IpAddress::parse("127.0.0.1"), .name = "127.0.0.1:9", .proxy = true};
const Peer kUntrusted{.address = *IpAddress::parse("203.0.113.9"), .name = "203.0.113.9:9"};

Peer client(const Peer& direct, const std::vector<std::string>& forwarded_for,
            const std::vector<std::string>& protocols = {}) {
    http_ns::fields headers;
    for (const auto& line : forwarded_for) {
        headers.insert("x-forwarded-for", line);
    }
    for (const auto& line : protocols) {
        headers.insert("X-Forwarded-Proto", line);
    }
    return client_of_request(direct, headers, kTrusted);
}

TEST(ForwardedPeer, is_the_right_most_address_that_is_not_trusted) {
    struct Case {
        std::vector<std::string> lines;
        const char* address;
    };
    for (const auto& [lines, address] : {
             Case{{"192.0.2.1"}, "192.0.2.1"},
             Case{{"198.51.100.1, 192.0.2.1"}, "192.0.2.1"},
             Case{{"127.0.0.1, 192.0.2.1, 10.0.0.7"}, "192.0.2.1"},
             Case{{"198.51.100.1", "192.0.2.1", " 10.1.1.1 , ::1"}, "192.0.2.1"},
             Case{{"10.0.0.1, 10.0.0.2"}, "10.0.0.1"},
             Case{{"2001:db8::1"}, "2001:db8::1"},
             Case{{"[2001:db8::1]:1234"}, "2001:db8::1"},
             Case{{"[2001:db8::1]"}, "2001:db8::1"},
             Case{{"192.0.2.1:1234"}, "192.0.2.1"},
             Case{{"::ffff:192.0.2.1"}, "192.0.2.1"},
         }) {
        const auto peer = client(kProxy, lines);
        EXPECT_EQ(peer.address.to_string(), address) << lines.front();
        EXPECT_TRUE(peer.forwarded);
        EXPECT_FALSE(peer.proxy);
        EXPECT_EQ(peer.name, std::string(address) + " through 127.0.0.1:9");
    }
}

TEST(ForwardedPeer, ignores_invalid_entries_and_those_to_their_left) {
    for (const char* line : {"", ",", "unknown", "192.0.2.1,", "192.0.2.1, nonsense", "_hidden", "[::1", "1.2.3.4.5",
                             "192.0.2.1;10.0.0.1", "\"192.0.2.1\""}) {
        const auto peer = client(kProxy, {line});
        EXPECT_EQ(peer.address, kProxy.address) << line;
        EXPECT_FALSE(peer.forwarded) << line;
        EXPECT_TRUE(peer.proxy) << line;
    }
    EXPECT_EQ(client(kProxy, {"192.0.2.1, nonsense, 10.0.0.7"}).address.to_string(), "10.0.0.7");
    EXPECT_EQ(client(kProxy, {}).address, kProxy.address);
}

TEST(ForwardedPeer, ignores_the_headers_of_untrusted_peers) {
    const auto peer = client(kUntrusted, {"192.0.2.1"}, {"https"});
    EXPECT_EQ(peer.address, kUntrusted.address);
    EXPECT_EQ(peer.name, kUntrusted.name);
    EXPECT_FALSE(peer.secure);
    EXPECT_FALSE(peer.forwarded);
}

TEST(ForwardedPeer, is_secure_according_to_x_forwarded_proto) {
    EXPECT_TRUE(client(kProxy, {"192.0.2.1"}, {"https"}).secure);
    EXPECT_TRUE(client(kProxy, {"192.0.2.1"}, {"http, https"}).secure);
    EXPECT_FALSE(client(kProxy, {"192.0.2.1"}, {"https", "http"}).secure);
    EXPECT_FALSE(client(kProxy, {"192.0.2.1"}, {"nonsense"}).secure);
    EXPECT_FALSE(client(kProxy, {"192.0.2.1"}).secure);
    auto over_tls = kProxy;
    over_tls.secure = true;
    EXPECT_FALSE(client(over_tls, {"192.0.2.1"}, {"http"}).secure);
    EXPECT_TRUE(client(over_tls, {"192.0.2.1"}, {"nonsense"}).secure);
}

}  // namespace
}  // namespace session_buddy::server
