// Joins by skill, kind and time of detection, and only if something has changed.
#include "session_buddy/app/alert_board.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "session_buddy/core/snapshot.hpp"

namespace session_buddy::app {
namespace {

AlertBoard::Key key_of(const Alert& alert) {
    return {.detected_at = alert.detected_at, .skill_name = alert.skill_name, .kind = alert.kind};
}

}  // namespace

void AlertBoard::update(const Alert& alert) {
    detected_.insert_or_assign(key_of(alert), alert);
    is_current_ = false;
}

void AlertBoard::set_stored(storage::StoredAlerts stored) {
    stored_.clear();
    for (Alert& alert : stored.alerts) {
        stored_.emplace(key_of(alert), std::move(alert));
    }
    muted_until_.clear();
    for (const Mute& mute : stored.mutes) {
        muted_until_.emplace(mute.skill_name, mute.until);
    }
    is_current_ = false;
}

std::shared_ptr<const std::vector<Alert>> AlertBoard::at(TimePoint now) {
    if (is_current_ && now >= shown_at_ && now < next_change_) {
        return shown_;
    }
    auto alerts = join(now);
    if (alerts != *shown_) {
        shown_ = std::make_shared<const std::vector<Alert>>(std::move(alerts));
    }
    is_current_ = true;
    shown_at_ = now;
    return shown_;
}

std::vector<Alert> AlertBoard::join(TimePoint now) {
    std::map<Key, Alert> joined = detected_;
    std::set<std::pair<std::string, AlertKind>> open;
    for (const auto& [key, alert] : detected_) {
        if (!alert.ended_at) {
            open.emplace(alert.skill_name, alert.kind);
        }
    }
    for (const auto& [key, stored] : stored_) {
        const auto found = joined.find(key);
        if (found == joined.end()) {
            // Open under another time: the detector learned again, and the next write changes the time of this one.
            if (stored.ended_at || !open.contains({stored.skill_name, stored.kind})) {
                joined.emplace(key, stored);
            }
            continue;
        }
        Alert& alert = found->second;
        alert.id = stored.id;
        alert.acknowledged_at = stored.acknowledged_at;
        alert.note = stored.note;
        if (!alert.ended_at) {  // another server may have seen its end already
            alert.ended_at = stored.ended_at;
            alert.end = stored.end;
        }
    }

    next_change_ = TimePoint::max();
    std::vector<Alert> shown;
    for (auto& [key, alert] : joined) {
        if (alert.ended_at) {
            if (*alert.ended_at + kShownAfterEnd <= now) {
                detected_.erase(key);
                continue;
            }
            next_change_ = std::min(next_change_, *alert.ended_at + kShownAfterEnd);
        }
        if (const auto mute = muted_until_.find(alert.skill_name); mute != muted_until_.end()) {
            alert.muted = !mute->second || *mute->second > now;
            if (alert.muted && mute->second) {
                next_change_ = std::min(next_change_, *mute->second);
            }
        }
        shown.push_back(std::move(alert));
    }
    std::ranges::reverse(shown);
    if (shown.size() > kMaxSnapshotAlerts) {
        std::ranges::stable_partition(shown, [](const Alert& alert) { return !alert.ended_at; });
        shown.resize(kMaxSnapshotAlerts);
        std::ranges::stable_sort(shown, std::ranges::greater{}, &Alert::detected_at);
    }
    return shown;
}

}  // namespace session_buddy::app
