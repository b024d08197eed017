// Writes to skill_metrics_cache what a trigger cannot know: counts that decayed, the completion rate, the anomaly
// state.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/storage/error.hpp"

namespace SQLite {
class Database;
}

namespace session_buddy::storage {

struct CacheRow {
    std::string skill_name;
    TimePoint last_invocation_at;
    std::int64_t invocation_count_1h = 0;
    std::int64_t invocation_count_24h = 0;
    std::optional<double> avg_completion_rate_24h{};  ///< 0 to 1; NULL without invocations in 24 h
    bool is_anomalous = false;
    std::optional<double> anomaly_score{};

    bool operator==(const CacheRow&) const = default;
};

/// Writes the rows in one transaction, rolled back as a whole on an error. Rows of skills that skill_metrics does not
/// know (deleted since) are passed over. Throws StorageError (busy, read_only, io).
void write_cache_rows(SQLite::Database& database, std::span<const CacheRow> rows, TimePoint now);

}  // namespace session_buddy::storage
