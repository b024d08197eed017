// The in-memory metrics: see the header.
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

std::uint32_t MetricsEngine::place_of(std::string_view skill_name) {
    if (const auto known = index_.find(skill_name); known != index_.end()) {
        return known->second;
    }
    if (const auto place = admit(skill_name)) {
        return *place;
    }
    ++skill_rows_in_other_;
    const auto other = index_.find(kOtherSeries);
    const std::uint32_t place = other != index_.end() ? other->second : *admit(kOtherSeries);
    skills_[place].is_sum = true;
    return place;
}

std::optional<std::uint32_t> MetricsEngine::admit(std::string_view skill_name) {
    auto place = skill_name == kOtherSeries ? std::optional<std::uint32_t>{} : take_place();
    if (!place) {
        const bool has_room = index_.size() < max_skills_ || skill_name == kOtherSeries;
        if (!has_room) {
            return std::nullopt;
        }
        place = static_cast<std::uint32_t>(skills_.size());
        skills_.emplace_back(std::string(skill_name), lengths_);
        dirty_.push_back(*place);
        recent_dirty_.push_back(*place);
    } else {
        Skill& skill = skills_[*place];
        index_.erase(skill.name);
        skill.name = skill_name;
        skill.lifetime = {};
        skill.newest.reset();
        skill.confirmed.reset();
        mark(*place);
    }
    index_.emplace(skill_name, *place);
    index_changed_ = true;
    return place;
}

std::optional<std::uint32_t> MetricsEngine::take_place() {
    // Only where it is needed: a skill keeps its lifetime figures as long as there is room.
    while (index_.size() >= max_skills_ && !idle_.empty()) {
        const std::uint32_t place = idle_.front();
        idle_.pop_front();
        Skill& skill = skills_[place];
        skill.idle = false;
        if (skill.window.empty() && !skill.recent_dirty && !skill.is_sum) {
            return place;  // else confirm_recent() lists it again, should it come to that
        }
    }
    return std::nullopt;
}

void MetricsEngine::mark(std::uint32_t place) {
    Skill& skill = skills_[place];
    if (!std::exchange(skill.dirty, true)) {
        dirty_.push_back(place);
    }
    if (!std::exchange(skill.recent_dirty, true)) {
        recent_dirty_.push_back(place);
    }
}

void MetricsEngine::add(const Invocation& invocation, TimePoint now) {
    const TimePoint at = std::min(invocation.invoked_at, now);
    const std::uint32_t place = place_of(invocation.skill_name);
    Skill& skill = skills_[place];
    if (skill.window.add(at, invocation.completed, invocation.duration_seconds, now)) {
        expiries_.plan(place, skill.window.next_expiry());
    }
    skill.newest = std::max(skill.newest.value_or(at), at);
    if (skill.name != invocation.skill_name) {
        ++skill.lifetime.total_invocations;  // of what is summed, since the start
        skill.lifetime.completed_invocations += invocation.completed ? 1 : 0;
        skill.lifetime.last_invocation_at = std::max(skill.lifetime.last_invocation_at.value_or(at), at);
    }
    skill.confirmed.reset();  // the insert's trigger has changed the receiver's row
    mark(place);
    activity_.add(invocation, place, at, now);
}

void MetricsEngine::set_lifetime(std::string_view skill_name, const LifetimeMetrics& figures) {
    const auto known = index_.find(skill_name);
    const bool has_room = index_.size() < max_skills_;
    if (known == index_.end() && !has_room) {
        return;
    }
    const std::uint32_t place = known != index_.end() ? known->second : *admit(skill_name);
    if (skills_[place].lifetime != figures) {
        skills_[place].lifetime = figures;
        mark(place);
    }
}

void MetricsEngine::advance(TimePoint now) {
    now_ = std::max(now_, now);
    activity_.advance(now_);
    while (const auto place = expiries_.pop_due(now_)) {
        SkillWindow& window = skills_[*place].window;
        if (window.advance(now_)) {
            mark(*place);
        }
        expiries_.plan(*place, window.next_expiry());
    }
}

SkillTable::Entry MetricsEngine::make_entry(const Skill& skill) const {
    const WindowSums& sums = skill.window.sums(SkillWindow::window);
    SkillMetrics figures;
    figures.skill_name = skill.name;
    figures.lifetime = skill.lifetime;
    // Triggers of other programs take the row that came last for the latest one.
    figures.lifetime.last_invocation_at = std::max(skill.lifetime.last_invocation_at, skill.newest);
    if (sums.count > 0) {
        figures.window = {sums.count, sums.completed, sums.mean_duration_seconds(), *skill.window.newest(), sums.timed};
    }
    return std::make_shared<const SkillMetrics>(std::move(figures));
}

std::vector<std::uint32_t> MetricsEngine::rank(const std::vector<SkillTable::Entry>& entries) const {
    std::vector<std::uint32_t> places;
    for (std::uint32_t place = 0; place < entries.size(); ++place) {
        if (entries[place]->window.invocation_count > 0) {
            places.push_back(place);
        }
    }
    const auto better = [&](std::uint32_t a, std::uint32_t b) {
        const SkillMetrics& x = *entries[a];
        const SkillMetrics& y = *entries[b];
        return std::tie(y.window.invocation_count, y.window.last_invocation_at, x.skill_name) <
               std::tie(x.window.invocation_count, x.window.last_invocation_at, y.skill_name);
    };
    const std::size_t wanted = std::min<std::size_t>(top_skills_, places.size());
    std::partial_sort(places.begin(), places.begin() + static_cast<std::ptrdiff_t>(wanted), places.end(), better);
    places.resize(wanted);
    return places;
}

std::shared_ptr<const SkillTable> MetricsEngine::table() {
    if (dirty_.empty()) {
        return table_;
    }
    entries_.resize(skills_.size());
    for (const std::uint32_t place : std::exchange(dirty_, {})) {
        entries_[place] = make_entry(skills_[place]);
        skills_[place].dirty = false;
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
    return {hour.count, day.count, day.completed,
            newest ? newest : std::max(skill.lifetime.last_invocation_at, skill.newest)};
}

std::optional<RecentMetrics> MetricsEngine::recent_of(std::string_view skill_name) const {
    const auto known = index_.find(skill_name);
    return known == index_.end() ? std::nullopt : std::optional{recent(skills_[known->second])};
}

std::vector<MetricsEngine::RecentChange> MetricsEngine::changed_recent() const {
    std::vector<RecentChange> changes;
    for (const std::uint32_t place : recent_dirty_) {
        const Skill& skill = skills_[place];
        RecentMetrics figures = recent(skill);
        if (skill.confirmed != figures && !skill.is_sum) {  // the database has no row of a sum
            changes.push_back({place, skill.name, figures});
        }
    }
    return changes;
}

void MetricsEngine::confirm_recent(const std::vector<RecentChange>& changes) {
    for (const RecentChange& change : changes) {
        skills_[change.place].confirmed = change.figures;
    }
    for (const std::uint32_t place : std::exchange(recent_dirty_, {})) {
        skills_[place].recent_dirty = false;
        if (skills_[place].confirmed != recent(skills_[place])) {
            skills_[place].recent_dirty = true;
            recent_dirty_.push_back(place);
        } else if (skills_[place].window.empty() && !std::exchange(skills_[place].idle, true)) {
            idle_.push_back(place);
        }
    }
}

}  // namespace session_buddy::metrics
