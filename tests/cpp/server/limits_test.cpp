// Limits of a running server: close codes, number of clients, stalled clients, file descriptors.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "protocol/sample_snapshot.hpp"
#include "server/test_client.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "support/log_lines.hpp"

namespace session_buddy::test {
namespace {

// An update of a few hundred kilobytes: a few of them fill every buffer on the path.
std::shared_ptr<Snapshot> large_snapshot(std::uint64_t sequence) {
    std::vector<SkillMetrics> skills;
    for (int i = 0; i < 1000; ++i) {
        skills.push_back(skill(std::string(200, 'x') + std::to_string(i), 1000 - i));
    }
    auto made = snapshot_of(sequence, {});
    made->skills = table_of(skills, skills.size());
    return made;
}

TEST(CloseCode, is_1009_for_a_message_over_the_limit) {
    Config config;
    config.max_message_bytes = 2000;
    TestServer server(config);
    TestClient client(server.port());
    client.send(std::string(config.max_message_bytes + 1, ' '));
    EXPECT_EQ(client.read_close(), 1009U);
    TestClient larger(server.port());
    larger.send_later(std::string(10 * config.max_message_bytes, ' '));
    EXPECT_EQ(larger.read_close(), 1009U);
    TestClient huge(server.port());
    huge.send_later(std::string(1000 * config.max_message_bytes, ' '));
    EXPECT_EQ(huge.read_close(), 1009U);
}

TEST(CloseCode, is_1002_for_a_broken_frame) {
    TestServer server;
    RawConnection raw(server.port());
    raw.send(upgrade_request("/"));
    EXPECT_EQ(raw.read_http().status, 101U);
    raw.send(std::string("\xf1\x80\0\0\0\0", 6));  // reserved bits
    EXPECT_EQ(raw.read_to_end(), "\x88\x02\x03\xea");
}

bool accepts_another_client(const TestServer& server) {
    RawConnection next(server.port());
    next.send(upgrade_request("/ws"));
    return next.read_http().status == 101;
}

TEST(CloseCode, of_the_client_is_answered_and_its_slot_is_released) {
    Config config;
    config.max_clients = 1;
    TestServer server(config);
    for (int i = 0; i < 5; ++i) {
        TestServer::eventually([&] {
            try {
                TestClient client(server.port());
                client.close();
                return true;
            } catch (const std::runtime_error&) {
                return false;  // the slot of the previous client is not released yet
            }
        });
    }
}

TEST(MaxClients, one_more_gets_503_with_retry_after) {
    Config config;
    config.max_clients = 3;
    TestServer server(config);
    std::vector<TestClient> clients;
    for (std::uint32_t i = 0; i < config.max_clients; ++i) {
        clients.emplace_back(server.port());
    }
    RawConnection refused(server.port());
    refused.send(upgrade_request("/ws"));
    const auto answer = refused.read_http();
    EXPECT_EQ(answer.status, 503U);
    EXPECT_EQ(answer.json().at("error"), "too_many_clients");
    EXPECT_EQ(answer.json().at("max_clients"), 3);
    EXPECT_NE(answer.json().at("detail").get<std::string>().find("Connection limit reached"), std::string::npos);
    EXPECT_GT(std::stoi(answer.headers.at("retry-after")), 0);
    EXPECT_EQ(answer.headers.at("connection"), "close");
    EXPECT_EQ(refused.read_to_end(), "");
    // HTTP and connected clients are not affected.
    EXPECT_EQ(http(server.port(), "GET", "/healthz").status, 200U);
    EXPECT_EQ(clients.front().ask({{"type", "ping"}}).at("type"), "pong");
    // One client disconnects without a close frame: its slot is released.
    clients.pop_back();
    TestServer::eventually([&] { return accepts_another_client(server); });
}

// Reads only the start of a large update.
std::string timestamp_of(const std::string& update) {
    const std::string before = R"({"type":"metrics_update","timestamp":")";
    EXPECT_EQ(update.substr(0, before.size()), before);
    return update.substr(before.size(), 20);
}

TEST(StalledClient, gets_the_newest_update_while_others_miss_none) {
    Config config;
    config.ping_timeout = Seconds{600.0};  // the stalled client must not be dropped during the test
    TestServer server(config);
    TestClient stalled(server.port(), {.receive_buffer = 16384, .reading = false});
    TestClient good(server.port());
    EXPECT_EQ(good.ask({{"type", "ping"}}).at("type"), "pong");  // the server has accepted both
    constexpr std::uint64_t kUpdates = 40;
    std::string last;
    for (std::uint64_t i = 1; i <= kUpdates; ++i) {
        server->publish(large_snapshot(i));
        last = good.read_text();
        ASSERT_EQ(timestamp_of(last), format_timestamp(kNoon + std::chrono::seconds{i}));
    }
    stalled.start_reading();
    std::size_t received = 0;
    std::string text;
    std::string before;
    do {
        text = stalled.read_text();
        EXPECT_LT(before, timestamp_of(text));
        before = timestamp_of(text);
        ++received;
    } while (text != last);
    EXPECT_LT(received, kUpdates / 4);
}

void expect_stalled_client_is_dropped(Config config, std::string_view reason) {
    config.max_clients = 1;
    const LogLines log(log::Level::debug);
    TestServer server(config);
    TestClient stalled(server.port(), {.receive_buffer = 16384, .reading = false});
    for (std::uint64_t i = 1; i <= 20; ++i) {
        server->publish(large_snapshot(i));
    }
    TestServer::eventually([&] { return log.count(reason) == 1; });
    TestServer::eventually([&] { return accepts_another_client(server); });
}

// In each of the next two tests only one timeout can end the client; the other is far longer than the test.
TEST(StalledClient, is_dropped_when_its_pings_stay_unanswered) {
    Config config;
    config.ping_interval = Seconds{0.05};
    config.ping_timeout = Seconds{0.2};
    config.write_timeout = Seconds{600};
    expect_stalled_client_is_dropped(config, "no data received within ping_timeout");
}

TEST(StalledClient, is_dropped_when_a_write_times_out) {
    Config config;
    config.ping_timeout = Seconds{600};
    config.write_timeout = Seconds{0.2};
    expect_stalled_client_is_dropped(config, "message not sent within write_timeout");
}

TEST(StalledClient, is_not_read_from_but_loses_no_reply) {
    Config config;
    config.max_messages_per_second = 1'000'000;
    TestServer server(config);
    server->publish(large_snapshot(1));
    TestClient client(server.port(), {.receive_buffer = 16384, .reading = false});
    TestClient other(server.port());
    constexpr int kRequests = 150;  // each with a reply far larger than the buffers
    for (int i = 0; i < kRequests; ++i) {
        client.send_later(Json{{"type", "subscribe"}, {"request_id", std::to_string(i)}}.dump());
    }
    for (int i = 0; i < 10; ++i) {  // other clients are served meanwhile
        EXPECT_EQ(other.ask({{"type", "ping"}}).at("type"), "pong");
    }
    client.start_reading();
    for (int i = 0; i < kRequests; ++i) {
        ASSERT_EQ(client.read().at("request_id"), std::to_string(i));
        ASSERT_EQ(client.read_text().compare(0, 24, R"({"type":"metrics_update")"), 0);
    }
}

// Exhausts the file descriptors of this process; releases them when destroyed.
class ExhaustedFileDescriptors {
  public:
    ExhaustedFileDescriptors() {
        getrlimit(RLIMIT_NOFILE, &before_);
        auto lowered = before_;
        lowered.rlim_cur = 256;
        setrlimit(RLIMIT_NOFILE, &lowered);
        for (int file = open("/dev/null", O_RDONLY); file >= 0; file = open("/dev/null", O_RDONLY)) {
            descriptors_.push_back(file);
        }
    }
    ~ExhaustedFileDescriptors() {
        setrlimit(RLIMIT_NOFILE, &before_);
        for (const int file : descriptors_) {
            ::close(file);
        }
    }
    ExhaustedFileDescriptors(const ExhaustedFileDescriptors&) = delete;
    ExhaustedFileDescriptors& operator=(const ExhaustedFileDescriptors&) = delete;
    // Releases one descriptor, for a socket of the test.
    void release_one() {
        ::close(descriptors_.back());
        descriptors_.pop_back();
    }

  private:
    rlimit before_{};
    std::vector<int> descriptors_;
};

TEST(Listener, recovers_after_running_out_of_file_descriptors) {
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "the sanitizers need file descriptors, and report errors without them";
#endif
    const LogLines log(log::Level::info);
    TestServer server;
    std::unique_ptr<RawConnection> waiting;
    {
        ExhaustedFileDescriptors scarcity;
        // A client needs a socket and the descriptors of its reactor.
        for (int i = 0; i < 4; ++i) {
            scarcity.release_one();
        }
        waiting = std::make_unique<RawConnection>(server.port());
        waiting->send(http_request("GET", "/healthz"));
        TestServer::eventually([&] { return log.count("cannot accept") > 0; });
    }
    EXPECT_EQ(waiting->read_http().status, 200U);
    // If a descriptor was left for the waiting connection, the next one triggers the recovery message.
    EXPECT_EQ(http(server.port(), "GET", "/healthz").status, 200U);
    EXPECT_EQ(log.count("cannot accept"), 1U);
    EXPECT_EQ(log.count("accepting connections again"), 1U);
}

}  // namespace
}  // namespace session_buddy::test
