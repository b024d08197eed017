// Binding, starting, publishing and stopping.
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "protocol/sample_snapshot.hpp"
#include "server/test_client.hpp"

namespace session_buddy::test {
namespace {

using server::NetworkServer;

Config on(const std::string& host, std::uint16_t port = 0) {
    Config config;
    config.host = host;
    config.port = port;
    config.insecure = true;  // some of the addresses are not loopback
    return config;
}

TEST(Bind, localhost_is_both_loopback_addresses_on_one_port) {
    NetworkServer server(on("localhost"), kSystemClock);
    EXPECT_EQ(server.port(), 0);
    server.bind();
    server.start();
    const auto port = std::to_string(server.port());
    if (server.endpoints().size() == 1) {
        GTEST_SKIP() << "this machine has one address family";
    }
    EXPECT_EQ(server.endpoints(), (std::vector<std::string>{"127.0.0.1:" + port, "[::1]:" + port}));
    for (const char* host : {"127.0.0.1", "::1"}) {
        TestClient client(server.port(), {.host = host});
        EXPECT_EQ(client.ask({{"type", "ping"}}).at("type"), "pong");
    }
}

TEST(Bind, accepts_addresses_and_names_in_any_case) {
    for (const char* host : {"127.0.0.1", "LocalHost", "0.0.0.0"}) {
        NetworkServer server(on(host), kSystemClock);
        server.bind();
        server.start();
        EXPECT_EQ(http(server.port(), "GET", "/healthz").status, 200U) << host;
    }
}

TEST(Bind, rejects_non_loopback_addresses_without_tls_and_tokens) {
    for (const char* host : {"0.0.0.0", "::", "192.0.2.1"}) {
        auto config = on(host);
        config.insecure = false;
        NetworkServer server(config, kSystemClock);
        EXPECT_THROW(server.bind(), ConfigError) << host;
        EXPECT_EQ(server.port(), 0);
    }
}

void expect_bind_fails(const Config& config, int value, const std::string& part) {
    NetworkServer server(config, kSystemClock);
    try {
        server.bind();
        ADD_FAILURE() << "bound to " << part;
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code(), std::error_code(value, std::generic_category()));
        EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
    EXPECT_EQ(server.port(), 0);
}

TEST(Bind, fails_if_the_port_is_in_use) {
    NetworkServer first(on("127.0.0.1"), kSystemClock);
    first.bind();
    expect_bind_fails(on("127.0.0.1", first.port()), EADDRINUSE, "127.0.0.1:" + std::to_string(first.port()));
    expect_bind_fails(on("localhost", first.port()), EADDRINUSE, "localhost:" + std::to_string(first.port()));
}

TEST(Bind, binds_no_address_if_one_of_two_is_in_use) {
    std::optional<NetworkServer> six;
    six.emplace(on("::1"), kSystemClock);
    try {
        six->bind();
    } catch (const std::system_error&) {
        GTEST_SKIP() << "this machine has no IPv6";
    }
    const auto port = six->port();
    expect_bind_fails(on("localhost", port), EADDRINUSE, "localhost:" + std::to_string(port));
    NetworkServer four(on("127.0.0.1", port), kSystemClock);
    EXPECT_NO_THROW(four.bind());
}

TEST(Bind, fails_if_the_host_is_not_local) {
    expect_bind_fails(on("192.0.2.1", 9), EADDRNOTAVAIL, "192.0.2.1:9");
    expect_bind_fails(on("2001:db8::1", 9), EADDRNOTAVAIL, "[2001:db8::1]:9");
    expect_bind_fails(on("no such host", 9), EADDRNOTAVAIL, "no such host:9");
}

TEST(Lifecycle, calls_out_of_order_throw) {
    NetworkServer server(on("127.0.0.1"), kSystemClock);
    EXPECT_THROW(server.start(), std::logic_error);
    server.bind();
    EXPECT_THROW(server.bind(), std::logic_error);
    server.start();
    EXPECT_THROW(server.start(), std::logic_error);
    server.stop();
    EXPECT_THROW(server.start(), std::logic_error);
}

TEST(Stop, closes_every_client_with_1001_and_releases_the_port) {
    std::uint16_t port = 0;
    for (int round = 0; round < 2; ++round) {
        NetworkServer server(on("localhost", port), kSystemClock);
        server.bind();
        port = server.port();
        server.start();
        server.publish(snapshot_of(1, {}));
        std::vector<TestClient> clients;
        for (int i = 0; i < 5; ++i) {
            clients.emplace_back(port);
        }
        std::thread stopper([&server] { server.stop(); });
        for (auto& client : clients) {
            EXPECT_EQ(client.read_close(), 1001U);
        }
        stopper.join();
        EXPECT_THROW(TestClient{port}, std::exception);
    }
}

TEST(Stop, aborts_clients_that_do_not_close_in_time) {
    Config config;
    config.shutdown_timeout = Seconds{0.1};
    TestServer server(config);
    RawConnection deaf(server.port());
    deaf.send(upgrade_request("/"));
    EXPECT_EQ(deaf.read_http().status, 101U);
    RawConnection idle(server.port());
    idle.send(http_request("GET", "/healthz"));
    EXPECT_EQ(idle.read_http().status, 200U);
    RawConnection half(server.port());
    half.send("GET /");
    const auto begin = std::chrono::steady_clock::now();
    server->stop();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, kTestTimeout / 2);
    EXPECT_EQ(deaf.read_to_end(), "\x88\x02\x03\xe9");
    EXPECT_EQ(idle.read_to_end(), "");
    EXPECT_EQ(half.read_to_end(), "");
}

TEST(Stop, waits_only_until_the_clients_have_closed) {
    Config config;
    config.shutdown_timeout = Seconds{60.0};
    TestServer server(config);
    TestClient client(server.port());
    std::thread stopper([&server] { server->stop(); });
    EXPECT_EQ(client.read_close(), 1001U);
    stopper.join();  // long before the 60 s: the timeout of the test is shorter
}

TEST(Stop, aborts_a_client_that_never_reads) {
    Config config;
    config.shutdown_timeout = Seconds{0.05};
    TestServer server(config);
    TestClient stalled(server.port(), {.receive_buffer = 4096, .reading = false});
    std::vector<SkillMetrics> skills;
    for (int i = 0; i < 500; ++i) {
        skills.push_back(skill(std::string(250, 'x') + std::to_string(i), 1));
    }
    for (std::uint64_t i = 0; i < 20; ++i) {
        auto large = snapshot_of(i, {});
        large->skills = table_of(skills, skills.size());
        server->publish(large);
    }
    EXPECT_EQ(http(server.port(), "GET", "/healthz").status, 200U);
    server->stop();
}

TEST(Stop, may_come_at_any_time_and_more_than_once) {
    {
        NetworkServer never_bound(on("127.0.0.1"), kSystemClock);
        never_bound.stop();
        never_bound.publish(snapshot_of(1, {}));
        EXPECT_THROW(never_bound.bind(), std::logic_error);
    }
    {
        NetworkServer bound(on("127.0.0.1"), kSystemClock);
        bound.bind();
        bound.stop();
        NetworkServer next(on("127.0.0.1", bound.port()), kSystemClock);
        EXPECT_NO_THROW(next.bind());
    }
    TestServer server;
    std::vector<std::thread> stoppers;
    for (int i = 0; i < 4; ++i) {
        stoppers.emplace_back([&server] { server->stop(); });
    }
    for (auto& stopper : stoppers) {
        stopper.join();
    }
    server->stop();
    server->publish(snapshot_of(1, {}));
}

TEST(Publish, delivers_the_newest_if_the_thread_is_behind) {
    NetworkServer server(on("127.0.0.1"), kSystemClock);
    server.bind();
    for (std::uint64_t i = 1; i <= 50; ++i) {
        server.publish(snapshot_of(i, {}));
    }
    server.start();
    TestClient client(server.port());
    EXPECT_EQ(client.ask({{"type", "subscribe"}}).at("type"), "subscription_confirmed");
    EXPECT_EQ(client.read().at("timestamp"), "2026-02-10T12:00:50Z");
    EXPECT_EQ(client.ask({{"type", "ping"}}).at("type"), "pong");
}

TEST(Publish, from_many_threads_while_clients_come_and_go) {
    TestServer server;
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
        threads.emplace_back([&server] {
            for (std::uint64_t sequence = 1; sequence <= 200; ++sequence) {
                server->publish(snapshot_of(sequence, {skill("a", 1)}));
            }
        });
    }
    threads.emplace_back([&server] {
        for (int i = 0; i < 20; ++i) {
            TestClient client(server.port());
            client.send(Json{{"type", "get_metrics"}, {"skill_name", "a"}});
        }
    });
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_FALSE(server->endpoints().empty());
}

}  // namespace
}  // namespace session_buddy::test
