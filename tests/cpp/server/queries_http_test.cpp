// Queries of the HTTP API to a running server, answered when the test decides.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>

#include "server/pending_requests.hpp"
#include "server/test_client.hpp"
#include "session_buddy/server/queries.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::test {
namespace {

using server::HttpReply;
using server::QueryRequest;

class ManualQueries final : public server::Queries, public PendingRequests<QueryRequest, HttpReply> {
  public:
    void submit(QueryRequest request, Done done) override { push({std::move(request), std::move(done)}); }
};

HttpReply text(std::string body) {
    HttpReply answer;
    answer.body = std::move(body);
    return answer;
}

TEST(QueriesHttp, each_path_submits_its_parsed_query_with_the_request_headers) {
    ManualQueries queries;
    TestServer server({}, nullptr, &queries);
    TestClient client(server.port());
    struct Case {
        const char* target;
        protocol::ApiQuery query;
    };
    for (const auto& [target, query] :
         {Case{"/api/v1/server", protocol::ServerRequest{}},
          Case{"/api/v1/skills?search=%20?b", protocol::SkillsRequest{.search = " ?b", .page = {.limit = 50}}},
          Case{"/api/v1/skills?%73parkline=true", protocol::SkillsRequest{.sparkline = true, .page = {.limit = 50}}},
          Case{"/api/v1/skill?skill_name=a", protocol::SkillRequest{"a"}},
          Case{"/api/v1/series", protocol::SeriesRequest{}},
          Case{"/api/v1/anomalies", protocol::AnomaliesRequest{.page = {.limit = 100}}},
          Case{"/api/v1/alerts?state=open&limit=9",
               protocol::AlertsRequest{.state = protocol::AlertState::open, .page = {.limit = 9}}},
          Case{"/api/v1/groups?active=true", protocol::GroupsRequest{.active = true, .page = {.limit = 50}}},
          Case{"/api/v1/sessions?limit=7", protocol::SessionsRequest{7}},
          Case{"/api/v1/sessions?%", protocol::BadParameter{"%", "A % must be followed by two hexadecimal digits"}},
          Case{"/metrics?a=%20?b", protocol::MetricsRequest{}}}) {
        RawConnection raw(server.port());
        raw.send(
            http_request("GET", target, "Accept: text/plain\r\nAccept-Encoding: gzip\r\nIf-None-Match: \"x\"\r\n"));
        auto pending = queries.next();
        EXPECT_TRUE(pending.request.query == query) << target;
        EXPECT_EQ(pending.request.accept, "text/plain");
        EXPECT_EQ(pending.request.accept_encoding, "gzip");
        EXPECT_EQ(pending.request.if_none_match, "\"x\"");
        EXPECT_EQ(pending.request.clients, 1U);
        HttpReply answer = text("data");
        answer.content_type = "text/x";
        answer.headers = {{"ETag", "W/\"y\""}, {"Cache-Control", "no-cache"}, {"Vary", "Origin, Accept"}};
        pending.done(std::move(answer));
        const auto received = raw.read_http();
        EXPECT_EQ(received.status, 200U);
        EXPECT_EQ(received.body, "data");
        EXPECT_EQ(received.headers.at("content-type"), "text/x");
        EXPECT_EQ(received.headers.at("etag"), "W/\"y\"");
        EXPECT_EQ(received.headers.at("cache-control"), "no-cache");
        EXPECT_EQ(received.headers.at("vary"), "Origin, Accept");
    }
}

TEST(QueriesHttp, paths_are_visible_to_local_clients_and_not_through_an_unknown_proxy) {
    ManualQueries queries;
    TestServer direct({}, nullptr, &queries);
    Config config;
    config.behind_proxy = true;
    TestServer behind_proxy(config, nullptr, &queries);
    const auto may_see_paths = [&](const TestServer& server, const std::string& headers) {
        RawConnection raw(server.port());
        raw.send(http_request("GET", "/api/v1/server", headers));
        auto pending = queries.next();
        pending.done(text("data"));
        static_cast<void>(raw.read_http());
        return pending.request.may_see_paths;
    };
    EXPECT_TRUE(may_see_paths(direct, ""));
    for (const char* const header : {"X-Forwarded-For: 127.0.0.1\r\n", "Forwarded: for=192.0.2.1\r\n",
                                     "Via: 1.1 proxy\r\n", "X-Real-IP: 127.0.0.1\r\n"}) {
        EXPECT_FALSE(may_see_paths(direct, header)) << header;
    }
    EXPECT_FALSE(may_see_paths(behind_proxy, "X-Forwarded-For: 192.0.2.1\r\n"));
    EXPECT_TRUE(may_see_paths(behind_proxy, "X-Forwarded-For: 127.0.0.1\r\n"));
}

TEST(QueriesHttp, head_and_304_have_no_body_and_keep_the_connection) {
    ManualQueries queries;
    TestServer server({}, nullptr, &queries);
    RawConnection raw(server.port());
    raw.send(http_request("HEAD", "/api/v1/skills"));
    queries.next().done(text("data"));
    const auto head = raw.read_http(true);
    EXPECT_EQ(head.status, 200U);
    EXPECT_EQ(head.headers.at("content-length"), "4");
    raw.send(http_request("GET", "/api/v1/skills"));
    HttpReply not_modified;
    not_modified.status = 304;
    queries.next().done(std::move(not_modified));
    const auto answer = raw.read_http(true);
    EXPECT_EQ(answer.status, 304U);
    EXPECT_EQ(answer.headers.count("content-length"), 0U);
    EXPECT_EQ(answer.headers.count("content-type"), 0U);
    raw.send(http_request("GET", "/healthz"));
    EXPECT_EQ(raw.read_http().status, 200U);
}

TEST(QueriesHttp, other_methods_get_405) {
    ManualQueries queries;
    TestServer server({}, nullptr, &queries);
    for (const char* method : {"POST", "PUT", "DELETE"}) {
        const auto answer = http(server.port(), method, "/api/v1/skills");
        EXPECT_EQ(answer.status, 405U);
        EXPECT_EQ(answer.headers.at("allow"), "GET, HEAD");
    }
    RawConnection raw(server.port());
    raw.send(upgrade_request("/api/v1/skills"));
    EXPECT_EQ(raw.read_http().status, 404U);
}

TEST(QueriesHttp, without_queries_it_is_503) {
    TestServer server;
    const auto answer = http(server.port(), "GET", "/api/v1/skills");
    EXPECT_EQ(answer.status, 503U);
    EXPECT_EQ(answer.json().at("error"), "no_queries");
}

TEST(QueriesHttp, late_responses_after_a_disconnect_or_a_stop_are_dropped) {
    ManualQueries queries;
    TestServer server({}, nullptr, &queries);
    PendingRequest<QueryRequest, HttpReply> pending;
    {
        RawConnection raw(server.port());
        raw.send(http_request("GET", "/api/v1/skills"));
        pending = queries.next();
    }
    pending.done(text("data"));
    EXPECT_EQ(http(server.port(), "GET", "/healthz").status, 200U);
    RawConnection waiting(server.port());
    waiting.send(http_request("GET", "/api/v1/skills"));
    pending = queries.next();
    server->stop();
    pending.done(text("data"));
}

TEST(QueriesHttp, a_token_needs_the_scope_read_or_metrics) {
    TempDir dir;
    Config config;
    config.auth_token_file = dir.file("tokens");
    write_text(config.auth_token_file,
               "reader-reader-reader read\nwriter-writer-writer write\nscraper-scraper-scr metrics\n");
    std::filesystem::permissions(config.auth_token_file, std::filesystem::perms::owner_read);
    ManualQueries queries;
    TestServer server(config, nullptr, &queries);
    struct Case {
        const char* token;
        const char* path;
        unsigned status;
        const char* scope;
    };
    for (const auto& [token, path, status, scope] :
         {Case{"", "/api/v1/skills", 401, ""}, Case{"", "/metrics", 401, ""},
          Case{"reader-reader-reader", "/api/v1/skills", 200, ""}, Case{"reader-reader-reader", "/metrics", 200, ""},
          Case{"writer-writer-writer", "/api/v1/skills", 403, "scope=\"read\""},
          Case{"writer-writer-writer", "/metrics", 403, "scope=\"metrics\""},
          Case{"scraper-scraper-scr", "/api/v1/skills", 403, "scope=\"read\""},
          Case{"scraper-scraper-scr", "/metrics", 200, ""}}) {
        RawConnection raw(server.port());
        raw.send(
            http_request("GET", path, *token == '\0' ? "" : "Authorization: Bearer " + std::string(token) + "\r\n"));
        if (status == 200U) {
            queries.next().done(text("data"));
        }
        const auto answer = raw.read_http();
        EXPECT_EQ(answer.status, status) << token << ' ' << path;
        if (status != 200U) {
            EXPECT_EQ(answer.headers.at("content-type"), "application/problem+json");
            EXPECT_NE(answer.headers.at("www-authenticate").find(scope), std::string::npos) << path;
        }
    }
}

}  // namespace
}  // namespace session_buddy::test
