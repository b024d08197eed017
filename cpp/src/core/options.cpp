// The table of options, and parsing and validation of a single value.
#include "session_buddy/core/options.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <locale>
#include <sstream>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "session_buddy/core/ip_address.hpp"
#include "session_buddy/core/origin.hpp"
#include "session_buddy/core/tool_rule.hpp"
#include "session_buddy/core/utf8.hpp"

namespace session_buddy::options {
namespace {

constexpr Option text(std::string_view group, std::string_view name, std::string Config::*member,
                      std::string_view help) {
    return {name, group, Kind::text, member, 0, 0, {}, false, false, help};
}

constexpr Option path(std::string_view group, std::string_view name, std::string Config::*member,
                      std::string_view help) {
    return {name, group, Kind::path, member, 0, 0, {}, false, false, help};
}

// Comma-separated items, validated by check().
constexpr Option list(std::string_view group, std::string_view name, std::string Config::*member,
                      std::string_view help) {
    return {name, group, Kind::list, member, 0, 0, {}, false, false, help};
}

constexpr Option duration(std::string_view group, std::string_view name, Seconds Config::*member, double minimum,
                          double maximum, std::string_view help) {
    return {name, group, Kind::duration, member, minimum, maximum, {}, false, false, help};
}

template <typename Integer>
constexpr Option integer(std::string_view group, std::string_view name, Integer Config::*member, double minimum,
                         double maximum, std::string_view help) {
    return {name, group, Kind::integer, member, minimum, maximum, {}, false, false, help};
}

constexpr Option number(std::string_view group, std::string_view name, double Config::*member, double minimum,
                        double maximum, std::string_view help) {
    return {name, group, Kind::number, member, minimum, maximum, {}, false, false, help};
}

constexpr Option boolean(std::string_view group, std::string_view name, bool Config::*member, std::string_view help) {
    return {name, group, Kind::boolean, member, 0, 0, {}, false, false, help};
}

constexpr Option secret(std::string_view group, std::string_view name, std::string Config::*member,
                        std::string_view help) {
    return {name, group, Kind::secret, member, 0, 0, {}, false, true, help};
}

constexpr Option security_critical(Option option) {
    option.security_critical = true;
    return option;
}

constexpr std::array kTable{
    text("Network", "host", &Config::host, "Address or name to listen on; localhost means 127.0.0.1 and ::1"),
    integer("Network", "port", &Config::port, 0, 65535, "TCP port to listen on; 0 picks a free port"),

    security_critical(
        path("TLS", "tls_cert", &Config::tls_cert,
             "PEM file with the server's certificate followed by its chain; when set, the port accepts TLS "
             "connections only")),
    security_critical(path("TLS", "tls_key", &Config::tls_key, "PEM file with the private key of tls_cert")),
    security_critical(
        path("TLS", "tls_client_ca", &Config::tls_client_ca,
             "PEM file with the CA certificates used to verify client certificates (mutual TLS); when set, "
             "clients must present one")),

    security_critical(
        path("Authentication", "auth_token_file", &Config::auth_token_file,
             "File with one bearer token per line, in clear text or as sha256:DIGEST, followed by its scopes "
             "(read, write, metrics; default: read). When set, clients must authenticate with a token")),
    secret("Authentication", "jwt_secret", &Config::jwt_secret,
           "Secret of at least 32 bytes for verifying JSON Web Tokens (JWT) signed with HS256. When set, clients must "
           "authenticate with a token"),
    security_critical(
        path("Authentication", "jwt_public_key", &Config::jwt_public_key,
             "PEM file with the public key for verifying JSON Web Tokens (JWT) signed with RS256 or ES256. When "
             "set, clients must authenticate with a token")),
    security_critical(text("Authentication", "jwt_audience", &Config::jwt_audience,
                           "Expected JWT audience (aud). If unset, tokens that carry an audience are rejected")),
    security_critical(text("Authentication", "jwt_issuer", &Config::jwt_issuer,
                           "Expected JWT issuer (iss). If unset, any issuer is accepted")),
    duration("Authentication", "jwt_leeway", &Config::jwt_leeway, 0, 600,
             "Allowed clock skew when validating JWT exp and nbf"),
    duration("Authentication", "auth_timeout", &Config::auth_timeout, 0.1, 60,
             "Timeout for a new client to authenticate; also the maximum delay of a rejected attempt"),
    integer("Authentication", "max_auth_failures_per_second", &Config::max_auth_failures_per_second, 1, 1000,
            "Failed authentication attempts per second and address before further failures are delayed"),
    boolean("Authentication", "insecure", &Config::insecure,
            "Allow listening on non-loopback addresses without TLS (or behind_proxy) or without authentication"),

    boolean("Proxy", "behind_proxy", &Config::behind_proxy,
            "Trust the X-Forwarded-For and X-Forwarded-Proto headers of trusted_proxies for a client's address and "
            "protocol"),
    list("Proxy", "trusted_proxies", &Config::trusted_proxies,
         "Addresses and networks of the reverse proxies, comma-separated, such as 10.0.0.0/8,2001:db8::1; loopback "
         "means 127.0.0.0/8 and ::1"),

    list("Origins", "allow_origin", &Config::allow_origin,
         "Additional allowed origins (CORS, WebSocket), comma-separated, such as https://app.example.org or "
         "https://*.example.org, or null for pages without an origin; loopback and same-origin are always allowed"),
    list("Origins", "allow_host", &Config::allow_host,
         "Additional allowed Host names, comma-separated, such as app.example.org or *.example.org; loopback names and "
         "host are always allowed"),

    text("Database", "db_path", &Config::db_path,
         "SQLite database to follow; created with the V4 schema if missing, in an existing directory. Default: "
         "./.session-buddy/skills.db if it exists, else skills.db in the user's data directory"),
    duration("Database", "busy_timeout", &Config::busy_timeout, 0, 60, "How long startup waits for a locked database"),
    integer("Database", "max_rows_per_cycle", &Config::max_rows_per_cycle, 100, 10'000'000,
            "Maximum new rows read in one cycle; the rest is read in the next"),
    boolean("Database", "replace_triggers", &Config::replace_triggers,
            "Replace the triggers of a database that another tool created"),
    duration("Database", "retention", &Config::retention, 0, 3'153'600'000,
             "Delete invocations older than this, once a day, in whole days (0: keep all); totals and hourly rollups "
             "are kept"),

    list("Ingestion", "tools", &Config::tools,
         "Additional developer tools to recognize in shell commands, as comma-separated command=skill pairs, such as "
         "just test=just-test"),
    duration("Ingestion", "hook_timeout", &Config::hook_timeout, 60, 86'400,
             "Timeout after which a tool use that started but never finished is recorded as failed"),
    integer("Ingestion", "max_body_bytes", &Config::max_body_bytes, 1024, 67'108'864,
            "Maximum size of an ingestion request body, in bytes"),
    integer("Ingestion", "max_intake_bytes", &Config::max_intake_bytes, 1024, 1'073'741'824,
            "Maximum bytes of ingestion requests in flight (received, not yet committed); further requests are "
            "rejected with 429"),
    integer("Ingestion", "max_spool_events", &Config::max_spool_events, 100, 100'000,
            "Maximum hook events spooled to disk while the database is not writable; further events are dropped"),
    integer("Ingestion", "min_body_rate", &Config::min_body_rate, 16, 1'073'741'824,
            "Minimum rate of an ingestion request body, in bytes per second; a slower request is rejected"),
    duration("Ingestion", "max_write_lock", &Config::max_write_lock, 0.005, 10,
             "Maximum time an ingestion transaction holds the database's write lock; a longer batch is split"),
    integer("Ingestion", "max_values_per_skill", &Config::max_values_per_skill, 16, 10'000,
            "Maximum distinct error types, and distinct workflow paths, stored per skill; further ones become other"),

    integer("Queries", "max_queries", &Config::max_queries, 1, 10'000,
            "Maximum queued HTTP API queries; further ones are rejected with 503"),
    integer("Queries", "max_response_bytes", &Config::max_response_bytes, 1'048'576, 17'179'869'184,
            "Maximum bytes of responses to queries that clients have not read yet; further queries are rejected"),
    duration("Queries", "query_timeout", &Config::query_timeout, 0.1, 300,
             "Timeout of an HTTP API query, including time in the queue"),

    duration("Metrics", "update_interval", &Config::update_interval, 0.01, 3600, "Time between two broadcasts"),
    boolean("Metrics", "push", &Config::push,
            "Broadcast new invocations immediately, in addition to the regular interval"),
    duration("Metrics", "push_min_interval", &Config::push_min_interval, 0.01, 60,
             "Minimum time between two broadcasts in push mode"),
    duration("Metrics", "window", &Config::window, 60, 2'678'400, "Length of the sliding window of top_skills"),
    integer("Metrics", "top_skills", &Config::top_skills, 1, 1000, "Number of skills in top_skills"),
    duration("Metrics", "session_window", &Config::session_window, 60, 86'400,
             "Time without activity after which a session is no longer active"),
    integer("Metrics", "max_sessions", &Config::max_sessions, 1, 100'000,
            "Maximum active sessions sent to subscribers, most recent first"),
    integer("Metrics", "max_tracked_skills", &Config::max_tracked_skills, 10, 1'000'000,
            "Maximum skills tracked in the sliding windows; the invocations of further skills are summed as other"),
    integer("Metrics", "max_tracked_sessions", &Config::max_tracked_sessions, 10, 1'000'000,
            "Maximum sessions tracked; the invocations of further sessions are summed as other"),
    integer("Metrics", "max_tracked_error_types", &Config::max_tracked_error_types, 10, 1'000'000,
            "Maximum error types that anomalies distinguish; further ones count as other"),
    integer("Metrics", "metrics_max_skills", &Config::metrics_max_skills, 1, 10'000,
            "Maximum skills with their own series in GET /metrics, in order of appearance; further skills are summed "
            "as other"),
    integer(
        "Metrics", "metrics_max_phases", &Config::metrics_max_phases, 1, 100,
        "Maximum workflow phases per skill with their own series in GET /metrics; further phases are summed as other"),

    number("Anomalies", "anomaly_threshold", &Config::anomaly_threshold, 0.5, 10,
           "Minimum deviation from the baseline, in standard deviations, to report an anomaly"),
    duration("Anomalies", "observation_window", &Config::observation_window, 60, 86'400,
             "Length of the observation window, which is compared with the baseline"),
    duration("Anomalies", "baseline_window", &Config::baseline_window, 600, 2'678'400,
             "Length of the baseline window; at least twice observation_window"),
    integer("Anomalies", "anomaly_min_samples", &Config::anomaly_min_samples, 2, 50,
            "Minimum invocations in each of observation and baseline to report an anomaly"),

    integer("Clients", "max_clients", &Config::max_clients, 1, 1'000'000,
            "Maximum concurrent WebSocket connections; further ones are rejected"),
    integer("Clients", "max_clients_per_address", &Config::max_clients_per_address, 1, 1'000'000,
            "Maximum concurrent WebSocket connections per address (IPv6: per /64), and separately of HTTP connections"),
    integer("Clients", "max_http_connections", &Config::max_http_connections, 1, 1'000'000,
            "Maximum concurrent HTTP connections (including pending upgrades); further ones are closed"),
    integer("Clients", "max_connections_per_second", &Config::max_connections_per_second, 1, 1'000'000,
            "Maximum new connections per second and address; further ones are closed"),
    integer("Clients", "max_tracked_addresses", &Config::max_tracked_addresses, 100, 1'000'000,
            "Maximum number of disconnected addresses tracked by the rate limiter"),
    integer("Clients", "max_messages_per_second", &Config::max_messages_per_second, 1, 1'000'000,
            "Maximum messages per second and connection; further ones are rejected, then the connection is closed"),
    integer("Clients", "max_subscriptions", &Config::max_subscriptions, 1, 50,
            "Maximum skills a connection can subscribe to by name"),
    integer("Clients", "max_message_bytes", &Config::max_message_bytes, 1024, 16'777'216,
            "Maximum size of a client message, in bytes"),
    integer("Clients", "max_header_bytes", &Config::max_header_bytes, 1024, 65'536,
            "Maximum size of an HTTP request header, in bytes"),
    integer("Clients", "max_pending_bytes", &Config::max_pending_bytes, 4096, 1'073'741'824,
            "Per-client backpressure limit: stop reading requests when this many response bytes are queued"),
    boolean("Clients", "compression", &Config::compression,
            "Compress messages (permessage-deflate) for clients that offer it; a broadcast is compressed once, not per "
            "client"),
    duration("Clients", "handshake_timeout", &Config::handshake_timeout, 0.1, 600,
             "Timeout of a new connection until its request is complete, including the TLS handshake"),
    duration("Clients", "idle_timeout", &Config::idle_timeout, 0.1, 3600,
             "Timeout of an HTTP connection between a response and the next request"),
    duration("Clients", "write_timeout", &Config::write_timeout, 0.1, 3600,
             "Timeout for a client to receive one message or response before it is disconnected"),
    duration("Clients", "ping_interval", &Config::ping_interval, 0.1, 3600, "Time between two keep-alive pings"),
    duration("Clients", "ping_timeout", &Config::ping_timeout, 0.1, 7200,
             "Time without data from a client after which it is disconnected; more than ping_interval"),
    duration("Clients", "shutdown_timeout", &Config::shutdown_timeout, 0, 60,
             "Graceful shutdown timeout: time to close all clients before their connections are aborted"),

    Option{"log_level", "Output", Kind::choice, &Config::log_level, 0, 0, "debug|info|warning|error|off", true, false,
           "Minimum log level"},
};

[[noreturn]] void fail(const Option& option, const std::string& subject, std::string_view expected,
                       const std::string& actual) {
    throw ConfigError(std::string(option.name), fmt::format("{} must be {}, not {}", subject, expected, actual));
}

std::string quote_value(std::string_view value) {
    constexpr std::size_t kLongest = 80;
    return value.size() <= kLongest ? fmt::format("'{}'", value) : fmt::format("'{}…'", utf8_prefix(value, kLongest));
}

std::string displayed(const Value& value) {
    return std::visit(
        [](const auto& held) -> std::string {
            if constexpr (std::is_same_v<std::decay_t<decltype(held)>, std::string>) {
                return quote_value(held);
            } else {
                return fmt::format("{}", held);
            }
        },
        value);
}

std::vector<std::string_view> split_choices(std::string_view choices) {
    std::vector<std::string_view> words;
    while (!choices.empty()) {
        const auto end = std::min(choices.find('|'), choices.size());
        words.push_back(choices.substr(0, end));
        choices.remove_prefix(std::min(end + 1, choices.size()));
    }
    return words;
}

bool is_digit(char character) {
    return character >= '0' && character <= '9';
}

// Plain decimal numbers only: what the C functions accept beyond that ("inf", "0x1p3", "1,5") is a typo here.
std::optional<double> parse_decimal(std::string_view text) {
    const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char character) {
        return is_digit(character) || character == '.';
    });
    if (!plain || std::count(text.begin(), text.end(), '.') > 1 || !std::any_of(text.begin(), text.end(), is_digit)) {
        return std::nullopt;
    }
    std::istringstream stream{std::string(text)};
    stream.imbue(std::locale::classic());
    double number = 0;
    stream >> number;
    if (stream.fail() || !std::isfinite(number)) {
        return std::nullopt;
    }
    return number;
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
    const bool negative = text.starts_with('-');
    if (negative || text.starts_with('+')) {
        text.remove_prefix(1);
    }
    if (text.empty() || text.size() > 18 || !std::all_of(text.begin(), text.end(), is_digit)) {
        return std::nullopt;
    }
    std::int64_t number = 0;
    for (const char digit : text) {
        number = number * 10 + (digit - '0');
    }
    return negative ? -number : number;
}

std::optional<bool> parse_boolean(std::string_view text) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char character) {
        return character >= 'A' && character <= 'Z' ? static_cast<char>(character + 32) : character;
    });
    if (lower == "true" || lower == "1" || lower == "yes" || lower == "on") {
        return true;
    }
    if (lower == "false" || lower == "0" || lower == "no" || lower == "off") {
        return false;
    }
    return std::nullopt;
}

void assign_string(Config& config, const Option& option, const Value& value, const std::string& subject) {
    const auto* held = std::get_if<std::string>(&value);
    if (option.kind == Kind::choice) {
        const auto words = split_choices(option.choices);
        if (held == nullptr || std::find(words.begin(), words.end(), *held) == words.end()) {
            fail(option, subject, fmt::format("one of {}", fmt::join(words, ", ")), displayed(value));
        }
    } else if (option.kind == Kind::path && (held == nullptr || held->empty())) {
        fail(option, subject, "the path of a file", displayed(value));
    } else if (option.kind == Kind::list && held == nullptr) {
        fail(option, subject, "a string of comma-separated items", displayed(value));
    } else if (option.kind == Kind::secret && (held == nullptr || held->empty())) {
        throw ConfigError(std::string(option.name), subject + " must be a non-empty string");
    } else if (held == nullptr || (held->empty() && option.kind == Kind::text)) {
        fail(option, subject, "a non-empty string", displayed(value));
    } else if (std::any_of(held->begin(), held->end(), [](char character) {
                   return static_cast<unsigned char>(character) < 0x20 || character == 0x7F;
               })) {
        throw ConfigError(std::string(option.name), subject + " must not contain control characters");
    }
    config.*std::get<std::string Config::*>(option.member) = *held;
}

void assign_duration(Config& config, const Option& option, const Value& value, const std::string& subject) {
    std::optional<double> seconds;
    if (const auto* number = std::get_if<double>(&value)) {
        seconds = *number;
    } else if (const auto* whole = std::get_if<std::int64_t>(&value)) {
        seconds = static_cast<double>(*whole);
    } else if (const auto* words = std::get_if<std::string>(&value)) {
        if (const auto parsed = parse_duration(*words)) {
            seconds = parsed->count();
        }
    }
    if (!seconds) {
        fail(option, subject, "a number of seconds or a duration such as 500ms, 2s, 5m, 1h or 7d", displayed(value));
    }
    if (!(*seconds >= option.minimum && *seconds <= option.maximum)) {  // negated so that NaN is rejected, too
        fail(option, subject, "from " + range_of(option), displayed(value));
    }
    config.*std::get<Seconds Config::*>(option.member) = Seconds(*seconds);
}

void assign_number(Config& config, const Option& option, const Value& value, const std::string& subject) {
    std::optional<double> number;
    if (const auto* real = std::get_if<double>(&value)) {
        number = *real;
    } else if (const auto* whole = std::get_if<std::int64_t>(&value)) {
        number = static_cast<double>(*whole);
    }
    if (!number || !(*number >= option.minimum && *number <= option.maximum)) {  // rejects NaN, too
        fail(option, subject, "a number from " + range_of(option), displayed(value));
    }
    config.*std::get<double Config::*>(option.member) = *number;
}

void assign_integer(Config& config, const Option& option, const Value& value, const std::string& subject) {
    const auto* number = std::get_if<std::int64_t>(&value);
    if (number == nullptr || static_cast<double>(*number) < option.minimum ||
        static_cast<double>(*number) > option.maximum) {
        fail(option, subject, "an integer from " + range_of(option), displayed(value));
    }
    std::visit(
        [&](auto member) {
            using Held = std::remove_reference_t<decltype(config.*member)>;
            if constexpr (std::is_integral_v<Held> && !std::is_same_v<Held, bool>) {
                config.*member = static_cast<Held>(*number);
            }
        },
        option.member);
}

constexpr std::size_t kMaxNameLength = 63;

// Levenshtein distance of texts truncated to kMaxNameLength.
std::size_t edit_distance(std::string_view left, std::string_view right) {
    left = left.substr(0, kMaxNameLength);
    right = right.substr(0, kMaxNameLength);
    std::array<std::size_t, kMaxNameLength + 1> row{};
    for (std::size_t column = 0; column <= right.size(); ++column) {
        row[column] = column;
    }
    for (std::size_t line = 1; line <= left.size(); ++line) {
        std::size_t diagonal = row[0];
        row[0] = line;
        for (std::size_t column = 1; column <= right.size(); ++column) {
            const std::size_t change = diagonal + (left[line - 1] == right[column - 1] ? 0 : 1);
            diagonal = row[column];
            row[column] = std::min({row[column] + 1, row[column - 1] + 1, change});
        }
    }
    return row[right.size()];
}

std::string with_hyphens(std::string_view name) {
    std::string flag(name);
    std::replace(flag.begin(), flag.end(), '_', '-');
    return flag;
}

std::string toml_string(std::string_view value) {
    std::string quoted_value = "\"";
    for (const char character : value) {
        if (character == '"' || character == '\\') {
            quoted_value += '\\';
        }
        quoted_value += character;
    }
    return quoted_value + '"';
}

template <typename Patterns>
void check_patterns(const char* option, const std::string& text) {
    try {
        static_cast<void>(Patterns::parse(text));
    } catch (const PatternError& error) {
        throw ConfigError(option,
                          fmt::format("{} must not contain {}: {}", option, quote_value(error.item()), error.what()));
    }
}

}  // namespace

std::span<const Option> table() {
    return kTable;
}

const Option* find(std::string_view name) {
    const auto* found =
        std::find_if(kTable.begin(), kTable.end(), [name](const Option& option) { return option.name == name; });
    return found == kTable.end() ? nullptr : found;
}

std::string nearest(std::string_view name) {
    return nearest(name, std::max<std::size_t>(2, std::min(name.size(), kMaxNameLength) / 3));
}

std::string nearest(std::string_view name, std::size_t max_distance) {
    std::string wanted(name.substr(0, kMaxNameLength));
    std::replace(wanted.begin(), wanted.end(), '-', '_');
    std::string_view best;
    std::size_t best_distance = max_distance + 1;
    for (const Option& option : kTable) {
        const std::size_t distance = edit_distance(wanted, option.name);
        if (distance < best_distance) {
            best_distance = distance;
            best = option.name;
        }
    }
    return std::string(best);
}

std::string flag_of(const Option& option) {
    return "--" + with_hyphens(option.name);
}

std::string environment_of(const Option& option) {
    std::string name = "SESSION_BUDDY_";
    for (const char character : option.name) {
        name += character >= 'a' && character <= 'z' ? static_cast<char>(character - 32) : character;
    }
    return name;
}

std::string range_of(const Option& option) {
    switch (option.kind) {
        case Kind::integer:
            return fmt::format("{:.0f} to {:.0f}", option.minimum, option.maximum);
        case Kind::number:
            return fmt::format("{} to {}", option.minimum, option.maximum);
        case Kind::duration:
            return option.maximum >= 1e6 ? fmt::format("{} to {:.0f} seconds", option.minimum, option.maximum)
                                         : fmt::format("{} to {} seconds", option.minimum, option.maximum);
        case Kind::boolean:
            return "true or false";
        case Kind::choice:
            return fmt::format("{}", fmt::join(split_choices(option.choices), ", "));
        case Kind::text:
        case Kind::path:
        case Kind::secret:
        case Kind::list:
            break;
    }
    return {};
}

std::string toml_value(const Config& config, const Option& option) {
    return std::visit(
        [](const auto& held) -> std::string {
            using Held = std::decay_t<decltype(held)>;
            if constexpr (std::is_same_v<Held, std::string>) {
                return toml_string(held);
            } else if constexpr (std::is_same_v<Held, double>) {
                const std::string text = fmt::format("{}", held);
                return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
            } else {
                return fmt::format("{}", held);
            }
        },
        read(config, option));
}

void assign(Config& config, const Option& option, const Value& value, const std::string& subject) {
    switch (option.kind) {
        case Kind::text:
        case Kind::path:
        case Kind::secret:
        case Kind::list:
        case Kind::choice:
            return assign_string(config, option, value, subject);
        case Kind::duration:
            return assign_duration(config, option, value, subject);
        case Kind::integer:
            return assign_integer(config, option, value, subject);
        case Kind::number:
            return assign_number(config, option, value, subject);
        case Kind::boolean:
            break;
    }
    const auto* held = std::get_if<bool>(&value);
    if (held == nullptr) {
        fail(option, subject, "true or false", displayed(value));
    }
    config.*std::get<bool Config::*>(option.member) = *held;
}

void assign_text(Config& config, const Option& option, std::string_view text, const std::string& subject) {
    if (option.kind == Kind::integer) {
        if (const auto number = parse_integer(text)) {
            return assign(config, option, *number, subject);
        }
    } else if (option.kind == Kind::number) {
        if (const auto number = parse_decimal(text)) {
            return assign(config, option, *number, subject);
        }
    } else if (option.kind == Kind::boolean) {
        if (const auto truth = parse_boolean(text)) {
            return assign(config, option, *truth, subject);
        }
    }
    // Anything else stays a string, which assign() rejects with an error that quotes it.
    assign(config, option, std::string(text), subject);
}

Value read(const Config& config, const Option& option) {
    if (option.kind == Kind::secret) {
        return std::string((config.*std::get<std::string Config::*>(option.member)).empty() ? "" : "(hidden)");
    }
    return std::visit(
        [&config](auto member) -> Value {
            using Held = std::remove_cvref_t<decltype(config.*member)>;
            if constexpr (std::is_same_v<Held, Seconds>) {
                return (config.*member).count();
            } else if constexpr (std::is_same_v<Held, bool> || std::is_same_v<Held, double> ||
                                 std::is_same_v<Held, std::string>) {
                return config.*member;
            } else {
                return static_cast<std::int64_t>(config.*member);
            }
        },
        option.member);
}

std::optional<Seconds> parse_duration(std::string_view text) {
    struct Unit {
        std::string_view suffix;
        double seconds;
    };
    // "ms" before "s" and "m": the longest suffix wins.
    static constexpr std::array kUnits{Unit{"ms", 0.001}, Unit{"s", 1},     Unit{"m", 60},
                                       Unit{"h", 3600},   Unit{"d", 86400}, Unit{"w", 604800}};
    double factor = 1;
    bool milliseconds = false;
    for (const Unit& unit : kUnits) {
        if (text.ends_with(unit.suffix)) {
            text.remove_suffix(unit.suffix.size());
            factor = unit.seconds;
            milliseconds = unit.suffix == "ms";
            break;
        }
    }
    const auto number = parse_decimal(text);
    if (!number) {
        return std::nullopt;
    }
    // Divided rather than multiplied by 0.001, so that 300ms is the same double as 0.3.
    return Seconds(milliseconds ? *number / 1000 : *number * factor);
}

void check(const Config& config) {
    if (config.tls_cert.empty() != config.tls_key.empty()) {
        const auto [missing, given] =
            config.tls_cert.empty() ? std::pair("tls_cert", "tls_key") : std::pair("tls_key", "tls_cert");
        throw ConfigError(missing, fmt::format("{} requires {}, which is not set", given, missing));
    }
    if (!config.tls_client_ca.empty() && config.tls_cert.empty()) {
        throw ConfigError("tls_cert", "tls_client_ca requires tls_cert and tls_key, which are not set");
    }
    const bool jwt = !config.jwt_secret.empty() || !config.jwt_public_key.empty();
    for (const auto& [name, value] :
         {std::pair("jwt_audience", &config.jwt_audience), std::pair("jwt_issuer", &config.jwt_issuer)}) {
        if (!value->empty() && !jwt) {
            throw ConfigError(name, fmt::format("{} requires jwt_secret or jwt_public_key, which are not set", name));
        }
    }
    if (!config.jwt_secret.empty() && !config.jwt_public_key.empty()) {
        throw ConfigError(
            "jwt_public_key",
            "jwt_secret and jwt_public_key are mutually exclusive: a token is signed with one kind of key");
    }
    if (config.ping_timeout <= config.ping_interval) {
        throw ConfigError("ping_timeout",
                          fmt::format("ping_timeout must be more than ping_interval ({} seconds), not {}",
                                      config.ping_interval.count(), config.ping_timeout.count()));
    }
    try {
        static_cast<void>(IpNetworks::parse(config.trusted_proxies));
    } catch (const std::invalid_argument& item) {
        throw ConfigError(
            "trusted_proxies",
            fmt::format("trusted_proxies must be comma-separated addresses and networks, but {} is neither",
                        quote_value(item.what())));
    }
    try {
        static_cast<void>(parse_tool_rules(config.tools));
    } catch (const std::invalid_argument& item) {
        throw ConfigError(
            "tools",
            fmt::format(
                "tools must be comma-separated command=skill pairs, such as just test=just-test, but {} is not one",
                quote_value(item.what())));
    }
    if (config.max_intake_bytes < config.max_body_bytes) {
        throw ConfigError("max_intake_bytes",
                          fmt::format("max_intake_bytes must be at least max_body_bytes ({}), not {}",
                                      config.max_body_bytes, config.max_intake_bytes));
    }
    check_patterns<OriginPatterns>("allow_origin", config.allow_origin);
    check_patterns<HostPatterns>("allow_host", config.allow_host);
    if (config.baseline_window < 2 * config.observation_window) {
        throw ConfigError("baseline_window",
                          fmt::format("baseline_window must be at least twice observation_window ({} seconds), not {}",
                                      config.observation_window.count(), config.baseline_window.count()));
    }
    if (config.retention.count() > 0) {
        check_retention(config, config.retention, "retention");
    }
}

Seconds minimum_retention(const Config& config) {
    constexpr Seconds kDay = std::chrono::hours{24};
    return std::max({config.window, 2 * config.baseline_window, kDay}) + std::chrono::hours{1};
}

void check_retention(const Config& config, Seconds keep, std::string_view subject) {
    const Seconds least = minimum_retention(config);
    const Option& option = *find("retention");
    if (keep.count() > option.maximum) {
        fail(option, std::string(subject), "from " + range_of(option), fmt::format("{}", keep.count()));
    }
    if (!(keep >= least)) {  // negated so that NaN is rejected, too
        throw ConfigError(
            "retention",
            fmt::format("{} must be at least {} seconds ({:.3g} h), so that window, baseline_window and "
                        "a day are complete after a start, not {}",
                        subject, std::ceil(least.count()), std::ceil(least.count() / 36) / 100, keep.count()));
    }
}

}  // namespace session_buddy::options
