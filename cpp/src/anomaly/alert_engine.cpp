// Distributes invocations to the detectors of their skills, and saves and restores them.
#include "session_buddy/anomaly/alert_engine.hpp"

#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <tuple>
#include <unordered_map>

#include "session_buddy/anomaly/alert_archive.hpp"
#include "session_buddy/anomaly/alert_budget.hpp"
#include "session_buddy/anomaly/alert_detector.hpp"
#include "session_buddy/core/schedule.hpp"

namespace session_buddy::anomaly {
namespace {

// If there are too many skills, a new one replaces the one that has not been used for longest, if it is longer than
// this.
constexpr auto kUnused = std::chrono::days(28);
constexpr auto kSearchInterval = std::chrono::hours(1);

}  // namespace

struct AlertEngine::Impl {
    struct Skill {
        std::string name;
        AlertDetector detector;
        bool changed = false;  // listed in changed_skills
    };
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    };

    explicit Impl(AlertOptions given) : options(given), budget(given.budget) {}

    // The index of a skill. A new one is added; if max_skills is reached, it replaces one that has not been used for
    // long. nullopt if there is none.
    std::optional<std::uint32_t> index_of(std::string_view name, TimePoint at) {
        if (const auto known = index.find(name); known != index.end()) {
            return known->second;
        }
        if (skills.size() >= options.max_skills) {
            return replace_unused(name, at);
        }
        const auto number = static_cast<std::uint32_t>(skills.size());
        skills.push_back({.name = std::string(name), .detector = AlertDetector{std::string(name)}});
        index.emplace(name, number);
        return number;
    }

    std::optional<std::uint32_t> replace_unused(std::string_view name, TimePoint at) {
        if (at < next_search) {  // it looks at every skill
            return std::nullopt;
        }
        std::optional<std::uint32_t> longest;
        for (std::uint32_t number = 0; number < skills.size(); ++number) {
            const AlertDetector& detector = skills[number].detector;
            if (!detector.has_open() && (!longest || detector.latest() < skills[*longest].detector.latest())) {
                longest = number;
            }
        }
        if (!longest || skills[*longest].detector.latest() > at - kUnused) {
            next_search = at + kSearchInterval;
            return std::nullopt;
        }
        Skill& skill = skills[*longest];
        index.erase(skill.name);
        removed.push_back(std::exchange(skill.name, std::string(name)));
        skill.detector = AlertDetector{skill.name};
        index.emplace(skill.name, *longest);
        return longest;
    }

    void mark_changed(std::uint32_t number) {
        if (!std::exchange(skills[number].changed, true)) {
            changed_skills.push_back(number);
        }
        due.schedule(number, skills[number].detector.next_due(options));
    }

    AlertOptions options;
    AlertBudget budget;
    std::int64_t last_row = 0;
    std::int64_t restored_row = 0;  // rows up to this one are in the restored budget
    bool budget_changed = false;
    std::deque<Skill> skills;
    std::unordered_map<std::string, std::uint32_t, Hash, std::equal_to<>> index;
    std::vector<std::uint32_t> changed_skills;
    std::vector<std::string> removed;  // names of skills that were replaced
    TimePoint next_search{};           // for a skill to replace
    std::vector<AlertChange> changes;
    Schedule due;
};

AlertEngine::AlertEngine(AlertOptions options) : impl_(std::make_unique<Impl>(options)) {}
AlertEngine::~AlertEngine() = default;
AlertEngine::AlertEngine(AlertEngine&&) noexcept = default;
AlertEngine& AlertEngine::operator=(AlertEngine&&) noexcept = default;

void AlertEngine::add(const Invocation& invocation, TimePoint at) {
    if (impl_->options.budget <= 0.0) {
        return;
    }
    advance(at);
    double spend = 0.0;
    if (!invocation.outcome_is_unknown && invocation.id > impl_->restored_row) {
        spend = impl_->budget.spend(at);
        impl_->last_row = std::max(impl_->last_row, invocation.id);
        impl_->budget_changed = true;
    }
    if (const auto number = impl_->index_of(invocation.skill_name, at)) {
        impl_->skills[*number].detector.add(invocation, at, spend, impl_->options, impl_->changes);
        impl_->mark_changed(*number);
    }
}

void AlertEngine::advance(TimePoint to) {
    while (const auto number = impl_->due.pop_due(to)) {
        AlertDetector& detector = impl_->skills[*number].detector;
        if (detector.next_due(impl_->options) <= to) {
            detector.advance(to, impl_->options, impl_->changes);
            impl_->mark_changed(*number);
        } else {
            impl_->due.schedule(*number, detector.next_due(impl_->options));
        }
    }
}

TimePoint AlertEngine::next_change() {
    for (;;) {
        const TimePoint scheduled = impl_->due.next_due();
        const auto number = impl_->due.pop_due(scheduled);
        if (!number) {
            return TimePoint::max();
        }
        const TimePoint next = impl_->skills[*number].detector.next_due(impl_->options);
        impl_->due.schedule(*number, next);
        if (next <= scheduled) {
            return next;
        }
    }
}

std::vector<AlertChange> AlertEngine::take_changes() {
    return std::exchange(impl_->changes, {});
}

std::vector<Alert> AlertEngine::open() const {
    std::vector<Alert> alerts;
    for (const auto& skill : impl_->skills) {
        skill.detector.append_open(alerts);
    }
    std::ranges::sort(alerts, [](const Alert& a, const Alert& b) {
        return std::tie(a.skill_name, a.kind) < std::tie(b.skill_name, b.kind);
    });
    return alerts;
}

std::vector<AlertEngine::State> AlertEngine::take_state() {
    std::vector<State> states;
    if (std::exchange(impl_->budget_changed, false)) {
        AlertStateWriter writer;
        writer(impl_->last_row, impl_->budget);
        states.push_back({.key = "", .bytes = writer.finish()});
    }
    for (std::string& name : std::exchange(impl_->removed, {})) {
        if (!impl_->index.contains(name)) {
            states.push_back({.key = std::move(name), .bytes = ""});
        }
    }
    for (const std::uint32_t number : std::exchange(impl_->changed_skills, {})) {
        Impl::Skill& skill = impl_->skills[number];
        skill.changed = false;
        states.push_back({.key = skill.name, .bytes = skill.detector.save()});
    }
    return states;
}

bool AlertEngine::restore(const State& state) {
    if (state.key.empty()) {
        AlertStateReader reader{state.bytes};
        if (!reader.is_ok()) {
            return false;
        }
        AlertBudget budget{impl_->options.budget};
        std::int64_t row = 0;
        reader(row, budget);
        if (!reader.is_complete()) {
            return false;
        }
        impl_->budget = budget;
        impl_->last_row = impl_->restored_row = row;
        return true;
    }
    AlertDetector detector{state.key};
    if (!detector.restore(state.bytes)) {
        return false;
    }
    if (const auto number = impl_->index_of(state.key, TimePoint::min())) {
        impl_->skills[*number].detector = std::move(detector);
        impl_->due.schedule(*number, impl_->skills[*number].detector.next_due(impl_->options));
    }
    return true;
}

}  // namespace session_buddy::anomaly
