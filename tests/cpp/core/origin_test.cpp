// Parsing of origins, hosts and patterns; what matches, and that look-alikes do not.
#include "session_buddy/core/origin.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <type_traits>

namespace session_buddy::test {
namespace {

using testing::HasSubstr;

TEST(OriginText, is_parsed_in_lower_case_and_with_its_default_port) {
    struct Case {
        const char* text;
        const char* same;
    };
    for (const auto& [text, same] : {
             Case{"https://example.org", "HTTPS://Example.ORG:443"},
             Case{"http://example.org:80", "http://example.org"},
             Case{"http://[2001:db8::1]:80", "http://[2001:DB8:0:0::1]"},
             Case{"http://[::ffff:192.0.2.1]", "http://192.0.2.1"},
             Case{"https://xn--bcher-kva.example", "https://XN--bcher-kva.example"},
             Case{"chrome-extension://abcdef", "Chrome-Extension://abcdef"},
         }) {
        ASSERT_TRUE(Origin::parse(text)) << text;
        EXPECT_EQ(Origin::parse(text), Origin::parse(same)) << text;
    }
    for (const char* other : {"http://example.org", "https://example.org:8443", "https://www.example.org",
                              "https://example.com", "https://example.org:80", "wss://example.org"}) {
        ASSERT_TRUE(Origin::parse(other)) << other;
        EXPECT_NE(Origin::parse(other), Origin::parse("https://example.org")) << other;
    }
}

TEST(OriginText, that_is_not_an_origin_is_rejected) {
    for (const std::string text : {"",
                                   "null",
                                   "*",
                                   "example.org",
                                   "https:",
                                   "https://",
                                   "//example.org",
                                   "https:example.org",
                                   "https:/example.org",
                                   "https://example.org/",
                                   "https://example.org/path",
                                   "https://example.org?x",
                                   "https://example.org#x",
                                   "https://example.org.",
                                   "https://.example.org",
                                   "https://example..org",
                                   "https://user@example.org",
                                   "https://localhost@evil.example",
                                   "https://user:secret@example.org",
                                   "https://example.org:",
                                   "https://:443",
                                   "https://example.org:65536",
                                   "https://example.org:-1",
                                   "https://example.org:+80",
                                   "https://example.org:80x",
                                   "https://example.org:000080",
                                   "https://example.org:80:80",
                                   "https://2001:db8::1",
                                   "https://[2001:db8::1",
                                   "https://[127.0.0.1]",
                                   "https://[::1]x",
                                   "https://[::1]x:80",
                                   "https://[::1%25lo]",
                                   "https://[]",
                                   "https:// ",
                                   " https://example.org",
                                   "https://example.org ",
                                   "https://exam ple.org",
                                   "https://example.org https://a.org",
                                   "https://example.org, https://a.org",
                                   "https://example.org\\@a.org",
                                   "https://example%2eorg",
                                   "https://b\xc3\xbc"
                                   "cher.example",
                                   "https://example\xe3\x80\x82org",
                                   "1https://example.org",
                                   "ht tp://example.org",
                                   "://example.org",
                                   "https://*.example.org"}) {
        EXPECT_FALSE(Origin::parse(text)) << text;
    }
    EXPECT_FALSE(Origin::parse(std::string("https://example.org\0.evil.example", 33)));
    EXPECT_TRUE(Origin::parse("https://" + std::string(253, 'a')));
    EXPECT_FALSE(Origin::parse("https://" + std::string(254, 'a')));
}

TEST(OriginText, is_loopback_by_its_host_on_any_port) {
    for (const char* text :
         {"http://localhost", "https://localhost", "http://LOCALHOST:3000", "http://app.localhost:8080",
          "http://127.0.0.1:5173", "https://127.255.255.254", "http://[::1]:9", "http://[0:0:0:0:0:0:0:1]",
          "http://[::ffff:127.0.0.1]", "http://[::ffff:7f00:1]"}) {
        ASSERT_TRUE(Origin::parse(text)) << text;
        EXPECT_TRUE(Origin::parse(text)->is_loopback()) << text;
    }
    for (const char* text : {"http://localhost.evil.example",
                             "http://localhost-evil.example",
                             "http://evillocalhost",
                             "http://localhos",
                             "http://127.0.0.1.evil.example",
                             "http://127.0.0.1.nip.io",
                             "http://128.0.0.1",
                             "http://126.255.255.255",
                             "http://0.0.0.0",
                             "http://10.0.0.1",
                             "http://[::]",
                             "http://[::2]",
                             "http://[::ffff:10.0.0.1]",
                             "http://127.1",
                             "http://2130706433",
                             "http://0x7f.0.0.1",
                             "http://127.0.0.01",
                             "http://0177.0.0.1",
                             "ftp://localhost",
                             "file://localhost",
                             "tauri://localhost",
                             "chrome-extension://localhost",
                             "ws://localhost"}) {
        ASSERT_TRUE(Origin::parse(text)) << text;
        EXPECT_FALSE(Origin::parse(text)->is_loopback()) << text;
    }
}

TEST(HostHeader, is_a_host_and_an_optional_port) {
    const auto host = Authority::parse("Example.org:8765");
    ASSERT_TRUE(host);
    EXPECT_EQ(host->host.name, "example.org");
    EXPECT_EQ(host->port, 8765);
    EXPECT_EQ(Authority::parse("example.org")->port, std::nullopt);
    EXPECT_EQ(Authority::parse("[::1]:80")->host.address, IpAddress::parse("::1"));
    for (const char* text : {"", ":80", "a:b", "a,b", "a b", "user@a", "a/", "http://a", "::1", "[::1", "a.", "a\tb"}) {
        EXPECT_FALSE(Authority::parse(text)) << text;
    }
}

TEST(OriginOfRequest, has_the_scheme_of_the_connection_and_its_default_port) {
    const auto of = [](const char* host, bool secure) { return Origin::of_request(*Authority::parse(host), secure); };
    EXPECT_EQ(of("example.org", true), Origin::parse("https://example.org"));
    EXPECT_EQ(of("example.org:443", true), Origin::parse("https://example.org"));
    EXPECT_EQ(of("example.org", false), Origin::parse("http://example.org:80"));
    EXPECT_EQ(of("[2001:db8::1]:8765", false), Origin::parse("http://[2001:db8::1]:8765"));
    EXPECT_NE(of("example.org:8765", true), Origin::parse("https://example.org"));
    EXPECT_NE(of("example.org:443", false), Origin::parse("https://example.org"));
}

TEST(OriginPatterns, match_the_listed_names_and_no_look_alike) {
    const auto patterns = OriginPatterns::parse(
        "https://app.example.org, HTTPS://*.Example.com,https://*.example.net:8443,http://[2001:db8::1]:3000,"
        "chrome-extension://abcdef,http://192.0.2.1");
    for (const char* text : {"https://app.example.org", "https://APP.example.org:443", "https://a.example.com",
                             "https://a.b.example.com", "https://a.example.net:8443", "http://[2001:db8:0::1]:3000",
                             "chrome-extension://abcdef", "http://192.0.2.1:80"}) {
        EXPECT_TRUE(patterns.contains(*Origin::parse(text))) << text;
    }
    for (const char* text :
         {"http://app.example.org", "https://app.example.org:8443", "https://example.org", "https://x.app.example.org",
          "https://app.example.org.evil.com", "https://evilapp.example.org", "https://app-example.org",
          "https://example.com", "https://evilexample.com", "https://example.com.evil.com", "http://a.example.com",
          "https://a.example.com:444", "https://a.example.net", "http://[2001:db8::2]:3000", "http://[2001:db8::1]",
          "moz-extension://abcdef", "http://192.0.2.10", "https://app_example.org", "https://xn--app-example.org"}) {
        EXPECT_FALSE(patterns.contains(*Origin::parse(text))) << text;
    }
    EXPECT_FALSE(patterns.contains_null());
}

TEST(OriginPatterns, contain_null_or_nothing_if_listed) {
    EXPECT_TRUE(OriginPatterns::parse("null").contains_null());
    EXPECT_TRUE(OriginPatterns::parse("https://a.example , null").contains_null());
    const auto none = OriginPatterns::parse("");
    EXPECT_FALSE(none.contains_null());
    EXPECT_FALSE(none.contains(*Origin::parse("https://example.org")));
}

TEST(HostPatterns, match_the_listed_names_and_no_look_alike) {
    const auto patterns = HostPatterns::parse("App.example.org,*.example.com,192.0.2.1, [2001:db8::1]");
    for (const char* text : {"app.example.org", "a.example.com", "a.b.example.com", "192.0.2.1", "[2001:db8:0::1]"}) {
        EXPECT_TRUE(patterns.contains(*Host::parse(text))) << text;
    }
    for (const char* text : {"example.org", "x.app.example.org", "example.com", "evilexample.com",
                             "a.example.com.evil.com", "192.0.2.2", "[2001:db8::2]", "192.0.2.1.example"}) {
        EXPECT_FALSE(patterns.contains(*Host::parse(text))) << text;
    }
    EXPECT_FALSE(HostPatterns::parse("").contains(*Host::parse("example.org")));
}

struct BadItem {
    const char* item;
    const char* remedy;
};

template <typename Patterns>
void expect_rejected(const BadItem& bad) {
    for (const std::string before : {"", "a://b,", "null , "}) {
        if (before.find(':') != std::string::npos && std::is_same_v<Patterns, HostPatterns>) {
            continue;
        }
        if (before.empty() && *bad.item == '\0') {
            continue;  // an empty list
        }
        try {
            static_cast<void>(Patterns::parse(before + bad.item));
            ADD_FAILURE() << before << bad.item;
        } catch (const PatternError& error) {
            EXPECT_EQ(error.item(), bad.item);
            EXPECT_THAT(error.what(), HasSubstr(bad.remedy)) << bad.item;
        }
    }
}

TEST(OriginPatterns, name_the_invalid_item_and_how_to_fix_it) {
    for (const auto& bad : {
             BadItem{"", "an empty item"},
             BadItem{"*", "would allow every web page to read the metrics"},
             BadItem{"https://*", "would allow every web page to read the metrics"},
             BadItem{"app.example.org", "write it with its scheme"},
             BadItem{"*.example.org", "write it with its scheme"},
             BadItem{"localhost:3000", "write it with its scheme"},
             BadItem{"https://app.example.org/", "leave out the path"},
             BadItem{"https://app.example.org/app", "leave out the path"},
             BadItem{"wss://app.example.org", "begins with http:// or https://"},
             BadItem{"ws://*.example.org", "begins with http:// or https://"},
             BadItem{"https://b\xc3\xbc"
                     "cher.example",
                     "in ASCII"},
             BadItem{"https://a.*.example.org", "it is not an origin"},
             BadItem{"https://*.*.example.org", "it is not an origin"},
             BadItem{"https://*example.org", "it is not an origin"},
             BadItem{"https://*.", "it is not an origin"},
             BadItem{"https://*.0.0.1.", "it is not an origin"},
             BadItem{"https://*.192.0.2.1", "it is not an origin"},
             BadItem{"https://app.example.org:*", "it is not an origin"},
             BadItem{"https://user@example.org", "it is not an origin"},
             BadItem{"https://app.example.org.", "it is not an origin"},
         }) {
        expect_rejected<OriginPatterns>(bad);
    }
}

TEST(HostPatterns, name_the_invalid_item_and_how_to_fix_it) {
    for (const auto& bad : {
             BadItem{"", "an empty item"},
             BadItem{"*", "would allow DNS rebinding from any web page"},
             BadItem{"https://app.example.org", "write only the name"},
             BadItem{"app.example.org:8765", "write only the name"},
             BadItem{"app.example.org/", "write only the name"},
             BadItem{"*example.org", "write only the name"},
             BadItem{"a.*.example.org", "write only the name"},
             BadItem{"b\xc3\xbc"
                     "cher.example",
                     "in ASCII"},
         }) {
        expect_rejected<HostPatterns>(bad);
    }
}

}  // namespace
}  // namespace session_buddy::test
