// Parsing and formatting of addresses and networks, and the network that counts as one client.
#include "session_buddy/core/ip_address.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace session_buddy::test {
namespace {

std::string round_trip(std::string_view text) {
    const auto address = IpAddress::parse(text);
    return address ? address->to_string() : "none";
}

TEST(IpAddress, parses_and_formats_both_families) {
    EXPECT_EQ(round_trip("192.0.2.1"), "192.0.2.1");
    EXPECT_EQ(round_trip("2001:DB8:0:0::1"), "2001:db8::1");
    EXPECT_EQ(round_trip("::ffff:192.0.2.1"), "192.0.2.1");
    EXPECT_EQ(round_trip("::"), "::");
}

TEST(IpAddress, rejects_everything_else) {
    for (const std::string text : {"", "localhost", "192.0.2", "192.0.2.256", "192.0.2.1:80", "[::1]", "fe80::1%eth0",
                                   "1.2.3.4 ", "0x7f.1", "192.0.2.1, 10.0.0.1", ":::", "2001:db8::1/64"}) {
        EXPECT_EQ(round_trip(text), "none") << text;
    }
    EXPECT_EQ(round_trip(std::string("1.2.3.4\0", 8)), "none");
    EXPECT_EQ(round_trip(std::string(100000, '1')), "none");
}

TEST(IpAddress, maps_ipv6_to_its_64_as_one_client) {
    const auto network = [](const char* text) { return IpAddress::parse(text)->client_network().to_string(); };
    EXPECT_EQ(network("192.0.2.77"), "192.0.2.77");
    EXPECT_EQ(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    EXPECT_EQ(network("2001:db8:1:2:ffff::1"), "2001:db8:1:2::");
    EXPECT_EQ(network("::ffff:192.0.2.77"), "192.0.2.77");
}

TEST(IpAddress, recognizes_loopback) {
    for (const char* text : {"127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"}) {
        EXPECT_TRUE(IpAddress::parse(text)->is_loopback()) << text;
    }
    for (const char* text : {"126.255.255.255", "128.0.0.0", "0.0.0.0", "::", "::2", "::127.0.0.1", "7f00::1"}) {
        EXPECT_FALSE(IpAddress::parse(text)->is_loopback()) << text;
    }
}

TEST(IpNetworks, contain_addresses_networks_and_loopback) {
    const auto networks = IpNetworks::parse("loopback, 10.0.0.0/8,192.0.2.7,2001:db8::/33,198.51.100.128/25");
    for (const char* inside : {"127.0.0.1", "127.255.0.9", "::1", "10.255.0.1", "192.0.2.7", "2001:db8:7fff::1",
                               "198.51.100.255", "::ffff:10.1.1.1"}) {
        EXPECT_TRUE(networks.contains(*IpAddress::parse(inside))) << inside;
    }
    for (const char* outside :
         {"128.0.0.1", "::2", "11.0.0.0", "192.0.2.8", "2001:db8:8000::1", "198.51.100.127", "::10.0.0.1", "::"}) {
        EXPECT_FALSE(networks.contains(*IpAddress::parse(outside))) << outside;
    }
    EXPECT_TRUE(IpNetworks::parse("0.0.0.0/0").contains(*IpAddress::parse("203.0.113.9")));
    EXPECT_FALSE(IpNetworks::parse("0.0.0.0/0").contains(*IpAddress::parse("2001:db8::1")));
    EXPECT_TRUE(IpNetworks::parse("::/0").contains(*IpAddress::parse("203.0.113.9")));
}

TEST(IpNetworks, name_the_invalid_item) {
    for (const char* item :
         {"10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "proxy", "::1/0"}) {
        try {
            static_cast<void>(IpNetworks::parse(std::string("loopback, ") + item));
            ADD_FAILURE() << item;
        } catch (const std::invalid_argument& error) {
            EXPECT_STREQ(error.what(), item);
        }
    }
    EXPECT_THROW(static_cast<void>(IpNetworks::parse("")), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(IpNetworks::parse("10.0.0.1,")), std::invalid_argument);
}

}  // namespace
}  // namespace session_buddy::test
