// Assigns invocations to a bounded number of series and counts them.
#include "session_buddy/core/totals.hpp"

#include <algorithm>

namespace session_buddy {
namespace {

/// Index of a phase among those of its skill; adds it if it is new.
std::size_t phase_index(SkillTotals& skill, std::string_view phase, std::uint32_t max_phases) {
    const auto find = [&skill](std::string_view name) {
        return static_cast<std::size_t>(
            std::ranges::find(skill.phases, name,
                              [](const PhaseTotals& each) { return std::string_view(each.workflow_phase); }) -
            skill.phases.begin());
    };
    if (phase.empty()) {
        phase = kNoPhase;
    } else if (!is_valid_skill_name(phase)) {  // the rules for skill names apply to phases, too
        phase = kOtherSeries;
    }
    std::size_t index = find(phase);
    if (index == skill.phases.size() && phase != kNoPhase && phase != kOtherSeries) {
        const auto own = std::ranges::count_if(skill.phases, [](const PhaseTotals& each) {
            return each.workflow_phase != kNoPhase && each.workflow_phase != kOtherSeries;
        });
        if (own >= std::ptrdiff_t{max_phases}) {
            phase = kOtherSeries;
            index = find(phase);
        }
    }
    if (index == skill.phases.size()) {
        skill.phases.push_back({.workflow_phase = std::string(phase)});
    }
    return index;
}

}  // namespace

std::uint32_t Totals::admit(std::string_view skill_name) {
    const auto index = static_cast<std::uint32_t>(entries_.size());
    entries_.push_back(
        {.totals = std::make_shared<SkillTotals>(SkillTotals{.skill_name = std::string(skill_name)}), .phases = {}});
    indices_.emplace(skill_name, index);
    own_series_ += skill_name != kOtherSeries ? 1U : 0U;
    return index;
}

std::uint32_t Totals::index_of(std::string_view skill_name) {
    if (const auto found = indices_.find(skill_name); found != indices_.end()) {
        return found->second;
    }
    if (own_series_ < limits_.skills || skill_name == kOtherSeries) {
        return admit(skill_name);
    }
    const auto other = indices_.find(kOtherSeries);
    return other != indices_.end() ? other->second : admit(kOtherSeries);
}

SkillTotals& Totals::mutable_totals(std::uint32_t index) {
    Entry& entry = entries_[index];
    if (entry.shared) {
        entry.totals = std::make_shared<SkillTotals>(*entry.totals);
        entry.shared = false;
    }
    table_.reset();
    return *entry.totals;
}

Totals::Entry& Totals::mark_unwritten(std::uint32_t index) {
    Entry& entry = entries_[index];
    if (!entry.unwritten) {
        entry.unwritten = true;
        unwritten_.push_back(index);
    }
    return entry;
}

void Totals::add(const Invocation& row, std::string_view workflow_phase) {
    const std::uint32_t index = index_of(row.skill_name);
    SkillTotals& skill = mutable_totals(index);
    const std::size_t phase = phase_index(skill, workflow_phase, limits_.phases);
    PhaseTotals& totals = skill.phases[phase];
    ++(row.completed ? totals.completed : totals.failed);
    if (row.completed && row.duration_seconds) {
        const auto* const bound = std::ranges::lower_bound(kDurationBounds, *row.duration_seconds);
        ++totals.durations[static_cast<std::size_t>(bound - kDurationBounds.begin())];
        totals.duration_seconds += *row.duration_seconds;
    }
    std::vector<bool>& unwritten = mark_unwritten(index).phases;
    unwritten.resize(std::max(unwritten.size(), phase + 1));
    unwritten[phase] = true;
}

void Totals::add_anomaly(std::string_view skill_name, AnomalyType type) {
    const std::uint32_t index = index_of(skill_name);
    if (const auto known = unrecorded_.find({index, type}); known != unrecorded_.end()) {
        if (--known->second == 0) {
            unrecorded_.erase(known);
        }
        return;
    }
    ++mutable_totals(index).anomalies[static_cast<std::size_t>(type)];
    mark_unwritten(index).anomalies = true;
}

void Totals::add_unrecorded_anomaly(std::string_view skill_name, AnomalyType type) {
    const std::uint32_t index = index_of(skill_name);
    ++mutable_totals(index).anomalies[static_cast<std::size_t>(type)];
    ++unrecorded_[{index, type}];
    mark_unwritten(index).anomalies = true;
}

void Totals::restore(std::string_view skill_name, PhaseTotals phase) {
    const auto found = indices_.find(skill_name);
    const std::uint32_t index = found != indices_.end() ? found->second : admit(skill_name);
    mutable_totals(index).phases.push_back(std::move(phase));
}

void Totals::restore(std::string_view skill_name, AnomalyType type, std::int64_t count) {
    const auto found = indices_.find(skill_name);
    const std::uint32_t index = found != indices_.end() ? found->second : admit(skill_name);
    mutable_totals(index).anomalies[static_cast<std::size_t>(type)] = count;
}

TotalsTablePtr Totals::table() {
    if (!table_) {
        auto table = std::make_shared<TotalsTable>();
        table->reserve(entries_.size());
        for (Entry& entry : entries_) {
            entry.shared = true;
            table->push_back(entry.totals);
        }
        table_ = std::move(table);
    }
    return table_;
}

std::vector<Totals::Change> Totals::unwritten() const {
    std::vector<Change> changes;
    changes.reserve(unwritten_.size());
    for (const std::uint32_t index : unwritten_) {
        const Entry& entry = entries_[index];
        changes.push_back({.skill = entry.totals.get(), .phases = &entry.phases, .anomalies = entry.anomalies});
    }
    return changes;
}

void Totals::confirm_written() {
    for (const std::uint32_t index : unwritten_) {
        Entry& entry = entries_[index];
        entry.unwritten = false;
        entry.phases.clear();
        entry.anomalies = false;
    }
    unwritten_.clear();
}

}  // namespace session_buddy
