// Connection limits and rate limits per address, and the memory bound of their state.
#include "server/admission.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "server/token_bucket.hpp"

namespace session_buddy::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Admission::TimePoint kStart{std::chrono::hours{1}};

Peer peer(const std::string& address) {
    return {.address = *IpAddress::parse(address), .name = address};
}

Config small() {
    Config config;
    config.max_clients = 4;
    config.max_clients_per_address = 2;
    config.max_http_connections = 5;
    config.max_connections_per_second = 1000;
    config.max_tracked_addresses = 100;
    return config;
}

std::optional<Refusal> refusal(const Admission::Verdict& verdict) {
    const auto* found = std::get_if<Refusal>(&verdict);
    return found == nullptr ? std::nullopt : std::optional(*found);
}

TEST(TokenBucket, has_a_capacity_of_one_second_and_refills) {
    TokenBucket bucket(4, kStart);
    for (int i = 0; i < 4; ++i) {
        EXPECT_TRUE(bucket.try_acquire(kStart));
    }
    EXPECT_FALSE(bucket.try_acquire(kStart));
    EXPECT_FALSE(bucket.try_acquire(kStart + milliseconds{249}));
    EXPECT_TRUE(bucket.try_acquire(kStart + milliseconds{250}));
    EXPECT_FALSE(bucket.try_acquire(kStart + milliseconds{250}));
    EXPECT_EQ(bucket.level(kStart + seconds{100}), 4.0);
    for (int i = 0; i < 10; ++i) {
        bucket.spend(kStart + seconds{100});
    }
    EXPECT_EQ(bucket.level(kStart + seconds{100}), -6.0);
    EXPECT_FALSE(bucket.try_acquire(kStart + seconds{101}));
    EXPECT_TRUE(bucket.try_acquire(kStart + seconds{102}));
}

TEST(Admission, limits_connections_in_total_and_per_address) {
    Admission admission(small());
    std::vector<Admission::Verdict> slots;
    slots.push_back(admission.admit_client(peer("192.0.2.1"), kStart));
    slots.push_back(admission.admit_client(peer("192.0.2.1"), kStart));
    EXPECT_EQ(refusal(admission.admit_client(peer("192.0.2.1"), kStart)), Refusal::clients_of_address);
    slots.push_back(admission.admit_client(peer("192.0.2.2"), kStart));
    slots.push_back(admission.admit_client(peer("192.0.2.3"), kStart));
    EXPECT_EQ(refusal(admission.admit_client(peer("192.0.2.4"), kStart)), Refusal::clients);
    EXPECT_EQ(admission.clients(), 4U);
    // HTTP connections are counted separately.
    std::vector<Admission::Verdict> http;
    http.push_back(admission.admit_connection(peer("192.0.2.1"), kStart));
    http.push_back(admission.admit_connection(peer("192.0.2.1"), kStart));
    EXPECT_EQ(refusal(admission.admit_connection(peer("192.0.2.1"), kStart)), Refusal::http_of_address);
    for (const char* address : {"192.0.2.2", "192.0.2.3", "192.0.2.4"}) {
        http.push_back(admission.admit_connection(peer(address), kStart));
        EXPECT_EQ(refusal(http.back()), std::nullopt);
    }
    EXPECT_EQ(refusal(admission.admit_connection(peer("192.0.2.5"), kStart)), Refusal::http_connections);
    EXPECT_EQ(admission.http_connections(), 5U);
    for (const auto each :
         {Refusal::clients, Refusal::clients_of_address, Refusal::http_of_address, Refusal::http_connections}) {
        EXPECT_EQ(admission.refused(each), 1U) << describe(each, small());
    }
    EXPECT_EQ(admission.refused(Refusal::connection_rate), 0U);
    http.erase(http.begin());
    EXPECT_EQ(refusal(admission.admit_connection(peer("192.0.2.1"), kStart)), std::nullopt);
    slots.clear();
    EXPECT_EQ(admission.clients(), 0U);
    EXPECT_EQ(refusal(admission.admit_client(peer("192.0.2.1"), kStart)), std::nullopt);
}

TEST(Admission, counts_an_ipv6_network_as_one_address) {
    Admission admission(small());
    const auto first = admission.admit_client(peer("2001:db8:0:1::1"), kStart);
    const auto second = admission.admit_client(peer("2001:db8:0:1:ffff::2"), kStart);
    EXPECT_EQ(refusal(admission.admit_client(peer("2001:db8:0:1::3"), kStart)), Refusal::clients_of_address);
    EXPECT_EQ(refusal(admission.admit_client(peer("2001:db8:0:2::3"), kStart)), std::nullopt);
}

TEST(Admission, limits_the_connection_rate_per_address) {
    auto config = small();
    config.max_connections_per_second = 3;
    Admission admission(config);
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(refusal(admission.admit_connection(peer("192.0.2.1"), kStart)), std::nullopt);
    }
    EXPECT_EQ(refusal(admission.admit_connection(peer("192.0.2.1"), kStart)), Refusal::connection_rate);
    EXPECT_EQ(refusal(admission.admit_connection(peer("192.0.2.2"), kStart)), std::nullopt);
    EXPECT_EQ(refusal(admission.admit_connection(peer("192.0.2.1"), kStart + milliseconds{400})), std::nullopt);
    EXPECT_EQ(refusal(admission.admit_connection(peer("192.0.2.1"), kStart + milliseconds{400})),
              Refusal::connection_rate);
}

TEST(Admission, does_not_count_a_proxy_but_the_requests_of_its_clients) {
    auto config = small();
    config.max_connections_per_second = 2;
    Admission admission(config);
    Peer proxy = peer("127.0.0.1");
    proxy.proxy = true;
    std::vector<Admission::Verdict> slots;
    for (std::uint32_t i = 0; i < config.max_http_connections; ++i) {
        slots.push_back(admission.admit_connection(proxy, kStart));
        EXPECT_EQ(refusal(slots.back()), std::nullopt);
    }
    EXPECT_EQ(refusal(admission.admit_connection(proxy, kStart)), Refusal::http_connections);
    Peer client = peer("192.0.2.1");
    EXPECT_TRUE(admission.admit_request(client, kStart));  // not forwarded: counted when it connected
    client.forwarded = true;
    EXPECT_TRUE(admission.admit_request(client, kStart));
    EXPECT_TRUE(admission.admit_request(client, kStart));
    EXPECT_FALSE(admission.admit_request(client, kStart));
}

TEST(Admission, evicts_the_least_recently_used_idle_address) {
    auto config = small();
    config.max_connections_per_second = 1;
    config.max_http_connections = 1000;
    Admission admission(config);
    const auto kept = admission.admit_connection(peer("192.0.2.1"), kStart);
    for (std::uint32_t i = 0; i < 10 * config.max_tracked_addresses; ++i) {
        const auto address = "10.0." + std::to_string(i / 250) + '.' + std::to_string(i % 250);
        EXPECT_EQ(refusal(admission.admit_connection(peer(address), kStart)), std::nullopt);
        EXPECT_EQ(refusal(admission.admit_connection(peer("10.0.0.0"), kStart)), Refusal::connection_rate);
        EXPECT_LE(admission.tracked_addresses(), config.max_tracked_addresses + 2U);
    }
    EXPECT_EQ(refusal(admission.admit_connection(peer("192.0.2.1"), kStart)),
              Refusal::connection_rate);                                                     // still tracked
    EXPECT_EQ(refusal(admission.admit_connection(peer("10.0.0.1"), kStart)), std::nullopt);  // was evicted
}

TEST(Admission, counts_unauthenticated_clients_behind_a_proxy_per_address) {
    Admission admission(small());
    Peer unauthenticated = peer("192.0.2.1");
    unauthenticated.forwarded = true;
    const auto first = admission.admit_unauthenticated(unauthenticated, kStart);
    const auto second = admission.admit_unauthenticated(unauthenticated, kStart);
    EXPECT_EQ(refusal(second), std::nullopt);
    EXPECT_EQ(refusal(admission.admit_unauthenticated(unauthenticated, kStart)), Refusal::clients_of_address);
    unauthenticated.address = *IpAddress::parse("192.0.2.2");
    EXPECT_EQ(refusal(admission.admit_unauthenticated(unauthenticated, kStart)), std::nullopt);
    EXPECT_EQ(admission.clients(), 0U);
}

TEST(Admission, delays_failed_authentication_over_the_rate) {
    auto config = small();
    config.max_auth_failures_per_second = 2;
    config.auth_timeout = Seconds{3};
    Admission admission(config);
    const auto delay = [&](const std::string& address, Admission::TimePoint at) {
        return std::chrono::duration_cast<milliseconds>(admission.auth_failure_delay(peer(address), at));
    };
    EXPECT_EQ(delay("192.0.2.1", kStart), milliseconds{0});
    EXPECT_EQ(delay("192.0.2.1", kStart), milliseconds{0});
    EXPECT_EQ(delay("192.0.2.1", kStart), milliseconds{500});
    EXPECT_EQ(delay("192.0.2.1", kStart), milliseconds{1000});
    EXPECT_EQ(delay("192.0.2.2", kStart), milliseconds{0});  // another address
    for (int i = 0; i < 100; ++i) {
        EXPECT_LE(delay("192.0.2.1", kStart), milliseconds{3000});
    }
    // The maximum delay also bounds how long failures count.
    EXPECT_EQ(delay("192.0.2.1", kStart + seconds{4}), milliseconds{0});
}

// Compares with a reference model.
TEST(Admission, counts_match_a_reference_model) {
    auto config = small();
    config.max_clients = 1000;
    config.max_clients_per_address = 3;
    Admission admission(config);
    std::mt19937 random(7);
    std::vector<std::pair<int, Admission::Slot>> slots;
    for (int step = 0; step < 20000; ++step) {
        if (random() % 2 == 0 && !slots.empty()) {
            std::swap(slots[random() % slots.size()], slots.back());
            slots.pop_back();
            continue;
        }
        const int host = static_cast<int>(random() % 250);
        auto verdict = admission.admit_client(peer("10.0.0." + std::to_string(host)), kStart);
        const auto held =
            std::count_if(slots.begin(), slots.end(), [host](const auto& one) { return one.first == host; });
        ASSERT_EQ(refusal(verdict).has_value(), held == 3) << step;
        if (held < 3) {
            slots.emplace_back(host, std::get<Admission::Slot>(std::move(verdict)));
        }
        ASSERT_EQ(admission.clients(), slots.size());
        ASSERT_LE(admission.tracked_addresses(), config.max_tracked_addresses + slots.size());
    }
}

}  // namespace
}  // namespace session_buddy::server
