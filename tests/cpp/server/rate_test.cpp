// Limits of a running server per client and per address: rates, timeouts, headers, subscriptions, proxies.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "protocol/sample_snapshot.hpp"
#include "server/test_client.hpp"
#include "session_buddy/core/log.hpp"

namespace session_buddy::test {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

const Json kPing{{"type", "ping"}, {"request_id", "mine"}};

Headers forwarded_for(const std::string& address) {
    return {{"X-Forwarded-For", address}};
}

HttpResponse upgrade(const TestServer& server, const Headers& headers = {}) {
    std::string lines;
    for (const auto& [name, value] : headers) {
        lines += name + ": " + value + "\r\n";
    }
    auto request = upgrade_request("/");
    request.insert(request.size() - 2, lines);
    RawConnection connection(server.port());
    connection.send(request);
    return connection.read_http();
}

bool is_closed_unanswered(const TestServer& server) {
    try {
        RawConnection connection(server.port());
        connection.send(http_request("GET", "/healthz", "Connection: close\r\n"));
        return connection.read_to_end().empty();
    } catch (const std::exception&) {
        return true;  // reset before everything was sent
    }
}

TEST(MessageRate, messages_over_it_get_errors_and_then_close_1008) {
    Config config;
    config.max_messages_per_second = 5;
    TestServer server(config);
    TestClient client(server.port());
    constexpr int kSent = 200;  // in far less than a second
    for (int i = 0; i < kSent; ++i) {
        client.send_later(kPing.dump());
    }
    int served = 0;
    int refused = 0;
    try {
        while (true) {
            const auto answer = client.read();
            if (answer.at("type") == "pong") {
                ++served;
                continue;
            }
            ++refused;
            EXPECT_EQ(answer.dump(),
                      R"({"type":"error","message":"Rate limit exceeded: at most 5 messages per second",)"
                      R"("code":"rate_limited","request_id":"mine"})");
        }
    } catch (const std::runtime_error&) {
        EXPECT_EQ(client.read_close(), 1008U);
    }
    EXPECT_GE(served, 5);
    EXPECT_GE(refused, 5);
    EXPECT_LT(served + refused, kSent / 2);
}

TEST(MaxSubscriptions, more_names_are_rejected_and_change_nothing) {
    Config config;
    config.max_subscriptions = 2;
    TestServer server(config);
    TestClient client(server.port());
    EXPECT_EQ(client.ask({{"type", "subscribe"}, {"skill_names", {"a", "b"}}}).at("type"), "subscription_confirmed");
    const auto answer =
        client.ask({{"type", "subscribe"}, {"skill_names", {"a", "b", "c"}}, {"request_id", "x"}}).dump();
    EXPECT_EQ(answer, R"({"type":"error","message":"Too many subscriptions: at most 2 skills",)"
                      R"("code":"invalid_message","request_id":"x"})");
    server->publish(snapshot_of(1, {skill("a", 3), skill("c", 2)}));
    EXPECT_EQ(client.read().at("data").at("top_skills").size(), 1U);
}

TEST(MaxHeaderBytes, limits_the_header_of_a_request) {
    Config config;
    config.max_header_bytes = 1024;
    TestServer server(config);
    RawConnection within(server.port());
    within.send(http_request("GET", "/healthz", "X: " + std::string(900, 'x') + "\r\n"));
    EXPECT_EQ(within.read_http().status, 200U);
    RawConnection beyond(server.port());
    beyond.send(http_request("GET", "/healthz", "X: " + std::string(1100, 'x') + "\r\n"));
    EXPECT_EQ(beyond.read_http().status, 431U);
    config.max_header_bytes = 60000;
    TestServer generous(config);
    RawConnection large(generous.port());
    large.send(http_request("GET", "/healthz", "X: " + std::string(59000, 'x') + "\r\n"));
    EXPECT_EQ(large.read_http().status, 200U);
}

TEST(IdleTimeout, closes_an_idle_keep_alive_connection) {
    Config config;
    config.idle_timeout = Seconds{0.2};
    TestServer server(config);
    RawConnection kept(server.port());
    kept.send(http_request("GET", "/healthz"));
    EXPECT_EQ(kept.read_http().status, 200U);
    EXPECT_EQ(kept.read_to_end(), "");  // closed by the server
    RawConnection slow(server.port());
    slow.send(http_request("GET", "/healthz"));
    EXPECT_EQ(slow.read_http().status, 200U);
    slow.send("GET /heal");
    EXPECT_EQ(slow.read_to_end(), "");
}

TEST(MaxPendingBytes, stops_reading_and_loses_nothing) {
    Config config;
    config.max_pending_bytes = 4096;
    config.max_messages_per_second = 1'000'000;
    TestServer server(config);
    TestClient client(server.port(), {.receive_buffer = 4096, .reading = false});
    const std::string name(250, 'n');
    constexpr int kRequests = 3000;  // 900 kB of replies
    for (int i = 0; i < kRequests; ++i) {
        client.send_later(
            Json{{"type", "get_metrics"}, {"skill_name", name}, {"request_id", std::to_string(i)}}.dump());
    }
    client.start_reading();
    for (int i = 0; i < kRequests; ++i) {
        ASSERT_EQ(client.read().at("request_id"), std::to_string(i));
    }
}

TEST(PerAddress, limits_websockets_and_http_connections_separately) {
    Config config;
    config.max_clients_per_address = 2;
    TestServer server(config);
    TestClient first(server.port());
    auto second = std::make_unique<TestClient>(server.port());
    const auto answer = upgrade(server);
    EXPECT_EQ(answer.status, 429U);
    EXPECT_EQ(answer.json().at("error"), "too_many_clients_of_address");
    EXPECT_EQ(answer.json().at("max_clients_per_address"), 2);
    EXPECT_GT(std::stoi(answer.headers.at("retry-after")), 0);
    EXPECT_EQ(http(server.port(), "GET", "/healthz").status, 200U);
    second.reset();
    TestServer::eventually([&] { return upgrade(server).status == 101; });
    std::vector<std::unique_ptr<RawConnection>> silent;
    TestServer::eventually([&] {
        silent.push_back(std::make_unique<RawConnection>(server.port()));
        return silent.size() >= 2 && is_closed_unanswered(server);
    });
    silent.clear();
    TestServer::eventually([&] { return !is_closed_unanswered(server); });
    EXPECT_EQ(first.ask(kPing).at("type"), "pong");
}

TEST(MaxHttpConnections, keeps_websockets_going_while_it_is_full) {
    Config config;
    config.max_http_connections = 3;
    TestServer server(config);
    TestClient client(server.port());
    std::vector<std::unique_ptr<RawConnection>> silent;
    TestServer::eventually([&] {
        silent.push_back(std::make_unique<RawConnection>(server.port()));
        return silent.size() >= 3 && is_closed_unanswered(server);
    });
    EXPECT_EQ(client.ask(kPing).at("type"), "pong");
    silent.clear();
    TestServer::eventually([&] { return !is_closed_unanswered(server); });
}

TEST(ConnectionRate, connections_over_it_are_closed_and_logged_once) {
    int warnings = 0;
    log::set_sink([&warnings](const log::Record& record) {
        if (record.message.find("max_connections_per_second (3) exceeded") != std::string_view::npos &&
            record.level == log::Level::warning) {
            ++warnings;
        }
    });
    {
        Config config;
        config.max_connections_per_second = 3;
        TestServer server(config);
        int closed = 0;
        for (int i = 0; i < 20; ++i) {
            closed += is_closed_unanswered(server) ? 1 : 0;
        }
        EXPECT_GE(closed, 10);
        TestServer::eventually([&] { return !is_closed_unanswered(server); });
    }
    log::reset_sink();
    EXPECT_EQ(warnings, 1);
}

TEST(BehindProxy, limits_apply_to_the_forwarded_address) {
    Config config;
    config.behind_proxy = true;
    config.max_clients_per_address = 1;
    TestServer server(config);
    TestClient first(server.port(), {.headers = forwarded_for("192.0.2.1")});
    TestClient second(server.port(), {.headers = forwarded_for("192.0.2.2")});
    EXPECT_EQ(upgrade(server, forwarded_for("192.0.2.1")).status, 429U);
    EXPECT_EQ(upgrade(server, forwarded_for("192.0.2.3, 192.0.2.2")).status, 429U);
    EXPECT_EQ(upgrade(server, forwarded_for("192.0.2.2, 192.0.2.3")).status, 101U);
}

TEST(BehindProxy, requests_of_one_client_are_rate_limited) {
    Config config;
    config.behind_proxy = true;
    config.max_connections_per_second = 3;
    TestServer server(config);
    std::vector<unsigned> statuses;
    for (int i = 0; i < 10; ++i) {
        RawConnection proxy(server.port());
        proxy.send(http_request("GET", "/healthz", "X-Forwarded-For: 192.0.2.1\r\n"));
        const auto answer = proxy.read_http();
        statuses.push_back(answer.status);
        if (answer.status == 429) {
            EXPECT_EQ(answer.json().at("error"), "too_many_connections");
        }
    }
    EXPECT_EQ(statuses.front(), 200U);
    EXPECT_EQ(statuses.back(), 429U);
    RawConnection proxy(server.port());
    proxy.send(http_request("GET", "/healthz", "X-Forwarded-For: 192.0.2.2\r\n"));
    EXPECT_EQ(proxy.read_http().status, 200U);
}

TEST(BehindProxy, is_ignored_unless_enabled_and_trusted) {
    for (const bool behind_proxy : {false, true}) {
        Config config;
        config.behind_proxy = behind_proxy;
        config.trusted_proxies = "192.0.2.0/24";
        config.max_clients_per_address = 1;
        TestServer server(config);
        TestClient first(server.port(), {.headers = forwarded_for("198.51.100.1")});
        EXPECT_EQ(upgrade(server, forwarded_for("198.51.100.2")).status, 429U);
    }
}

}  // namespace
}  // namespace session_buddy::test
