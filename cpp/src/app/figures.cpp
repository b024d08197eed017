// Metrics and anomalies, and what of them goes back to the database: see the header.
#include "session_buddy/app/figures.hpp"

#include <algorithm>
#include <cmath>

namespace session_buddy::app {
namespace {

using anomaly::EpisodeEvent;

std::chrono::microseconds to_micros(Seconds seconds) {
    return std::chrono::duration_cast<std::chrono::microseconds>(seconds);
}

metrics::EngineOptions metrics_options(const Config& config) {
    return {.window = to_micros(config.window),
            .top_skills = config.top_skills,
            .session_window = to_micros(config.session_window),
            .max_sessions = config.max_sessions};
}

anomaly::DetectorOptions detector_options(const Config& config) {
    return {.threshold = config.anomaly_threshold,
            .baseline_window = to_micros(config.baseline_window),
            .observation_window = to_micros(config.observation_window),
            .min_samples = config.anomaly_min_samples};
}

storage::EpisodeChange to_change(const anomaly::AnomalyEngine::SkillEvent& found) {
    const anomaly::Deviation& deviation = found.event.deviation;
    return {.started = found.event.kind == EpisodeEvent::Kind::started,
            .skill_name = found.skill_name,
            .anomaly_type = std::string(to_string(deviation.type)),
            .at = found.event.at,
            .baseline_value = deviation.baseline_value,
            .observed_value = deviation.observed_value,
            .deviation_score = std::abs(deviation.z)};
}

bool is_our_type(const std::string& type) {
    return type == to_string(AnomalyType::performance_drop) || type == to_string(AnomalyType::performance_spike) ||
           type == to_string(AnomalyType::pattern_shift);
}

}  // namespace

Figures::Figures(const Config& config, TimePoint now, std::optional<DetectorState> resume,
                 std::vector<std::pair<std::string, std::string>> open_anomalies)
    : metrics_(metrics_options(config)),
      anomalies_(detector_options(config)),
      resume_(std::move(resume)),
      open_in_database_(std::move(open_anomalies)),
      judged_from_(now - to_micros(config.baseline_window)) {
    if (resume_) {
        resume_->until = std::min(resume_->until, now);  // the clock may have been set back behind it
    }
}

std::chrono::seconds Figures::lookback(const Config& config) {
    const metrics::MetricsEngine engine{metrics_options(config)};
    return std::chrono::ceil<std::chrono::seconds>(std::max(engine.retention(), 2 * to_micros(config.baseline_window)));
}

void Figures::take(const storage::Batch& batch, TimePoint now) {
    for (const auto& [skill_name, figures] : batch.lifetimes) {
        metrics_.set_lifetime(skill_name, figures);
    }
    for (const Invocation& row : batch.rows) {
        metrics_.add(row, now);
        last_id_ = std::max(last_id_, row.id);
        latest_invocation_ = std::max(latest_invocation_, row.invoked_at);
        if (!judging_) {
            if (resume_ ? row.id <= resume_->last_id : row.invoked_at <= judged_from_) {
                anomalies_.preload(row);
                continue;
            }
            begin_judging(resume_ ? resume_->until : judged_from_);
        }
        anomalies_.add(row, now);
    }
    if (!batch.more && !judging_) {
        begin_judging(resume_ ? resume_->until : judged_from_);
    }
}

void Figures::begin_judging(TimePoint until) {
    judging_ = true;
    const auto episodes = resume_ ? std::move(resume_->episodes) : std::vector<anomaly::AnomalyEngine::OpenEpisode>{};
    anomalies_.begin(until, episodes);
    // An open row that nobody remembers would stay open for ever.
    for (const auto& [skill_name, type] : open_in_database_) {
        const bool known = std::ranges::any_of(episodes, [&](const auto& open) {
            return open.skill_name == skill_name && to_string(open.episode.deviation.type) == type;
        });
        if (!known && is_our_type(type)) {
            episodes_.push_back({.started = false, .skill_name = skill_name, .anomaly_type = type, .at = until});
        }
    }
}

void Figures::advance(TimePoint now) {
    metrics_.advance(now);
    anomalies_.advance(now);
}

Figures::Pending Figures::pending(TimePoint now) {
    for (const auto& event : anomalies_.take_events()) {
        episodes_.push_back(to_change(event));
    }
    for (std::string& skill_name : anomalies_.take_judged()) {
        judged_.insert(std::move(skill_name));
    }
    Pending result;
    result.recent = metrics_.changed_recent();
    std::set<std::string> touched;  // their rows may have been changed by the database's trigger
    for (const auto& change : result.recent) {
        touched.insert(change.skill_name);
    }
    std::set<std::string> names = judged_;
    names.insert(touched.begin(), touched.end());
    for (const std::string& skill_name : names) {
        const auto recent = metrics_.recent_of(skill_name);
        if (!recent || !recent->last_invocation_at) {
            continue;
        }
        storage::CacheRow row;
        row.skill_name = skill_name;
        row.last_invocation_at = *recent->last_invocation_at;
        row.invocation_count_1h = recent->count_1h;
        row.invocation_count_24h = recent->count_24h;
        if (recent->count_24h > 0) {
            row.avg_completion_rate_24h =
                static_cast<double>(recent->completed_24h) / static_cast<double>(recent->count_24h);
        }
        const auto state = anomalies_.state(skill_name, now);
        row.is_anomalous = state.is_anomalous;
        row.anomaly_score = state.score;
        const auto written = written_.find(skill_name);
        if (touched.contains(skill_name) || written == written_.end() || written->second != row) {
            result.cache.push_back(std::move(row));
        }
    }
    result.episodes = episodes_;
    if (!judged_.empty() || !episodes_.empty()) {
        result.detector_state = to_text({now, last_id_, anomalies_.open_episodes()});
    }
    return result;
}

void Figures::confirm_written(const Pending& written) {
    metrics_.confirm_recent(written.recent);
    for (const storage::CacheRow& row : written.cache) {
        written_[row.skill_name] = row;
    }
    judged_.clear();
    episodes_.clear();
}

}  // namespace session_buddy::app
