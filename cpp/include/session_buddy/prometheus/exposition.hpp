// GET /metrics: content negotiation and the exposition text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/server_stats.hpp"
#include "session_buddy/core/snapshot.hpp"

namespace session_buddy::prometheus {

enum class Format : std::uint8_t {
    text,         ///< Prometheus text format 0.0.4
    openmetrics,  ///< OpenMetrics 1.0.0
};

/// The preferred format for an Accept header (empty for none). Text if the client accepts neither, prefers neither, or
/// the header is malformed.
[[nodiscard]] Format negotiate(std::string_view accept);

/// The value of the Content-Type header.
[[nodiscard]] std::string_view content_type(Format format);

/// The values that are exposed.
struct Sources {
    const Snapshot& snapshot;
    NetworkStats network{};
    std::uint64_t intake_rows = 0;  ///< rows written by ingestion requests
    std::optional<ProcessStats> process{};
    TimePoint started_at{};  ///< of the server
    TimePoint now{};
};

/// The exposition text. Metric names, labels and meanings are in docs/api/PROMETHEUS.md.
[[nodiscard]] std::string render(const Sources& sources, Format format);

}  // namespace session_buddy::prometheus
