// Ingestion requests to a running server whose intake responds when the test decides.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/pending_requests.hpp"
#include "server/test_client.hpp"
#include "session_buddy/server/intake.hpp"

namespace session_buddy::test {
namespace {

using server::HttpReply;
using server::IntakeRequest;

const std::string kHooks = "/hooks/claude-code";
const std::string kInvocations = "/api/v1/invocations";

class ManualIntake final : public server::Intake, public PendingRequests<IntakeRequest, HttpReply> {
  public:
    void submit(IntakeRequest request, Done done) override { push({std::move(request), std::move(done)}); }
};

/// Responds on the network thread before submit() returns.
class PromptIntake final : public server::Intake {
  public:
    void submit(IntakeRequest request, Done done) override {
        done({.status = 202, .body = R"({"bytes":)" + std::to_string(request.body.size()) + "}"});
    }
};

std::string post_head(const std::string& target, std::size_t length, const std::string& more = "") {
    return http_request("POST", target,
                        "Content-Type: application/json\r\nContent-Length: " + std::to_string(length) + "\r\n" + more);
}

std::string post(const std::string& target, const std::string& body, const std::string& more = "") {
    return post_head(target, body.size(), more) + body;
}

/// Capacity for one request with a body of maximum size.
Config room_for_one() {
    Config config;
    config.max_body_bytes = 1024;
    config.max_intake_bytes = 1024;
    return config;
}
const std::string kLongest(1024, 'x');

/// Expects that no bytes are reserved: a body of maximum size is accepted.
void expect_all_room_is_free(const TestServer& server, ManualIntake& intake) {
    RawConnection raw(server.port());
    raw.send(post(kHooks, kLongest));
    intake.next().done(server::accepted());
    EXPECT_EQ(raw.read_http().status, 202U);
}

/// Likewise, once the server has noticed that a client disconnected.
void expect_all_room_becomes_free(const TestServer& server, ManualIntake& intake) {
    TestServer::eventually([&] {
        RawConnection raw(server.port());
        raw.send(post_head(kHooks, kLongest.size(), "Expect: 100-continue\r\n"));
        const auto status = raw.read_http().status;
        if (status == 429U) {
            return false;
        }
        EXPECT_EQ(status, 100U);
        raw.send(kLongest);
        intake.next().done(server::accepted());
        return raw.read_http().status == 202U;
    });
}

// ---- Requests and responses of the intake

TEST(IntakeHttp, submits_the_request_and_sends_the_response) {
    ManualIntake intake;
    TestServer server({}, &intake);
    RawConnection raw(server.port());
    raw.send(post(kHooks + "?a=b", R"({"x":1})"));
    auto pending = intake.next();
    EXPECT_EQ(pending.request.kind, IntakeRequest::Kind::hook);
    EXPECT_EQ(pending.request.content_type, "application/json");
    EXPECT_EQ(pending.request.body, R"({"x":1})");
    pending.done(server::http_error(503, "e", "Sentence", {}, 7));
    auto answer = raw.read_http();
    EXPECT_EQ(answer.status, 503U);
    EXPECT_EQ(answer.json().at("error"), "e");
    EXPECT_EQ(answer.headers.at("retry-after"), "7");
    EXPECT_EQ(answer.headers.at("content-type"), "application/problem+json");

    const std::string bytes("\0\r\n\xff not checked here", 20);
    raw.send(http_request("POST", kInvocations, "Content-Length: " + std::to_string(bytes.size()) + "\r\n") + bytes);
    pending = intake.next();
    EXPECT_EQ(pending.request.kind, IntakeRequest::Kind::invocations);
    EXPECT_EQ(pending.request.content_type, "");
    EXPECT_EQ(pending.request.body, bytes);
    pending.done(server::accepted());
    answer = raw.read_http();
    EXPECT_EQ(answer.status, 202U);
    EXPECT_EQ(answer.body, "");
    EXPECT_EQ(answer.headers.at("content-length"), "0");
    EXPECT_EQ(answer.headers.count("content-type"), 0U);
    EXPECT_EQ(answer.headers.count("retry-after"), 0U);
}

TEST(IntakeHttp, an_intake_may_respond_immediately) {
    PromptIntake intake;
    TestServer server({}, &intake);
    RawConnection raw(server.port());
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{200'000}}) {
        raw.send(post(kInvocations, std::string(size, 'x')));
        EXPECT_EQ(raw.read_http().json().at("bytes"), size);
    }
}

TEST(IntakeHttp, a_request_without_a_body_is_submitted_too) {
    ManualIntake intake;
    TestServer server({}, &intake);
    for (const std::string& request : {http_request("POST", kHooks), post(kHooks, "")}) {
        RawConnection raw(server.port());
        raw.send(request);
        auto pending = intake.next();
        EXPECT_EQ(pending.request.body, "");
        pending.done({.status = 400});
        EXPECT_EQ(raw.read_http().status, 400U);
    }
}

TEST(IntakeHttp, a_body_may_come_in_any_pieces) {
    ManualIntake intake;
    TestServer server({}, &intake);
    RawConnection raw(server.port());
    std::string body;
    for (int i = 0; i < 400; ++i) {
        body += std::to_string(i) + ',';
    }
    const std::string request = post(kHooks, body);
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
        for (std::size_t at = 0; at < request.size(); at += piece) {
            raw.send(request.substr(at, piece));
        }
        auto pending = intake.next();
        EXPECT_EQ(pending.request.body, body) << piece;
        pending.done(server::accepted());
        EXPECT_EQ(raw.read_http().status, 202U);
    }
}

TEST(IntakeHttp, a_body_may_come_in_chunks) {
    ManualIntake intake;
    TestServer server({}, &intake);
    RawConnection raw(server.port());
    const std::string head = http_request("POST", kHooks, "Transfer-Encoding: chunked\r\n");
    const std::string chunks = "4\r\n{\"a\"\r\nA;ext=1\r\n:123456789\r\n1\r\n}\r\n0\r\nX-Trailer: a\r\n\r\n";
    for (const std::size_t piece : {std::size_t{1}, std::size_t{5}, std::size_t{1000}}) {
        const std::string request = head + chunks;
        for (std::size_t at = 0; at < request.size(); at += piece) {
            raw.send(request.substr(at, piece));
        }
        auto pending = intake.next();
        EXPECT_EQ(pending.request.body, R"({"a":123456789})") << piece;
        pending.done(server::accepted());
        EXPECT_EQ(raw.read_http().status, 202U);
    }
    raw.send(http_request("POST", kInvocations, "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n"));
    EXPECT_EQ(raw.read_http().status, 100U);
    raw.send("0\r\n\r\n" + http_request("GET", "/healthz"));
    auto pending = intake.next();
    EXPECT_EQ(pending.request.body, "");
    pending.done(server::accepted());
    EXPECT_EQ(raw.read_http().status, 202U);
    EXPECT_EQ(raw.read_http().status, 200U) << "the next request begins behind the last chunk";
}

TEST(IntakeHttp, a_body_in_chunks_is_bounded_as_any_other) {
    ManualIntake intake;
    TestServer server(room_for_one(), &intake);
    const std::string head = http_request("POST", kInvocations, "Transfer-Encoding: chunked\r\n");
    {
        RawConnection raw(server.port());
        raw.send(head + "401\r\n");
        EXPECT_EQ(raw.read_http().status, 413U) << "before that chunk came";
    }
    {
        RawConnection raw(server.port());
        raw.send(head + "400\r\n" + kLongest + "\r\n1\r\n");
        EXPECT_EQ(raw.read_http().status, 413U) << "two chunks together";
    }
    expect_all_room_becomes_free(server, intake);
    RawConnection first(server.port());
    first.send(head + "400\r\n" + kLongest + "\r\n0\r\n\r\n");
    auto pending = intake.next();
    {
        RawConnection raw(server.port());
        raw.send(head + "1\r\nx\r\n");
        EXPECT_EQ(raw.read_http().status, 429U) << "max_intake_bytes are in flight";
    }
    pending.done(server::accepted());
    EXPECT_EQ(first.read_http().status, 202U);
    {
        RawConnection raw(server.port());
        raw.send(head + "1;" + std::string(200'000, 'x'));
        EXPECT_EQ(raw.read_http().status, 431U) << "an endless chunk extension";
    }
    expect_all_room_becomes_free(server, intake);
}

TEST(IntakeHttp, a_body_of_the_maximum_size_is_accepted_and_no_longer_one) {
    ManualIntake intake;
    Config config;
    config.max_body_bytes = 300'000;
    TestServer server(config, &intake);
    RawConnection raw(server.port());
    raw.send(post(kHooks, std::string(300'000, 'x')));
    auto pending = intake.next();
    EXPECT_EQ(pending.request.body.size(), 300'000U);
    pending.done(server::accepted());
    EXPECT_EQ(raw.read_http().status, 202U);
    raw.send(post_head(kHooks, 300'001, "Expect: 100-continue\r\n"));
    const auto answer = raw.read_http();
    EXPECT_EQ(answer.status, 413U) << "before its body is requested";
    EXPECT_EQ(answer.headers.at("connection"), "close");
    EXPECT_TRUE(intake.empty());
}

// ---- Expect

TEST(IntakeHttp, expect_100_continue_is_answered_once_the_request_is_accepted) {
    ManualIntake intake;
    TestServer server({}, &intake);
    RawConnection raw(server.port());
    for (int round = 0; round < 2; ++round) {
        raw.send(post_head(kHooks, 4, "Expect: 100-Continue\r\n"));
        const auto hundred = raw.read_http();
        EXPECT_EQ(hundred.status, 100U);
        EXPECT_EQ(hundred.headers.count("content-length"), 0U);
        EXPECT_TRUE(intake.empty());
        raw.send("body");
        auto pending = intake.next();
        EXPECT_EQ(pending.request.body, "body");
        pending.done(server::accepted());
        EXPECT_EQ(raw.read_http().status, 202U);
    }
}

TEST(IntakeHttp, no_100_continue_for_rejected_requests_empty_bodies_or_http_1_0) {
    ManualIntake intake;
    TestServer server(room_for_one(), &intake);
    RawConnection proxied(server.port());
    proxied.send(post_head(kHooks, 4, "Expect: 100-continue\r\nX-Forwarded-For: 192.0.2.1\r\n"));
    EXPECT_EQ(proxied.read_http().status, 403U);
    EXPECT_EQ(proxied.read_to_end(), "");

    RawConnection bodyless(server.port());
    bodyless.send(post_head(kHooks, 0, "Expect: 100-continue\r\n"));
    intake.next().done(server::accepted());
    EXPECT_EQ(bodyless.read_http().status, 202U);

    RawConnection old(server.port());
    old.send("POST " + kHooks +
             " HTTP/1.0\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody");
    intake.next().done(server::accepted());
    EXPECT_EQ(old.read_http().status, 202U) << "HTTP/1.0 has no status 100";
    EXPECT_EQ(old.read_to_end(), "");
}

// ---- Pipelining

TEST(IntakeHttp, pipelined_requests_are_answered_in_order) {
    ManualIntake intake;
    TestServer server({}, &intake);
    RawConnection raw(server.port());
    raw.send(post(kHooks, "first") + http_request("GET", "/healthz") + post(kInvocations, "second") +
             post("/nothing", "third") + post(kHooks, "last", "Connection: close\r\n") +
             http_request("GET", "/healthz"));
    auto first = intake.next();
    EXPECT_EQ(first.request.body, "first");
    EXPECT_EQ(http(server.port(), "GET", "/healthz").status, 200U) << "other connections are served meanwhile";
    EXPECT_TRUE(intake.empty()) << "the next one waits for the answer";
    first.done({.status = 202, .body = R"({"n":1})"});
    EXPECT_EQ(raw.read_http().json().at("n"), 1);
    EXPECT_EQ(raw.read_http().json().at("status"), "ok");
    auto second = intake.next();
    EXPECT_EQ(second.request.body, "second");
    second.done({.status = 400, .body = R"({"n":2})"});
    EXPECT_EQ(raw.read_http().json().at("n"), 2);
    EXPECT_EQ(raw.read_http().status, 404U);
    intake.next().done(server::accepted());
    const auto last = raw.read_http();
    EXPECT_EQ(last.status, 202U);
    EXPECT_EQ(last.headers.at("connection"), "close");
    EXPECT_EQ(raw.read_to_end(), "") << "later requests are not served";
}

TEST(IntakeHttp, what_follows_a_body_is_the_next_request) {
    ManualIntake intake;
    TestServer server({}, &intake);
    RawConnection raw(server.port());
    raw.send(post_head(kHooks, 4) + "bodyand more\r\n\r\n");
    auto pending = intake.next();
    EXPECT_EQ(pending.request.body, "body");
    pending.done(server::accepted());
    EXPECT_EQ(raw.read_http().status, 202U);
    EXPECT_EQ(raw.read_http().status, 400U);
}

// ---- Other paths and methods

TEST(IntakeHttp, bodies_of_other_requests_are_limited_to_8_kib) {
    ManualIntake intake;
    TestServer server({}, &intake);
    for (const char* target : {"/healthz", "/nothing", "/", "/hooks/claude-code/", "/hooks", "/api/v1/invocations2"}) {
        RawConnection raw(server.port());
        raw.send(post(target, std::string(8192, 'x')));
        EXPECT_GE(raw.read_http().status, 404U) << target;
        raw.send(post(target, std::string(8193, 'x')));
        EXPECT_EQ(raw.read_http().status, 413U) << target;
    }
    RawConnection put(server.port());
    put.send(http_request("PUT", kHooks, "Content-Length: 8193\r\n"));
    EXPECT_EQ(put.read_http().status, 413U);
    EXPECT_TRUE(intake.empty());
}

TEST(IntakeHttp, other_methods_get_405_with_allow_post) {
    ManualIntake intake;
    TestServer server({}, &intake);
    for (const std::string& target : {kHooks, kInvocations + "?x=y"}) {
        for (const char* method : {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"}) {
            const auto answer = http(server.port(), method, target);
            EXPECT_EQ(answer.status, 405U) << method;
            EXPECT_EQ(answer.headers.at("allow"), "POST") << method;
            EXPECT_EQ(answer.body.empty(), std::string(method) == "HEAD");
        }
        RawConnection page(server.port());
        page.send(http_request("OPTIONS", target,
                               "Origin: http://localhost:3000\r\nAccess-Control-Request-Method: POST\r\n"
                               "Access-Control-Request-Headers: content-type\r\n"));
        const auto preflight = page.read_http();
        EXPECT_EQ(preflight.status, 204U);
        EXPECT_EQ(preflight.headers.at("access-control-allow-methods"), "POST");
        EXPECT_EQ(preflight.headers.at("access-control-allow-headers"), "Authorization, Content-Type, If-None-Match");
        EXPECT_EQ(preflight.headers.at("access-control-allow-origin"), "http://localhost:3000");
        page.send(post(target, "x", "Origin: http://localhost:3000\r\n"));
        intake.next().done(server::accepted());
        EXPECT_EQ(page.read_http().headers.at("access-control-allow-origin"), "http://localhost:3000");
    }
    RawConnection upgrade(server.port());
    upgrade.send(upgrade_request(kHooks));
    EXPECT_EQ(upgrade.read_http().status, 404U);
    EXPECT_TRUE(intake.empty());
}

TEST(IntakeHttp, without_an_intake_it_is_503) {
    TestServer server;
    for (const std::string& target : {kHooks, kInvocations}) {
        RawConnection raw(server.port());
        raw.send(post(target, "{}"));
        const auto answer = raw.read_http();
        EXPECT_EQ(answer.status, 503U);
        EXPECT_EQ(answer.json().at("error"), "no_intake");
    }
}

// ---- max_intake_bytes

TEST(IntakeHttp, bytes_in_flight_count_until_the_response) {
    ManualIntake intake;
    TestServer server(room_for_one(), &intake);
    RawConnection first(server.port());
    first.send(post(kHooks, kLongest));
    auto pending = intake.next();
    RawConnection second(server.port());
    second.send(post(kInvocations, "x"));
    const auto full = second.read_http();
    EXPECT_EQ(full.status, 429U);
    EXPECT_EQ(full.json().at("error"), "intake_full");
    EXPECT_EQ(full.json().at("max_intake_bytes"), 1024);
    EXPECT_EQ(full.headers.at("retry-after"), "1");
    RawConnection empty(server.port());
    empty.send(post(kHooks, ""));
    intake.next().done(server::accepted());
    EXPECT_EQ(empty.read_http().status, 202U) << "an empty body needs no capacity";
    pending.done({.status = 503});
    EXPECT_EQ(first.read_http().status, 503U);
    expect_all_room_is_free(server, intake);
}

TEST(IntakeHttp, concurrent_requests_within_the_limit_are_accepted) {
    ManualIntake intake;
    TestServer server(room_for_one(), &intake);
    RawConnection first(server.port());
    RawConnection second(server.port());
    first.send(post(kHooks, std::string(500, 'x')));
    auto one = intake.next();
    second.send(post(kHooks, std::string(524, 'x')));
    auto two = intake.next();
    two.done(server::accepted());
    one.done(server::accepted());
    EXPECT_EQ(first.read_http().status, 202U);
    EXPECT_EQ(second.read_http().status, 202U);
    expect_all_room_is_free(server, intake);
}

TEST(IntakeHttp, a_rejected_request_reserves_nothing) {
    ManualIntake intake;
    TestServer server(room_for_one(), &intake);
    for (const auto& [request, status] :
         {std::pair{post(kHooks, kLongest, "X-Forwarded-For: 192.0.2.1\r\n"), 403U},
          std::pair{post(kHooks, kLongest, "Origin: https://evil.example\r\n"), 403U},
          std::pair{post("/nothing", kLongest), 404U}, std::pair{post_head(kHooks, 1025), 413U},
          std::pair{post(kHooks, "x", "Transfer-Encoding: chunked\r\n"), 400U}}) {
        RawConnection raw(server.port());
        raw.send(request);
        EXPECT_EQ(raw.read_http().status, status) << request.substr(0, 200);
        expect_all_room_is_free(server, intake);
    }
}

TEST(IntakeHttp, a_disconnect_during_the_body_releases_its_reservation) {
    ManualIntake intake;
    TestServer server(room_for_one(), &intake);
    for (const bool expects : {false, true}) {
        {
            RawConnection raw(server.port());
            raw.send(post_head(kHooks, kLongest.size(), expects ? "Expect: 100-continue\r\n" : "") +
                     (expects ? "" : "half"));
            if (expects) {
                EXPECT_EQ(raw.read_http().status, 100U);
            }
        }
        expect_all_room_becomes_free(server, intake);
    }
}

TEST(IntakeHttp, a_body_that_times_out_closes_the_connection_and_releases_its_reservation) {
    ManualIntake intake;
    Config config = room_for_one();
    config.handshake_timeout = Seconds{0.1};
    TestServer server(config, &intake);
    RawConnection raw(server.port());
    raw.send(post_head(kHooks, kLongest.size()) + "half");
    EXPECT_EQ(raw.read_to_end(), "");
    expect_all_room_becomes_free(server, intake);
    EXPECT_TRUE(intake.empty());
}

TEST(IntakeHttp, announced_bodies_do_not_count_until_received) {
    ManualIntake intake;
    Config config = room_for_one();
    config.max_intake_bytes += 10;
    TestServer server(config, &intake);
    std::vector<std::unique_ptr<RawConnection>> slow;
    for (int i = 0; i < 5; ++i) {
        slow.push_back(std::make_unique<RawConnection>(server.port()));
        slow.back()->send(post_head(kInvocations, kLongest.size(), "Expect: 100-continue\r\n"));
        EXPECT_EQ(slow.back()->read_http().status, 100U);
        slow.back()->send("x");
    }
    RawConnection other(server.port());
    other.send(post(kInvocations, std::string(1000, 'x')));
    intake.next().done(server::accepted());
    EXPECT_EQ(other.read_http().status, 202U);
}

TEST(IntakeHttp, a_body_slower_than_min_body_rate_closes_the_connection) {
    ManualIntake intake;
    Config config;
    config.handshake_timeout = Seconds{0.1};
    config.min_body_rate = 1U << 30U;
    config.max_body_bytes = std::size_t{64} << 20U;
    config.max_intake_bytes = config.max_body_bytes;
    TestServer server(config, &intake);
    RawConnection raw(server.port());
    raw.send(post_head(kInvocations, std::size_t{64} << 20U));
    TestServer::eventually([&raw] { return !raw.send("x"); });
    EXPECT_TRUE(intake.empty());
}

TEST(IntakeHttp, a_slow_intake_does_not_time_out_the_connection) {
    ManualIntake intake;
    Config config;
    config.handshake_timeout = Seconds{0.1};
    config.idle_timeout = Seconds{0.1};
    config.write_timeout = Seconds{0.1};
    TestServer server(config, &intake);
    RawConnection idle(server.port());
    RawConnection raw(server.port());
    raw.send(post(kHooks, "x"));
    auto pending = intake.next();
    EXPECT_EQ(idle.read_to_end(), "") << "longer than any timeout: another client was dropped meanwhile";
    pending.done(server::accepted());
    EXPECT_EQ(raw.read_http().status, 202U);
}

// ---- Disconnects and shutdown while the intake has the request

TEST(IntakeHttp, a_response_to_a_disconnected_client_is_dropped) {
    ManualIntake intake;
    TestServer server(room_for_one(), &intake);
    for (int round = 0; round < 10; ++round) {
        PendingRequest<IntakeRequest, HttpReply> pending;
        {
            RawConnection raw(server.port());
            raw.send(post(kHooks, kLongest) + (round % 2 == 0 ? "" : http_request("GET", "/healthz")));
            pending = intake.next();
        }
        EXPECT_EQ(http(server.port(), "GET", "/healthz").status, 200U);
        pending.done({.status = 202, .body = std::string(100'000, ' ') + "{}"});
        expect_all_room_becomes_free(server, intake);
    }
}

TEST(IntakeHttp, a_server_stops_with_requests_in_the_intake_and_accepts_late_responses) {
    ManualIntake intake;
    Config config;
    config.shutdown_timeout = Seconds{0.1};
    std::vector<PendingRequest<IntakeRequest, HttpReply>> pending;
    {
        TestServer server(config, &intake);
        RawConnection stays(server.port());
        stays.send(post(kHooks, "stays"));
        pending.push_back(intake.next());
        {
            RawConnection leaves(server.port());
            leaves.send(post(kHooks, "leaves"));
            pending.push_back(intake.next());
        }
        RawConnection half(server.port());
        half.send(post_head(kHooks, 100, "Expect: 100-continue\r\n"));
        EXPECT_EQ(half.read_http().status, 100U);
        const auto begin = std::chrono::steady_clock::now();
        server->stop();
        EXPECT_LT(std::chrono::steady_clock::now() - begin, kTestTimeout / 2);
        EXPECT_EQ(stays.read_to_end(), "");
        EXPECT_EQ(half.read_to_end(), "");
        std::thread answering([&pending] {
            for (auto& one : pending) {
                one.done({.status = 202, .body = "{}"});
                one.done = nullptr;
            }
        });
        answering.join();
    }
    EXPECT_TRUE(intake.empty());
}

TEST(IntakeHttp, shutdown_waits_only_for_the_pending_response) {
    ManualIntake intake;
    Config config;
    config.shutdown_timeout = Seconds{60.0};
    TestServer server(config, &intake);
    RawConnection raw(server.port());
    raw.send(post(kHooks, "x"));
    auto pending = intake.next();
    std::thread stopper([&server] { server->stop(); });
    EXPECT_EQ(raw.read_to_end(), "") << "HTTP connections are aborted";
    pending.done(server::accepted());
    pending.done = nullptr;
    stopper.join();  // long before the 60 s: the timeout of the test is shorter
}

TEST(IntakeHttp, responses_may_come_from_many_threads) {
    ManualIntake intake;
    TestServer server({}, &intake);
    constexpr int kClients = 8;
    constexpr int kEach = 25;
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
        threads.emplace_back([&intake] {
            for (int n = 0; n < kClients * kEach / 2; ++n) {
                auto pending = intake.next();
                pending.done({.status = 202, .body = '"' + pending.request.body + '"'});
            }
        });
    }
    for (int client = 0; client < kClients; ++client) {
        threads.emplace_back([&server, client] {
            RawConnection raw(server.port());
            for (int n = 0; n < kEach; ++n) {
                const std::string body = std::to_string(client) + '-' + std::to_string(n);
                raw.send(post(kHooks, body));
                EXPECT_EQ(raw.read_http().json(), body);
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_TRUE(intake.empty());
}

}  // namespace
}  // namespace session_buddy::test
