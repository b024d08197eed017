// The metrics engine: feeds sliding windows and sessions, tracks dirty skills, and evicts idle ones at the limit.
#include "session_buddy/metrics/metrics_engine.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

#include "session_buddy/core/totals.hpp"

namespace session_buddy::metrics {
namespace {

constexpr std::chrono::microseconds kHour = std::chrono::hours(1);
constexpr std::chrono::microseconds kDay = std::chrono::hours(24);

}  // namespace

MetricsEngine::MetricsEngine(const EngineOptions& options)
    : lengths_{options.window, kHour, kDay},
      top_skills_(options.top_skills),
      max_skills_(options.max_tracked_skills),
      activity_(options.session_window, kDay, options.max_sessions, options.max_tracked_sessions) {}

std::chrono::microseconds MetricsEngine::retention() const {
    return *std::max_element(lengths_.begin(), lengths_.end());
}

std::uint32_t MetricsEngine::index_of(std::string_view skill_name) {
    if (const auto known = index_.find(skill_name); known != index_.end()) {
        return known->second;
    }
    if (const auto index = admit(skill_name)) {
        return *index;
    }
    ++skill_rows_in_other_;
    const auto other = index_.find(kOtherSeries);
    const std::uint32_t index = other != index_.end() ? other->second : *admit(kOtherSeries);
    skills_[index].is_other = true;
    return index;
}

std::optional<std::uint32_t> MetricsEngine::admit(std::string_view skill_name) {
    auto index = skill_name == kOtherSeries ? std::optional<std::uint32_t>{} : evict_idle();
    if (!index) {
        const bool has_room = index_.size() < max_skills_ || skill_name == kOtherSeries;
        if (!has_room) {
            return std::nullopt;
        }
        index = static_cast<std::uint32_t>(skills_.size());
        skills_.emplace_back(std::string(skill_name), lengths_);
        dirty_.push_back(*index);
        recent_dirty_.push_back(*index);
    } else {
        Skill& skill = skills_[*index];
        index_.erase(skill.name);
        skill.name = skill_name;
        skill.lifetime = {};
        skill.newest.reset();
        skill.confirmed.reset();
        mark_dirty(*index);
    }
    index_.emplace(skill_name, *index);
    index_changed_ = true;
    return index;
}

std::optional<std::uint32_t> MetricsEngine::evict_idle() {
    // Evicts only if the limit is reached, so that skills keep their lifetime metrics as long as possible.
    while (index_.size() >= max_skills_ && !idle_.empty()) {
        const std::uint32_t index = idle_.front();
        idle_.pop_front();
        Skill& skill = skills_[index];
        skill.idle = false;
        if (skill.window.empty() && !skill.recent_dirty && !skill.is_other) {
            return index;  // otherwise confirm_recent() adds it to idle_ again when it is idle
        }
    }
    return std::nullopt;
}

void MetricsEngine::mark_dirty(std::uint32_t index) {
    Skill& skill = skills_[index];
    if (!std::exchange(skill.dirty, true)) {
        dirty_.push_back(index);
    }
    if (!std::exchange(skill.recent_dirty, true)) {
        recent_dirty_.push_back(index);
    }
}

void MetricsEngine::add(const Invocation& invocation, TimePoint now) {
    const TimePoint at = std::min(invocation.invoked_at, now);
    const std::uint32_t index = index_of(invocation.skill_name);
    Skill& skill = skills_[index];
    if (skill.window.add(at,
                         {.completed = invocation.completed,
                          .duration_seconds = invocation.duration_seconds,
                          .outcome_is_unknown = invocation.outcome_is_unknown,
                          .duration_is_bound = invocation.duration_is_bound},
                         now)) {
        expiries_.schedule(index, skill.window.next_expiry());
    }
    skill.newest = std::max(skill.newest.value_or(at), at);
    if (skill.name != invocation.skill_name) {
        ++skill.lifetime.total_invocations;  // of the rows summed here, since the start
        skill.lifetime.completed_invocations += invocation.completed ? 1 : 0;
        skill.lifetime.unknown_invocations += invocation.outcome_is_unknown ? 1 : 0;
        skill.lifetime.last_invocation_at = std::max(skill.lifetime.last_invocation_at.value_or(at), at);
    }
    skill.confirmed.reset();  // the insert trigger has changed the cached row
    mark_dirty(index);
    activity_.add(invocation, index, at, now);
}

void MetricsEngine::set_lifetime(std::string_view skill_name, const LifetimeMetrics& metrics) {
    const auto known = index_.find(skill_name);
    const bool has_room = index_.size() < max_skills_;
    if (known == index_.end() && !has_room) {
        return;
    }
    const std::uint32_t index = known != index_.end() ? known->second : *admit(skill_name);
    if (skills_[index].lifetime != metrics) {
        skills_[index].lifetime = metrics;
        mark_dirty(index);
    }
}

void MetricsEngine::advance(TimePoint now) {
    now_ = std::max(now_, now);
    activity_.advance(now_);
    while (const auto index = expiries_.pop_due(now_)) {
        SkillWindow& window = skills_[*index].window;
        if (window.advance(now_)) {
            mark_dirty(*index);
        }
        expiries_.schedule(*index, window.next_expiry());
    }
}

SkillTable::Entry MetricsEngine::make_entry(const Skill& skill) const {
    const WindowSums& sums = skill.window.sums(SkillWindow::window);
    SkillMetrics metrics;
    metrics.skill_name = skill.name;
    metrics.lifetime = skill.lifetime;
    // Triggers of other programs store the time of the last inserted row, which may not be the latest.
    metrics.lifetime.last_invocation_at = std::max(skill.lifetime.last_invocation_at, skill.newest);
    if (sums.count > 0) {
        metrics.window = {.invocation_count = sums.count,
                          .completed_count = sums.completed,
                          .avg_duration_seconds = sums.mean_duration_seconds(),
                          .last_invocation_at = *skill.window.newest(),
                          .timed_count = sums.timed(),
                          .unknown_count = sums.unknown,
                          .measured_count = sums.measured.count};
        if (const auto quantiles = skill.window.duration_quantiles()) {
            metrics.window.p50_duration_seconds = quantiles->p50;
            metrics.window.p95_duration_seconds = quantiles->p95;
        }
    }
    return std::make_shared<const SkillMetrics>(std::move(metrics));
}

std::vector<std::uint32_t> MetricsEngine::rank(const std::vector<SkillTable::Entry>& entries) const {
    std::vector<std::uint32_t> indices;
    for (std::uint32_t index = 0; index < entries.size(); ++index) {
        if (entries[index]->window.invocation_count > 0) {
            indices.push_back(index);
        }
    }
    const auto better = [&](std::uint32_t a, std::uint32_t b) {
        const SkillMetrics& x = *entries[a];
        const SkillMetrics& y = *entries[b];
        return std::tie(y.window.invocation_count, y.window.last_invocation_at, x.skill_name) <
               std::tie(x.window.invocation_count, x.window.last_invocation_at, y.skill_name);
    };
    const std::size_t wanted = std::min<std::size_t>(top_skills_, indices.size());
    std::partial_sort(indices.begin(), indices.begin() + static_cast<std::ptrdiff_t>(wanted), indices.end(), better);
    indices.resize(wanted);
    return indices;
}

std::shared_ptr<const SkillTable> MetricsEngine::table() {
    if (dirty_.empty()) {
        return table_;
    }
    entries_.resize(skills_.size());
    for (const std::uint32_t index : std::exchange(dirty_, {})) {
        entries_[index] = make_entry(skills_[index]);
        skills_[index].dirty = false;
    }
    if (std::exchange(index_changed_, false)) {
        published_index_ = std::make_shared<const SkillTable::Index>(index_);
    }
    table_ = std::make_shared<const SkillTable>(entries_, published_index_, rank(entries_));
    return table_;
}

std::shared_ptr<const std::vector<SessionMetrics>> MetricsEngine::sessions() {
    if (activity_.take_changed()) {
        auto active = activity_.active();
        if (active != *sessions_) {
            sessions_ = std::make_shared<const std::vector<SessionMetrics>>(std::move(active));
        }
    }
    return sessions_;
}

RecentMetrics MetricsEngine::recent(const Skill& skill) {
    const WindowSums& hour = skill.window.sums(SkillWindow::hour);
    const WindowSums& day = skill.window.sums(SkillWindow::day);
    const std::optional<TimePoint> newest = skill.window.newest();
    return {.count_1h = hour.count,
            .count_24h = day.count,
            .completed_24h = day.completed,
            .last_invocation_at = newest ? newest : std::max(skill.lifetime.last_invocation_at, skill.newest),
            .unknown_24h = day.unknown};
}

std::optional<RecentMetrics> MetricsEngine::recent_metrics(std::string_view skill_name) const {
    const auto known = index_.find(skill_name);
    return known == index_.end() ? std::nullopt : std::optional{recent(skills_[known->second])};
}

std::vector<MetricsEngine::RecentChange> MetricsEngine::changed_recent() const {
    std::vector<RecentChange> changes;
    for (const std::uint32_t index : recent_dirty_) {
        const Skill& skill = skills_[index];
        RecentMetrics metrics = recent(skill);
        if (skill.confirmed != metrics && !skill.is_other) {  // the database has no row for `other`
            changes.push_back({index, skill.name, metrics});
        }
    }
    return changes;
}

void MetricsEngine::confirm_recent(const std::vector<RecentChange>& changes) {
    for (const RecentChange& change : changes) {
        skills_[change.index].confirmed = change.metrics;
    }
    for (const std::uint32_t index : std::exchange(recent_dirty_, {})) {
        skills_[index].recent_dirty = false;
        if (skills_[index].confirmed != recent(skills_[index])) {
            skills_[index].recent_dirty = true;
            recent_dirty_.push_back(index);
        } else if (skills_[index].window.empty() && !std::exchange(skills_[index].idle, true)) {
            idle_.push_back(index);
        }
    }
}

}  // namespace session_buddy::metrics
