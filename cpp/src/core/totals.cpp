// Assigns invocations to a bounded number of series and counts them.
#include "session_buddy/core/totals.hpp"

#include <algorithm>
#include <optional>

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

/// The three counters of outcomes; `unknown` is stored as completed.
std::int64_t& count_of(PhaseTotals& series, const Invocation& row) {
    return row.outcome_is_unknown ? series.unknown : row.completed ? series.completed : series.failed;
}

std::optional<std::size_t> bucket_of(const Invocation& row) {
    if (!row.completed || !row.duration_seconds) {
        return std::nullopt;
    }
    const auto* const bound = std::ranges::lower_bound(kDurationBounds, *row.duration_seconds);
    return static_cast<std::size_t>(bound - kDurationBounds.begin());
}

/// Adds what exceeds the debt.
template <typename Number>
void increase(Number& value, Number& debt, Number amount) {
    const Number paid = std::min(debt, amount);
    debt -= paid;
    value += amount - paid;
}

template <typename Number>
bool raise(Number& value, Number& debt, Number least) {
    if (value >= least) {
        return false;
    }
    debt += least - value;
    value = least;
    return true;
}

/// Returns whether a count was raised.
bool raise_all(PhaseTotals& series, PhaseTotals& debt, const PhaseTotals& least) {
    bool raised = raise(series.completed, debt.completed, least.completed);
    raised = raise(series.failed, debt.failed, least.failed) || raised;
    raised = raise(series.unknown, debt.unknown, least.unknown) || raised;
    raised = raise(series.duration_seconds, debt.duration_seconds, least.duration_seconds) || raised;
    for (std::size_t bucket = 0; bucket < series.durations.size(); ++bucket) {
        raised = raise(series.durations[bucket], debt.durations[bucket], least.durations[bucket]) || raised;
    }
    return raised;
}

}  // namespace

void add_to_series(PhaseTotals& series, PhaseTotals& debt, const Invocation& row) {
    increase(count_of(series, row), count_of(debt, row), std::int64_t{1});
    if (const auto bucket = bucket_of(row)) {
        increase(series.durations[*bucket], debt.durations[*bucket], std::int64_t{1});
        increase(series.duration_seconds, debt.duration_seconds, *row.duration_seconds);
        constexpr double kRoundingError = 1e-9;
        if (debt.duration_seconds < kRoundingError) {
            debt.duration_seconds = 0.0;
        }
    }
}

void subtract_from_series(PhaseTotals& debt, const Invocation& row) {
    ++count_of(debt, row);
    if (const auto bucket = bucket_of(row)) {
        ++debt.durations[*bucket];
        debt.duration_seconds += *row.duration_seconds;
    }
}

std::uint32_t Totals::admit(std::string_view skill_name) {
    const auto index = static_cast<std::uint32_t>(entries_.size());
    entries_.push_back({.totals = std::make_shared<SkillTotals>(SkillTotals{.skill_name = std::string(skill_name)}),
                        .phases = {},
                        .debts = {}});
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
    PhaseTotals no_debt;
    std::vector<PhaseTotals>& debts = entries_[index].debts;
    add_to_series(skill.phases[phase], phase < debts.size() ? debts[phase] : no_debt, row);
    mark_phase_unwritten(index, phase);
}

void Totals::mark_phase_unwritten(std::uint32_t index, std::size_t phase) {
    std::vector<bool>& unwritten = mark_unwritten(index).phases;
    unwritten.resize(std::max(unwritten.size(), phase + 1));
    unwritten[phase] = true;
}

void Totals::keep_at_least(const TotalsTable& published) {
    for (const auto& earlier : published) {
        const auto found = indices_.find(earlier->skill_name);
        if (found == indices_.end()) {
            continue;
        }
        Entry& entry = entries_[found->second];
        for (const PhaseTotals& least : earlier->phases) {
            const auto& phases = entry.totals->phases;
            const auto phase = static_cast<std::size_t>(
                std::ranges::find(phases, least.workflow_phase, &PhaseTotals::workflow_phase) - phases.begin());
            if (phase == phases.size()) {
                continue;
            }
            PhaseTotals raised = phases[phase];
            PhaseTotals debt = phase < entry.debts.size() ? entry.debts[phase] : PhaseTotals{};
            if (raise_all(raised, debt, least)) {
                entry.debts.resize(std::max(entry.debts.size(), phase + 1));
                entry.debts[phase] = debt;
                mutable_totals(found->second).phases[phase] = std::move(raised);
                mark_phase_unwritten(found->second, phase);
            }
        }
    }
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

void Totals::restore(std::string_view skill_name, PhaseTotals phase, PhaseTotals debt) {
    const auto found = indices_.find(skill_name);
    const std::uint32_t index = found != indices_.end() ? found->second : admit(skill_name);
    std::vector<PhaseTotals>& phases = mutable_totals(index).phases;
    phases.push_back(std::move(phase));
    if (debt != PhaseTotals{}) {
        entries_[index].debts.resize(phases.size());
        entries_[index].debts.back() = std::move(debt);
    }
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
        changes.push_back({.skill = entry.totals.get(),
                           .phases = &entry.phases,
                           .debts = &entry.debts,
                           .anomalies = entry.anomalies});
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
