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

#include "session_buddy/core/alert_budget.hpp"
#include "session_buddy/core/ascii.hpp"
#include "session_buddy/core/ip_address.hpp"
#include "session_buddy/core/origin.hpp"
#include "session_buddy/core/tool_rule.hpp"
#include "session_buddy/core/utf8.hpp"

namespace session_buddy::options {
namespace {

constexpr Accepted between(double minimum, double maximum) {
    return {.minimum = minimum, .maximum = maximum};
}

constexpr Accepted kFlag;
constexpr Accepted kText;
constexpr Accepted kList{.kind = Kind::list};  // comma-separated items, validated by check()
constexpr Accepted kGuardText{.security_critical = true};
constexpr Accepted kGuardFile{.kind = Kind::path, .security_critical = true};
constexpr Accepted kSecret{.kind = Kind::secret, .security_critical = true};

template <typename Held>
constexpr Option row(std::string_view group, std::string_view name, Held Config::*member, const Accepted& accepted,
                     std::string_view help) {
    Option option{accepted, name, group, member, help};
    if constexpr (!std::is_same_v<Held, std::string>) {
        option.kind = std::is_same_v<Held, bool>      ? Kind::boolean
                      : std::is_same_v<Held, Seconds> ? Kind::duration
                      : std::is_same_v<Held, double>  ? Kind::number
                                                      : Kind::integer;
    }
    return option;
}

// The member's name is the option's name. Its default is in Config, all else about an option is here.
#define OPTION(group, member, accepted, help) row(group, #member, &Config::member, accepted, help)

constexpr std::array kTable{
    OPTION("Network", host, kText, "Address or name to listen on; localhost means 127.0.0.1 and ::1"),
    OPTION("Network", port, between(0, 65535), "TCP port to listen on; 0 picks a free port"),

    OPTION("TLS", tls_cert, kGuardFile,
           "PEM file with the server's certificate followed by its chain; when set, the port accepts TLS connections "
           "only"),
    OPTION("TLS", tls_key, kGuardFile, "PEM file with the private key of tls_cert"),
    OPTION("TLS", tls_client_ca, kGuardFile,
           "PEM file with the CA certificates used to verify client certificates (mutual TLS); when set, clients must "
           "present one"),

    OPTION("Authentication", auth_token_file, kGuardFile,
           "File with one bearer token per line, in clear text or as sha256:DIGEST, followed by its scopes (read, "
           "write, metrics; default: read). When set, clients must authenticate with a token"),
    OPTION("Authentication", jwt_secret, kSecret,
           "Secret of at least 32 bytes for verifying JSON Web Tokens (JWT) signed with HS256. When set, clients must "
           "authenticate with a token"),
    OPTION("Authentication", jwt_public_key, kGuardFile,
           "PEM file with the public key for verifying JSON Web Tokens (JWT) signed with RS256 or ES256. When set, "
           "clients must authenticate with a token"),
    OPTION("Authentication", jwt_audience, kGuardText,
           "Expected JWT audience (aud). If unset, tokens that carry an audience are rejected"),
    OPTION("Authentication", jwt_issuer, kGuardText, "Expected JWT issuer (iss). If unset, any issuer is accepted"),
    OPTION("Authentication", jwt_leeway, between(0, 600), "Allowed clock skew when validating JWT exp and nbf"),
    OPTION("Authentication", auth_timeout, between(0.1, 60),
           "Timeout for a new client to authenticate; also the maximum delay of a rejected attempt"),
    OPTION("Authentication", max_auth_failures_per_second, between(1, 1000),
           "Failed authentication attempts per second and address before further failures are delayed"),
    OPTION("Authentication", insecure, kFlag,
           "Allow listening on non-loopback addresses without TLS (or behind_proxy) or without authentication"),

    OPTION("Proxy", behind_proxy, kFlag,
           "Trust the X-Forwarded-For and X-Forwarded-Proto headers of trusted_proxies for a client's address and "
           "protocol"),
    OPTION("Proxy", trusted_proxies, kList,
           "Addresses and networks of the reverse proxies, comma-separated, such as 10.0.0.0/8,2001:db8::1; loopback "
           "means 127.0.0.0/8 and ::1"),

    OPTION("Origins", allow_origin, kList,
           "Additional allowed origins (CORS, WebSocket), comma-separated, such as https://app.example.org or "
           "https://*.example.org, or null for pages without an origin; loopback and same-origin are always allowed"),
    OPTION("Origins", allow_host, kList,
           "Additional allowed Host names, comma-separated, such as app.example.org or *.example.org; loopback names "
           "and host are always allowed"),

    OPTION("Database", db_path, kText,
           "SQLite database to follow; created with the V4 schema if missing, in an existing directory. Default: "
           "./.session-buddy/skills.db if it exists, else skills.db in the user's data directory"),
    OPTION("Database", busy_timeout, between(0, 60), "How long startup waits for a locked database"),
    OPTION("Database", max_rows_per_cycle, between(100, 10'000'000),
           "Maximum new rows read in one cycle; the rest is read in the next"),
    OPTION("Database", replace_triggers, kFlag, "Replace the triggers of a database that another tool created"),
    OPTION("Database", retention, between(0, 3'153'600'000),
           "Delete invocations older than this, once a day, in whole days (0: keep all); totals and hourly rollups are "
           "kept"),

    OPTION("Ingestion", tools, kList,
           "Additional developer tools to recognize in shell commands, as comma-separated command=skill pairs, such as "
           "just test=just-test"),
    OPTION(
        "Ingestion", builtin_commands, kFlag,
        "Record slash commands that Claude Code itself provides, such as /clear and /context, in addition to skills"),
    OPTION("Ingestion", hook_timeout, between(60, 86'400),
           "Timeout after which a tool use that started but never finished is recorded with an unknown outcome"),
    OPTION("Ingestion", max_body_bytes, between(1024, 67'108'864),
           "Maximum size of an ingestion request body, in bytes"),
    OPTION("Ingestion", max_intake_bytes, between(1024, 1'073'741'824),
           "Maximum bytes of ingestion requests in flight (received, not yet committed); further requests are rejected "
           "with 429"),
    OPTION("Ingestion", max_spool_events, between(100, 100'000),
           "Maximum hook events spooled to disk while the database is not writable; further events are dropped"),
    OPTION("Ingestion", min_body_rate, between(16, 1'073'741'824),
           "Minimum rate of an ingestion request body, in bytes per second; a slower request is rejected"),
    OPTION("Ingestion", max_write_lock, between(0.005, 10),
           "Maximum time an ingestion transaction holds the database's write lock; a longer batch is split"),
    OPTION("Ingestion", max_values_per_skill, between(16, 10'000),
           "Maximum distinct error types, and distinct workflow paths, stored per skill; further ones become other"),

    OPTION("Queries", max_queries, between(1, 10'000),
           "Maximum queued HTTP API queries; further ones are rejected with 503"),
    OPTION("Queries", max_response_bytes, between(1'048'576, 17'179'869'184),
           "Maximum bytes of responses to queries that clients have not read yet; further queries are rejected"),
    OPTION("Queries", query_timeout, between(0.1, 300), "Timeout of an HTTP API query, including time in the queue"),

    OPTION("Metrics", update_interval, between(0.01, 3600), "Time between two broadcasts"),
    OPTION("Metrics", push, kFlag, "Broadcast new invocations immediately, in addition to the regular interval"),
    OPTION("Metrics", push_min_interval, between(0.01, 60), "Minimum time between two broadcasts in push mode"),
    OPTION("Metrics", window, between(60, 2'678'400), "Length of the sliding window of top_skills"),
    OPTION("Metrics", top_skills, between(1, 1000), "Number of skills in top_skills"),
    OPTION("Metrics", session_window, between(60, 86'400),
           "Time without activity after which a session is no longer active"),
    OPTION("Metrics", max_sessions, between(1, 100'000),
           "Maximum active sessions sent to subscribers, most recent first"),
    OPTION("Metrics", max_tracked_skills, between(10, 1'000'000),
           "Maximum skills tracked in the sliding windows; the invocations of further skills are summed as other"),
    OPTION("Metrics", max_tracked_sessions, between(10, 1'000'000),
           "Maximum sessions tracked; the invocations of further sessions are summed as other"),
    OPTION("Metrics", max_tracked_error_types, between(10, 1'000'000),
           "Maximum error types that anomalies distinguish; further ones count as other"),
    OPTION("Metrics", metrics_max_skills, between(1, 10'000),
           "Maximum skills with their own series in GET /metrics, in order of appearance; further skills are summed as "
           "other"),
    OPTION(
        "Metrics", metrics_max_phases, between(1, 100),
        "Maximum workflow phases per skill with their own series in GET /metrics; further phases are summed as other"),

    OPTION("Anomalies", anomaly_threshold, between(0.5, 10),
           "Minimum deviation from the baseline, in standard deviations, to report an anomaly"),
    OPTION("Anomalies", observation_window, between(60, 86'400),
           "Length of the observation window, which is compared with the baseline"),
    OPTION("Anomalies", baseline_window, between(600, 2'678'400),
           "Length of the baseline window; at least twice observation_window"),
    OPTION("Anomalies", anomaly_min_samples, between(2, 50),
           "Minimum invocations in each of observation and baseline to report an anomaly"),
    OPTION("Anomalies", alert_budget, kText,
           "Expected false alerts of the whole server while nothing changes, as a rate such as 1/week, 0.5/day or "
           "1/month, or off"),
    OPTION("Anomalies", alert_on_silence, kFlag,
           "Also report an alert for a skill that was used regularly and no longer is"),

    OPTION("Clients", max_clients, between(1, 1'000'000),
           "Maximum concurrent WebSocket connections; further ones are rejected"),
    OPTION("Clients", max_clients_per_address, between(1, 1'000'000),
           "Maximum concurrent WebSocket connections per address (IPv6: per /64), and separately of HTTP connections"),
    OPTION("Clients", max_http_connections, between(1, 1'000'000),
           "Maximum concurrent HTTP connections (including pending upgrades); further ones are closed"),
    OPTION("Clients", max_connections_per_second, between(1, 1'000'000),
           "Maximum new connections per second and address; further ones are closed"),
    OPTION("Clients", max_tracked_addresses, between(100, 1'000'000),
           "Maximum number of disconnected addresses tracked by the rate limiter"),
    OPTION("Clients", max_messages_per_second, between(1, 1'000'000),
           "Maximum messages per second and connection; further ones are rejected, then the connection is closed"),
    OPTION("Clients", max_subscriptions, between(1, 50), "Maximum skills a connection can subscribe to by name"),
    OPTION("Clients", max_message_bytes, between(1024, 16'777'216), "Maximum size of a client message, in bytes"),
    OPTION("Clients", max_header_bytes, between(1024, 65'536), "Maximum size of an HTTP request header, in bytes"),
    OPTION("Clients", max_pending_bytes, between(4096, 1'073'741'824),
           "Per-client backpressure limit: stop reading requests when this many response bytes are queued"),
    OPTION("Clients", compression, kFlag,
           "Compress messages (permessage-deflate) for clients that offer it; a broadcast is compressed once, not per "
           "client"),
    OPTION("Clients", handshake_timeout, between(0.1, 600),
           "Timeout of a new connection until its request is complete, including the TLS handshake"),
    OPTION("Clients", idle_timeout, between(0.1, 3600),
           "Timeout of an HTTP connection between a response and the next request"),
    OPTION("Clients", write_timeout, between(0.1, 3600),
           "Timeout for a client to receive one message or response before it is disconnected"),
    OPTION("Clients", ping_interval, between(0.1, 3600), "Time between two keep-alive pings"),
    OPTION("Clients", ping_timeout, between(0.1, 7200),
           "Time without data from a client after which it is disconnected; more than ping_interval"),
    OPTION("Clients", shutdown_timeout, between(0, 60),
           "Graceful shutdown timeout: time to close all clients before their connections are aborted"),

    OPTION("Output", log_level,
           (Accepted{.kind = Kind::choice, .choices = "debug|info|warning|error|off", .cli_only = true}),
           "Minimum log level"),
};

#undef OPTION

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

// Plain decimal numbers only: what the C functions accept beyond that ("inf", "0x1p3", "1,5") is a typo here.
std::optional<double> parse_decimal(std::string_view text) {
    const bool plain = std::ranges::all_of(text, [](char c) { return ascii::is_digit(c) || c == '.'; });
    if (!plain || std::ranges::count(text, '.') > 1 || !std::ranges::any_of(text, ascii::is_digit)) {
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
    if (text.empty() || text.size() > 18 || !std::ranges::all_of(text, ascii::is_digit)) {
        return std::nullopt;
    }
    std::int64_t number = 0;
    for (const char digit : text) {
        number = number * 10 + (digit - '0');
    }
    return negative ? -number : number;
}

std::optional<bool> parse_boolean(std::string_view text) {
    const std::string lower = ascii::lower(text);
    if (lower == "true" || lower == "1" || lower == "yes" || lower == "on") {
        return true;
    }
    if (lower == "false" || lower == "0" || lower == "no" || lower == "off") {
        return false;
    }
    return std::nullopt;
}

std::string checked_text(const Option& option, const Value& value, const std::string& subject) {
    const auto* held = std::get_if<std::string>(&value);
    const bool filled = held != nullptr && !held->empty();
    switch (option.kind) {
        case Kind::choice: {
            const auto words = split_choices(option.choices);
            if (held == nullptr || std::ranges::find(words, *held) == words.end()) {
                fail(option, subject, fmt::format("one of {}", fmt::join(words, ", ")), displayed(value));
            }
            return *held;
        }
        case Kind::list:
            if (held == nullptr) {
                fail(option, subject, "a string of comma-separated items", displayed(value));
            }
            break;
        case Kind::secret:
            if (!filled) {
                throw ConfigError(std::string(option.name), subject + " must be a non-empty string");
            }
            break;
        default:
            if (!filled) {
                fail(option, subject, option.kind == Kind::path ? "the path of a file" : "a non-empty string",
                     displayed(value));
            }
    }
    if (std::ranges::any_of(*held, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; })) {
        throw ConfigError(std::string(option.name), subject + " must not contain control characters");
    }
    return *held;
}

std::optional<double> number_of(const Value& value) {
    if (const auto* whole = std::get_if<std::int64_t>(&value)) {
        return static_cast<double>(*whole);
    }
    const auto* number = std::get_if<double>(&value);
    return number == nullptr ? std::nullopt : std::optional(*number);
}

bool is_in_range(const Option& option, double number) {
    return number >= option.minimum && number <= option.maximum;  // false for NaN
}

Seconds checked_duration(const Option& option, const Value& value, const std::string& subject) {
    const auto* text = std::get_if<std::string>(&value);
    const auto number = number_of(value);
    const auto seconds = text != nullptr ? parse_duration(*text)
                         : number        ? std::optional<Seconds>(*number)
                                         : std::nullopt;
    if (!seconds) {
        fail(option, subject, "a number of seconds or a duration such as 500ms, 2s, 5m, 1h or 7d", displayed(value));
    }
    if (!is_in_range(option, seconds->count())) {
        fail(option, subject, "from " + range_of(option), displayed(value));
    }
    return *seconds;
}

/// The value as the type of a member. Throws ConfigError.
template <typename Held>
Held checked(const Option& option, const Value& value, const std::string& subject) {
    if constexpr (std::is_same_v<Held, std::string>) {
        return checked_text(option, value, subject);
    } else if constexpr (std::is_same_v<Held, Seconds>) {
        return checked_duration(option, value, subject);
    } else if constexpr (std::is_same_v<Held, bool>) {
        if (!std::holds_alternative<bool>(value)) {
            fail(option, subject, "true or false", displayed(value));
        }
        return std::get<bool>(value);
    } else {
        constexpr bool kWhole = std::is_integral_v<Held>;
        const auto number = kWhole && !std::holds_alternative<std::int64_t>(value) ? std::nullopt : number_of(value);
        if (!number || !is_in_range(option, *number)) {
            fail(option, subject, (kWhole ? "an integer from " : "a number from ") + range_of(option),
                 displayed(value));
        }
        return static_cast<Held>(*number);
    }
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

template <typename... Args>
[[noreturn]] void reject(const char* option, fmt::format_string<Args...> reason, Args&&... args) {
    throw ConfigError(option, fmt::format("{} {}", option, fmt::format(reason, std::forward<Args>(args)...)));
}

template <typename Patterns>
void check_patterns(const char* option, const std::string& text) {
    try {
        static_cast<void>(Patterns::parse(text));
    } catch (const PatternError& error) {
        reject(option, "must not contain {}: {}", quote_value(error.item()), error.what());
    }
}

/// `parse` throws std::invalid_argument with the item that it does not accept.
template <typename Parse>
void check_items(const char* option, const std::string& text, Parse parse, std::string_view accepted,
                 std::string_view verdict) {
    try {
        static_cast<void>(parse(text));
    } catch (const std::invalid_argument& item) {
        reject(option, "must be comma-separated {}, but {} is {}", accepted, quote_value(item.what()), verdict);
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
    std::string flag = fmt::format("--{}", option.name);
    std::ranges::replace(flag, '_', '-');
    return flag;
}

std::string environment_of(const Option& option) {
    return "SESSION_BUDDY_" + ascii::upper(option.name);
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
    std::visit(
        [&](auto member) {
            config.*member = checked<std::remove_reference_t<decltype(config.*member)>>(option, value, subject);
        },
        option.member);
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
            reject(name, "requires jwt_secret or jwt_public_key, which are not set");
        }
    }
    if (!config.jwt_secret.empty() && !config.jwt_public_key.empty()) {
        throw ConfigError(
            "jwt_public_key",
            "jwt_secret and jwt_public_key are mutually exclusive: a token is signed with one kind of key");
    }
    if (config.ping_timeout <= config.ping_interval) {
        reject("ping_timeout", "must be more than ping_interval ({} seconds), not {}", config.ping_interval.count(),
               config.ping_timeout.count());
    }
    check_items("trusted_proxies", config.trusted_proxies, &IpNetworks::parse, "addresses and networks", "neither");
    check_items("tools", config.tools, &parse_tool_rules, "command=skill pairs, such as just test=just-test",
                "not one");
    if (!parse_alert_budget(config.alert_budget)) {
        reject("alert_budget", "must be {}, not {}", kAlertBudgetRule, quote_value(config.alert_budget));
    }
    check_patterns<OriginPatterns>("allow_origin", config.allow_origin);
    check_patterns<HostPatterns>("allow_host", config.allow_host);
    if (config.max_intake_bytes < config.max_body_bytes) {
        reject("max_intake_bytes", "must be at least max_body_bytes ({}), not {}", config.max_body_bytes,
               config.max_intake_bytes);
    }
    if (config.baseline_window < 2 * config.observation_window) {
        reject("baseline_window", "must be at least twice observation_window ({} seconds), not {}",
               config.observation_window.count(), config.baseline_window.count());
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
