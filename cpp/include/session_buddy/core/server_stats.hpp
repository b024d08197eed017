// What a running server counts about itself, as plain values of one moment.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "session_buddy/core/clock.hpp"

namespace session_buddy {

/// Upper bounds of the buckets that the server's own work is counted in, in seconds; the last bucket has none.
inline constexpr std::array kHistogramBounds{0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0};
using HistogramBuckets = std::array<std::uint64_t, kHistogramBounds.size() + 1>;

[[nodiscard]] constexpr std::size_t histogram_bucket(double seconds) {
    return static_cast<std::size_t>(std::ranges::lower_bound(kHistogramBounds, seconds) - kHistogramBounds.begin());
}

/// How long something took, each time in one bucket.
struct DurationHistogram {
    HistogramBuckets buckets{};
    double seconds = 0.0;  ///< in all

    void add(double taken) {
        ++buckets.at(histogram_bucket(taken));
        seconds += taken;
    }
};

/// Why a connection or request was refused, in the order of NetworkStats::refused.
inline constexpr std::array<std::string_view, 7> kRefusalReasons{
    "connection_rate", "http_connections", "http_of_address", "clients", "clients_of_address", "origin", "token"};

/// Since the start of the server, but for the first two, which are of now.
struct NetworkStats {
    std::uint64_t websocket_clients = 0;
    std::uint64_t http_connections = 0;
    std::array<std::uint64_t, kRefusalReasons.size()> refused{};
    DurationHistogram broadcasts;         ///< from a snapshot to the last client that it was offered
    std::uint64_t messages_sent = 0;      ///< on WebSockets: answers and broadcasts
    std::uint64_t messages_received = 0;  ///< likewise
    std::uint64_t bytes_sent = 0;         ///< on WebSockets, all that was written, before TLS
    std::uint64_t updates_replaced = 0;   ///< waited for a slow client until a newer one took their place
    std::uint64_t hook_requests = 0;      ///< taken in, be it refused by what they hold
    std::uint64_t invocation_requests = 0;
    std::uint64_t failures = 0;  ///< of connections, by a fault of the server or for want of memory
};

/// Of the collector, since the start of the server.
struct CollectorStats {
    DurationHistogram cycles;  ///< reading, computing and writing back
    std::uint64_t rows_read = 0;
    std::uint64_t rows_skipped = 0;          ///< unreadable ones
    std::uint64_t read_failures = 0;         ///< looks at the database that failed
    std::uint64_t write_failures = 0;        ///< writes of a cycle that failed, but for databases that can only be read
    std::optional<TimePoint> up_to_date_at;  ///< the last look after which nothing was left unread
};

/// Of this process as the system sees it; nothing where it does not tell.
struct ProcessStats {
    double cpu_seconds = 0.0;  ///< user and system
    std::uint64_t resident_bytes = 0;
    std::uint64_t open_fds = 0;
    std::uint64_t max_fds = 0;
    double started_at = 0.0;  ///< seconds since 1970
};

}  // namespace session_buddy
