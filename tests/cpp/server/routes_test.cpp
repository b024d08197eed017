// Routing of requests, without a connection.
#include "server/routes.hpp"

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <variant>

namespace session_buddy::server {
namespace {

namespace http = boost::beast::http;

const std::array kRoutedFiles{EmbeddedFile{"index.html", "<!doctype html>"}, EmbeddedFile{"assets/app.js", "x"}};

http::request_header<> request_to(http::verb method, const std::string& target) {
    http::request_header<> header;
    header.version(11);
    header.method(method);
    header.target(target);
    return header;
}

http::request_header<> upgrade_to(const std::string& target) {
    auto header = request_to(http::verb::get, target);
    header.set(http::field::connection, "Upgrade");
    header.set(http::field::upgrade, "websocket");
    header.set(http::field::sec_websocket_key, "AAAAAAAAAAAAAAAAAAAAAA==");
    header.set(http::field::sec_websocket_version, "13");
    return header;
}

Route routed(const http::request_header<>& header) {
    static const Assets assets(kRoutedFiles);
    return route_of(header, assets);
}

template <typename Query>
std::optional<Query> routed_query(const std::string& target) {
    const auto route = routed(request_to(http::verb::get, target));
    const auto* const query = std::get_if<protocol::ApiQuery>(&route);
    const auto* const found = query != nullptr ? std::get_if<Query>(query) : nullptr;
    return found != nullptr ? std::optional(*found) : std::nullopt;
}

TEST(Routes, a_query_in_any_encoding_is_parsed) {
    for (const char* query : {"?sparkline=true", "?%73parkline=true", "?sparkl%69ne=tru%65", "?&&%73parkline=true"}) {
        const auto skills = routed_query<protocol::SkillsRequest>(std::string("/api/v1/skills") + query);
        ASSERT_TRUE(skills) << query;
        EXPECT_TRUE(skills->sparkline) << query;
    }
    const auto resembling = routed_query<protocol::SkillsRequest>("/api/v1/skills?search=sparkline%3Dtrue");
    ASSERT_TRUE(resembling);
    EXPECT_FALSE(resembling->sparkline);
    EXPECT_TRUE(routed_query<protocol::BadParameter>("/api/v1/skills?sparkline=yes"));
    EXPECT_TRUE(routed_query<protocol::MetricsRequest>("/metrics?sparkline=yes"));
}

TEST(Routes, head_has_the_route_of_get_and_ingestion_has_post) {
    EXPECT_TRUE(std::holds_alternative<protocol::ApiQuery>(routed(request_to(http::verb::head, "/api/v1/series"))));
    EXPECT_TRUE(std::holds_alternative<Handler>(routed(request_to(http::verb::head, "/healthz?a"))));
    EXPECT_EQ(std::get<IntakeRequest::Kind>(routed(request_to(http::verb::post, "/hooks/claude-code?a=b"))),
              IntakeRequest::Kind::hook);
    EXPECT_EQ(std::get<IntakeRequest::Kind>(routed(request_to(http::verb::post, "/api/v1/invocations"))),
              IntakeRequest::Kind::invocations);
}

TEST(Routes, a_command_about_alerts_is_parsed_from_its_body_or_query) {
    const auto acknowledge = routed(request_to(http::verb::post, "/api/v1/alerts/acknowledge"));
    EXPECT_EQ(std::get<AlertCommand>(std::get<CommandParser>(acknowledge)(R"({"id":2})")),
              AlertCommand(AcknowledgeAlert{2, ""}));
    const auto mute = routed(request_to(http::verb::post, "/api/v1/mutes?a"));
    EXPECT_EQ(std::get<AlertCommand>(std::get<CommandParser>(mute)(R"({"skill_name":"a"})")),
              AlertCommand(MuteSkill{"a", std::nullopt, ""}));
    EXPECT_EQ(std::get<UnmuteRequest>(routed(request_to(http::verb::delete_, "/api/v1/mutes?skill_name=a"))),
              UnmuteRequest(UnmuteSkill{"a"}));
    const auto bad = std::get<UnmuteRequest>(routed(request_to(http::verb::delete_, "/api/v1/mutes?name=a")));
    EXPECT_EQ(std::get<protocol::BadParameter>(bad).parameter, "name");
}

TEST(Routes, another_method_or_path_has_no_route) {
    struct Case {
        http::verb method;
        const char* target;
        const char* allowed;
    };
    for (const auto& [method, target, allowed] :
         {Case{http::verb::post, "/metrics", "GET, HEAD"}, Case{http::verb::get, "/api/v1/invocations", "POST"},
          Case{http::verb::post, "/api/v1/alerts", "GET, HEAD"}, Case{http::verb::get, "/api/v1/mutes", "POST, DELETE"},
          Case{http::verb::delete_, "/api/v1/alerts/acknowledge", "POST"},
          Case{http::verb::head, "/hooks/claude-code", "POST"}, Case{http::verb::options, "/healthz", "GET, HEAD"},
          Case{http::verb::post, "/assets/app.js", "GET, HEAD"}, Case{http::verb::get, "/none", ""},
          Case{http::verb::get, "", ""}, Case{http::verb::get, "/healthz/", ""}}) {
        const auto route = routed(request_to(method, target));
        ASSERT_TRUE(std::holds_alternative<NoRoute>(route)) << target;
        EXPECT_EQ(std::get<NoRoute>(route).allowed_methods, allowed) << target;
    }
}

TEST(Routes, upgrades_open_a_websocket_at_two_paths_only) {
    for (const char* target : {"/", "/ws", "/?a", "/ws?token=x"}) {
        EXPECT_TRUE(std::holds_alternative<OpenWebSocket>(routed(upgrade_to(target)))) << target;
    }
    for (const char* target : {"/metrics", "/healthz", "/api/v1/skills", "/ws/", "/assets/app.js"}) {
        EXPECT_TRUE(std::holds_alternative<NoRoute>(routed(upgrade_to(target)))) << target;
    }
}

TEST(Routes, a_failed_upgrade_does_not_get_the_page) {
    EXPECT_TRUE(std::holds_alternative<const Asset*>(routed(request_to(http::verb::get, "/?a=b"))));
    auto failed = upgrade_to("/");
    failed.erase(http::field::connection);
    EXPECT_TRUE(std::holds_alternative<Handler>(routed(failed)));
}

TEST(Routes, a_preflight_differs_from_other_options_requests_by_its_headers) {
    auto preflight = request_to(http::verb::options, "/api/v1/invocations");
    EXPECT_TRUE(std::holds_alternative<NoRoute>(routed(preflight)));
    preflight.set(http::field::origin, "http://localhost");
    preflight.set(http::field::access_control_request_method, "POST");
    EXPECT_EQ(std::get<Preflight>(routed(preflight)).allowed_methods, "POST");
}

TEST(Routes, require_a_scope_for_data) {
    const auto scope = [](http::verb method, const char* target) {
        return required_scope(routed(request_to(method, target)));
    };
    EXPECT_EQ(scope(http::verb::post, "/hooks/claude-code"), auth::Scope::write);
    EXPECT_EQ(scope(http::verb::post, "/api/v1/alerts/acknowledge"), auth::Scope::write);
    EXPECT_EQ(scope(http::verb::post, "/api/v1/mutes"), auth::Scope::write);
    EXPECT_EQ(scope(http::verb::delete_, "/api/v1/mutes"), auth::Scope::write);
    EXPECT_EQ(scope(http::verb::get, "/api/v1/alerts"), auth::Scope::read);
    EXPECT_EQ(scope(http::verb::get, "/api/v1/skills"), auth::Scope::read);
    EXPECT_EQ(scope(http::verb::get, "/api/v1/skills?none"), auth::Scope::read);
    EXPECT_EQ(scope(http::verb::get, "/metrics?none"), auth::Scope::metrics);
    for (const char* target : {"/healthz", "/readyz", "/", "/assets/app.js", "/none"}) {
        EXPECT_EQ(scope(http::verb::get, target), std::nullopt) << target;
    }
    EXPECT_EQ(required_scope(routed(upgrade_to("/"))), std::nullopt) << "the token may also come as a message";
}

}  // namespace
}  // namespace session_buddy::server
