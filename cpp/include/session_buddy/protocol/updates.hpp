// The messages that the server pushes: metrics_update for a subscription, session_update for the active sessions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "session_buddy/core/snapshot.hpp"
#include "session_buddy/protocol/subscription.hpp"

namespace session_buddy::protocol {

/// Renders the metrics_update of one snapshot for any number of subscriptions, each in time proportional to its skills.
class MetricsRenderer {
  public:
    /// `snapshot` must not be null.
    explicit MetricsRenderer(SnapshotPtr snapshot);

    /// For all skills: the top skills and every anomaly. For named skills: those with activity in the window, sorted by
    /// invocation_count, last_invocation_at (both descending) and name, regardless of their rank, and only their
    /// anomalies. Anomalies are in the order of the snapshot, filtered by the view of the subscription. With details,
    /// also the alerts of its skills in the order of the snapshot, regardless of min_deviation.
    [[nodiscard]] std::string render(const Subscription& subscription) const;

  private:
    void append_top_skills(std::string& out, const Subscription& subscription) const;
    void append_anomalies(std::string& out, const Subscription& subscription) const;
    void append_alerts(std::string& out, const Subscription& subscription) const;

    SnapshotPtr snapshot_;
    std::unordered_map<std::string_view, std::vector<std::size_t>> anomalies_by_skill_;  ///< views into *snapshot_
};

/// MetricsRenderer for a single subscription.
[[nodiscard]] std::string metrics_update(SnapshotPtr snapshot, const Subscription& subscription);

[[nodiscard]] std::string session_update(const Snapshot& snapshot);

}  // namespace session_buddy::protocol
