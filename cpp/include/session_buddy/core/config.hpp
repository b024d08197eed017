// All settings of the server with their defaults, as plain values, and the exception for an invalid setting.
// The table that names, documents, parses and validates them is in options.hpp.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace session_buddy {

/// The type of all durations in Config: seconds with a fraction.
using Seconds = std::chrono::duration<double>;

/// An invalid setting. option() is its name in the table ("update_interval"), what() a whole sentence.
class ConfigError : public std::runtime_error {
  public:
    ConfigError(std::string option, const std::string& message)
        : std::runtime_error(message), option_(std::move(option)) {}
    [[nodiscard]] const std::string& option() const noexcept { return option_; }

  private:
    std::string option_;
};

struct Config {
    // Network and database path.
    std::string host = "localhost";  ///< "localhost" means 127.0.0.1 and ::1
    std::uint16_t port = 8765;       ///< 0 picks a free port
    std::string db_path;             ///< never empty once resolved

    // TLS: certificate and key are required together. Paths of PEM files; empty for none.
    std::string tls_cert;       ///< the server's certificate, followed by its chain
    std::string tls_key;        ///< the private key of that certificate
    std::string tls_client_ca;  ///< CA certificates; when set, clients must present a certificate (mutual TLS)

    // Authentication. Not required if none of the first three is set.
    std::string auth_token_file;  ///< one token and its scopes per line
    std::string jwt_secret;       ///< for HS256; 32 bytes or more
    std::string jwt_public_key;   ///< PEM file; RSA for RS256, P-256 for ES256
    std::string jwt_audience;     ///< expected `aud`; empty: tokens with an audience are rejected
    std::string jwt_issuer;       ///< expected `iss`; empty: any issuer
    Seconds jwt_leeway{30.0};     ///< allowed clock skew for `exp` and `nbf`, 0 to 600
    Seconds auth_timeout{5.0};    ///< to authenticate; also the maximum delay of a rejection, 0.1 to 60
    std::uint32_t max_auth_failures_per_second = 1;  ///< per address, before further failures are delayed; 1 to 1000
    bool insecure = false;                           ///< allow non-loopback addresses without TLS or authentication

    // Reverse proxy.
    bool behind_proxy = false;                 ///< trust X-Forwarded-For and X-Forwarded-Proto of trusted_proxies
    std::string trusted_proxies = "loopback";  ///< parsed by IpNetworks::parse()

    // Allowed origins and host names.
    std::string allow_origin;  ///< parsed by OriginPatterns::parse(); loopback and same-origin are always allowed
    std::string allow_host;    ///< parsed by HostPatterns::parse(); loopback is always allowed

    // Metrics.
    Seconds update_interval{1.0};       ///< between two broadcasts, 0.01 to 3600
    bool push = false;                  ///< broadcast new rows immediately, in addition to the interval
    Seconds push_min_interval{0.05};    ///< minimum time between two broadcasts in push mode, 0.01 to 60
    Seconds window{86400.0};            ///< sliding window of top_skills, 60 to 2'678'400 (31 days)
    std::uint32_t top_skills = 10;      ///< entries of data.top_skills, 1 to 1000
    Seconds session_window{1800.0};     ///< a session without activity for longer is no longer active, 60 to 86'400
    std::uint32_t max_sessions = 1000;  ///< active sessions sent to subscribers, most recent first, 1 to 100'000
    std::uint32_t max_tracked_skills = 10'000;       ///< in the windows; the rest is summed as `other`, 10 to 1'000'000
    std::uint32_t max_tracked_sessions = 10'000;     ///< of the last 24 hours; likewise
    std::uint32_t max_tracked_error_types = 10'000;  ///< of anomalies; likewise
    std::uint32_t metrics_max_skills = 200;          ///< with their own series in GET /metrics, 1 to 10'000
    std::uint32_t metrics_max_phases = 10;           ///< per skill; likewise, 1 to 100

    // Anomalies.
    double anomaly_threshold = 2.0;      ///< minimum |z| to report an anomaly, 0.5 to 10
    Seconds observation_window{3600.0};  ///< length of the observation window, 60 to 86'400
    Seconds baseline_window{
        86400.0};  ///< length of the baseline window, 600 to 2'678'400; at least twice the observation window
    std::uint32_t anomaly_min_samples = 5;  ///< minimum invocations in each of observation and baseline, 2 to 50

    // Clients.
    std::uint32_t max_clients = 100;              ///< concurrent WebSocket connections, 1 to 1'000'000
    std::uint32_t max_clients_per_address = 100;  ///< per address, and separately of HTTP connections, 1 to 1'000'000
    std::uint32_t max_http_connections = 256;  ///< concurrent HTTP connections, incl. pending upgrades, 1 to 1'000'000
    std::uint32_t max_connections_per_second = 200;  ///< new connections per address, 1 to 1'000'000
    std::uint32_t max_tracked_addresses = 10000;     ///< disconnected, tracked by the rate limiter, 100 to 1'000'000
    std::uint32_t max_messages_per_second = 100;     ///< per connection, 1 to 1'000'000
    std::uint32_t max_subscriptions = 50;            ///< skills that a connection subscribes to by name, 1 to 50
    std::size_t max_message_bytes = 65536;           ///< of one client message, 1024 to 16 MiB
    std::uint32_t max_header_bytes = 8192;           ///< of one HTTP request, 1024 to 65536
    std::size_t max_pending_bytes = 1U << 20U;       ///< response bytes queued per client (backpressure), 4096 to 1 GiB
    bool compression = false;                        ///< permessage-deflate for clients that offer it
    Seconds handshake_timeout{10.0};  ///< from accept to a complete request or upgrade, TLS included, 0.1 to 600
    Seconds idle_timeout{60.0};       ///< from an HTTP response to the next complete request, 0.1 to 3600
    Seconds write_timeout{30.0};      ///< for a client to receive one message or response, 0.1 to 3600
    Seconds ping_interval{20.0};      ///< keep-alive pings, 0.1 to 3600
    Seconds ping_timeout{40.0};       ///< a client silent for this long is disconnected; more than ping_interval
    Seconds shutdown_timeout{2.0};    ///< for a graceful shutdown, then connections are aborted, 0 to 60

    // Database.
    Seconds busy_timeout{5.0};  ///< how long startup waits for a locked database, 0 to 60
    std::uint32_t max_rows_per_cycle =
        50000;                      ///< new rows read in one cycle; the rest follows in the next, 100 to 10'000'000
    bool replace_triggers = false;  ///< replace the triggers of a database that another tool created
    Seconds retention{0.0};         ///< rows older than this are deleted; 0: never, otherwise at least
                                    ///< options::minimum_retention(), up to 3'153'600'000 (36500 days)

    // Ingestion.
    std::string tools;                       ///< additional tools, parsed by parse_tool_rules()
    Seconds hook_timeout{3600.0};            ///< an unfinished tool use is recorded as failed after this, 60 to 86'400
    std::size_t max_body_bytes = 8U << 20U;  ///< of one request, 1024 to 64 MiB
    std::size_t max_intake_bytes = 32U << 20U;  ///< of requests in flight, 1024 to 1 GiB; at least max_body_bytes
    std::uint32_t max_spool_events = 10000;     ///< spooled to disk, 100 to 100'000
    std::size_t min_body_rate = 16384;          ///< bytes per second of an ingestion body, 16 to 1 GiB
    Seconds max_write_lock{0.05};               ///< of one transaction of ingestion, 0.005 to 10
    std::uint32_t max_values_per_skill = 256;   ///< distinct error types and workflow paths stored, 16 to 10'000

    // Queries.
    std::uint32_t max_queries = 64;                ///< queued, 1 to 10'000
    std::size_t max_response_bytes = 128U << 20U;  ///< of responses not sent yet, 1 MiB to 16 GiB
    Seconds query_timeout{5.0};                    ///< including time in the queue, 0.1 to 300

    // Output.
    std::string log_level = "info";  ///< debug, info, warning, error, off
};

}  // namespace session_buddy
