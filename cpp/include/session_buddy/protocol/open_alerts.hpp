// Finds the open alert that belongs to an anomaly.
#pragma once

#include <vector>

#include "session_buddy/core/snapshot.hpp"
#include "session_buddy/protocol/entities.hpp"

namespace session_buddy::protocol {

/// The open alerts of a snapshot by skill; refers to them.
class OpenAlerts {
  public:
    explicit OpenAlerts(const std::vector<Alert>& alerts);

    /// The anomaly with the open alert of the same skill and side: of performance_drop completion_rate_fell, of
    /// performance_spike completion_rate_rose, of pattern_shift the one whose duration changed in the same direction.
    [[nodiscard]] AnomalyItem item(const Anomaly& anomaly) const;

  private:
    std::vector<const Alert*> by_skill_;  ///< sorted by skill_name
};

}  // namespace session_buddy::protocol
