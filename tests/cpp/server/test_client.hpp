// Clients of a running server: a WebSocket client and a bare connection. Every wait ends after kTestTimeout with an
// exception.
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

/// Far longer than anything takes; no test waits for it to pass.
inline constexpr std::chrono::seconds kTestTimeout{20};

/// A client's side of TLS. Nothing is checked of the server; that is for the tests with other clients.
struct TlsClientOptions {
    const TestCertificate* certificate = nullptr;  ///< shown to the server
    int version = 0;                               ///< TLS1_2_VERSION and so on alone; 0 for what both know best
    std::string ciphers = {};                      ///< of TLS 1.2
};

struct ClientOptions {
    std::string host = "127.0.0.1";
    std::string target = "/";
    int receive_buffer = 0;  ///< bytes of SO_RCVBUF; 0 leaves it to the system
    bool reading = true;     ///< reads whenever it waits for something
    std::optional<TlsClientOptions> tls = std::nullopt;
    std::vector<std::pair<std::string, std::string>> headers = {};  ///< of the upgrade request
};

class TestClient {
  public:
    /// Throws std::runtime_error where the server does not take it.
    explicit TestClient(std::uint16_t port, const ClientOptions& options = {});
    ~TestClient();
    TestClient(TestClient&&) noexcept;

    void send(const std::string& text);
    void send(const Json& message) { send(message.dump()); }
    void send_binary(const std::string& bytes);
    /// Sends without waiting for it to leave; order is kept.
    void send_later(std::string text);
    void start_reading();

    /// The next message, parsed or as text.
    [[nodiscard]] Json read();
    [[nodiscard]] std::string read_text();
    /// send() and read().
    Json ask(const Json& message);
    /// Reads on until the server closes; the close code, 0 where none came.
    [[nodiscard]] unsigned read_close();
    /// Sends a ping frame and returns the payload of the pong.
    [[nodiscard]] std::string ping(const std::string& payload);
    /// "TLSv1.3"; with TLS alone.
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

    void send(const std::string& bytes);
    /// `head`: the answer to a HEAD request, which has no body.
    [[nodiscard]] HttpResponse read_http(bool head = false);
    /// All bytes until the server closes the connection.
    [[nodiscard]] std::string read_to_end();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// "GET /path HTTP/1.1" with a host, and these further header lines (each with \r\n).
[[nodiscard]] std::string http_request(const std::string& method, const std::string& target,
                                       const std::string& more_headers = "");
/// A valid WebSocket handshake.
[[nodiscard]] std::string upgrade_request(const std::string& target);
/// One request on a connection of its own.
[[nodiscard]] HttpResponse http(std::uint16_t port, const std::string& method, const std::string& target);

/// A server on a free port of 127.0.0.1 with this config, started.
class TestServer {
  public:
    /// `intake` and `queries` must outlive it.
    explicit TestServer(Config config = {}, server::Intake* intake = nullptr, server::Queries* queries = nullptr);
    [[nodiscard]] server::NetworkServer& operator*() { return server_; }
    server::NetworkServer* operator->() { return &server_; }
    [[nodiscard]] std::uint16_t port() const { return server_.port(); }
    /// Until `condition` holds; asks again and again, for what cannot be waited for otherwise.
    static void eventually(const std::function<bool()>& condition);

  private:
    server::NetworkServer server_;
};

}  // namespace session_buddy::test
