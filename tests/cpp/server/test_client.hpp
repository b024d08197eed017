// Test clients: a WebSocket client and a raw connection. Every wait throws after kTestTimeout.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/certificates.hpp"
#include "session_buddy/server/network_server.hpp"
#include "support/system_clock.hpp"

namespace session_buddy::test {

using Json = nlohmann::ordered_json;

/// Far longer than any operation takes; no test waits for it to expire.
inline constexpr std::chrono::seconds kTestTimeout{20};

/// TLS options of a client, which does not verify the server; tests with other clients do.
struct TlsClientOptions {
    const TestCertificate* certificate = nullptr;  ///< client certificate
    int version = 0;           ///< only this version, such as TLS1_2_VERSION; 0: the best of both sides
    std::string ciphers = {};  ///< for TLS 1.2
};

struct ClientOptions {
    std::string host = "127.0.0.1";
    std::string target = "/";
    int receive_buffer = 0;  ///< SO_RCVBUF in bytes; 0: system default
    bool reading = true;     ///< reads while it waits for something
    std::optional<TlsClientOptions> tls = std::nullopt;
    std::vector<std::pair<std::string, std::string>> headers = {};  ///< for the upgrade request
};

class TestClient {
  public:
    /// Throws std::runtime_error if the server rejects it.
    explicit TestClient(std::uint16_t port, const ClientOptions& options = {});
    ~TestClient();
    TestClient(TestClient&&) noexcept;

    void send(const std::string& text);
    void send(const Json& message) { send(message.dump()); }
    /// Queues a message without waiting; preserves the order.
    void send_later(std::string text);
    void start_reading();

    /// Reads the next message, parsed or as text.
    [[nodiscard]] Json read();
    [[nodiscard]] std::string read_text();
    /// send(), then read().
    Json ask(const Json& message);
    /// Reads until the server closes; returns the close code, 0 if none was received.
    [[nodiscard]] unsigned read_close();
    /// Sends a ping frame and returns the payload of the pong.
    [[nodiscard]] std::string ping(const std::string& payload);
    /// "TLSv1.3"; requires TLS.
    [[nodiscard]] std::string tls_version() const;
    /// The subject of the server's certificate, such as "/CN=localhost".
    [[nodiscard]] std::string server_name() const;
    void wait_for_pings(std::size_t count);
    void close();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

struct HttpResponse {
    unsigned status = 0;
    std::map<std::string, std::string> headers;  ///< names in lower case
    std::string body;
    [[nodiscard]] Json json() const { return Json::parse(body); }
};

class RawConnection {
  public:
    explicit RawConnection(std::uint16_t port, const std::string& host = "127.0.0.1",
                           const std::optional<TlsClientOptions>& tls = std::nullopt);
    ~RawConnection();

    /// False if the connection has ended.
    bool send(const std::string& bytes);
    /// `head`: the response to a HEAD request, which has no body.
    [[nodiscard]] HttpResponse read_http(bool head = false);
    /// All bytes until the server closes the connection.
    [[nodiscard]] std::string read_to_end();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// "GET /path HTTP/1.1" with a Host header and further header lines (each with \r\n).
[[nodiscard]] std::string http_request(const std::string& method, const std::string& target,
                                       const std::string& more_headers = "");
/// A valid WebSocket handshake.
[[nodiscard]] std::string upgrade_request(const std::string& target);
/// One request on a new connection.
[[nodiscard]] HttpResponse http(std::uint16_t port, const std::string& method, const std::string& target);

/// A running server on a free port of 127.0.0.1.
class TestServer {
  public:
    /// The pointers must outlive it.
    explicit TestServer(Config config = {}, server::Intake* intake = nullptr, server::Queries* queries = nullptr,
                        server::AlertCommands* commands = nullptr);
    [[nodiscard]] server::NetworkServer& operator*() { return server_; }
    server::NetworkServer* operator->() { return &server_; }
    [[nodiscard]] std::uint16_t port() const { return server_.port(); }
    /// Polls until `condition` holds.
    static void eventually(const std::function<bool()>& condition);

  private:
    server::NetworkServer server_;
};

/// The answer to `request` on a new connection.
[[nodiscard]] HttpResponse answer_to(const TestServer& server, const std::string& request);

}  // namespace session_buddy::test
