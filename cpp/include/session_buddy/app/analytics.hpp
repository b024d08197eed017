// The metrics, anomaly and alert engines of one database, fed from the same batches. The collector builds a new one
// when the database was replaced or must be read again.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "session_buddy/anomaly/alert_engine.hpp"
#include "session_buddy/anomaly/anomaly_engine.hpp"
#include "session_buddy/app/alert_board.hpp"
#include "session_buddy/app/detector_state.hpp"
#include "session_buddy/core/config.hpp"
#include "session_buddy/metrics/metrics_engine.hpp"
#include "session_buddy/storage/cycle_writer.hpp"
#include "session_buddy/storage/follower.hpp"

namespace session_buddy::app {

class Analytics {
  public:
    /// `log_time` is that of the last stamp; `stored` what the database knows about anomalies, nullopt if it is not
    /// known; `alerts` the state of the alert detectors and the stored alerts.
    Analytics(const Config& config, TimePoint log_time, const std::optional<storage::StoredAnomalyState>& stored,
              storage::StoredAlertState alerts = {});

    /// How far back a rebuild must read.
    [[nodiscard]] static std::chrono::seconds lookback(const Config& config);

    /// Adds the rows to windows that end `now`, and to the detectors, which see only log time: their state depends on
    /// nothing but rows and stamps.
    void apply(const storage::Batch& batch, TimePoint now);
    /// Moves the windows of the metrics to `now`. Only after the last batch of a rebuild was applied.
    void advance(TimePoint now) { metrics_.advance(now); }
    /// The log time at which the detectors see the next change without further rows; TimePoint::max() if never.
    [[nodiscard]] TimePoint next_change() {
        return std::min(anomalies_.next_change(), alerts_ ? alerts_->next_change() : TimePoint::max());
    }

    /// The latest time of any row, even if it is in the future.
    [[nodiscard]] TimePoint latest_invocation() const { return latest_invocation_; }
    [[nodiscard]] metrics::MetricsEngine& metrics() { return metrics_; }
    [[nodiscard]] const std::vector<Anomaly>& anomalies() const { return anomalies_.reported(position_.at); }

    /// See AlertBoard::at(). Empty while alerts are off.
    [[nodiscard]] std::shared_ptr<const std::vector<Alert>> alerts(TimePoint now) { return board_.at(now); }
    [[nodiscard]] bool detects_alerts() const { return alerts_.has_value(); }
    void set_stored_alerts(storage::StoredAlerts stored) { board_.set_stored(std::move(stored)); }
    /// Makes the next pending() include the state of the alert detectors.
    void request_alert_state() { next_alert_state_ = TimePoint::min(); }

    /// The open episodes of one skill.
    using Episodes = std::array<std::optional<anomaly::Episode>, anomaly::SkillDetector::channel_count>;

    /// What must be written to the database; kept until confirm_written().
    struct Pending {
        std::vector<storage::CacheRow> cache;
        std::vector<storage::EpisodeChange> episodes;
        std::vector<storage::StateEntry> detector_state;
        bool replaces_state = false;
        std::optional<storage::StateOwner> owner;
        std::unordered_map<std::string, Episodes> state;  // the episodes in detector_state, by skill
        std::vector<metrics::MetricsEngine::RecentChange> recent;
        std::vector<Alert> alerts;
        const storage::AlertState* alert_state = nullptr;  // valid until confirm_written()

        [[nodiscard]] bool empty() const {
            return recent.empty() && cache.empty() && detector_state.empty() && alerts.empty() &&
                   alert_state == nullptr;
        }
    };
    /// `now`: the state of the alert detectors is included only from time to time.
    [[nodiscard]] Pending pending(TimePoint now);
    /// `state_is_stored`: the detector state in the database is that of `written`.
    void confirm_written(const Pending& written, bool state_is_stored = true);

    /// Alerts that started since the last call, as far as pending() has collected them, by AlertKind.
    [[nodiscard]] std::array<std::uint64_t, kAlertKinds.size()> take_started_alerts() {
        return std::exchange(started_alerts_, {});
    }

    [[nodiscard]] TrackedNames error_types_tracked() const { return anomalies_.error_types_tracked(); }

  private:
    void set_lifetimes(const storage::Batch& batch, TimePoint now);
    void begin_evaluation();
    void add_row(const Invocation& row, const storage::Stamp& stamp, TimePoint now);
    /// All rows of a stamp were added.
    void complete(const storage::Stamp& stamp);
    /// nullopt for a skill without invocations.
    [[nodiscard]] std::optional<storage::CacheRow> cache_row(const std::string& skill_name,
                                                             const metrics::RecentMetrics& recent) const;
    void collect_state(Pending& pending) const;
    void resume_alerts(storage::StoredAlertState stored, TimePoint log_time);
    void add_to_alerts(const Invocation& row, const storage::Stamp& stamp);
    /// Reports what the rows read by a rebuild have shown, and ends the stored alerts that no detector has.
    void begin_alerts();
    void note_alert(const Alert& alert);
    void collect_alerts(Pending& pending, TimePoint now);

    metrics::MetricsEngine metrics_;
    anomaly::AnomalyEngine anomalies_;
    std::optional<DetectorState> resume_;
    std::vector<std::pair<std::string, std::string>> open_in_database_;
    TimePoint evaluated_from_;  // rows up to here only fill the baseline, without a state to resume
    std::size_t max_skills_;
    bool evaluating_ = false;
    storage::LogPosition position_;  // of the last complete stamp
    bool is_between_stamps_ = true;  // false: it has only some of the rows of a stamp
    TimePoint latest_invocation_ = TimePoint::min();
    std::unordered_set<std::string> evaluated_;  // skills whose anomaly state may not be in skill_metrics_cache yet
    std::unordered_map<std::string, storage::CacheRow> written_;
    std::vector<storage::EpisodeChange> episodes_;  // not written yet
    std::unordered_map<std::string, Episodes> written_state_;
    bool owns_stored_state_ = false;  // the stored detector state is that of written_state_
    std::string stored_head_;         // its head

    std::optional<anomaly::AlertEngine> alerts_;  // nullopt: alert_budget is off
    AlertBoard board_;
    std::array<std::uint64_t, kAlertKinds.size()> started_alerts_{};
    bool reporting_alerts_ = false;                   // all rows of the rebuild were added
    bool alerts_resumed_ = false;                     // from a stored state
    std::unordered_set<std::string> learning_again_;  // skills whose stored state cannot be used
    std::int64_t alert_rows_to_ = 0;                  // rows up to this one are in the state of all detectors
    std::int64_t last_alert_row_ = 0;
    TimePoint log_time_ = TimePoint::min();  // of the alert detectors; never decreases
    std::vector<Alert> stored_open_alerts_;  // when the rebuild began
    std::map<AlertBoard::Key, Alert> unwritten_alerts_;
    bool replaces_alert_state_ = true;
    std::optional<storage::AlertState> unwritten_alert_state_;
    TimePoint last_alert_state_ = TimePoint::min();  // when it was collected
    TimePoint next_alert_state_ = TimePoint::min();
};

}  // namespace session_buddy::app
