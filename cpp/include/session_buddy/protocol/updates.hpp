// The messages that the server sends by itself: metrics_update for a subscription, session_update for the active
// sessions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "session_buddy/core/snapshot.hpp"
#include "session_buddy/protocol/subscription.hpp"

namespace session_buddy::protocol {

/// Writes the metrics_update of one snapshot for any number of subscriptions; each costs what its own skills cost.
class MetricsRenderer {
  public:
    /// `snapshot` must not be null.
    explicit MetricsRenderer(SnapshotPtr snapshot);

    /// For all skills: the top skills and every anomaly. For named skills: those with activity in the window, in the
    /// order of invocation_count, last_invocation_at (both descending) and name, whatever their rank, and their
    /// anomalies alone. Of the anomalies, in the snapshot's order, those that the subscription's view lets through.
    [[nodiscard]] std::string render(const Subscription& subscription) const;

  private:
    void append_top_skills(std::string& out, const Subscription& subscription) const;
    void append_anomalies(std::string& out, const Subscription& subscription) const;

    SnapshotPtr snapshot_;
    std::unordered_map<std::string_view, std::vector<std::size_t>> anomalies_by_skill_;  ///< views into *snapshot_
};

/// MetricsRenderer for a single subscription.
[[nodiscard]] std::string metrics_update(SnapshotPtr snapshot, const Subscription& subscription);

[[nodiscard]] std::string session_update(const Snapshot& snapshot);

}  // namespace session_buddy::protocol
