// Manages one detector per skill, with limits on their number, and caches the reported anomalies.
#include "session_buddy/anomaly/anomaly_engine.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>

namespace session_buddy::anomaly {
namespace {

constexpr const char* kOtherError = "other";
constexpr std::size_t kMaxCommonErrors = 3;

constexpr std::array kChannels{SkillDetector::completion, SkillDetector::duration};

}  // namespace

std::optional<std::uint32_t> AnomalyEngine::index_of(std::string_view skill_name) {
    if (const auto known = index_.find(skill_name); known != index_.end()) {
        return known->second;
    }
    while (index_.size() >= limits_.skills) {
        if (idle_.empty()) {
            return std::nullopt;
        }
        const std::uint32_t index = idle_.front();
        idle_.pop_front();
        Skill& skill = skills_[index];
        skill.idle = false;
        if (skill.detector.next_change() == TimePoint::max() && !skill.evaluated && !skill.stale) {
            index_.erase(skill.name);
            skill = {.name = std::string(skill_name), .detector = SkillDetector{options_}};
            index_.emplace(skill_name, index);
            return index;
        }
    }
    const auto index = static_cast<std::uint32_t>(skills_.size());
    skills_.push_back({.name = std::string(skill_name), .detector = SkillDetector{options_}});
    index_.emplace(skill_name, index);
    return index;
}

std::uint32_t AnomalyEngine::error_number(const std::string& error_type) {
    if (error_type.empty()) {
        return 0;
    }
    const bool is_tracked = error_types_.size() <= limits_.error_types || error_numbers_.contains(error_type);
    errors_in_other_ += is_tracked ? 0 : 1;
    const std::string type = is_tracked ? error_type : kOtherError;
    const auto [number, is_new] = error_numbers_.try_emplace(type, static_cast<std::uint32_t>(error_types_.size()));
    if (is_new) {
        error_types_.push_back(type);
    }
    return number->second;
}

SkillDetector::Sample AnomalyEngine::to_sample(const Invocation& invocation, TimePoint at) {
    return {.at = at,
            .completed = invocation.completed,
            .duration_seconds = invocation.duration_is_bound ? std::nullopt : invocation.duration_seconds,
            .error = invocation.completed ? 0 : error_number(invocation.error_type)};
}

void AnomalyEngine::add(const Invocation& invocation, TimePoint now) {
    const bool is_old = until_ != TimePoint::min() && invocation.invoked_at <= until_ - options_.baseline_window;
    if (invocation.outcome_is_unknown || is_old) {
        return;
    }
    if (const auto index = index_of(invocation.skill_name)) {
        skills_[*index].detector.add(to_sample(invocation, std::min(invocation.invoked_at, now)), found_);
        after_evaluation(*index);
    }
}

void AnomalyEngine::advance(TimePoint now) {
    until_ = std::max(until_, now);
    while (const auto index = changes_.pop_due(now)) {
        SkillDetector& detector = skills_[*index].detector;
        if (detector.next_change() <= now) {
            detector.advance(now, found_);
            after_evaluation(*index);
        } else {
            changes_.schedule(*index, detector.next_change());
        }
    }
}

TimePoint AnomalyEngine::next_change() {
    for (;;) {
        const TimePoint scheduled = changes_.next_due();
        const auto index = changes_.pop_due(scheduled);
        if (!index) {
            return TimePoint::max();
        }
        const TimePoint next = skills_[*index].detector.next_change();
        changes_.schedule(*index, next);
        if (next <= scheduled) {
            return next;
        }
    }
}

void AnomalyEngine::after_evaluation(std::uint32_t index) {
    Skill& skill = skills_[index];
    for (const EpisodeEvent& event : found_) {
        events_.push_back({.skill_name = skill.name, .event = event});
    }
    found_.clear();
    const bool has_episode =
        std::ranges::any_of(kChannels, [&](auto channel) { return skill.detector.episode(channel).has_value(); });
    const bool changes_reports = has_episode ? (with_episode_.insert(index), true) : with_episode_.erase(index) > 0;
    if (changes_reports && !std::exchange(skill.stale, true)) {
        stale_.push_back(index);
    }
    if (!std::exchange(skill.evaluated, true)) {
        evaluated_.push_back(index);
    }
    changes_.schedule(index, skill.detector.next_change());
}

void AnomalyEngine::preload(const Invocation& invocation) {
    if (invocation.outcome_is_unknown) {
        return;
    }
    if (const auto index = index_of(invocation.skill_name)) {
        skills_[*index].detector.preload(to_sample(invocation, invocation.invoked_at));
    }
}

void AnomalyEngine::begin(TimePoint until, const std::vector<OpenEpisode>& episodes) {
    std::unordered_map<std::uint32_t, std::array<std::optional<Episode>, SkillDetector::channel_count>> by_skill;
    for (const OpenEpisode& open : episodes) {
        if (const auto index = index_of(open.skill_name)) {
            by_skill[*index][open.channel] = open.episode;
        }
    }
    until_ = until;
    for (std::uint32_t index = 0; index < skills_.size(); ++index) {
        skills_[index].detector.begin(until, by_skill[index]);
        after_evaluation(index);
    }
}

std::vector<std::pair<std::string, std::int64_t>> AnomalyEngine::common_errors(const SkillDetector& detector) const {
    std::unordered_map<std::uint32_t, std::int64_t> counts;
    for (const std::uint32_t error : detector.observed_errors()) {
        ++counts[error];
    }
    std::vector<std::pair<std::string, std::int64_t>> common;
    common.reserve(counts.size());
    for (const auto& [error, count] : counts) {
        common.emplace_back(error_types_[error], count);
    }
    std::ranges::sort(
        common, [](const auto& a, const auto& b) { return std::tie(b.second, a.first) < std::tie(a.second, b.first); });
    common.resize(std::min(common.size(), kMaxCommonErrors));
    return common;
}

std::vector<Anomaly> AnomalyEngine::reported_for(const Skill& skill, TimePoint now) const {
    std::vector<Anomaly> anomalies;
    for (const auto channel : kChannels) {
        if (!skill.detector.is_reported(channel, now)) {
            continue;
        }
        const Episode& episode = *skill.detector.episode(channel);
        const Deviation& deviation = episode.deviation;
        Anomaly anomaly;
        anomaly.skill_name = skill.name;
        anomaly.type = deviation.type;
        anomaly.baseline_value = deviation.baseline_value;
        anomaly.observed_value = deviation.observed_value;
        anomaly.deviation_score = std::abs(deviation.z);
        anomaly.baseline_samples = deviation.baseline_samples;
        anomaly.observed_samples = deviation.observed_samples;
        anomaly.z_score = deviation.z;
        anomaly.tail_probability = deviation.tail_probability;
        anomaly.since = episode.started_at;
        anomaly.common_errors = common_errors(skill.detector);
        anomalies.push_back(std::move(anomaly));
    }
    return anomalies;
}

const std::vector<Anomaly>& AnomalyEngine::reported(TimePoint now) const {
    if (stale_.empty()) {
        return reported_;
    }
    for (const std::uint32_t index : std::exchange(stale_, {})) {
        const Skill& skill = skills_[index];
        skill.stale = false;
        if (auto anomalies = reported_for(skill, now); !anomalies.empty()) {
            reported_by_skill_.insert_or_assign(index, std::move(anomalies));
        } else {
            reported_by_skill_.erase(index);
        }
    }
    std::vector<const Anomaly*> sorted;
    for (const auto& [index, anomalies] : reported_by_skill_) {
        for (const Anomaly& anomaly : anomalies) {
            sorted.push_back(&anomaly);
        }
    }
    std::ranges::sort(sorted, [](const Anomaly* a, const Anomaly* b) {
        return std::tie(b->deviation_score, a->skill_name, a->type) <
               std::tie(a->deviation_score, b->skill_name, b->type);
    });
    reported_.clear();
    for (const Anomaly* anomaly : sorted) {
        reported_.push_back(*anomaly);
    }
    return reported_;
}

std::vector<AnomalyEngine::OpenEpisode> AnomalyEngine::open_episodes() const {
    std::vector<OpenEpisode> open;
    for (const std::uint32_t index : with_episode_) {
        for (const auto channel : kChannels) {
            if (const auto& episode = skills_[index].detector.episode(channel)) {
                open.push_back({.skill_name = skills_[index].name, .channel = channel, .episode = *episode});
            }
        }
    }
    std::ranges::sort(open, [](const OpenEpisode& a, const OpenEpisode& b) {
        return std::tie(a.skill_name, a.channel) < std::tie(b.skill_name, b.channel);
    });
    return open;
}

const SkillDetector* AnomalyEngine::detector(std::string_view skill_name) const {
    const auto known = index_.find(skill_name);
    return known == index_.end() ? nullptr : &skills_[known->second].detector;
}

AnomalyEngine::SkillState AnomalyEngine::state(std::string_view skill_name, TimePoint now) const {
    const SkillDetector* const found = detector(skill_name);
    if (found == nullptr) {
        return {};
    }
    return {
        .is_anomalous = std::ranges::any_of(kChannels, [&](auto channel) { return found->is_reported(channel, now); }),
        .score = found->score()};
}

std::vector<std::string> AnomalyEngine::take_evaluated() {
    std::vector<std::string> names;
    for (const std::uint32_t index : std::exchange(evaluated_, {})) {
        Skill& skill = skills_[index];
        skill.evaluated = false;
        names.push_back(skill.name);
        if (skill.detector.next_change() == TimePoint::max() && !std::exchange(skill.idle, true)) {
            idle_.push_back(index);
        }
    }
    return names;
}

}  // namespace session_buddy::anomaly
