// The open alerts of a snapshot, sorted by skill.
#include "session_buddy/protocol/open_alerts.hpp"

#include <algorithm>

namespace session_buddy::protocol {

namespace {

AlertKind kind_of(const Anomaly& anomaly) {
    switch (anomaly.type) {
        case AnomalyType::performance_drop:
            return AlertKind::completion_rate_fell;
        case AnomalyType::performance_spike:
            return AlertKind::completion_rate_rose;
        case AnomalyType::pattern_shift:
            break;
    }
    return anomaly.observed_value < anomaly.baseline_value ? AlertKind::duration_fell : AlertKind::duration_rose;
}

const std::string& name_of(const Alert* alert) {
    return alert->skill_name;
}

}  // namespace

OpenAlerts::OpenAlerts(const std::vector<Alert>& alerts) {
    for (const Alert& alert : alerts) {
        if (!alert.ended_at) {
            by_skill_.push_back(&alert);
        }
    }
    std::ranges::sort(by_skill_, {}, name_of);
}

AnomalyItem OpenAlerts::item(const Anomaly& anomaly) const {
    const auto of_skill = std::ranges::equal_range(by_skill_, anomaly.skill_name, {}, name_of);
    const auto found = std::ranges::find(of_skill, kind_of(anomaly), &Alert::kind);
    return {.anomaly = &anomaly, .alert = found == of_skill.end() ? nullptr : *found};
}

}  // namespace session_buddy::protocol
