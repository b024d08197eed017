// Validation of Host and Origin, without sockets.
#include "server/origin_policy.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace session_buddy::server {
namespace {

namespace http_ns = boost::beast::http;
using Verdict = OriginPolicy::Verdict;

struct Request {
    std::vector<std::string> hosts = {"localhost:8765"};
    std::vector<std::string> origins = {};
    bool secure = false;
};

Verdict check(const OriginPolicy& policy, const Request& request) {
    http_ns::fields headers;
    for (const auto& value : request.hosts) {
        headers.insert(http_ns::field::host, value);
    }
    for (const auto& value : request.origins) {
        headers.insert(http_ns::field::origin, value);
    }
    return policy.check(headers, request.secure);
}

OriginPolicy policy_of(const Config& config, const std::vector<const char*>& listeners = {"127.0.0.1", "::1"}) {
    OriginPolicy policy(config);
    for (const char* address : listeners) {
        policy.add_listener(*IpAddress::parse(address));
    }
    return policy;
}

Config config_of(const std::string& allow_origin, const std::string& allow_host = "") {
    Config config;
    config.allow_origin = allow_origin;
    config.allow_host = allow_host;
    return config;
}

TEST(OriginPolicy, allows_programs_and_loopback_origins) {
    const auto policy = policy_of({});
    EXPECT_EQ(check(policy, {}), Verdict::allowed);
    for (const char* origin : {"http://localhost", "http://localhost:3000", "https://127.0.0.1:5173",
                               "http://[::1]:8765", "http://app.localhost:1", "HTTP://LOCALHOST:3000"}) {
        EXPECT_EQ(check(policy, {.origins = {origin}}), Verdict::allowed) << origin;
    }
}

TEST(OriginPolicy, rejects_other_origins) {
    const auto policy = policy_of({});
    for (const char* origin : {"https://example.org",
                               "http://example.org",
                               "http://localhost.evil.example",
                               "http://evil.example:8765",
                               "http://localhost@evil.example",
                               "http://evil.example#localhost",
                               "null",
                               "",
                               " ",
                               "nonsense",
                               "localhost",
                               "file://",
                               "file:///",
                               "http://",
                               "http://192.0.2.1:8765",
                               "http://localhost http://evil.example",
                               "http://localhost, http://evil.example",
                               "http://evil.example, http://localhost",
                               "chrome-extension://abcdef",
                               "http://\xc5\x82ocalhost",
                               "http://localhost\xe2\x80\x8b",
                               "http://localhost."}) {
        EXPECT_EQ(check(policy, {.origins = {origin}}), Verdict::origin_refused) << origin;
    }
}

TEST(OriginPolicy, rejects_several_origins_even_if_each_is_allowed) {
    EXPECT_EQ(check(policy_of({}), {.origins = {"http://localhost", "http://localhost"}}), Verdict::origin_refused);
    EXPECT_EQ(check(policy_of({}), {.origins = {"http://localhost", "http://evil.example"}}), Verdict::origin_refused);
}

TEST(OriginPolicy, allows_the_same_origin) {
    const auto policy = policy_of(config_of("", "app.example.org"));
    struct Case {
        const char* host;
        const char* origin;
        bool secure;
        Verdict verdict;
    };
    for (const auto& [host, origin, secure, verdict] : {
             Case{"app.example.org:8765", "http://app.example.org:8765", false, Verdict::allowed},
             Case{"app.example.org", "https://app.example.org", true, Verdict::allowed},
             Case{"APP.example.org:443", "https://app.example.org", true, Verdict::allowed},
             Case{"app.example.org", "http://app.example.org:80", false, Verdict::allowed},
             Case{"app.example.org", "http://app.example.org", true, Verdict::origin_refused},
             Case{"app.example.org", "https://app.example.org", false, Verdict::origin_refused},
             Case{"app.example.org:8765", "http://app.example.org", false, Verdict::origin_refused},
             Case{"app.example.org:8765", "http://app.example.org:8766", false, Verdict::origin_refused},
             Case{"app.example.org", "https://www.app.example.org", true, Verdict::origin_refused},
         }) {
        EXPECT_EQ(check(policy, {.hosts = {host}, .origins = {origin}, .secure = secure}), verdict) << host << origin;
    }
}

TEST(OriginPolicy, allows_configured_origins) {
    const auto policy = policy_of(config_of("https://app.example.org,https://*.example.com"));
    for (const char* origin : {"https://app.example.org", "https://a.b.example.com"}) {
        EXPECT_EQ(check(policy, {.origins = {origin}}), Verdict::allowed) << origin;
    }
    for (const char* origin : {"https://example.org", "https://example.com", "https://app.example.org.evil.example",
                               "https://evilexample.com", "http://app.example.org", "null"}) {
        EXPECT_EQ(check(policy, {.origins = {origin}}), Verdict::origin_refused) << origin;
    }
    EXPECT_EQ(check(policy_of(config_of("null")), {.origins = {"null"}}), Verdict::allowed);
    EXPECT_EQ(check(policy_of(config_of("null")), {.origins = {"Null"}}), Verdict::origin_refused);
}

TEST(OriginPolicy, allows_only_loopback_hosts_if_it_listens_on_loopback_only) {
    const auto policy = policy_of({});
    for (const char* host : {"localhost", "localhost:8765", "LocalHost:1", "app.localhost", "127.0.0.1:8765",
                             "127.9.9.9", "[::1]:8765", "[::ffff:127.0.0.1]"}) {
        EXPECT_EQ(check(policy, {.hosts = {host}}), Verdict::allowed) << host;
    }
    for (const char* host :
         {"rebind.example", "rebind.example:8765", "localhost.evil.example", "127.0.0.1.nip.io", "192.0.2.1",
          "0.0.0.0:8765", "[::]", "[2001:db8::1]:8765", "localhost.", "", "localhost:", "localhost:x", "user@localhost",
          "localhost, localhost", "evil.example/localhost", "127.1", "\xc5\x82ocalhost"}) {
        EXPECT_EQ(check(policy, {.hosts = {host}}), Verdict::host_refused) << host;
        EXPECT_EQ(check(policy, {.hosts = {host}, .origins = {"http://localhost"}}), Verdict::host_refused) << host;
    }
}

TEST(OriginPolicy, allows_every_address_but_no_other_name_if_it_listens_beyond_loopback) {
    for (const char* listener : {"0.0.0.0", "::", "192.0.2.7"}) {
        const auto policy = policy_of({}, {"127.0.0.1", listener});
        for (const char* host : {"localhost", "192.0.2.7:8765", "203.0.113.5", "[2001:db8::1]"}) {
            EXPECT_EQ(check(policy, {.hosts = {host}}), Verdict::allowed) << listener << ' ' << host;
        }
        EXPECT_EQ(check(policy, {.hosts = {"rebind.example:8765"}}), Verdict::host_refused) << listener;
        EXPECT_EQ(check(policy, {.hosts = {"192.0.2.7:8765"}, .origins = {"http://192.0.2.7:8765"}}), Verdict::allowed);
        EXPECT_EQ(check(policy, {.hosts = {"192.0.2.7:8765"}, .origins = {"http://192.0.2.8:8765"}}),
                  Verdict::origin_refused);
    }
}

TEST(OriginPolicy, allows_configured_hosts) {
    auto config = config_of("", "app.example.org,*.example.com,192.0.2.1");
    config.host = "Metrics.lan";
    const auto policy = policy_of(config);
    for (const char* host :
         {"app.example.org", "app.example.org:443", "a.b.example.com:1", "192.0.2.1", "metrics.lan"}) {
        EXPECT_EQ(check(policy, {.hosts = {host}}), Verdict::allowed) << host;
    }
    for (const char* host :
         {"example.com", "evilexample.com", "app.example.org.evil.example", "x.metrics.lan", "lan"}) {
        EXPECT_EQ(check(policy, {.hosts = {host}}), Verdict::host_refused) << host;
    }
}

TEST(OriginPolicy, rejects_a_rebound_name_even_as_its_own_origin) {
    const Request rebound{.hosts = {"rebind.example:8765"}, .origins = {"http://rebind.example:8765"}};
    EXPECT_EQ(check(policy_of({}), rebound), Verdict::host_refused);
    EXPECT_EQ(check(policy_of(config_of("http://rebind.example:8765")), rebound), Verdict::host_refused);
}

TEST(OriginPolicy, allows_a_request_without_host_unless_it_has_an_origin) {
    EXPECT_EQ(check(policy_of({}), {.hosts = {}}), Verdict::allowed);
    EXPECT_EQ(check(policy_of({}), {.hosts = {}, .origins = {"http://localhost"}}), Verdict::host_refused);
    EXPECT_EQ(check(policy_of({}), {.hosts = {"localhost", "localhost"}}), Verdict::host_refused);
    EXPECT_EQ(check(policy_of({}), {.hosts = {"localhost", "rebind.example"}}), Verdict::host_refused);
}

}  // namespace
}  // namespace session_buddy::server
