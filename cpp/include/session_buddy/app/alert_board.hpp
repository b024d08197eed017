// The alerts of a snapshot: what the detectors report, joined with what is stored, such as ids, acknowledgements and
// mutes.
#pragma once

#include <chrono>
#include <compare>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "session_buddy/core/alert.hpp"
#include "session_buddy/core/clock.hpp"
#include "session_buddy/storage/alert_store.hpp"

namespace session_buddy::app {

/// Not thread-safe.
class AlertBoard {
  public:
    /// How long an alert is shown after its end.
    static constexpr std::chrono::hours kShownAfterEnd{1};

    /// An alert as its detector sees it now, also if it has ended.
    void update(const Alert& alert);
    /// Replaces what is known about stored alerts and mutes.
    void set_stored(storage::StoredAlerts stored);

    /// Open alerts and those that ended at most kShownAfterEnd ago, newest first, at most kMaxSnapshotAlerts. The same
    /// object as before if nothing has changed.
    [[nodiscard]] std::shared_ptr<const std::vector<Alert>> at(TimePoint now);

    struct Key {
        TimePoint detected_at;
        std::string skill_name;
        AlertKind kind;
        auto operator<=>(const Key&) const = default;
    };

  private:
    [[nodiscard]] std::vector<Alert> join(TimePoint now);

    std::map<Key, Alert> detected_;
    std::map<Key, Alert> stored_;
    std::map<std::string, std::optional<TimePoint>> muted_until_;
    std::shared_ptr<const std::vector<Alert>> shown_ = std::make_shared<std::vector<Alert>>();
    bool is_current_ = true;  // shown_ is right from shown_at_ on until next_change_
    TimePoint shown_at_ = TimePoint::min();
    TimePoint next_change_ = TimePoint::max();  // a mute ends, or an alert is no longer shown
};

}  // namespace session_buddy::app
