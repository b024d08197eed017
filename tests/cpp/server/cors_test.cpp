// Origin and Host checks of a running server: upgrades, plain requests, CORS headers, preflights, logging.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "server/test_client.hpp"
#include "session_buddy/core/log.hpp"

namespace session_buddy::test {
namespace {

const std::string kAllowed = "https://app.example.org";
const std::string kRefused = "https://evil.example";

Config config_with(const std::string& allow_origin, const std::string& allow_host = "") {
    Config config;
    config.allow_origin = allow_origin;
    config.allow_host = allow_host;
    return config;
}

std::string of_origin(const std::string& origin) {
    return "Origin: " + origin + "\r\n";
}

std::string upgrade_with(const std::string& header_lines) {
    auto request = upgrade_request("/ws");
    request.insert(request.size() - 2, header_lines);
    return request;
}

std::string preflight_for(const std::string& target, const std::string& origin) {
    return http_request(
        "OPTIONS", target,
        of_origin(origin) + "Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: authorization\r\n");
}

std::string replaced(std::string text, const std::string& old, const std::string& by) {
    return text.replace(text.find(old), old.size(), by);
}

// A rejection reveals nothing else to a page.
void expect_no_cors(const HttpResponse& answer) {
    for (const auto& [name, value] : answer.headers) {
        EXPECT_EQ(name.find("access-control"), std::string::npos) << name << ": " << value;
    }
    EXPECT_EQ(answer.headers.at("vary"), "Origin");
}

TEST(Cors, every_response_to_an_allowed_origin_has_cors_headers) {
    TestServer server(config_with(kAllowed));
    struct Case {
        const char* method;
        const char* target;
        unsigned status;
    };
    for (const auto& [method, target, status] :
         {Case{"GET", "/healthz", 200}, Case{"GET", "/readyz", 503}, Case{"GET", "/nothing", 404},
          Case{"POST", "/healthz", 405}, Case{"GET", "/ws", 426}}) {
        for (const auto& origin : {kAllowed, std::string("http://localhost:3000"), std::string("http://localhost")}) {
            const auto answer = answer_to(server, http_request(method, target, of_origin(origin)));
            EXPECT_EQ(answer.status, status) << target;
            EXPECT_EQ(answer.headers.at("access-control-allow-origin"), origin) << target;
            EXPECT_EQ(answer.headers.at("vary"), "Origin") << target;
            EXPECT_EQ(answer.headers.count("access-control-allow-credentials"), 0U);
        }
    }
}

TEST(Cors, no_cors_headers_without_an_origin_or_for_a_rejected_one) {
    TestServer server(config_with(kAllowed));
    const auto to_program = answer_to(server, http_request("GET", "/healthz"));
    EXPECT_EQ(to_program.status, 200U);
    expect_no_cors(to_program);
    for (const auto& lines : {of_origin(kRefused), of_origin("null"), of_origin(""), of_origin(kAllowed + ".")}) {
        for (const auto& request : {http_request("GET", "/healthz", lines), http_request("POST", "/nothing", lines),
                                    upgrade_with(lines), upgrade_request("/nothing").insert(23, lines)}) {
            const auto answer = answer_to(server, request);
            EXPECT_EQ(answer.status, 403U) << request;
            EXPECT_EQ(answer.json().at("error"), "origin_not_allowed");
            EXPECT_NE(answer.json().at("detail").get<std::string>().find("--allow-origin"), std::string::npos);
            EXPECT_EQ(answer.body.find("evil"), std::string::npos);
            expect_no_cors(answer);
        }
    }
}

TEST(Cors, cors_headers_do_not_leak_into_the_next_request) {
    TestServer server(config_with(kAllowed));
    RawConnection connection(server.port());
    connection.send(http_request("GET", "/healthz", of_origin(kAllowed)));
    EXPECT_EQ(connection.read_http().headers.count("access-control-allow-origin"), 1U);
    connection.send(http_request("GET", "/healthz"));
    expect_no_cors(connection.read_http());
    connection.send(http_request("GET", "/healthz", of_origin(kAllowed)));
    EXPECT_EQ(connection.read_http().headers.count("access-control-allow-origin"), 1U);
    connection.send("nonsense\r\n\r\n");
    const auto bad = connection.read_http();
    EXPECT_EQ(bad.status, 400U);
    expect_no_cors(bad);
}

TEST(Cors, a_preflight_returns_the_methods_of_the_path) {
    TestServer server(config_with(kAllowed));
    RawConnection connection(server.port());
    for (const char* target : {"/healthz", "/readyz?x=y", "/", "/ws"}) {
        connection.send(preflight_for(target, kAllowed));
        const auto answer = connection.read_http();
        EXPECT_EQ(answer.status, 204U) << target;
        EXPECT_EQ(answer.body, "");
        EXPECT_EQ(answer.headers.count("content-length"), 0U);  // not allowed with 204
        EXPECT_EQ(answer.headers.count("content-type"), 0U);
        EXPECT_EQ(answer.headers.at("access-control-allow-origin"), kAllowed);
        EXPECT_EQ(answer.headers.at("access-control-allow-methods"), "GET, HEAD");
        EXPECT_EQ(answer.headers.at("access-control-allow-headers"), "Authorization, Content-Type, If-None-Match");
        EXPECT_EQ(answer.headers.at("access-control-max-age"), "600");
        EXPECT_EQ(answer.headers.at("vary"), "Origin");
    }
    connection.send(http_request("GET", "/healthz"));
    EXPECT_EQ(connection.read_http().status, 200U);
}

TEST(Cors, other_preflights_are_rejected_and_plain_options_is_405) {
    TestServer server(config_with(kAllowed));
    const auto refused = answer_to(server, preflight_for("/healthz", kRefused));
    EXPECT_EQ(refused.status, 403U);
    expect_no_cors(refused);
    const auto unknown = answer_to(server, preflight_for("/nothing", kAllowed));
    EXPECT_EQ(unknown.status, 404U);
    EXPECT_EQ(unknown.headers.count("access-control-allow-methods"), 0U);
    for (const auto& lines :
         {std::string(), of_origin(kAllowed), std::string("Access-Control-Request-Method: GET\r\n")}) {
        const auto answer = answer_to(server, http_request("OPTIONS", "/healthz", lines));
        EXPECT_EQ(answer.status, 405U) << lines;
        EXPECT_EQ(answer.headers.at("allow"), "GET, HEAD");
    }
}

TEST(OriginOfUpgrade, must_be_allowed) {
    auto config = config_with(kAllowed + ",null");
    config.max_clients = 1;
    TestServer server(config);
    for (const auto& origin : {kRefused, std::string("https://app.example.org.evil.example"), std::string()}) {
        EXPECT_EQ(answer_to(server, upgrade_with(of_origin(origin))).status, 403U) << origin;
    }
    for (const auto& origin : {kAllowed, std::string("null"), std::string("http://127.0.0.1:3000")}) {
        TestServer::eventually([&] {  // until the slot of the previous client is released
            try {
                TestClient client(server.port(), {.headers = {{"Origin", origin}}});
                return client.ask({{"type", "ping"}}).at("type") == "pong";
            } catch (const std::runtime_error&) {
                return false;
            }
        });
    }
}

TEST(OriginOfUpgrade, may_be_the_origin_of_the_proxy) {
    auto config = config_with("", "app.example.org");
    config.behind_proxy = true;
    TestServer server(config);
    const auto forwarded = [&](const std::string& lines) {
        return answer_to(server, replaced(upgrade_with(of_origin(kAllowed) + lines), "localhost", "app.example.org"))
            .status;
    };
    EXPECT_EQ(forwarded("X-Forwarded-Proto: https\r\n"), 101U);
    EXPECT_EQ(forwarded("X-Forwarded-Proto: http\r\n"), 403U);
    EXPECT_EQ(forwarded(""), 403U);
}

TEST(HostOfRequest, must_be_allowed_for_every_path) {
    TestServer server(config_with("", "app.example.org"));
    for (const auto& request : {http_request("GET", "/healthz"), upgrade_request("/"), upgrade_request("/nothing"),
                                preflight_for("/healthz", "http://localhost"), http_request("POST", "/nothing")}) {
        for (const std::string host :
             {"rebind.example", "rebind.example:8765", "192.0.2.1", "evil\xff", "localhost."}) {
            const auto answer = answer_to(server, replaced(request, "Host: localhost", "Host: " + host));
            EXPECT_EQ(answer.status, 403U) << host;
            EXPECT_EQ(answer.json().at("error"), "host_not_allowed");
            EXPECT_NE(answer.json().at("detail").get<std::string>().find("--allow-host"), std::string::npos);
            EXPECT_EQ(answer.body.find("rebind"), std::string::npos);
            expect_no_cors(answer);
        }
    }
    for (const std::string host : {"app.example.org", "APP.example.org:443", "127.0.0.1:1", "[::1]", "x.localhost"}) {
        const auto request = replaced(http_request("GET", "/healthz"), "Host: localhost", "Host: " + host);
        EXPECT_EQ(answer_to(server, request).status, 200U) << host;
    }
    EXPECT_EQ(answer_to(server, "GET /healthz HTTP/1.0\r\n\r\n").status, 200U);
    EXPECT_EQ(answer_to(server, "GET /healthz HTTP/1.0\r\nOrigin: http://localhost\r\n\r\n").status, 403U);
}

TEST(HostOfRequest, may_be_any_address_if_the_server_listens_beyond_loopback) {
    Config config;
    config.host = "0.0.0.0";
    config.insecure = true;
    config.port = 0;
    server::NetworkServer server(config, kSystemClock);
    server.bind();
    server.start();
    const auto status = [&server](const std::string& host) {
        RawConnection connection(server.port());
        connection.send(replaced(http_request("GET", "/healthz"), "Host: localhost", "Host: " + host));
        return connection.read_http().status;
    };
    EXPECT_EQ(status("192.0.2.1:8765"), 200U);
    EXPECT_EQ(status("rebind.example:8765"), 403U);
}

TEST(RefusedOrigin, closes_the_connection_so_that_a_page_cannot_exhaust_the_limit) {
    Config config;
    config.max_clients_per_address = 3;
    TestServer server(config);
    std::vector<std::unique_ptr<RawConnection>> page;
    for (int i = 0; i < 3; ++i) {
        page.push_back(std::make_unique<RawConnection>(server.port()));
        page.back()->send(i == 0   ? http_request("GET", "/healthz", of_origin("https://evil.example"))
                          : i == 1 ? upgrade_with(of_origin("https://evil.example"))
                                   : http_request("GET", "/healthz", "Sec-Fetch-Site: cross-site\r\n"));
        const auto answer = page.back()->read_http();
        EXPECT_EQ(answer.status, i == 2 ? 200U : 403U);
        EXPECT_EQ(answer.headers.at("connection"), "close");
    }
    // The page does not close its connections.
    TestServer::eventually([&server] {
        try {
            return http(server.port(), "GET", "/healthz").status == 200U;
        } catch (const std::exception&) {  // closed: the connection limit of the address is reached
            return false;
        }
    });
}

TEST(RefusedOrigin, is_logged_once_and_truncated) {
    std::vector<std::string> warnings;
    log::set_sink([&warnings](const log::Record& record) {
        if (record.level == log::Level::warning) {
            warnings.emplace_back(record.message);
        }
    });
    {
        TestServer server;
        const std::string long_origin = "https://evil\xff" + std::string(1000, 'x') + ".example";
        for (int i = 0; i < 5; ++i) {
            EXPECT_EQ(answer_to(server, http_request("GET", "/healthz", of_origin(long_origin))).status, 403U);
        }
    }
    log::reset_sink();
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_NE(warnings.front().find("1 since the last report"), std::string::npos);
    EXPECT_NE(warnings.front().find("Origin 'https://evil?xxx"), std::string::npos);
    EXPECT_NE(warnings.front().find("not in allow_origin"), std::string::npos);
    EXPECT_LT(warnings.front().size(), 300U);
}

}  // namespace
}  // namespace session_buddy::test
