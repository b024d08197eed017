// What one cycle of the server writes back: skill_metrics_cache, the episodes of skill_anomalies, the detector's state.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/storage/error.hpp"
#include "session_buddy/storage/totals_store.hpp"

namespace SQLite {
class Database;
}

namespace session_buddy::storage {

/// What a trigger cannot know: counts that decayed, the completion rate, the anomaly state.
struct CacheRow {
    std::string skill_name;
    TimePoint last_invocation_at{};
    std::int64_t invocation_count_1h = 0;
    std::int64_t invocation_count_24h = 0;
    std::optional<double> avg_completion_rate_24h{};  ///< 0 to 1; NULL without invocations in 24 h
    bool is_anomalous = false;
    std::optional<double> anomaly_score{};

    bool operator==(const CacheRow&) const = default;
};

/// The start of an episode makes a row of skill_anomalies, unless one of the same skill and type is open; the end
/// closes it.
struct EpisodeChange {
    bool started = true;
    std::string skill_name;
    std::string anomaly_type;
    TimePoint at{};
    double baseline_value = 0.0;
    double observed_value = 0.0;
    double deviation_score = 0.0;
};

/// A entry of the detector's state, kept in the side table `session_buddy_state`. In entries, because of a thousand
/// open episodes a cycle changes few.
struct StateEntry {
    std::string name;
    std::optional<std::string> text{};  ///< nothing removes the entry
};

struct CycleWrites {
    std::span<const CacheRow> cache{};
    std::span<const EpisodeChange> episodes{};
    std::span<const StateEntry> detector_state{};
    bool replaces_state = false;   ///< entries that are not among them are removed
    TotalsStore* store = nullptr;  ///< of the same connection, for `totals`
    const TotalsWrites* totals = nullptr;
};

/// Keeps its statements from one cycle to the next: to prepare them costs more than to run them. `database` must
/// outlive it.
class CycleWriter {
  public:
    explicit CycleWriter(SQLite::Database& database);
    ~CycleWriter();
    CycleWriter(const CycleWriter&) = delete;
    CycleWriter& operator=(const CycleWriter&) = delete;

    /// Writes all of it in one transaction, rolled back as a whole on an error. Rows of skills that skill_metrics does
    /// not know (deleted since) are passed over. False where the totals were not written, as somebody else has counted.
    /// Throws StorageError (busy, read_only, io).
    bool write(const CycleWrites& writes, TimePoint now);

  private:
    struct Statements;
    SQLite::Database& database_;
    std::unique_ptr<Statements> statements_;  // none after an error, which a change of the tables may have been behind
};

/// All entries of the detector's state, each with its text. Throws StorageError.
[[nodiscard]] std::vector<StateEntry> read_detector_state(SQLite::Database& database);

/// Skill and type of every episode that is open in skill_anomalies. Throws StorageError.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> open_anomalies(SQLite::Database& database);

}  // namespace session_buddy::storage
