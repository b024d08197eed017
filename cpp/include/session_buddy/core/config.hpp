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

/// Every option with its default. Its meaning and range are in the table in options.cpp, constraints between options in
/// options::check().
struct Config {
    std::string host = "localhost";
    std::uint16_t port = 8765;
    std::string db_path;  ///< empty until it is resolved

    std::string tls_cert;
    std::string tls_key;
    std::string tls_client_ca;

    std::string auth_token_file;
    std::string jwt_secret;
    std::string jwt_public_key;
    std::string jwt_audience;
    std::string jwt_issuer;
    Seconds jwt_leeway{30.0};
    Seconds auth_timeout{5.0};
    std::uint32_t max_auth_failures_per_second = 1;
    bool insecure = false;

    bool behind_proxy = false;
    std::string trusted_proxies = "loopback";  ///< parsed by IpNetworks::parse()

    std::string allow_origin;  ///< parsed by OriginPatterns::parse()
    std::string allow_host;    ///< parsed by HostPatterns::parse()

    Seconds update_interval{1.0};
    bool push = false;
    Seconds push_min_interval{0.05};
    Seconds window{86400.0};
    std::uint32_t top_skills = 10;
    Seconds session_window{1800.0};
    std::uint32_t max_sessions = 1000;
    std::uint32_t max_tracked_skills = 10'000;
    std::uint32_t max_tracked_sessions = 10'000;
    std::uint32_t max_tracked_error_types = 10'000;
    std::uint32_t metrics_max_skills = 200;
    std::uint32_t metrics_max_phases = 10;

    double anomaly_threshold = 2.0;
    Seconds observation_window{3600.0};
    Seconds baseline_window{86400.0};
    std::uint32_t anomaly_min_samples = 5;
    std::string alert_budget = "1/week";
    bool alert_on_silence = false;

    std::uint32_t max_clients = 100;
    std::uint32_t max_clients_per_address = 100;
    std::uint32_t max_http_connections = 256;
    std::uint32_t max_connections_per_second = 200;
    std::uint32_t max_tracked_addresses = 10000;
    std::uint32_t max_messages_per_second = 100;
    std::uint32_t max_subscriptions = 50;
    std::size_t max_message_bytes = 65536;
    std::uint32_t max_header_bytes = 8192;
    std::size_t max_pending_bytes = 1U << 20U;
    bool compression = false;
    Seconds handshake_timeout{10.0};
    Seconds idle_timeout{60.0};
    Seconds write_timeout{30.0};
    Seconds ping_interval{20.0};
    Seconds ping_timeout{40.0};
    Seconds shutdown_timeout{2.0};

    Seconds busy_timeout{5.0};
    std::uint32_t max_rows_per_cycle = 50000;
    bool replace_triggers = false;
    Seconds retention{0.0};

    std::string tools;  ///< parsed by parse_tool_rules()
    bool builtin_commands = false;
    Seconds hook_timeout{3600.0};
    std::size_t max_body_bytes = 8U << 20U;
    std::size_t max_intake_bytes = 32U << 20U;
    std::uint32_t max_spool_events = 10000;
    std::size_t min_body_rate = 16384;
    Seconds max_write_lock{0.05};
    std::uint32_t max_values_per_skill = 256;

    std::uint32_t max_queries = 64;
    std::size_t max_response_bytes = 128U << 20U;
    Seconds query_timeout{5.0};

    std::string log_level = "info";
};

}  // namespace session_buddy
