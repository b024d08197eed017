// The anomaly engine and the alert engine on a stream of timestamped invocations, with the episodes and alerts they
// found. Shared by Detector in Python and the backtest, so that both give the same results.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "session_buddy/anomaly/alert_engine.hpp"
#include "session_buddy/anomaly/anomaly_engine.hpp"

namespace session_buddy::app {

/// An episode found in a stream, open or resolved. anomaly::Episode is the detector's state of an open one; an Anomaly
/// is a deviation that is reported now.
struct ReportedEpisode {
    std::string skill_name;
    TimePoint started_at;
    std::optional<TimePoint> resolved_at{};  ///< nullopt while it is open
    anomaly::Deviation deviation;            ///< as of the start

    bool operator==(const ReportedEpisode&) const = default;
};

/// Not thread-safe.
class AnomalyStream {
  public:
    static constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();

    /// Keeps the latest `max_kept` > 0 episodes, and as many alerts.
    AnomalyStream(const anomaly::DetectorOptions& options, const anomaly::AlertOptions& alert_options,
                  std::size_t max_kept)
        : engine_(options), max_kept_(max_kept) {
        if (alert_options.budget > 0.0) {
            alert_engine_.emplace(alert_options);
        }
    }

    /// Adds an invocation; its id is ignored. A late one is sorted in by its time.
    void add(const Invocation& invocation);
    /// Adds an invocation for alerts only: they have a longer memory than the baseline window.
    void add_to_alerts(const Invocation& invocation);
    /// Moves the windows of all skills to `to`. A time before latest() changes nothing.
    void advance(TimePoint to);
    /// The latest time seen; TimePoint::min() before the first.
    [[nodiscard]] TimePoint latest() const { return latest_; }

    /// The anomalies reported at latest(), largest score first. Call advance(latest()) before.
    [[nodiscard]] std::vector<Anomaly> reported() const { return engine_.reported(latest_); }
    /// The anomalies of one skill. Unlike reported(), it needs no advance() after add().
    [[nodiscard]] std::vector<Anomaly> reported(std::string_view skill_name) const;

    /// Sorted by start, skill and type.
    [[nodiscard]] std::vector<ReportedEpisode> episodes() const;

    /// Open and ended ones, sorted by detection, skill and kind.
    [[nodiscard]] std::vector<Alert> alerts() const;
    [[nodiscard]] std::vector<Alert> open_alerts() const;

  private:
    void apply_events();
    void apply_alert_changes();

    using ChannelKey = std::pair<std::string, anomaly::SkillDetector::Channel>;
    using AlertKey = std::pair<std::string, AlertKind>;

    anomaly::AnomalyEngine engine_;
    std::optional<anomaly::AlertEngine> alert_engine_{};  // nullopt without a budget
    TimePoint latest_ = TimePoint::min();
    std::int64_t added_ = 0;
    std::size_t max_kept_;
    std::deque<ReportedEpisode> episodes_;      // in the order of detection
    std::uint64_t discarded_ = 0;               // number of episodes dropped from the front of episodes_
    std::map<ChannelKey, std::uint64_t> open_;  // sequence number of the open episode, dropped ones included
    std::deque<Alert> ended_alerts_;
    std::map<AlertKey, Alert> open_alerts_;
};

}  // namespace session_buddy::app
