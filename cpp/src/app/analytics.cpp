// Feeds batches to the engines and collects what must be written back: cache rows, episodes, alerts and the state of
// the detectors.
#include "session_buddy/app/analytics.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string_view>

#include "session_buddy/core/alert_budget.hpp"
#include "session_buddy/core/log.hpp"

namespace session_buddy::app {
namespace {

using anomaly::EpisodeEvent;

/// The state of the alert detectors changes with each invocation, and a changed one costs about five kilobytes of
/// writes. So it is written once in this time for each thousand of them. After a crash, the rows since then are added
/// again, with the same result.
constexpr std::chrono::seconds kAlertStateInterval{60};
constexpr std::size_t kAlertStatesPerInterval = 1000;

std::chrono::microseconds to_micros(Seconds seconds) {
    return std::chrono::duration_cast<std::chrono::microseconds>(seconds);
}

metrics::EngineOptions metrics_options(const Config& config) {
    return {.window = to_micros(config.window),
            .top_skills = config.top_skills,
            .session_window = to_micros(config.session_window),
            .max_sessions = config.max_sessions,
            .max_tracked_skills = config.max_tracked_skills,
            .max_tracked_sessions = config.max_tracked_sessions};
}

anomaly::DetectorOptions detector_options(const Config& config) {
    return {.threshold = config.anomaly_threshold,
            .baseline_window = to_micros(config.baseline_window),
            .observation_window = to_micros(config.observation_window),
            .min_samples = config.anomaly_min_samples};
}

storage::EpisodeChange to_change(const anomaly::AnomalyEngine::SkillEpisodeEvent& found,
                                 const storage::LogPosition& position) {
    const anomaly::Deviation& deviation = found.event.deviation;
    return {.started = found.event.kind == EpisodeEvent::Kind::started,
            .skill_name = found.skill_name,
            .anomaly_type = std::string(to_string(deviation.type)),
            .at = found.event.at,
            .started_at = found.event.started_at,
            .baseline_value = deviation.baseline_value,
            .observed_value = deviation.observed_value,
            .deviation_score = std::abs(deviation.z),
            .position = position};
}

}  // namespace

Analytics::Analytics(const Config& config, TimePoint log_time, const std::optional<storage::StoredAnomalyState>& stored,
                     storage::StoredAlertState alerts)
    : metrics_(metrics_options(config)),
      anomalies_(detector_options(config),
                 {.skills = config.max_tracked_skills, .error_types = config.max_tracked_error_types}),
      evaluated_from_(log_time - to_micros(config.baseline_window)),
      max_skills_(config.max_tracked_skills) {
    if (stored) {
        resume_ = parse_detector_state(stored->detector);
        open_in_database_ = stored->open_anomalies;
        stored_head_ = head_of(stored->detector);
    }
    if (resume_) {
        evaluated_from_ = std::min(resume_->until, log_time);  // the clock may have been set back to before it
    }
    if (const double budget = parse_alert_budget(config.alert_budget).value_or(0.0); budget > 0.0) {
        alerts_.emplace(anomaly::AlertOptions{
            .budget = budget, .silence = config.alert_on_silence, .max_skills = config.max_tracked_skills});
        resume_alerts(std::move(alerts), log_time);
    }
}

std::chrono::seconds Analytics::lookback(const Config& config) {
    const metrics::MetricsEngine engine{metrics_options(config)};
    return std::chrono::ceil<std::chrono::seconds>(std::max(engine.retention(), 2 * to_micros(config.baseline_window)));
}

void Analytics::apply(const storage::Batch& batch, TimePoint now) {
    if (batch.rebuilt) {
        set_lifetimes(batch, now);
    }
    std::size_t added = 0;
    for (const storage::Stamp& stamp : batch.stamps) {
        for (; added < stamp.end; ++added) {
            add_row(batch.rows[added], stamp, now);
        }
        is_between_stamps_ = stamp.is_complete;
        if (stamp.is_complete) {
            complete(stamp);
        }
    }
    if (!batch.rebuilt) {
        set_lifetimes(batch, now);  // for the skills that these rows added
    }
    if (!batch.more && !evaluating_) {
        begin_evaluation();
    }
    if (!batch.more && alerts_ && !reporting_alerts_) {
        begin_alerts();
    }
}

void Analytics::add_row(const Invocation& row, const storage::Stamp& stamp, TimePoint now) {
    latest_invocation_ = std::max(latest_invocation_, row.invoked_at);
    if (row.invoked_at > stamp.at) {
        Invocation accepted = row;  // a row from the future counts as of its stamp
        accepted.invoked_at = stamp.at;
        add_row(accepted, stamp, now);
        return;
    }
    metrics_.add(row, now);
    add_to_alerts(row, stamp);
    if (!evaluating_) {
        if (resume_ ? row.id <= resume_->last_id : row.invoked_at <= evaluated_from_) {
            anomalies_.preload(row);
            return;
        }
        begin_evaluation();
    }
    anomalies_.add(row, stamp.at);
}

void Analytics::complete(const storage::Stamp& stamp) {
    position_ = {.at = std::max(position_.at, stamp.at), .last_row = std::max(position_.last_row, stamp.last_row)};
    if (!evaluating_ && position_.at > evaluated_from_) {
        begin_evaluation();
    }
    if (evaluating_) {
        anomalies_.advance(position_.at);
    }
    if (alerts_) {
        log_time_ = std::max(log_time_, position_.at);
        alerts_->advance(log_time_);
    }
    for (const auto& event : anomalies_.take_events()) {
        episodes_.push_back(to_change(event, position_));
    }
}

/// If there are more skills than can be tracked, the most recently used ones are kept.
void Analytics::set_lifetimes(const storage::Batch& batch, TimePoint now) {
    std::vector<const std::pair<std::string, LifetimeMetrics>*> latest;
    latest.reserve(batch.lifetimes.size());
    for (const auto& lifetime : batch.lifetimes) {
        latest.push_back(&lifetime);
    }
    if (latest.size() > max_skills_) {
        std::ranges::sort(latest, std::greater<>{}, [](const auto* each) { return each->second.last_invocation_at; });
    }
    for (const auto* each : latest) {
        LifetimeMetrics metrics = each->second;
        if (metrics.last_invocation_at > now) {
            metrics.last_invocation_at = now;  // a row from the future counts as now
        }
        metrics_.set_lifetime(each->first, metrics);
    }
}

void Analytics::begin_evaluation() {
    evaluating_ = true;
    const TimePoint until = evaluated_from_;
    const auto episodes = resume_ ? std::move(resume_->episodes) : std::vector<anomaly::AnomalyEngine::OpenEpisode>{};
    anomalies_.begin(until, episodes);
    const auto open_now = anomalies_.open_episodes();
    // Resolve open rows without an open episode: otherwise they would stay open forever.
    for (const auto& [skill_name, type] : open_in_database_) {
        const bool known = std::ranges::any_of(open_now, [&](const auto& open) {
            return open.skill_name == skill_name && to_string(open.episode.deviation.type) == type;
        });
        if (!known && kAnomalyTypes.find(type)) {
            episodes_.push_back({.started = false, .skill_name = skill_name, .anomaly_type = type, .at = until});
        }
    }
}

void Analytics::resume_alerts(storage::StoredAlertState stored, TimePoint log_time) {
    if (stored.detectors) {
        std::size_t unusable = 0;
        for (storage::AlertStateEntry& entry : stored.detectors->entries) {
            const std::string skill_name = entry.key;
            if (!alerts_->restore({std::move(entry.key), std::move(entry.bytes)})) {
                ++unusable;
                learning_again_.insert(skill_name);
            }
        }
        if (unusable > 0) {
            log::kCollector.warning(
                "{} of {} stored states of alert detectors are damaged or of another version: those skills learn again",
                unusable, stored.detectors->entries.size());
        }
        alerts_resumed_ = unusable < stored.detectors->entries.size();
        if (alerts_resumed_) {
            replaces_alert_state_ = false;
            last_alert_row_ = stored.detectors->last_id;
            alert_rows_to_ = unusable == 0 ? last_alert_row_ : 0;
            log_time_ = std::min(stored.detectors->until, log_time);  // the clock may have been set back
        }
    }
    std::ranges::copy_if(stored.alerts.alerts, std::back_inserter(stored_open_alerts_),
                         [](const Alert& alert) { return !alert.ended_at; });
    board_.set_stored(std::move(stored.alerts));
    for (const Alert& alert : alerts_->open()) {
        board_.update(alert);
    }
}

void Analytics::add_to_alerts(const Invocation& row, const storage::Stamp& stamp) {
    if (!alerts_ || row.id <= alert_rows_to_) {
        return;
    }
    log_time_ = std::max(log_time_, stamp.is_oldest ? row.invoked_at : stamp.at);
    last_alert_row_ = std::max(last_alert_row_, row.id);
    alerts_->add(row, log_time_);
}

void Analytics::note_alert(const Alert& alert) {
    board_.update(alert);
    unwritten_alerts_.insert_or_assign(
        {.detected_at = alert.detected_at, .skill_name = alert.skill_name, .kind = alert.kind}, alert);
}

void Analytics::begin_alerts() {
    reporting_alerts_ = true;
    const std::vector<Alert> open = alerts_->open();
    const auto is_open = [&open](const Alert& alert) {
        return std::ranges::any_of(
            open, [&](const Alert& other) { return other.skill_name == alert.skill_name && other.kind == alert.kind; });
    };
    // Without a state, the past is only learned from, but a problem that still exists is reported.
    const auto is_resumed = [this](const Alert& alert) {
        return alerts_resumed_ && !learning_again_.contains(alert.skill_name);
    };
    for (const anomaly::AlertChange& change : alerts_->take_changes()) {
        if (is_resumed(change.alert)) {
            note_alert(change.alert);
        }
    }
    for (const Alert& alert : open) {
        if (!is_resumed(alert)) {
            note_alert(alert);
        }
    }
    learning_again_.clear();
    for (Alert& alert : std::exchange(stored_open_alerts_, {})) {
        const AlertBoard::Key key{.detected_at = alert.detected_at, .skill_name = alert.skill_name, .kind = alert.kind};
        if (!is_open(alert) && !unwritten_alerts_.contains(key)) {
            alert.ended_at = std::max(alert.detected_at, log_time_);
            alert.end = AlertEnd::accepted;
            note_alert(alert);
        }
    }
}

void Analytics::collect_alerts(Pending& pending, TimePoint now) {
    if (!alerts_ || !reporting_alerts_) {
        return;
    }
    for (const anomaly::AlertChange& change : alerts_->take_changes()) {
        if (change.kind == anomaly::AlertChange::Kind::started) {
            ++started_alerts_.at(static_cast<std::size_t>(change.alert.kind));
        }
        note_alert(change.alert);
    }
    for (const auto& [key, alert] : unwritten_alerts_) {
        pending.alerts.push_back(alert);
    }
    if (is_between_stamps_ && !unwritten_alert_state_ && (now >= next_alert_state_ || now < last_alert_state_)) {
        storage::AlertState state;
        state.last_id = last_alert_row_;
        state.until = log_time_;
        state.replaces = replaces_alert_state_;
        for (anomaly::AlertEngine::State& entry : alerts_->take_state()) {
            state.entries.push_back({std::move(entry.key), std::move(entry.bytes)});
        }
        last_alert_state_ = now;
        next_alert_state_ = now + kAlertStateInterval * (1 + state.entries.size() / kAlertStatesPerInterval);
        if (!state.entries.empty()) {
            std::ranges::sort(state.entries, {}, &storage::AlertStateEntry::key);  // neighbours share pages
            unwritten_alert_state_ = std::move(state);
        }
    }
    pending.alert_state = unwritten_alert_state_ ? &*unwritten_alert_state_ : nullptr;
}

std::optional<storage::CacheRow> Analytics::cache_row(const std::string& skill_name,
                                                      const metrics::RecentMetrics& recent) const {
    if (!recent.last_invocation_at) {
        return std::nullopt;
    }
    storage::CacheRow row;
    row.skill_name = skill_name;
    row.last_invocation_at = *recent.last_invocation_at;
    row.invocation_count_1h = recent.count_1h;
    row.invocation_count_24h = recent.count_24h;
    if (const std::int64_t known = recent.count_24h - recent.unknown_24h; known > 0) {
        row.avg_completion_rate_24h =
            static_cast<double>(recent.completed_24h - recent.unknown_24h) / static_cast<double>(known);
    }
    const auto state = anomalies_.state(skill_name, position_.at);
    row.is_anomalous = state.is_anomalous;
    row.anomaly_score = state.score;
    return row;
}

Analytics::Pending Analytics::pending(TimePoint now) {
    for (std::string& skill_name : anomalies_.take_evaluated()) {
        evaluated_.insert(std::move(skill_name));
    }
    Pending result;
    result.recent = metrics_.changed_recent();
    std::unordered_set<std::string_view> touched;  // the trigger may have changed their rows
    for (const auto& change : result.recent) {
        touched.insert(change.skill_name);
        if (auto row = cache_row(change.skill_name, change.metrics)) {
            result.cache.push_back(std::move(*row));
        }
    }
    for (const std::string& skill_name : evaluated_) {
        if (touched.contains(skill_name)) {
            continue;
        }
        const auto recent = metrics_.recent_metrics(skill_name);
        auto row = recent ? cache_row(skill_name, *recent) : std::nullopt;
        const auto written = written_.find(skill_name);
        if (row && (written == written_.end() || written->second != *row)) {
            result.cache.push_back(std::move(*row));
        }
    }
    if (is_between_stamps_ && (!evaluated_.empty() || !episodes_.empty())) {
        result.episodes = episodes_;
        collect_state(result);
    }
    collect_alerts(result, now);
    return result;
}

void Analytics::collect_state(Pending& pending) const {
    pending.owner = {.position = position_, .stored_head = stored_head_};
    pending.detector_state.push_back(head_entry(position_.at, position_.last_row));
    pending.replaces_state = !owns_stored_state_;
    if (pending.replaces_state) {
        for (const auto& open : anomalies_.open_episodes()) {
            pending.detector_state.push_back(episode_entry(open));
            pending.state[open.skill_name][open.channel] = open.episode;
        }
        return;
    }
    static const Episodes kNone;
    for (const std::string& skill_name : evaluated_) {
        const anomaly::SkillDetector* const detector = anomalies_.detector(skill_name);
        const auto known = written_state_.find(skill_name);
        const Episodes& written = known == written_state_.end() ? kNone : known->second;
        for (const auto channel : {anomaly::SkillDetector::completion, anomaly::SkillDetector::duration}) {
            // No detector: the skill was evicted, which happens only if it has no episode.
            const std::optional<anomaly::Episode> episode = detector ? detector->episode(channel) : std::nullopt;
            if (episode == written[channel]) {
                continue;
            }
            pending.detector_state.push_back(episode ? episode_entry({skill_name, channel, *episode})
                                                     : removed_episode_entry(skill_name, channel));
            if (detector != nullptr) {
                pending.state[skill_name] = {detector->episode(anomaly::SkillDetector::completion),
                                             detector->episode(anomaly::SkillDetector::duration)};
            } else {
                pending.state[skill_name] = {};
            }
        }
    }
}

void Analytics::confirm_written(const Pending& written, bool state_is_stored) {
    metrics_.confirm_recent(written.recent);
    for (const storage::CacheRow& row : written.cache) {
        written_[row.skill_name] = row;
    }
    for (const auto& [skill_name, episodes] : written.state) {
        written_state_.insert_or_assign(skill_name, episodes);
    }
    if (written_.size() > 2 * max_skills_) {
        std::erase_if(written_, [this](const auto& row) { return !metrics_.recent_metrics(row.first); });
    }
    std::erase_if(written_state_, [](const auto& skill) { return skill.second == Episodes{}; });
    unwritten_alerts_.clear();
    if (written.alert_state != nullptr) {
        unwritten_alert_state_.reset();
        replaces_alert_state_ = false;
    }
    if (written.detector_state.empty()) {
        return;  // nothing was evaluated, or not all rows of a stamp
    }
    owns_stored_state_ = state_is_stored;
    if (state_is_stored) {
        stored_head_ = *written.detector_state.front().text;
    }
    evaluated_.clear();
    episodes_.clear();
}

}  // namespace session_buddy::app
