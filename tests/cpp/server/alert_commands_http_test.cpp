// Commands about alerts to a running server: who may send them, what is rejected, and what reaches the thread that
// writes.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>

#include "protocol/sample_snapshot.hpp"
#include "server/pending_requests.hpp"
#include "server/test_client.hpp"
#include "session_buddy/server/alert_commands.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::test {
namespace {

const std::string kAcknowledge = "/api/v1/alerts/acknowledge";
const std::string kMutes = "/api/v1/mutes";
const std::string kAsJson = "Content-Type: application/json\r\n";

class ManualCommands final : public server::AlertCommands, public PendingRequests<AlertCommand, AlertCommandResult> {
  public:
    void submit(AlertCommand command, Done done) override { push({std::move(command), std::move(done)}); }
};

std::string post_command(const std::string& target, const std::string& body, const std::string& headers = kAsJson) {
    return http_request("POST", target, headers + "Content-Length: " + std::to_string(body.size()) + "\r\n") + body;
}

TEST(AlertCommandsHttp, reach_the_thread_that_writes_and_return_its_answer_on_a_kept_connection) {
    ManualCommands commands;
    TestServer server({}, nullptr, nullptr, &commands);
    RawConnection raw(server.port());
    const auto check = [&](const std::string& request, const AlertCommand& expected, const AlertCommandResult& result,
                           const std::string& body) {
        raw.send(request);
        auto pending = commands.next();
        EXPECT_TRUE(pending.request == expected) << request;
        pending.done(result);
        const auto answer = raw.read_http();
        EXPECT_EQ(answer.status, 200U);
        EXPECT_EQ(answer.headers.at("content-type"), "application/json");
        EXPECT_EQ(answer.headers.at("cache-control"), "no-store");
        EXPECT_EQ(answer.body.substr(0, body.size()), body);
    };
    check(post_command(kAcknowledge, R"({"id":3,"note":"known"})"), AcknowledgeAlert{3, "known"},
          alert("a", AlertKind::duration_rose, 3), R"({"id":3,"skill_name":"a","kind":"duration_rose",)");
    check(post_command(kMutes, R"({"skill_name":"a","seconds":60})",
                       "Content-Type: Application/JSON ; charset=utf-8\r\n"),
          MuteSkill{"a", std::chrono::seconds{60}, ""},
          Mute{.skill_name = "a", .muted_at = kNoon, .until = kNoon + std::chrono::seconds{60}, .reason = ""},
          R"({"skill_name":"a","muted_at":"2026-02-10T12:00:00Z","until":"2026-02-10T12:01:00Z","reason":""})");
    check(http_request("DELETE", kMutes + "?skill_name=a%20b"), UnmuteSkill{"a b"}, Unmuted{}, R"({"removed":true})");
}

TEST(AlertCommandsHttp, that_change_nothing_get_the_reason) {
    ManualCommands commands;
    TestServer server({}, nullptr, nullptr, &commands);
    RawConnection raw(server.port());
    const auto check = [&](const std::string& request, AlertCommandError error, unsigned status, const char* code,
                           bool retry) {
        raw.send(request);
        commands.next().done(error);
        const auto answer = raw.read_http();
        EXPECT_EQ(answer.status, status) << code;
        EXPECT_EQ(answer.json().at("error"), code);
        EXPECT_EQ(answer.headers.contains("retry-after"), retry) << code;
    };
    const auto acknowledge = post_command(kAcknowledge, R"({"id":1})");
    check(acknowledge, AlertCommandError::not_found, 404, "unknown_alert", false);
    check(http_request("DELETE", kMutes + "?skill_name=a"), AlertCommandError::not_found, 404, "not_muted", false);
    check(acknowledge, AlertCommandError::locked, 503, "database_unavailable", true);
    check(acknowledge, AlertCommandError::read_only, 503, "database_read_only", false);
    check(acknowledge, AlertCommandError::unavailable, 503, "database_unavailable", true);
    check(acknowledge, AlertCommandError::too_many, 503, "too_many_commands", true);
    check(acknowledge, AlertCommandError::stopping, 503, "stopping", true);
}

TEST(AlertCommandsHttp, that_are_invalid_are_rejected_with_the_field_or_parameter) {
    ManualCommands commands;
    TestServer server({}, nullptr, nullptr, &commands);
    const auto field = answer_to(server, post_command(kAcknowledge, R"({"id":1,"note":5})"));
    EXPECT_EQ(field.status, 400U);
    EXPECT_EQ(field.headers.at("content-type"), "application/problem+json");
    EXPECT_EQ(field.json().at("error"), "bad_request");
    EXPECT_EQ(field.json().at("field"), "note");
    const auto body = answer_to(server, post_command(kMutes, "skill_name=a"));
    EXPECT_EQ(body.status, 400U);
    EXPECT_FALSE(body.json().contains("field"));
    const auto parameter = answer_to(server, http_request("DELETE", kMutes));
    EXPECT_EQ(parameter.status, 400U);
    EXPECT_EQ(parameter.json().at("error"), "bad_parameter");
    EXPECT_EQ(parameter.json().at("parameter"), "skill_name");
    for (const char* type : {"", "Content-Type: text/plain\r\n", "Content-Type: application/x-ndjson\r\n"}) {
        const auto answer = answer_to(server, post_command(kAcknowledge, R"({"id":1})", type));
        EXPECT_EQ(answer.status, 415U) << type;
        EXPECT_EQ(answer.json().at("error"), "unsupported_media_type");
    }
}

TEST(AlertCommandsHttp, with_a_body_that_is_too_large_or_without_length_are_rejected_unread) {
    ManualCommands commands;
    TestServer server({}, nullptr, nullptr, &commands);
    const auto large = answer_to(server, post_command(kMutes, std::string(8193, ' ')));
    EXPECT_EQ(large.status, 413U);
    EXPECT_EQ(large.json().at("error"), "body_too_large");
    const auto chunked = answer_to(
        server, http_request("POST", kMutes, kAsJson + "Transfer-Encoding: chunked\r\n") + "2\r\n{}\r\n0\r\n\r\n");
    EXPECT_EQ(chunked.status, 411U);
    EXPECT_EQ(answer_to(server, http_request("GET", kMutes)).headers.at("allow"), "POST, DELETE");
}

TEST(AlertCommandsHttp, without_authentication_are_accepted_from_loopback_and_not_through_an_unknown_proxy) {
    ManualCommands commands;
    TestServer server({}, nullptr, nullptr, &commands);
    for (const std::string proxy :
         {"X-Forwarded-For: 127.0.0.1\r\n", "Forwarded: for=192.0.2.1\r\n", "Via: 1.1 proxy\r\n"}) {
        for (const auto& request :
             {post_command(kAcknowledge, R"({"id":1})", kAsJson + proxy), post_command(kMutes, "", proxy),
              http_request("DELETE", kMutes + "?skill_name=a", proxy)}) {
            const auto answer = answer_to(server, request);
            EXPECT_EQ(answer.status, 403U) << request;
            EXPECT_EQ(answer.json().at("error"), "loopback_only");
        }
    }
}

TEST(AlertCommandsHttp, need_a_token_with_the_scope_write) {
    const TempDir dir;
    Config config;
    config.auth_token_file = dir.file("tokens");
    write_text(config.auth_token_file, "reader-0123456789abcdef read\nwriter-0123456789abcdef write\n");
    std::filesystem::permissions(config.auth_token_file, std::filesystem::perms::owner_read);
    ManualCommands commands;
    TestServer server(config, nullptr, nullptr, &commands);
    const auto request = [](const std::string& token) {
        return http_request("DELETE", kMutes + "?skill_name=a",
                            token.empty() ? "" : "Authorization: Bearer " + token + "\r\n");
    };
    EXPECT_EQ(answer_to(server, request("")).status, 401U);
    const auto lacking = answer_to(server, request("reader-0123456789abcdef"));
    EXPECT_EQ(lacking.status, 403U);
    EXPECT_EQ(lacking.json().at("error"), "insufficient_scope");
    RawConnection raw(server.port());
    raw.send(request("writer-0123456789abcdef"));
    commands.next().done(Unmuted{});
    EXPECT_EQ(raw.read_http().status, 200U);
}

TEST(AlertCommandsHttp, of_a_page_need_an_allowed_origin_and_get_a_preflight) {
    ManualCommands commands;
    TestServer server({}, nullptr, nullptr, &commands);
    const auto foreign =
        answer_to(server, post_command(kMutes, R"({"skill_name":"a"})", kAsJson + "Origin: https://example.org\r\n"));
    EXPECT_EQ(foreign.status, 403U);
    EXPECT_EQ(foreign.json().at("error"), "origin_not_allowed");
    const auto preflight = answer_to(
        server,
        http_request("OPTIONS", kMutes, "Origin: http://localhost:5173\r\nAccess-Control-Request-Method: DELETE\r\n"));
    EXPECT_EQ(preflight.status, 204U);
    EXPECT_EQ(preflight.headers.at("access-control-allow-methods"), "POST, DELETE");
}

TEST(AlertCommandsHttp, on_a_server_without_commands_get_503) {
    TestServer server;
    const auto answer = answer_to(server, post_command(kAcknowledge, R"({"id":1})"));
    EXPECT_EQ(answer.status, 503U);
    EXPECT_EQ(answer.json().at("error"), "no_commands");
}

}  // namespace
}  // namespace session_buddy::test
