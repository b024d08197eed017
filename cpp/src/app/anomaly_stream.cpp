// Combines the start and end events of the anomaly engine into episodes, and keeps the newest state of each alert.
#include "session_buddy/app/anomaly_stream.hpp"

#include <algorithm>
#include <utility>

namespace session_buddy::app {

void AnomalyStream::add(const Invocation& invocation) {
    const bool is_late = invocation.invoked_at < latest_;
    add_to_alerts(invocation);
    engine_.add(invocation, invocation.invoked_at);
    if (is_late || invocation.outcome_is_unknown) {
        engine_.advance(latest_);  // the detector of its skill may be behind
    }
    apply_events();
}

void AnomalyStream::add_to_alerts(const Invocation& invocation) {
    latest_ = std::max(latest_, invocation.invoked_at);
    if (!alert_engine_) {
        return;
    }
    Invocation numbered = invocation;
    numbered.id = ++added_;  // the alert engine requires increasing ids
    alert_engine_->add(numbered, latest_);
    apply_alert_changes();
}

void AnomalyStream::advance(TimePoint to) {
    if (to < latest_) {
        return;
    }
    latest_ = to;
    engine_.advance(to);
    apply_events();
    if (alert_engine_) {
        alert_engine_->advance(to);
        apply_alert_changes();
    }
}

std::vector<Anomaly> AnomalyStream::reported(std::string_view skill_name) const {
    if (!engine_.state(skill_name, latest_).is_anomalous) {
        return {};
    }
    std::vector<Anomaly> anomalies = engine_.reported(latest_);
    std::erase_if(anomalies, [&](const Anomaly& anomaly) { return anomaly.skill_name != skill_name; });
    return anomalies;
}

void AnomalyStream::apply_events() {
    using anomaly::EpisodeEvent;
    using anomaly::SkillDetector;
    for (anomaly::AnomalyEngine::SkillEpisodeEvent& found : engine_.take_events()) {
        const EpisodeEvent& event = found.event;
        const auto channel =
            event.deviation.type == AnomalyType::pattern_shift ? SkillDetector::duration : SkillDetector::completion;
        if (event.kind == EpisodeEvent::Kind::started) {
            open_.insert_or_assign({found.skill_name, channel}, discarded_ + episodes_.size());
            episodes_.push_back({std::move(found.skill_name), event.at, std::nullopt, event.deviation});
            if (episodes_.size() > max_kept_) {
                episodes_.pop_front();
                ++discarded_;
            }
            continue;
        }
        const auto open = open_.extract({std::move(found.skill_name), channel});
        if (open && open.mapped() >= discarded_) {
            episodes_[open.mapped() - discarded_].resolved_at = event.at;
        }
    }
}

void AnomalyStream::apply_alert_changes() {
    for (anomaly::AlertChange& change : alert_engine_->take_changes()) {
        AlertKey key{change.alert.skill_name, change.alert.kind};
        if (!change.alert.ended_at) {
            open_alerts_.insert_or_assign(std::move(key), std::move(change.alert));
            continue;
        }
        open_alerts_.erase(key);
        ended_alerts_.push_back(std::move(change.alert));
        if (ended_alerts_.size() > max_kept_) {
            ended_alerts_.pop_front();
        }
    }
}

std::vector<Alert> AnomalyStream::open_alerts() const {
    std::vector<Alert> alerts;
    alerts.reserve(open_alerts_.size());
    for (const auto& [key, alert] : open_alerts_) {
        alerts.push_back(alert);
    }
    return alerts;
}

std::vector<Alert> AnomalyStream::alerts() const {
    std::vector<Alert> sorted = open_alerts();
    sorted.insert(sorted.end(), ended_alerts_.begin(), ended_alerts_.end());
    std::ranges::sort(sorted, [](const Alert& a, const Alert& b) {
        return std::tie(a.detected_at, a.skill_name, a.kind) < std::tie(b.detected_at, b.skill_name, b.kind);
    });
    return sorted;
}

std::vector<ReportedEpisode> AnomalyStream::episodes() const {
    std::vector<ReportedEpisode> sorted(episodes_.begin(), episodes_.end());
    std::ranges::stable_sort(sorted, [](const ReportedEpisode& a, const ReportedEpisode& b) {
        return std::tie(a.started_at, a.skill_name, a.deviation.type) <
               std::tie(b.started_at, b.skill_name, b.deviation.type);
    });
    return sorted;
}

}  // namespace session_buddy::app
