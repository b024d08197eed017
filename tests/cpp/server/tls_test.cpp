// A running server with TLS: accepted versions and clients, reload, and how connections end.
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "protocol/sample_snapshot.hpp"
#include "server/test_client.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::test {
namespace {

const TlsClientOptions kAnyTls{};

class Tls : public ::testing::Test {
  protected:
    Config config() {
        Config config;
        config.tls_cert = folder_.file("cert.pem");
        config.tls_key = folder_.file("key.pem");
        install(first_);
        return config;
    }
    void install(const TestCertificate& certificate) {
        write_text(folder_.file("cert.pem"), certificate.certificate_pem());
        write_text(folder_.file("key.pem"), certificate.key_pem());
    }
    static TestClient client(const TestServer& server, const TlsClientOptions& options = {}) {
        return TestClient(server.port(), {.tls = options});
    }
    static std::string why_refused(const TestServer& server, const TlsClientOptions& options) {
        try {
            auto refused = client(server, options);
            return "not refused";
        } catch (const std::runtime_error& error) {
            return error.what();
        }
    }

    TempDir folder_;
    TestCertificate first_{{.name = "first"}};
};

TEST_F(Tls, serves_websockets_and_http_on_one_port) {
    TestServer server(config());
    auto websocket = client(server);
    EXPECT_EQ(websocket.ask({{"type", "ping"}}).at("type"), "pong");
    server->publish(snapshot_of(1, {skill("pytest-run", 3)}));
    EXPECT_EQ(websocket.read().at("type"), "metrics_update");
    EXPECT_EQ(websocket.ping("payload"), "payload");
    RawConnection http(server.port(), "127.0.0.1", kAnyTls);
    for (int i = 0; i < 3; ++i) {
        http.send(http_request("GET", "/healthz"));
        EXPECT_EQ(http.read_http().status, 200U);
    }
}

TEST_F(Tls, carries_messages_of_any_size_both_ways) {
    TestServer server(config());
    std::vector<SkillMetrics> skills;
    for (int i = 0; i < 1000; ++i) {
        skills.push_back(skill(std::string(200, 'x') + std::to_string(i), 1000 - i));
    }
    auto large = snapshot_of(1, {});
    large->skills = table_of(skills, skills.size());
    server->publish(large);
    auto websocket = client(server);
    websocket.send(Json{{"type", "subscribe"}, {"padding", std::string(60000, 'p')}});
    EXPECT_EQ(websocket.read().at("type"), "subscription_confirmed");
    EXPECT_EQ(websocket.read().at("data").at("top_skills").size(), 1000U);
}

TEST_F(Tls, accepts_only_tls_1_2_and_1_3_with_modern_ciphers) {
    TestServer server(config());
    EXPECT_EQ(client(server).tls_version(), "TLSv1.3");
    EXPECT_EQ(client(server, {.version = TLS1_2_VERSION}).tls_version(), "TLSv1.2");
    EXPECT_EQ(client(server, {.version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305"}).tls_version(),
              "TLSv1.2");
    for (const int old : {TLS1_1_VERSION, TLS1_VERSION}) {
        EXPECT_NE(why_refused(server, {.version = old, .ciphers = "ALL:@SECLEVEL=0"}).find("TLS handshake failed"),
                  std::string::npos);
    }
    for (const char* ciphers : {"ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "aNULL:@SECLEVEL=0"}) {
        EXPECT_NE(why_refused(server, {.version = TLS1_2_VERSION, .ciphers = ciphers}).find("TLS handshake failed"),
                  std::string::npos)
            << ciphers;
    }
}

TEST_F(Tls, answers_a_plain_http_request_with_tls_required) {
    TestServer server(config());
    for (const auto& request : {http_request("GET", "/healthz"), upgrade_request("/ws"), std::string("\r\n"),
                                http_request("POST", "/", "Content-Length: 100000\r\n") + std::string(100000, 'x')}) {
        RawConnection plain(server.port());
        plain.send(request);
        const auto answer = plain.read_http();
        EXPECT_EQ(answer.status, 400U);
        EXPECT_EQ(answer.json().at("error"), "tls_required");
        EXPECT_EQ(plain.read_to_end(), "");
    }
}

TEST_F(Tls, bounds_the_handshake_and_the_first_request_together) {
    auto limited = config();
    limited.handshake_timeout = Seconds{0.3};
    TestServer server(limited);
    const auto begin = std::chrono::steady_clock::now();
    RawConnection silent(server.port());
    RawConnection halfway(server.port());
    halfway.send(std::string("\x16\x03\x01\x02\x00\x01", 6));
    RawConnection without_request(server.port(), "127.0.0.1", kAnyTls);
    EXPECT_EQ(silent.read_to_end(), "");
    EXPECT_EQ(halfway.read_to_end(), "");
    EXPECT_THROW(static_cast<void>(without_request.read_to_end()), std::runtime_error);  // aborted
    EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds{290});
    EXPECT_LT(std::chrono::steady_clock::now() - begin, kTestTimeout);
}

TEST_F(Tls, answers_garbage_instead_of_a_handshake_with_an_alert) {
    TestServer server(config());
    RawConnection garbage(server.port());
    garbage.send("\x16" + std::string(5000, '\xff'));
    EXPECT_LT(garbage.read_to_end().size(), 100U);  // an alert
    EXPECT_EQ(client(server).ask({{"type", "ping"}}).at("type"), "pong");
}

TEST_F(Tls, ends_with_close_notify) {
    auto short_patience = config();
    short_patience.max_message_bytes = 1024;
    TestServer server(short_patience);
    // With TLS read_to_end() throws if the stream ends without close_notify.
    RawConnection http(server.port(), "127.0.0.1", kAnyTls);
    http.send(http_request("GET", "/healthz", "Connection: close\r\n"));
    EXPECT_EQ(http.read_http().status, 200U);
    EXPECT_EQ(http.read_to_end(), "");
    RawConnection upgraded(server.port(), "127.0.0.1", kAnyTls);
    upgraded.send(upgrade_request("/"));
    EXPECT_EQ(upgraded.read_http().status, 101U);
    upgraded.send(std::string("\x88\x82\0\0\0\0\x03\xe8", 8));
    EXPECT_EQ(upgraded.read_to_end(), std::string("\x88\x02\x03\xe8", 4));
    auto websocket = client(server);
    websocket.send(std::string(2000, ' '));
    EXPECT_EQ(websocket.read_close(), 1009U);
}

TEST_F(Tls, closes_its_clients_with_1001_at_shutdown) {
    auto running = config();
    running.shutdown_timeout = Seconds{60.0};
    auto server = std::make_unique<TestServer>(running);
    auto websocket = client(*server);
    EXPECT_EQ(websocket.ask({{"type", "ping"}}).at("type"), "pong");
    std::thread stopping([&] { (*server)->stop(); });
    EXPECT_EQ(websocket.read_close(), 1001U);
    stopping.join();
}

TEST_F(Tls, reloads_certificates_for_new_clients_and_keeps_the_old_ones) {
    TestServer server(config());
    auto old = client(server);
    EXPECT_EQ(old.server_name(), "/CN=first");
    install(TestCertificate({.name = "second"}));
    server->reload();
    TestServer::eventually([&] { return client(server).server_name() == "/CN=second"; });
    EXPECT_EQ(old.ask({{"type", "ping"}}).at("type"), "pong");
}

TEST_F(Tls, keeps_its_certificate_if_the_new_one_is_invalid) {
    TestServer server(config());
    const TestCertificate expired({.name = "second", .valid_until = std::chrono::seconds{-60}});
    install(expired);
    EXPECT_THROW(server->reload(), server::TlsError);
    write_text(folder_.file("cert.pem"), "");
    EXPECT_THROW(server->reload(), server::TlsError);
    EXPECT_EQ(client(server).server_name(), "/CN=first");
}

TEST_F(Tls, requires_a_client_certificate_signed_by_the_ca) {
    const TestCertificate root({.name = "root", .authority = true});
    const TestCertificate impostor({.name = "root", .authority = true});
    const TestCertificate member({.name = "member"}, &root);
    const TestCertificate expired({.name = "member", .valid_until = std::chrono::seconds{-60}}, &root);
    const TestCertificate stranger({.name = "stranger"}, &impostor);
    auto closed = config();
    closed.tls_client_ca = folder_.file("clients.pem");
    write_text(closed.tls_client_ca, root.certificate_pem());
    TestServer server(closed);
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        EXPECT_EQ(client(server, {.certificate = &member, .version = version}).ask({{"type", "ping"}}).at("type"),
                  "pong");
        for (const TestCertificate* wrong :
             std::initializer_list<const TestCertificate*>{nullptr, &stranger, &expired, &first_}) {
            EXPECT_NE(why_refused(server, {.certificate = wrong, .version = version}), "not refused");
        }
    }
    write_text(closed.tls_client_ca, impostor.certificate_pem());
    server->reload();
    TestServer::eventually([&] { return why_refused(server, {.certificate = &member}) != "not refused"; });
    EXPECT_EQ(client(server, {.certificate = &stranger}).ask({{"type", "ping"}}).at("type"), "pong");
}

TEST_F(Tls, reload_does_not_affect_a_server_without_tls) {
    TestServer server;
    TestClient websocket(server.port());
    server->reload();
    EXPECT_EQ(websocket.ask({{"type", "ping"}}).at("type"), "pong");
}

}  // namespace
}  // namespace session_buddy::test
