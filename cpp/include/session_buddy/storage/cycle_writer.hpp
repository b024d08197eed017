// Writes the results of one server cycle: skill_metrics_cache, the episodes of skill_anomalies, alerts, and the state
// of the detectors.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/storage/alert_store.hpp"
#include "session_buddy/storage/error.hpp"
#include "session_buddy/storage/totals_store.hpp"

namespace SQLite {
class Database;
}

namespace session_buddy::storage {

/// A row of skill_metrics_cache: what a trigger cannot compute, such as counts that decay, the completion rate and the
/// anomaly state.
struct CacheRow {
    std::string skill_name;
    TimePoint last_invocation_at{};
    std::int64_t invocation_count_1h = 0;
    std::int64_t invocation_count_24h = 0;
    std::optional<double> avg_completion_rate_24h{};  ///< 0 to 1, of known outcomes; NULL without any in 24 h
    bool is_anomalous = false;
    std::optional<double> anomaly_score{};

    bool operator==(const CacheRow&) const = default;
};

/// How far the log was read: rows up to `last_row`, and log time up to `at`. Positions of all servers over a database
/// are points of the same log.
struct LogPosition {
    TimePoint at{};
    std::int64_t last_row = 0;

    auto operator<=>(const LogPosition&) const = default;
};

/// An episode that started or ended, as a write to skill_anomalies: a start inserts a row, unless an episode of the
/// same skill and type is open, or this one is stored already; an end closes the one that started at `started_at`, or
/// all without it. The detector reports an anomaly::EpisodeEvent, the app turns it into this; StoredEpisode is the row
/// read back.
struct EpisodeChange {
    bool started = true;
    std::string skill_name;
    std::string anomaly_type;
    TimePoint at{};
    std::optional<TimePoint> started_at{};  ///< of an end
    double baseline_value = 0.0;
    double observed_value = 0.0;
    double deviation_score = 0.0;
    LogPosition position{};  ///< at which it was found
};

/// A key and value of the detector's state in the side table `session_buddy_state`. One entry per open episode, because
/// a cycle changes only a few of a thousand.
struct StateEntry {
    std::string name;
    std::optional<std::string> text{};  ///< nullopt deletes the entry
};

/// The state of one alert detector, or of what they share (the key is empty). In the side table `session_buddy_state`.
struct AlertStateEntry {
    std::string key;
    std::string bytes;  ///< empty: delete the entry

    bool operator==(const AlertStateEntry&) const = default;
};

/// The state of all alert detectors after a row: the entries that changed since it was written last.
struct AlertState {
    std::int64_t last_id = 0;  ///< of that row
    TimePoint until{};         ///< log time
    bool replaces = false;     ///< delete all entries that are not in `entries`
    std::vector<AlertStateEntry> entries;

    bool operator==(const AlertState&) const = default;
};

/// How far the server that writes has read the log. Several may write to one database: what another one has written is
/// not written again, and its state is not overwritten by an older one.
struct StateOwner {
    LogPosition position;     ///< of the state that is written
    std::string stored_head;  ///< head of the state from which the entries differ; empty: there was none
};

struct CycleWrites {
    std::span<const CacheRow> cache{};
    std::span<const EpisodeChange> episodes{};
    std::span<const StateEntry> detector_state{};
    bool replaces_state = false;        ///< delete all entries that are not in detector_state
    std::optional<StateOwner> owner{};  ///< nullopt: no other server writes
    /// Alerts that started, changed or ended. An alert that is stored as ended stays so, because several servers may
    /// write the same alerts.
    std::span<const Alert> alerts{};
    /// Not written if the stored state is newer: another server has read further.
    const AlertState* alert_state = nullptr;
    TotalsStore* store = nullptr;  ///< writes `totals`; must use the same connection
    const TotalsWrites* totals = nullptr;
};

/// Keeps its prepared statements between cycles: preparing them costs more than running them. `database` must outlive
/// it.
class CycleWriter {
  public:
    explicit CycleWriter(SQLite::Database& database);
    ~CycleWriter();
    CycleWriter(const CycleWriter&) = delete;
    CycleWriter& operator=(const CycleWriter&) = delete;

    struct Result {
        bool totals = true;  ///< false: not written, because another process has counted since
        bool state = true;   ///< false: the stored state is that of another position
    };
    /// Writes everything in one transaction, rolled back as a whole on an error. Skips rows of skills that are no
    /// longer in skill_metrics. Throws StorageError (busy, read_only, io).
    Result write(const CycleWrites& writes, TimePoint now);

  private:
    struct Statements;
    SQLite::Database& database_;
    std::unique_ptr<Statements> statements_;  // reset after an error, which may be due to a schema change
};

/// What is read back when the detector starts.
struct StoredAnomalyState {
    std::vector<std::pair<std::string, std::string>> open_anomalies;  ///< skill and type
    std::vector<StateEntry> detector;
};

/// What is read back when the alert detectors start.
struct StoredAlertState {
    std::optional<AlertState> detectors;  ///< nullopt if there is none, or if it is of other rows than those that exist
    StoredAlerts alerts;                  ///< as of the same moment
};

/// `ended_since`: alerts that ended earlier are left out. Throws StorageError.
[[nodiscard]] StoredAlertState read_alert_state(SQLite::Database& database, TimePoint ended_since);
/// The name of the entry that has the position of a state, as JSON with `until` in microseconds and `last_id`.
inline constexpr const char* kStateHead = "head";

/// All entries of the detector's state. Throws StorageError.
[[nodiscard]] std::vector<StateEntry> read_detector_state(SQLite::Database& database);

/// Skill and type of every open episode in skill_anomalies. Throws StorageError.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> open_anomalies(SQLite::Database& database);

}  // namespace session_buddy::storage
