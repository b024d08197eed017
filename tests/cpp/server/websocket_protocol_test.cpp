// The state machine of a connection: every transition, without a socket, a thread or the real clock.
#include "server/websocket_protocol.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "protocol/sample_snapshot.hpp"
#include "server/client_frame.hpp"
#include "server/context.hpp"
#include "support/manual_clock.hpp"

namespace session_buddy::server {
namespace {

using namespace std::chrono_literals;
using test::client_frame;
using test::ManualClock;
using test::skill;
using test::snapshot_of;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;
using Frames = std::vector<std::string>;
using State = WebSocketProtocol::State;

constexpr unsigned kText = 0x81;
constexpr unsigned kDeflatedText = 0xC1;
constexpr unsigned kClose = 0x88;
constexpr unsigned kPing = 0x89;
constexpr unsigned kPong = 0x8A;

const std::string kUpgrade = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
const std::string kPingRequest = client_frame(kText, R"({"type":"ping"})");
const std::string kPongReply = R"(text {"type":"pong"})";
const std::string kAuthRequest = client_frame(kText, R"({"type":"auth","token":"secret","request_id":"a"})");
const std::string kAuthenticated = R"(text {"type":"authenticated")";

std::string repeated(const std::string& bytes, std::size_t count) {
    std::string all;
    for (std::size_t i = 0; i < count; ++i) {
        all += bytes;
    }
    return all;
}

/// The frames of the server in `bytes`, such as "text {}" and "close 1000 reason".
Frames frames_in(std::string_view bytes) {
    Frames frames;
    while (!bytes.empty()) {
        const auto byte = [&](std::size_t at) -> std::size_t { return static_cast<unsigned char>(bytes.at(at)); };
        const std::size_t wide = byte(1) == 126 ? 2 : byte(1) == 127 ? 8 : 0;
        std::size_t length = wide == 0 ? byte(1) : 0;
        for (std::size_t i = 0; i < wide; ++i) {
            length = length << 8U | byte(2 + i);
        }
        const unsigned first = static_cast<unsigned char>(bytes.at(0));
        const std::string payload(bytes.substr(2 + wide, length));
        const auto* kind = first == kText ? "text " : first == kPing ? "ping " : first == kPong ? "pong " : "deflated ";
        if (first != kClose) {
            frames.push_back(kind + payload);
        } else if (payload.empty()) {
            frames.emplace_back("close");
        } else {
            frames.push_back("close " + std::to_string(byte(2) << 8U | byte(3)) +
                             (payload.size() > 2 ? " " + payload.substr(2) : ""));
        }
        bytes.remove_prefix(2 + wide + length);
    }
    return frames;
}

struct TestContext {
    explicit TestContext(const Config& config = {}) : context(config, clock) {}

    void publish(const std::vector<SkillMetrics>& skills = {}) {
        context.broadcaster.publish(snapshot_of(++published, skills));
    }

    ManualClock clock{test::kNoon};
    ServerContext context;
    std::uint64_t published = 0;
};

/// Stands for the socket: accepts all output, or none after block().
class Connection final : public Client::Sender {
  public:
    explicit Connection(TestContext& test, const UpgradeDecision& decision = Admitted{}, bool deflate = false)
        : protocol(peer(), slot(test, decision), *this, test.context, now) {
        protocol.start(kUpgrade, deflate, decision, now);
        write();
        EXPECT_EQ(std::exchange(written, {}).substr(0, kUpgrade.size()), kUpgrade);
    }

    static Peer peer() { return {.address = *IpAddress::parse("192.0.2.1"), .name = "192.0.2.1:1"}; }

    /// Passes `bytes` as input. Returns the frames that are written; what was not consumed is in `unread`.
    Frames receive(std::string bytes) {
        std::span<char> input = bytes;
        protocol.receive(input, now);
        unread.assign(input.begin(), input.end());
        return write();
    }
    /// Writes all output, except after block().
    Frames write() {
        written.clear();
        writes = 0;
        for (auto next = protocol.next_output(); !next.empty(); next = protocol.next_output()) {
            write_now(next.frame ? protocol.wire_bytes(*next.frame) : next.bytes);
        }
        return written.starts_with("HTTP") ? Frames{} : frames_in(written);
    }
    /// From the next write on the socket accepts nothing.
    void block() { blocked_ = true; }
    /// The socket accepts the rest of the last write, and everything after it.
    Frames unblock() {
        blocked_ = false;
        protocol.on_writable(now);
        return write();
    }
    /// The result of a check of the timeouts after `time`.
    std::string_view timeout_after(SteadyTime::duration time) {
        now += time;
        return protocol.check_timeouts(now);
    }
    /// The frames of broadcasts since the last call.
    Frames broadcasts() { return frames_in(std::exchange(sent_, {})); }

    bool send(const Frame& frame) override {
        if (!protocol.may_send()) {
            return false;
        }
        written.clear();
        write_now(protocol.has_control_frames() ? protocol.take_with(frame) : protocol.wire_bytes(*frame));
        sent_ += std::exchange(written, {});
        return true;
    }

    SteadyTime now{1h};
    WebSocketProtocol protocol;
    std::string unread;
    std::string written;
    std::size_t writes = 0;

  private:
    static Admission::Slot slot(TestContext& test, const UpgradeDecision& decision) {
        auto& admission = test.context.admission;
        auto verdict = std::holds_alternative<Admitted>(decision) ? admission.admit_client(peer(), SteadyTime{1h})
                                                                  : admission.admit_connection(peer(), SteadyTime{1h});
        return std::get<Admission::Slot>(std::move(verdict));
    }
    void write_now(std::string_view bytes) {
        written += bytes;
        ++writes;
        if (blocked_) {
            protocol.on_blocked(now);
        }
    }

    bool blocked_ = false;
    std::string sent_;
};

// Requests and replies

TEST(WebSocketProtocol, answers_requests_in_one_write) {
    TestContext test;
    Connection client(test);
    EXPECT_EQ(client.protocol.state(), State::open);
    EXPECT_THAT(client.receive(kPingRequest), ElementsAre(kPongReply));
    EXPECT_THAT(client.receive(repeated(kPingRequest, 5)), SizeIs(5));
    EXPECT_EQ(client.writes, 1U);
    EXPECT_EQ(test.context.counters.messages_received.value(), 6U);
    EXPECT_EQ(test.context.counters.messages_sent.value(), 5U);  // the owner counts the single one
}

TEST(WebSocketProtocol, keeps_a_partial_message_until_the_rest_arrives) {
    TestContext test;
    Connection client(test);
    const auto bytes = client_frame(0x01, R"({"type":)") + client_frame(0x80, R"("ping"})");
    EXPECT_THAT(client.receive(bytes.substr(0, 7)), IsEmpty());
    EXPECT_THAT(client.receive(bytes.substr(7, 12)), IsEmpty());
    EXPECT_THAT(client.receive(bytes.substr(19)), ElementsAre(kPongReply));
}

TEST(WebSocketProtocol, answers_control_frames_before_queued_replies) {
    TestContext test;
    Connection client(test);
    EXPECT_THAT(client.receive(kPingRequest + client_frame(kPing, "p") + client_frame(kPong, "ignored")),
                ElementsAre("pong p", kPongReply));
}

TEST(WebSocketProtocol, sends_nothing_while_the_socket_is_blocked_and_loses_nothing) {
    TestContext test;
    Connection client(test);
    client.block();
    EXPECT_THAT(client.receive(kPingRequest), ElementsAre(kPongReply));
    EXPECT_THAT(client.receive(kPingRequest + client_frame(kPing, "p")), IsEmpty());
    EXPECT_THAT(client.unblock(), ElementsAre("pong p", kPongReply));
}

TEST(WebSocketProtocol, accepts_no_input_while_too_many_replies_are_queued) {
    TestContext test;
    Connection client(test);
    client.block();
    client.receive(kPingRequest);
    client.receive(repeated(kPingRequest, kMaxPendingReplies + 3));
    EXPECT_FALSE(client.protocol.accepts_input());
    EXPECT_EQ(client.unread, repeated(kPingRequest, 3));
    EXPECT_THAT(client.unblock(), SizeIs(kMaxPendingReplies));
    EXPECT_TRUE(client.protocol.accepts_input());
    EXPECT_THAT(client.receive(client.unread), SizeIs(3));
}

TEST(WebSocketProtocol, accepts_no_input_while_too_many_pongs_are_queued) {
    TestContext test;
    Connection client(test);
    client.block();
    client.receive(kPingRequest);
    const auto ping = client_frame(kPing, std::string(126 - 2, 'p'));
    client.receive(repeated(ping, 20));
    EXPECT_FALSE(client.protocol.accepts_input());
    EXPECT_EQ(client.unread, repeated(ping, 20 - 9));  // 9 pongs of 126 bytes exceed 1024
    EXPECT_THAT(client.unblock(), SizeIs(9));
    EXPECT_TRUE(client.protocol.accepts_input());
}

// Broadcasts

TEST(WebSocketProtocol, sends_a_broadcast_immediately) {
    TestContext test;
    Connection client(test);
    test.publish();
    EXPECT_THAT(client.broadcasts(), ElementsAre(StartsWith(R"(text {"type":"metrics_update")")));
    EXPECT_THAT(client.write(), IsEmpty());
}

TEST(WebSocketProtocol, keeps_only_the_newest_broadcast_while_the_socket_is_blocked) {
    TestContext test;
    Connection client(test);
    client.block();
    test.publish();
    EXPECT_THAT(client.broadcasts(), SizeIs(1));
    test.publish();
    test.publish();
    EXPECT_THAT(client.broadcasts(), IsEmpty());
    EXPECT_EQ(test.context.broadcaster.replaced(), 1U);
    EXPECT_THAT(client.unblock(), ElementsAre(testing::HasSubstr("2026-02-10T12:00:03Z")));
    test.publish();
    EXPECT_THAT(client.broadcasts(), SizeIs(1));
}

TEST(WebSocketProtocol, sends_a_queued_ping_with_the_next_broadcast) {
    TestContext test;
    Connection client(test);
    EXPECT_EQ(client.timeout_after(20s), "");
    test.publish();
    EXPECT_THAT(client.broadcasts(), ElementsAre("ping ", StartsWith("text {")));
    EXPECT_THAT(client.write(), IsEmpty());
}

TEST(WebSocketProtocol, sends_no_broadcast_unless_open) {
    TestContext test;
    Connection unauthenticated(test, AwaitsToken{});
    Connection closing(test);
    closing.protocol.shut_down(closing.now);
    test.publish();
    EXPECT_THAT(unauthenticated.broadcasts(), IsEmpty());
    EXPECT_THAT(closing.broadcasts(), IsEmpty());
}

// Compression

Config with_compression() {
    Config config;
    config.compression = true;
    return config;
}

TEST(WebSocketProtocol, compresses_and_decompresses_if_negotiated) {
    TestContext test(with_compression());
    Connection client(test, Admitted{}, true);
    test.publish({skill(std::string(200, 'x'), 1)});
    EXPECT_THAT(client.broadcasts(), ElementsAre(StartsWith("deflated ")));
    Deflater deflater;
    EXPECT_THAT(client.receive(client_frame(kDeflatedText, deflater.deflate(R"({"type":"ping"})"))),
                ElementsAre(kPongReply));
}

TEST(WebSocketProtocol, closes_for_a_bad_compressed_message) {
    Deflater deflater;
    const std::vector<std::pair<std::string, std::string>> cases{
        {"not deflate", "close 1007"},
        {deflater.deflate(std::string(100'000, ' ')), "close 1009"},
        {deflater.deflate("\xff"), "close 1007"},
    };
    for (const auto& [payload, close] : cases) {
        TestContext test(with_compression());
        Connection client(test, Admitted{}, true);
        EXPECT_THAT(client.receive(client_frame(kDeflatedText, payload)), ElementsAre(close));
        EXPECT_EQ(client.protocol.state(), State::lingering);
    }
}

// Rate limit

TEST(WebSocketProtocol, refuses_messages_over_the_rate_then_closes) {
    Config config;
    config.max_messages_per_second = 5;
    TestContext test(config);
    Connection client(test);
    const auto refused = R"(text {"type":"error","message":"Rate limit exceeded: at most 5 messages per second",)"
                         R"("code":"rate_limited"})";
    for (int i = 0; i < 5; ++i) {
        EXPECT_THAT(client.receive(kPingRequest), ElementsAre(kPongReply));
    }
    for (int i = 0; i < 5; ++i) {
        EXPECT_THAT(client.receive(kPingRequest), ElementsAre(refused));
    }
    EXPECT_THAT(client.receive(kPingRequest), ElementsAre("close 1008"));
}

TEST(WebSocketProtocol, serves_a_client_again_that_backs_off) {
    Config config;
    config.max_messages_per_second = 5;
    TestContext test(config);
    Connection client(test);
    client.receive(repeated(kPingRequest, 7));
    client.now += 400ms;
    EXPECT_THAT(client.receive(kPingRequest), ElementsAre(StartsWith(R"(text {"type":"error")")));
    client.now += 400ms;
    EXPECT_THAT(client.receive(kPingRequest), ElementsAre(kPongReply));
}

TEST(WebSocketProtocol, charges_everything_that_costs_work) {
    Deflater deflater;
    const std::string noise = [] {
        std::string bytes;
        for (unsigned i = 0, state = 1; i < 4 * 4096; ++i) {
            state = state * 1664525U + 1013904223U;
            bytes += static_cast<char>(state >> 25U);
        }
        return bytes;
    }();
    const std::vector<std::pair<std::string, int>> cases{
        // how many are accepted
        {client_frame(kPing, ""), 10},
        {client_frame(kText, "nonsense"), 10},
        {client_frame(kDeflatedText, deflater.deflate(noise)), 2},
    };
    for (const auto& [bytes, accepted] : cases) {
        Config config = with_compression();
        config.max_messages_per_second = 5;
        TestContext test(config);
        Connection client(test, Admitted{}, true);
        int count = 0;
        while (client.protocol.state() == State::open && count < 100) {
            client.receive(bytes);
            ++count;
        }
        EXPECT_EQ(count - 1, accepted);
        EXPECT_EQ(frames_in(client.written).back(), "close 1008");
    }
}

// Close handshake

TEST(WebSocketProtocol, answers_the_end_of_a_client_with_the_code_of_the_standard) {
    Config config;
    config.max_message_bytes = 1024;
    const std::vector<std::pair<std::string, std::string>> cases{
        {client_frame(kClose, ""), "close"},         {client_frame(kClose, "\x03\xe8 bye"), "close 1000"},
        {client_frame(0xF1, ""), "close 1002"},      {client_frame(0x82, "{}"), "close 1003"},
        {client_frame(kText, "\xff"), "close 1007"}, {client_frame(kText, std::string(1025, ' ')), "close 1009"},
    };
    for (const auto& [bytes, close] : cases) {
        TestContext test(config);
        Connection client(test);
        EXPECT_THAT(client.receive(bytes + kPingRequest), ElementsAre(close));
        EXPECT_EQ(client.protocol.state(), State::lingering);
        EXPECT_FALSE(client.protocol.accepts_input());
        EXPECT_EQ(client.unread, "") << "input after the end is dropped";
    }
}

TEST(WebSocketProtocol, waits_for_the_close_frame_of_the_client) {
    TestContext test;
    Connection client(test);
    client.protocol.shut_down(client.now);
    EXPECT_EQ(test.context.broadcaster.group_count(), 0U);
    EXPECT_THAT(client.write(), ElementsAre("close 1001"));
    EXPECT_THAT(client.receive(kPingRequest + client_frame(kPing, "")), IsEmpty());  // sent before it saw our close
    EXPECT_EQ(client.protocol.state(), State::closing);
    EXPECT_THAT(client.receive(client_frame(kClose, "\x03\xe9")), IsEmpty());
    EXPECT_EQ(client.protocol.state(), State::lingering);
}

TEST(WebSocketProtocol, lingers_only_after_its_close_frame_was_sent) {
    TestContext test;
    Connection client(test);
    client.block();
    client.receive(kPingRequest);
    EXPECT_THAT(client.receive(client_frame(kClose, "")), IsEmpty());
    EXPECT_EQ(client.protocol.state(), State::closing);
    EXPECT_THAT(client.unblock(), ElementsAre("close"));
    EXPECT_EQ(client.protocol.state(), State::lingering);
}

TEST(WebSocketProtocol, sends_queued_replies_before_its_close_frame_unless_blocked) {
    TestContext test;
    Connection client(test);
    EXPECT_THAT(client.receive(repeated(kPingRequest, 2) + client_frame(kPing, "p") + client_frame(kClose, "")),
                ElementsAre("pong p", kPongReply, kPongReply, "close"));
    Connection blocked(test);
    blocked.block();
    blocked.receive(kPingRequest);
    EXPECT_THAT(blocked.receive(kPingRequest + client_frame(kPing, "p") + client_frame(kClose, "")), IsEmpty());
    EXPECT_THAT(blocked.unblock(), ElementsAre("pong p", "close"));
}

TEST(WebSocketProtocol, closes_once) {
    TestContext test;
    Connection client(test);
    client.protocol.shut_down(client.now);
    client.protocol.revoke(client.now);
    client.protocol.shut_down(client.now);
    EXPECT_THAT(client.write(), ElementsAre("close 1001"));
}

TEST(WebSocketProtocol, closes_immediately_if_the_server_is_shutting_down) {
    const std::vector<UpgradeDecision> decisions{Admitted{}, AwaitsToken{}, Rejected{"no"}};
    for (const auto& decision : decisions) {
        TestContext test;
        test.context.stopping = true;
        Connection client(test, decision);
        EXPECT_EQ(client.protocol.state(), State::closing);
        EXPECT_EQ(test.context.admission.refused(Refusal::token), 0U);
    }
}

TEST(WebSocketProtocol, releases_its_slot_and_its_subscription_at_the_end) {
    TestContext test;
    Connection client(test);
    EXPECT_EQ(test.context.admission.clients(), 1U);
    EXPECT_EQ(test.context.broadcaster.group_count(), 1U);
    client.protocol.end();
    EXPECT_EQ(client.protocol.state(), State::closed);
    EXPECT_EQ(test.context.admission.clients(), 0U);
    EXPECT_EQ(test.context.broadcaster.group_count(), 0U);
    EXPECT_FALSE(client.protocol.accepts_input());
    client.protocol.shut_down(client.now);
    EXPECT_THAT(client.write(), IsEmpty());
}

// Timeouts

TEST(WebSocketProtocol, pings_once_per_interval) {
    TestContext test;
    Connection client(test);
    const auto ping_after = [&](std::chrono::seconds time) {
        EXPECT_EQ(client.timeout_after(time), "");
        return client.write();
    };
    EXPECT_THAT(ping_after(19s), IsEmpty());
    EXPECT_THAT(ping_after(1s), ElementsAre("ping "));
    EXPECT_THAT(ping_after(19s), IsEmpty());
    client.receive(client_frame(kPong, ""));
    EXPECT_THAT(ping_after(1s), ElementsAre("ping "));
}

TEST(WebSocketProtocol, queues_no_second_ping_and_none_unless_open) {
    TestContext test;
    Connection client(test);
    client.block();
    client.receive(kPingRequest);
    Connection closing(test);
    closing.protocol.shut_down(closing.now);
    closing.write();
    for (auto* connection : {&client, &closing}) {
        EXPECT_EQ(connection->timeout_after(9s), "");
    }
    EXPECT_EQ(client.timeout_after(15s), "");
    EXPECT_EQ(client.timeout_after(5s), "");
    EXPECT_THAT(client.unblock(), ElementsAre("ping "));
    EXPECT_THAT(closing.write(), IsEmpty());
}

TEST(WebSocketProtocol, drops_a_client_that_is_silent) {
    TestContext test;
    Connection client(test);
    EXPECT_EQ(client.timeout_after(39s), "");
    client.receive(client_frame(kPong, ""));
    EXPECT_EQ(client.timeout_after(39s), "");
    EXPECT_EQ(client.timeout_after(1s), "no data received within ping_timeout");
}

TEST(WebSocketProtocol, drops_a_client_that_does_not_receive_a_message_even_if_it_sends) {
    TestContext test;
    Connection client(test);
    client.block();
    test.publish();
    client.now += 29s;
    client.receive(client_frame(kPong, ""));
    EXPECT_EQ(client.protocol.check_timeouts(client.now), "");
    EXPECT_EQ(client.timeout_after(1s), "message not sent within write_timeout");
}

TEST(WebSocketProtocol, drops_a_client_that_does_not_answer_its_close_frame) {
    TestContext test;
    Connection client(test);
    client.protocol.shut_down(client.now);
    EXPECT_EQ(client.timeout_after(9s), "");
    EXPECT_EQ(client.timeout_after(1s), "no close frame received within handshake_timeout");
}

TEST(WebSocketProtocol, does_not_hold_paused_reading_against_the_client) {
    TestContext test;
    Connection slow(test);
    slow.block();
    slow.receive(kPingRequest);
    slow.receive(repeated(kPingRequest, kMaxPendingReplies));
    ASSERT_FALSE(slow.protocol.accepts_input());
    slow.now += 25s;
    slow.unblock();  // it has read something
    EXPECT_EQ(slow.timeout_after(30s), "");
    Connection checking(test, AwaitsToken{});
    checking.receive(kAuthRequest);
    EXPECT_EQ(checking.timeout_after(50s), "");
    EXPECT_EQ(checking.timeout_after(30s), "");
}

// Authentication

auth::Identity reader(std::optional<TimePoint> expires_at = std::nullopt) {
    return {.scopes = {auth::Scope::read}, .expires_at = expires_at, .fingerprint = "f"};
}

TEST(WebSocketProtocol, answers_an_auth_request_if_no_token_is_required) {
    TestContext test;
    Connection client(test);
    EXPECT_THAT(client.receive(kAuthRequest), ElementsAre(StartsWith(kAuthenticated)));
    EXPECT_EQ(client.protocol.take_token(), std::nullopt);
    EXPECT_EQ(client.protocol.wakeup(), SteadyTime::max());
}

TEST(WebSocketProtocol, admits_a_client_whose_first_message_has_a_valid_token) {
    TestContext test;
    Connection client(test, AwaitsToken{});
    EXPECT_EQ(client.protocol.state(), State::unauthenticated);
    EXPECT_EQ(client.protocol.wakeup(), client.now + 5s);
    EXPECT_EQ(test.context.admission.clients(), 0U);
    EXPECT_THAT(client.receive(kAuthRequest + kPingRequest), IsEmpty());
    EXPECT_EQ(client.protocol.take_token(), "secret");
    EXPECT_EQ(client.protocol.take_token(), std::nullopt);
    EXPECT_EQ(client.protocol.wakeup(), SteadyTime::max());
    EXPECT_FALSE(client.protocol.accepts_input());
    EXPECT_EQ(client.unread, kPingRequest);
    client.protocol.on_verdict(reader(), client.now);
    EXPECT_EQ(client.protocol.state(), State::open);
    EXPECT_EQ(test.context.admission.clients(), 1U);
    EXPECT_EQ(test.context.admission.http_connections(), 0U);
    EXPECT_THAT(client.write(),
                ElementsAre(R"(text {"type":"authenticated","message":"Authenticated","request_id":"a"})"));
    EXPECT_THAT(client.receive(client.unread), ElementsAre(kPongReply));
}

TEST(WebSocketProtocol, closes_a_client_that_does_not_authenticate_in_time) {
    TestContext test;
    Connection client(test, AwaitsToken{});
    client.protocol.wake(client.protocol.wakeup() - 1ms);
    EXPECT_THAT(client.write(), IsEmpty());
    client.protocol.wake(client.protocol.wakeup());
    EXPECT_THAT(client.write(), ElementsAre("close 4401 Authentication timed out"));
    EXPECT_EQ(client.protocol.wakeup(), SteadyTime::max());
}

TEST(WebSocketProtocol, accepts_nothing_but_a_token_as_the_first_message) {
    TestContext test;
    for (const auto& [bytes, close] : std::vector<std::pair<std::string, std::string>>{
             {kPingRequest, "close 4401 The first message must be of type auth, with a token"},
             {client_frame(kText, R"({"type":"auth"})"),
              "close 4401 The first message must be of type auth, with a token"},
             {client_frame(kText, std::string(9217, ' ')), "close 1009"}}) {
        Connection client(test, AwaitsToken{});
        EXPECT_THAT(client.receive(bytes), ElementsAre(close));
    }
}

TEST(WebSocketProtocol, closes_with_the_reason_of_a_rejection_after_a_delay) {
    const std::vector<std::pair<auth::Verdict, std::string>> cases{
        {auth::Rejection{"Unknown token"}, "close 4401 Unknown token"},
        {auth::Identity{.scopes = {auth::Scope::write}, .expires_at = {}, .fingerprint = {}},
         "close 4401 The token lacks the scope read"},
    };
    for (const auto& [verdict, close] : cases) {
        TestContext test;
        Connection earlier(test, Rejected{"Unknown token"});  // uses up what an address may do without a delay
        Connection client(test, AwaitsToken{});
        client.receive(kAuthRequest);
        client.protocol.on_verdict(verdict, client.now);
        EXPECT_EQ(test.context.admission.refused(Refusal::token), 2U);
        EXPECT_EQ(client.protocol.wakeup(), client.now + 1s);
        EXPECT_FALSE(client.protocol.accepts_input());
        client.protocol.wake(client.now + 999ms);
        EXPECT_THAT(client.write(), IsEmpty());
        client.protocol.wake(client.now + 1s);
        EXPECT_THAT(client.write(), ElementsAre(close));
    }
}

TEST(WebSocketProtocol, closes_a_client_whose_token_was_rejected_in_its_upgrade_request) {
    TestContext test;
    Connection client(test, Rejected{"Unknown token"});
    EXPECT_EQ(test.context.admission.refused(Refusal::token), 1U);
    EXPECT_FALSE(client.protocol.accepts_input());
    EXPECT_EQ(client.protocol.wakeup(), client.now);
    client.protocol.wake(client.now);
    EXPECT_THAT(client.write(), ElementsAre("close 4401 Unknown token"));
}

TEST(WebSocketProtocol, closes_a_client_that_authenticates_when_all_slots_are_taken) {
    Config config;
    config.max_clients = 1;
    TestContext test(config);
    Connection admitted(test, Admitted{reader()});
    Connection client(test, AwaitsToken{});
    client.receive(kAuthRequest);
    client.protocol.on_verdict(reader(), client.now);
    EXPECT_THAT(client.write(), ElementsAre("close 1013 Connection limit reached: max_clients (1)"));
}

TEST(WebSocketProtocol, ignores_a_verdict_that_comes_after_the_close) {
    TestContext test;
    const std::vector<auth::Verdict> verdicts{reader(), auth::Rejection{"no"}};
    for (const auto& verdict : verdicts) {
        Connection client(test, AwaitsToken{});
        client.receive(kAuthRequest);
        client.protocol.shut_down(client.now);
        client.protocol.on_verdict(verdict, client.now);
        EXPECT_EQ(client.protocol.state(), State::closing);
        EXPECT_THAT(client.write(), ElementsAre("close 1001"));
    }
    EXPECT_EQ(test.context.admission.refused(Refusal::token), 0U);
}

TEST(WebSocketProtocol, closes_when_the_token_expires_unless_it_was_renewed) {
    TestContext test;
    Connection client(test, Admitted{reader(test::kNoon + 60s)});
    EXPECT_EQ(client.protocol.wakeup(), client.now + 60s);
    client.receive(kAuthRequest);
    EXPECT_FALSE(client.protocol.accepts_input());
    client.protocol.on_verdict(reader(test::kNoon + 90s), client.now);
    EXPECT_THAT(client.write(), ElementsAre(StartsWith(kAuthenticated)));
    EXPECT_EQ(client.protocol.wakeup(), client.now + 90s);
    client.protocol.wake(client.now + 60s);
    EXPECT_EQ(client.protocol.state(), State::open);
    client.protocol.wake(client.now + 90s);
    EXPECT_THAT(client.write(), ElementsAre("close 4401 The token has expired"));
}

TEST(WebSocketProtocol, keeps_the_previous_token_if_its_renewal_is_rejected) {
    TestContext test;
    Connection client(test, Admitted{reader(test::kNoon + 60s)});
    client.receive(kAuthRequest);
    client.protocol.on_verdict(auth::Rejection{"Unknown token"}, client.now);
    EXPECT_FALSE(client.protocol.accepts_input());
    client.protocol.wake(client.protocol.wakeup());
    EXPECT_THAT(client.write(), ElementsAre(R"(text {"type":"error","message":"Unknown token","code":"unauthorized",)"
                                            R"("request_id":"a"})"));
    EXPECT_TRUE(client.protocol.accepts_input());
    EXPECT_EQ(client.protocol.wakeup(), client.now + 60s);
    EXPECT_THAT(client.receive(kPingRequest), ElementsAre(kPongReply));
}

TEST(WebSocketProtocol, survives_a_token_that_is_valid_for_millennia_or_has_expired) {
    TestContext test;
    Connection lasting(test, Admitted{reader(TimePoint{std::chrono::hours{24 * 365 * 8000}})});
    EXPECT_GT(lasting.protocol.wakeup(), lasting.now + std::chrono::hours{24 * 365 * 99});
    EXPECT_LT(lasting.protocol.wakeup(), SteadyTime::max());
    Connection late(test, Admitted{reader(test::kNoon - 60s)});
    EXPECT_LE(late.protocol.wakeup(), late.now);
}

TEST(WebSocketProtocol, closes_when_its_token_is_revoked) {
    TestContext test;
    Connection client(test, Admitted{reader()});
    ASSERT_NE(client.protocol.identity(), nullptr);
    EXPECT_EQ(client.protocol.identity()->fingerprint, "f");
    client.protocol.revoke(client.now);
    EXPECT_THAT(client.write(), ElementsAre("close 4401 The token is no longer accepted"));
    EXPECT_EQ(client.protocol.identity(), nullptr);
}

}  // namespace
}  // namespace session_buddy::server
