// The HTTP endpoints of a running server.
#include <gtest/gtest.h>

#include <string>

#include "protocol/sample_snapshot.hpp"
#include "server/context.hpp"
#include "server/routes.hpp"
#include "server/test_client.hpp"
#include "session_buddy/core/version.hpp"

namespace session_buddy::test {
namespace {

TEST(Http, healthz_is_ok_while_the_process_serves) {
    TestServer server;
    const auto answer = http(server.port(), "GET", "/healthz?x=y");
    EXPECT_EQ(answer.status, 200U);
    EXPECT_EQ(answer.headers.at("content-type"), "application/json");
    EXPECT_EQ(answer.json().at("status"), "ok");
    EXPECT_EQ(answer.json().at("version"), kVersion);
}

TEST(Http, every_response_has_a_date) {
    TestServer server;
    for (const char* target : {"/healthz", "/nothing", "/assets/none"}) {
        const auto date = http(server.port(), "GET", target).headers.at("date");
        EXPECT_EQ(date.size(), std::string("Sun, 06 Nov 1994 08:49:37 GMT").size()) << date;
        EXPECT_TRUE(date.ends_with(" GMT"));
    }
}

TEST(Http, readyz_reports_whether_the_database_is_readable) {
    TestServer server;
    auto answer = http(server.port(), "GET", "/readyz");
    EXPECT_EQ(answer.status, 503U);
    EXPECT_FALSE(answer.json().at("reason").get<std::string>().empty());
    server->publish(snapshot_of(1, {}));
    answer = http(server.port(), "GET", "/readyz");
    EXPECT_EQ(answer.status, 200U);
    EXPECT_EQ(answer.body, R"({"status":"ready"})");
    auto broken = snapshot_of(2, {});
    broken->database = {false, "the database is locked"};
    server->publish(broken);
    answer = http(server.port(), "GET", "/readyz");
    EXPECT_EQ(answer.status, 503U);
    EXPECT_EQ(answer.body, R"({"status":"unavailable","reason":"the database is locked"})");
}

TEST(Http, readyz_reports_whether_the_last_cycle_is_recent) {
    struct Case {
        double interval;
        std::chrono::seconds age;
        unsigned status;
    };
    for (const auto& [interval, age, status] :
         {Case{1.0, std::chrono::seconds{4}, 200}, Case{1.0, std::chrono::seconds{6}, 503},
          Case{10.0, std::chrono::seconds{29}, 200}, Case{10.0, std::chrono::seconds{31}, 503}}) {
        Config config;
        config.update_interval = Seconds{interval};
        const SystemClock clock;
        server::ServerContext context(config, clock);
        context.broadcaster.publish(snapshot_of(1, {}));
        context.published_at = std::chrono::steady_clock::now() - age;
        boost::beast::http::request_header<> request;
        request.method(boost::beast::http::verb::get);
        request.target("/readyz");
        const auto handler = std::get<server::Handler>(server::route_of(request, context.assets));
        EXPECT_EQ(handler(context, true).status, status);
    }
}

struct AnswerCase {
    const char* method;
    const char* target;
    unsigned status;
    const char* error;
};

TEST(Http, other_requests_get_errors_in_json) {
    TestServer server;
    for (const auto& [method, target, status, error] :
         {AnswerCase{"GET", "/nothing", 404, "not_found"}, AnswerCase{"GET", "/healthz/", 404, "not_found"},
          AnswerCase{"POST", "/nothing", 404, "not_found"}, AnswerCase{"GET", "/wsx", 404, "not_found"},
          AnswerCase{"POST", "/healthz", 405, "method_not_allowed"},
          AnswerCase{"DELETE", "/readyz", 405, "method_not_allowed"},
          AnswerCase{"BREW", "/healthz", 405, "method_not_allowed"},
          AnswerCase{"POST", "/ws", 405, "method_not_allowed"}, AnswerCase{"POST", "/", 405, "method_not_allowed"},
          AnswerCase{"GET", "/ws?a=b", 426, "upgrade_required"}}) {
        const auto answer = http(server.port(), method, target);
        EXPECT_EQ(answer.status, status) << method << ' ' << target;
        EXPECT_EQ(answer.json().at("error"), error) << method << ' ' << target;
        EXPECT_EQ(answer.headers.count("allow"), status == 405 ? 1U : 0U);
        if (status == 405) {
            EXPECT_EQ(answer.headers.at("allow"), "GET, HEAD");
        }
    }
}

TEST(Http, the_root_serves_the_dashboard_or_426_for_a_failed_upgrade) {
    TestServer server;
    const auto page = http(server.port(), "GET", "/?x=y");
    EXPECT_EQ(page.status, 200U);
    EXPECT_EQ(page.headers.at("content-type"), "text/html; charset=utf-8");
    EXPECT_EQ(page.headers.at("cache-control"), "no-cache");
    RawConnection raw(server.port());
    raw.send("GET / HTTP/1.1\r\nHost: localhost\r\nSec-WebSocket-Key: x\r\n\r\n");
    EXPECT_EQ(raw.read_http().status, 426U);
}

TEST(Http, an_upgrade_elsewhere_is_not_found) {
    TestServer server;
    for (const char* target : {"/healthz", "/nothing", "/ws/", "/index.html?ws"}) {
        RawConnection raw(server.port());
        raw.send(upgrade_request(target));
        const auto answer = raw.read_http();
        EXPECT_EQ(answer.status, 404U) << target;
        EXPECT_EQ(answer.json().at("error"), "not_found");
    }
}

TEST(Http, head_is_get_without_a_body) {
    TestServer server;
    RawConnection raw(server.port());
    raw.send(http_request("HEAD", "/healthz") + http_request("GET", "/healthz"));
    const auto head = raw.read_http(true);
    const auto get = raw.read_http();
    EXPECT_EQ(head.status, 200U);
    EXPECT_EQ(head.body, "");
    EXPECT_EQ(head.headers.at("content-length"), std::to_string(get.body.size()));
}

TEST(Http, a_connection_serves_many_requests_and_may_become_a_websocket) {
    TestServer server;
    RawConnection raw(server.port());
    for (int i = 0; i < 5; ++i) {
        raw.send(http_request("GET", i % 2 == 0 ? "/healthz" : "/nothing"));
        EXPECT_EQ(raw.read_http().status, i % 2 == 0 ? 200U : 404U);
    }
    raw.send(upgrade_request("/"));
    EXPECT_EQ(raw.read_http().status, 101U);
}

TEST(Http, connection_close_and_http_1_0_are_respected) {
    TestServer server;
    RawConnection closing(server.port());
    closing.send(http_request("GET", "/healthz", "Connection: close\r\n"));
    EXPECT_EQ(closing.read_http().headers.at("connection"), "close");
    EXPECT_EQ(closing.read_to_end(), "");
    RawConnection hint(server.port());
    hint.send(http_request("GET", "/ws", "Connection: close\r\n"));
    EXPECT_EQ(hint.read_http().headers.at("upgrade"), "websocket");
    EXPECT_EQ(hint.read_to_end(), "");
    RawConnection old(server.port());
    old.send("GET /healthz HTTP/1.0\r\n\r\n");
    EXPECT_EQ(old.read_http().status, 200U);
    EXPECT_EQ(old.read_to_end(), "");
}

TEST(Http, oversized_or_invalid_requests_are_rejected_and_the_connection_closed) {
    struct Case {
        std::string request;
        unsigned status;
    };
    TestServer server;
    for (const auto& [request, status] :
         {Case{http_request("GET", "/healthz", "X: " + std::string(9000, 'x') + "\r\n"), 431},
          Case{"GET /" + std::string(9000, 'x') + " HTTP/1.1\r\n\r\n", 431},
          Case{http_request("POST", "/healthz", "Content-Length: 9000\r\n") + std::string(9000, 'x'), 413},
          Case{http_request("POST", "/healthz", "Transfer-Encoding: chunked\r\n") + "2500\r\n" +
                   std::string(0x2500, 'x') + "\r\n0\r\n\r\n",
               413},
          Case{"nonsense\r\n\r\n", 400}}) {
        RawConnection raw(server.port());
        raw.send(request);
        const auto answer = raw.read_http();
        EXPECT_EQ(answer.status, status) << request.substr(0, 40);
        EXPECT_TRUE(answer.json().contains("detail"));
        EXPECT_EQ(answer.headers.at("connection"), "close");
    }
}

TEST(Http, frames_before_the_end_of_the_handshake_are_rejected) {
    TestServer server;
    RawConnection raw(server.port());
    raw.send(upgrade_request("/") + std::string("\x81\x80\0\0\0\0", 6));
    EXPECT_EQ(raw.read_http().status, 400U);
}

}  // namespace
}  // namespace session_buddy::test
