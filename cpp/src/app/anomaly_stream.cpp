// Combines the start and end events of the anomaly engine into episodes.
#include "session_buddy/app/anomaly_stream.hpp"

#include <algorithm>
#include <utility>

namespace session_buddy::app {

void AnomalyStream::add(const Invocation& invocation) {
    const bool is_late = invocation.invoked_at < latest_;
    latest_ = std::max(latest_, invocation.invoked_at);
    engine_.add(invocation, invocation.invoked_at);
    if (is_late || invocation.outcome_is_unknown) {
        engine_.advance(latest_);  // the detector of its skill may be behind
    }
    apply_events();
}

void AnomalyStream::advance(TimePoint to) {
    if (to < latest_) {
        return;
    }
    latest_ = to;
    engine_.advance(to);
    apply_events();
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
            if (episodes_.size() > max_episodes_) {
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

std::vector<ReportedEpisode> AnomalyStream::episodes() const {
    std::vector<ReportedEpisode> sorted(episodes_.begin(), episodes_.end());
    std::ranges::stable_sort(sorted, [](const ReportedEpisode& a, const ReportedEpisode& b) {
        return std::tie(a.started_at, a.skill_name, a.deviation.type) <
               std::tie(b.started_at, b.skill_name, b.deviation.type);
    });
    return sorted;
}

}  // namespace session_buddy::app
