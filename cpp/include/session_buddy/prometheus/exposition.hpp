// The answer to GET /metrics: which format a client wants, and the text in it.
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
    text,         ///< Prometheus' own text format 0.0.4
    openmetrics,  ///< OpenMetrics 1.0.0
};

/// What a client that sends this Accept header (empty for none) likes best. Where it takes neither, or both equally, or
/// the header cannot be read: text.
[[nodiscard]] Format negotiate(std::string_view accept);

/// For the header Content-Type.
[[nodiscard]] std::string_view content_type(Format format);

/// All that there is to tell.
struct Sources {
    const Snapshot& snapshot;
    NetworkStats network{};
    std::uint64_t intake_rows = 0;  ///< that requests brought into the database
    std::optional<ProcessStats> process{};
    TimePoint started_at{};  ///< of the server
    TimePoint now{};
};

/// The whole text. Metric names, labels and meanings are in docs/api/PROMETHEUS.md.
[[nodiscard]] std::string render(const Sources& sources, Format format);

}  // namespace session_buddy::prometheus
