// Every setting of the server, with its default, and the errors of a wrong one.
// The table that names, documents, reads and checks them is in options.hpp; this is the plain result.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace session_buddy {

/// Durations of the config, in seconds with a fraction.
using Seconds = std::chrono::duration<double>;

/// A setting that cannot be used. `option()` is its name as in the table ("update_interval"), what() a whole sentence.
class ConfigError : public std::runtime_error {
  public:
    ConfigError(std::string option, const std::string& message)
        : std::runtime_error(message), option_(std::move(option)) {}
    [[nodiscard]] const std::string& option() const noexcept { return option_; }

  private:
    std::string option_;
};

struct Config {
    // Where it listens and what it reads.
    std::string host = "localhost";  ///< "localhost" means 127.0.0.1 and ::1
    std::uint16_t port = 8765;       ///< 0 picks a free one
    std::string db_path;             ///< never empty once resolved

    // TLS, for which certificate and key are both needed. PEM files; empty for none.
    std::string tls_cert;       ///< the server's certificate, then the rest of its chain
    std::string tls_key;        ///< the private key of that certificate
    std::string tls_client_ca;  ///< authorities, of one of which every client must show a certificate

    // Who may come in. With none of the first three everybody may.
    std::string auth_token_file;  ///< tokens and their scopes, one a line
    std::string jwt_secret;       ///< of HS256; 32 bytes or more
    std::string jwt_public_key;   ///< PEM file; RSA for RS256, P-256 for ES256
    std::string jwt_audience;     ///< what `aud` must hold; empty: tokens for somebody are refused
    std::string jwt_issuer;       ///< what `iss` must be; empty: anybody
    Seconds jwt_leeway{30.0};     ///< by which clocks may differ in `exp` and `nbf`, 0 to 600
    Seconds auth_timeout{5.0};    ///< for the first message with a token, and the longest delay of a refusal,
                                  ///< 0.1 to 60
    std::uint32_t max_auth_failures_per_second = 1;  ///< of one address before refusals are delayed, 1 to 1000
    bool insecure = false;                           ///< listen beyond loopback without TLS or authentication

    // A proxy in front of it.
    bool behind_proxy = false;                 ///< X-Forwarded-For and -Proto of trusted_proxies count
    std::string trusted_proxies = "loopback";  ///< as IpNetworks::parse takes it

    // Which web pages may use it, and by which names.
    std::string allow_origin;  ///< as OriginPatterns::parse takes it; loopback and same-origin pages need no entry
    std::string allow_host;    ///< as HostPatterns::parse takes it; loopback needs no entry

    // Metrics.
    Seconds update_interval{1.0};       ///< between two broadcasts, 0.01 to 3600
    bool push = false;                  ///< new rows are broadcast at once, too
    Seconds push_min_interval{0.05};    ///< from a broadcast to the next one for new rows, 0.01 to 60
    Seconds window{86400.0};            ///< sliding window of top_skills, 60 to 2'678'400 (31 days)
    std::uint32_t top_skills = 10;      ///< entries of data.top_skills, 1 to 1000
    Seconds session_window{1800.0};     ///< a session without activity for longer is no longer active, 60 to 86'400
    std::uint32_t max_sessions = 1000;  ///< active sessions listed to subscribers, the latest first, 1 to 100'000
    std::uint32_t max_tracked_skills = 10'000;       ///< in the windows; the rest is `other`, 10 to 1'000'000
    std::uint32_t max_tracked_sessions = 10'000;     ///< of the last 24 hours; likewise
    std::uint32_t max_tracked_error_types = 10'000;  ///< of anomalies; likewise
    std::uint32_t metrics_max_skills = 200;          ///< with series of their own in GET /metrics, 1 to 10'000
    std::uint32_t metrics_max_phases = 10;           ///< of one skill; likewise, 1 to 100

    // Anomalies.
    double anomaly_threshold = 2.0;         ///< |z| from which on a deviation is reported, 0.5 to 10
    Seconds observation_window{3600.0};     ///< how recent the invocations are that are compared, 60 to 86'400
    Seconds baseline_window{86400.0};       ///< how far back the comparison goes, 600 to 2'678'400; at least twice
                                            ///< the observation window
    std::uint32_t anomaly_min_samples = 5;  ///< invocations needed on either side, 2 to 50

    // Clients.
    std::uint32_t max_clients = 100;                 ///< WebSocket connections at a time, 1 to 1'000'000
    std::uint32_t max_clients_per_address = 100;     ///< of one address, and as many others, 1 to 1'000'000
    std::uint32_t max_http_connections = 256;        ///< connections that are no WebSocket (yet), 1 to 1'000'000
    std::uint32_t max_connections_per_second = 200;  ///< new ones of one address, 1 to 1'000'000
    std::uint32_t max_tracked_addresses = 10000;  ///< without a connection, whose rate is remembered, 100 to 1'000'000
    std::uint32_t max_messages_per_second = 100;  ///< of one connection, 1 to 1'000'000
    std::uint32_t max_subscriptions = 50;         ///< skills that one connection follows by name, 1 to 50
    std::size_t max_message_bytes = 65536;        ///< of one client message, 1024 to 16 MiB
    std::uint32_t max_header_bytes = 8192;        ///< of one HTTP request, 1024 to 65536
    std::size_t max_pending_bytes = 1U << 20U;    ///< answers waiting for one client, 4096 to 1 GiB
    bool compression = false;                     ///< permessage-deflate for the clients that offer it
    Seconds handshake_timeout{10.0};  ///< from accept to a complete request or upgrade, TLS included, 0.1 to 600
    Seconds idle_timeout{60.0};       ///< from an HTTP answer to the next complete request, 0.1 to 3600
    Seconds write_timeout{30.0};      ///< for a client to take one message or answer, 0.1 to 3600
    Seconds ping_interval{20.0};      ///< keep-alive pings, 0.1 to 3600
    Seconds ping_timeout{40.0};       ///< a peer silent for this long is dropped; more than ping_interval
    Seconds shutdown_timeout{2.0};    ///< to close all clients in order before they are cut, 0 to 60

    // Database.
    Seconds busy_timeout{5.0};  ///< how long a start waits for a locked database, 0 to 60
    std::uint32_t max_rows_per_cycle =
        50000;                      ///< new rows read in one cycle; the rest follows in the next, 100 to 10'000'000
    bool replace_triggers = false;  ///< replace the triggers of a database made by other tools by our own
    Seconds retention{0.0};         ///< age from which on rows are deleted; 0: never, else at least
                                    ///< options::minimum_retention(), up to 3'153'600'000 (36500 days)

    // Ingestion.
    std::string tools;             ///< further known tools, as parse_tool_rules takes them
    Seconds hook_timeout{3600.0};  ///< a tool use that began and never ended has failed after this, 60 to 86'400
    std::size_t max_body_bytes = 8U << 20U;     ///< of one request, 1024 to 64 MiB
    std::size_t max_intake_bytes = 32U << 20U;  ///< of requests on their way into the database, 1024 to 1 GiB; at least
                                                ///< max_body_bytes
    std::uint32_t max_spool_events = 10000;     ///< that wait in files beside the database, 100 to 100'000
    std::size_t min_body_rate = 16384;          ///< bytes per second of an ingestion body, 16 to 1 GiB
    Seconds max_write_lock{0.05};               ///< of one transaction of ingestion, 0.005 to 10
    std::uint32_t max_values_per_skill = 256;   ///< distinct error types and workflow paths stored, 16 to 10'000

    // Queries.
    std::uint32_t max_queries = 64;                ///< that wait for an answer, 1 to 10'000
    std::size_t max_response_bytes = 128U << 20U;  ///< of answers that are not sent yet, 1 MiB to 16 GiB
    Seconds query_timeout{5.0};                    ///< for an answer, waiting included, 0.1 to 300

    // Output.
    std::string log_level = "info";  ///< debug, info, warning, error, off
};

}  // namespace session_buddy
