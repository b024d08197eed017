// The server's own metrics, as plain values at one point in time.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "session_buddy/core/alert.hpp"
#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/enum_names.hpp"

namespace session_buddy {

/// Upper bounds of the histogram buckets for the server's own work, in seconds; the last bucket is unbounded.
inline constexpr std::array kHistogramBounds{0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0};
using HistogramBuckets = std::array<std::uint64_t, kHistogramBounds.size() + 1>;

[[nodiscard]] constexpr std::size_t histogram_bucket(double seconds) {
    return static_cast<std::size_t>(std::ranges::lower_bound(kHistogramBounds, seconds) - kHistogramBounds.begin());
}

/// A histogram of durations.
struct DurationHistogram {
    HistogramBuckets buckets{};
    double seconds = 0.0;  ///< sum of all durations

    void add(double duration) {
        ++buckets.at(histogram_bucket(duration));
        seconds += duration;
    }
};

/// Why a connection or request was rejected: the limit or rule.
enum class Refusal : std::uint8_t {
    connection_rate,
    http_connections,
    http_of_address,
    clients,
    clients_of_address,
    origin,
    token,
};
inline constexpr EnumNames kRefusals{std::array{
    EnumName{Refusal::connection_rate, "connection_rate"}, EnumName{Refusal::http_connections, "http_connections"},
    EnumName{Refusal::http_of_address, "http_of_address"}, EnumName{Refusal::clients, "clients"},
    EnumName{Refusal::clients_of_address, "clients_of_address"}, EnumName{Refusal::origin, "origin"},
    EnumName{Refusal::token, "token"}}};

/// Counts since the start of the server; the first two are current values.
struct NetworkStats {
    std::uint64_t websocket_clients = 0;
    std::uint64_t http_connections = 0;
    std::array<std::uint64_t, kRefusals.size()> refused{};  ///< by Refusal
    DurationHistogram broadcasts;                           ///< from a snapshot to its last client
    std::uint64_t messages_sent = 0;                        ///< on WebSockets: responses and broadcasts
    std::uint64_t messages_received = 0;                    ///< likewise
    std::uint64_t bytes_sent = 0;                           ///< on WebSockets, before TLS
    std::uint64_t updates_replaced = 0;                     ///< dropped for a slow client because a newer one arrived
    std::uint64_t hook_requests = 0;                        ///< received in full, even if rejected afterwards
    std::uint64_t invocation_requests = 0;
    std::uint64_t failures = 0;  ///< of connections, from internal errors or lack of memory
};

/// Counts of the collector since the start of the server.
struct CollectorStats {
    DurationHistogram cycles;  ///< reading, computing and writing back
    std::uint64_t rows_read = 0;
    std::uint64_t rows_skipped = 0;          ///< invalid rows
    std::uint64_t read_failures = 0;         ///< failed reads of the database
    std::uint64_t write_failures = 0;        ///< failed writes, except for read-only databases
    std::optional<TimePoint> up_to_date_at;  ///< the last read that reached the end of the table
    std::array<std::uint64_t, kAlertKinds.size()> alerts_started{};  ///< by AlertKind
};

/// Of this process, as reported by the operating system.
struct ProcessStats {
    double cpu_seconds = 0.0;  ///< user and system
    std::uint64_t resident_bytes = 0;
    std::uint64_t open_fds = 0;
    std::uint64_t max_fds = 0;
    double started_at = 0.0;  ///< seconds since 1970
};

}  // namespace session_buddy
