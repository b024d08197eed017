// The WebSocket API of a running server: each message and its order.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "protocol/sample_snapshot.hpp"
#include "server/test_client.hpp"

namespace session_buddy::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> names(const Json& items) {
    std::vector<std::string> found;
    for (const auto& item : items) {
        found.push_back(item.at("skill_name"));
    }
    return found;
}

std::vector<std::string> top_names(const Json& update) {
    EXPECT_EQ(update.at("type"), "metrics_update");
    return names(update.at("data").at("top_skills"));
}

std::shared_ptr<Snapshot> snapshot(std::uint64_t sequence) {
    std::vector<SkillMetrics> skills;
    for (int i = 0; i < 12; ++i) {
        skills.push_back(skill(numbered("s", i), 100 - i));
    }
    auto made = snapshot_of(sequence, skills);
    made->anomalies = std::make_shared<std::vector<Anomaly>>(
        std::vector<Anomaly>{anomaly("s11", AnomalyType::pattern_shift, 5.0, 15.0, 9.0)});
    return made;
}

// A reply proves that everything sent before it was processed.
void settle(TestClient& client) {
    EXPECT_EQ(client.ask({{"type", "ping"}, {"request_id", "settle"}}).dump(),
              R"({"type":"pong","request_id":"settle"})");
}

TEST(WebSocket, a_new_client_gets_the_next_broadcast_with_all_skills) {
    TestServer server;
    server->publish(snapshot(1));
    TestClient client(server.port());
    settle(client);
    server->publish(snapshot(2));
    const auto update = client.read();
    EXPECT_EQ(update.at("timestamp"), "2026-02-10T12:00:02Z");
    EXPECT_EQ(top_names(update).size(), 10U);
    EXPECT_THAT(names(update.at("data").at("anomalies")), ElementsAre("s11"));
}

TEST(WebSocket, is_served_on_both_paths_with_any_query) {
    TestServer server;
    for (const char* target : {"/", "/ws", "/?token=a", "/ws?a=b&c=/d"}) {
        TestClient client(server.port(), {.target = target});
        settle(client);
    }
}

TEST(WebSocket, subscribe_is_confirmed_and_followed_by_an_update) {
    TestServer server;
    server->publish(snapshot(1));
    TestClient client(server.port());
    const auto confirmed = client.ask({{"type", "subscribe"}, {"skill_name", "s11"}, {"request_id", "1"}});
    EXPECT_EQ(confirmed.dump(), R"({"type":"subscription_confirmed","skill_name":"s11",)"
                                R"("message":"Subscribed to updates for s11","request_id":"1"})");
    const auto update = client.read();
    EXPECT_THAT(top_names(update), ElementsAre("s11"));
    EXPECT_FALSE(update.contains("request_id"));
    server->publish(snapshot(2));
    EXPECT_THAT(top_names(client.read()), ElementsAre("s11"));
    EXPECT_EQ(client.ask({{"type", "subscribe"}, {"skill_name", nullptr}}).at("skill_name"), nullptr);
    EXPECT_EQ(top_names(client.read()).size(), 10U);
}

TEST(WebSocket, a_skill_that_has_not_run_may_be_subscribed_to) {
    TestServer server;
    server->publish(snapshot(1));
    TestClient client(server.port());
    EXPECT_EQ(client.ask({{"type", "subscribe"}, {"skill_name", "later"}}).at("type"), "subscription_confirmed");
    EXPECT_THAT(top_names(client.read()), IsEmpty());
    server->publish(snapshot_of(2, {skill("later", 1)}));
    EXPECT_THAT(top_names(client.read()), ElementsAre("later"));
}

TEST(WebSocket, the_key_of_the_older_server_is_accepted_and_echoed) {
    TestServer server;
    server->publish(snapshot(1));
    TestClient client(server.port());
    const auto confirmed = client.ask({{"type", "subscribe"}, {"skill", "s3"}});
    EXPECT_EQ(confirmed.at("skill"), "s3");
    EXPECT_EQ(confirmed.at("skill_name"), "s3");
    EXPECT_THAT(top_names(client.read()), ElementsAre("s3"));
}

TEST(WebSocket, several_skills_come_as_one_update) {
    TestServer server;
    server->publish(snapshot(1));
    TestClient client(server.port());
    const auto confirmed = client.ask({{"type", "subscribe"}, {"skill_names", {"s11", "s2", "s11"}}});
    EXPECT_EQ(confirmed.at("skill_names").dump(), R"(["s11","s2","s11"])");
    EXPECT_THAT(top_names(client.read()), ElementsAre("s2", "s11"));
    server->publish(snapshot(2));
    EXPECT_THAT(top_names(client.read()), ElementsAre("s2", "s11"));
}

TEST(WebSocket, each_client_gets_the_anomalies_that_it_subscribed_to) {
    TestServer server;
    TestClient plain(server.port());
    TestClient strict(server.port());
    TestClient explained(server.port());
    const auto confirmed = strict.ask({{"type", "subscribe"}, {"min_deviation", 3}, {"request_id", "1"}});
    EXPECT_EQ(confirmed.dump(), R"({"type":"subscription_confirmed","skill_name":null,"min_deviation":3.0,)"
                                R"("message":"Subscribed to updates for all skills","request_id":"1"})");
    EXPECT_EQ(explained.ask({{"type", "subscribe"}, {"skill_names", {"s1", "s2"}}, {"details", true}}).dump(),
              R"({"type":"subscription_confirmed","skill_names":["s1","s2"],"details":true,)"
              R"("message":"Subscribed to updates for 2 skills"})");
    settle(plain);

    auto made = snapshot(1);
    Anomaly drop = anomaly("s1", AnomalyType::performance_drop, 0.85, 0.62, 2.3);
    drop.baseline_samples = 120;
    drop.observed_samples = 13;
    drop.z_score = -2.3;
    drop.tail_probability = 0.0107;
    drop.since = kNoon;
    drop.common_errors = {{"Timeout", 4}};
    made->anomalies = std::make_shared<std::vector<Anomaly>>(std::vector<Anomaly>{
        anomaly("s11", AnomalyType::pattern_shift, 5.0, 15.0, 9.0),
        anomaly("s2", AnomalyType::performance_spike, 0.8, 0.95, 3.0),
        drop,
    });
    server->publish(made);

    const auto all = plain.read().at("data").at("anomalies");
    EXPECT_THAT(names(all), ElementsAre("s11", "s2", "s1"));
    EXPECT_EQ(all.at(2).dump(), R"({"skill_name":"s1","anomaly_type":"performance_drop","baseline_value":0.85,)"
                                R"("observed_value":0.62,"deviation_score":2.3})");
    const auto severe = strict.read().at("data").at("anomalies");
    EXPECT_THAT(names(severe), ElementsAre("s11", "s2"));
    EXPECT_FALSE(severe.at(0).contains("details"));
    const auto own = explained.read().at("data").at("anomalies");
    EXPECT_THAT(names(own), ElementsAre("s2", "s1"));
    EXPECT_EQ(own.at(1).at("details").dump(), R"({"baseline_samples":120,"observed_samples":13,"z_score":-2.3,)"
                                              R"("tail_probability":0.0107,"since":"2026-02-10T12:00:00Z",)"
                                              R"("common_errors":[{"error_type":"Timeout","count":4}],"alert":null})");

    // The next subscription replaces the previous one completely.
    EXPECT_FALSE(strict.ask({{"type", "subscribe"}, {"skill_name", "s1"}}).contains("min_deviation"));
    EXPECT_THAT(names(strict.read().at("data").at("anomalies")), ElementsAre("s1"));
}

TEST(WebSocket, an_error_leaves_the_subscription_unchanged) {
    TestServer server;
    server->publish(snapshot(1));
    TestClient client(server.port());
    EXPECT_EQ(client.ask({{"type", "subscribe"}, {"skill_name", "s3"}}).at("type"), "subscription_confirmed");
    EXPECT_THAT(top_names(client.read()), ElementsAre("s3"));
    EXPECT_EQ(client.ask({{"type", "subscribe"}, {"min_deviation", "2"}, {"request_id", "a"}}).dump(),
              R"({"type":"error","message":"min_deviation must be a number of 0 or more",)"
              R"("code":"invalid_message","request_id":"a"})");
    EXPECT_EQ(client.ask({{"type", "subscribe"}, {"details", 1}}).at("code"), "invalid_message");
    EXPECT_EQ(client.ask({{"type", "subscribe"}, {"skill_name", 4}}).at("code"), "invalid_message");
    server->publish(snapshot(2));
    EXPECT_THAT(top_names(client.read()), ElementsAre("s3"));
}

TEST(WebSocket, subscribing_before_the_first_snapshot_is_updated_by_it) {
    TestServer server;
    TestClient client(server.port());
    EXPECT_EQ(client.ask({{"type", "subscribe"}, {"skill_name", "s1"}}).at("type"), "subscription_confirmed");
    settle(client);
    server->publish(snapshot(1));
    EXPECT_THAT(top_names(client.read()), ElementsAre("s1"));
}

TEST(WebSocket, unsubscribe_ends_the_updates_until_the_next_subscribe) {
    TestServer server;
    server->publish(snapshot(1));
    TestClient quiet(server.port());
    TestClient witness(server.port());
    EXPECT_EQ(quiet.ask({{"type", "unsubscribe"}, {"request_id", "u"}}).at("request_id"), "u");
    settle(witness);
    server->publish(snapshot(2));
    EXPECT_EQ(witness.read().at("timestamp"), "2026-02-10T12:00:02Z");  // so it was sent to all subscribers
    settle(quiet);
    EXPECT_EQ(quiet.ask({{"type", "subscribe"}}).at("type"), "subscription_confirmed");
    EXPECT_EQ(quiet.read().at("timestamp"), "2026-02-10T12:00:02Z");
}

TEST(WebSocket, get_metrics_answers_from_the_latest_snapshot) {
    TestServer server;
    server->publish(snapshot(1));
    TestClient client(server.port());
    EXPECT_EQ(client.ask({{"type", "get_metrics"}, {"skill_name", "s0"}, {"request_id", "m"}}).dump(),
              R"({"type":"metrics_response","data":{"skill_name":"s0","total_invocations":200,"completion_rate":0.75,)"
              R"("avg_duration_seconds":2.5,"last_invocation_at":"2026-02-10T12:00:00Z"},"request_id":"m"})");
    EXPECT_EQ(client.ask({{"type", "get_metrics"}, {"skill_name", "unknown_skill"}}).dump(),
              R"({"type":"error","message":"Invalid skill name: unknown_skill","code":"invalid_skill_name"})");
}

TEST(WebSocket, get_metrics_knows_no_skill_before_the_first_snapshot) {
    TestServer server;
    TestClient client(server.port());
    EXPECT_EQ(client.ask({{"type", "get_metrics"}, {"skill_name", "s0"}}).at("code"), "invalid_skill_name");
}

TEST(WebSocket, errors_do_not_close) {
    TestServer server;
    TestClient client(server.port());
    for (const char* bad : {"", "{", "[]", "{}", R"({"type":"dance"})", R"({"type":"subscribe","skill_name":""})"}) {
        client.send(std::string(bad));
        EXPECT_EQ(client.read().at("type"), "error") << bad;
    }
    client.send(std::string("{"));
    EXPECT_EQ(client.read().dump(), R"({"type":"error","message":"Invalid JSON","code":"invalid_json"})");
    settle(client);
}

TEST(WebSocket, control_pings_are_answered_with_their_payload) {
    TestServer server;
    TestClient client(server.port());
    EXPECT_EQ(client.ping("payload"), "payload");
}

TEST(WebSocket, a_fragmented_message_and_one_of_the_maximum_size_are_read) {
    Config config;
    TestServer server(config);
    TestClient client(server.port());
    std::string largest = R"({"type":"ping","junk":")";
    largest += std::string(config.max_message_bytes - largest.size() - 2, 'j') + "\"}";
    ASSERT_EQ(largest.size(), config.max_message_bytes);
    client.send(largest);
    EXPECT_EQ(client.read().at("type"), "pong");

    RawConnection raw(server.port());
    raw.send(upgrade_request("/"));
    EXPECT_EQ(raw.read_http().status, 101U);
    // {"type": and "ping"} in two frames, each masked with zeros; then a close.
    raw.send(std::string("\x01\x88\0\0\0\0{\"type\":", 14) + std::string("\x80\x87\0\0\0\0\"ping\"}", 13) +
             std::string("\x88\x80\0\0\0\0", 6));
    EXPECT_NE(raw.read_to_end().find(R"({"type":"pong"})"), std::string::npos);
}

std::shared_ptr<Snapshot> with_session(std::uint64_t sequence, std::uint64_t version, std::string id) {
    auto made = snapshot(sequence);
    made->sessions = std::make_shared<std::vector<SessionMetrics>>(
        std::vector<SessionMetrics>{{std::move(id), kNoon, kNoon, 3, 2, 1}});
    made->sessions_version = version;
    return made;
}

TEST(WebSocket, sessions_are_updated_only_when_they_changed) {
    TestServer server;
    server->publish(snapshot(1));
    TestClient client(server.port());
    client.ask({{"type", "unsubscribe"}});
    EXPECT_EQ(client.ask({{"type", "subscribe_sessions"}, {"request_id", "s"}}).dump(),
              R"({"type":"sessions_subscribed","message":"Subscribed to session updates","request_id":"s"})");
    auto update = client.read();  // immediately, even if no session is active
    EXPECT_EQ(update.at("type"), "session_update");
    EXPECT_TRUE(update.at("data").at("active_sessions").empty());
    server->publish(with_session(2, 1, "first"));
    update = client.read();
    EXPECT_EQ(update.at("data").at("active_sessions").at(0).at("session_id"), "first");
    server->publish(with_session(3, 1, "first"));
    server->publish(with_session(4, 2, "second"));
    update = client.read();
    EXPECT_EQ(update.at("timestamp"), "2026-02-10T12:00:04Z");
    EXPECT_EQ(update.at("data").at("active_sessions").at(0).at("session_id"), "second");
}

TEST(WebSocket, sessions_that_are_active_follow_the_confirmation) {
    TestServer server;
    server->publish(with_session(1, 1, "now"));
    TestClient client(server.port());
    EXPECT_EQ(client.ask({{"type", "subscribe_sessions"}}).at("type"), "sessions_subscribed");
    EXPECT_EQ(client.read().at("data").at("active_sessions").at(0).at("session_id"), "now");
    settle(client);
}

TEST(WebSocket, many_pipelined_requests_are_answered_in_order) {
    Config config;
    config.max_messages_per_second = 1'000'000;
    TestServer server(config);
    server->publish(snapshot(1));
    TestClient client(server.port());
    constexpr int kRequests = 2000;
    for (int i = 0; i < kRequests; ++i) {
        client.send_later(Json{{"type", "subscribe"}, {"request_id", std::to_string(i)}}.dump());
    }
    for (int i = 0; i < kRequests; ++i) {
        ASSERT_EQ(client.read().at("request_id"), std::to_string(i));
        ASSERT_EQ(client.read().at("type"), "metrics_update");
    }
}

}  // namespace
}  // namespace session_buddy::test
