// All-time totals by skill and workflow phase in a bounded number of series: the counters of GET /metrics.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "session_buddy/core/config.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/snapshot.hpp"

namespace session_buddy {

/// The name that skills or phases beyond the limits are summed as.
inline constexpr std::string_view kOtherSeries = "other";
/// The phase of an invocation without a phase.
inline constexpr std::string_view kNoPhase = "none";

/// How many skills and phases have their own series, in order of first appearance, in addition to kNoPhase and
/// kOtherSeries.
struct SeriesLimits {
    std::uint32_t skills = Config{}.metrics_max_skills;
    std::uint32_t phases = Config{}.metrics_max_phases;  ///< per skill
};

// A series never goes down. When a row that is counted was corrected, a count that would go down keeps its value, and
// the difference is its debt: later increments work that off before they show. The debt of a series is a PhaseTotals.

/// Adds an invocation to a series.
void add_to_series(PhaseTotals& series, PhaseTotals& debt, const Invocation& row);
/// Subtracts an invocation that the series counts.
void subtract_from_series(PhaseTotals& debt, const Invocation& row);

/// Counts invocations and anomalies. The counts of one skill are SkillTotals (snapshot.hpp). Not thread-safe.
class Totals {
  public:
    /// Series that restore() adds are kept even if they exceed the limits.
    explicit Totals(SeriesLimits limits = {}) : limits_(limits) {}

    /// `workflow_phase`: empty for none.
    void add(const Invocation& row, std::string_view workflow_phase);
    /// An anomaly that was recorded in the database.
    void add_anomaly(std::string_view skill_name, AnomalyType type);
    /// An anomaly that could not be recorded. If it is recorded later, add_anomaly() does not count it again.
    void add_unrecorded_anomaly(std::string_view skill_name, AnomalyType type);

    /// Restores earlier counts. Must be called before anything of this skill and phase is counted.
    void restore(std::string_view skill_name, PhaseTotals phase, PhaseTotals debt = {});
    void restore(std::string_view skill_name, AnomalyType type, std::int64_t count);

    /// Raises each series that is lower than in `published`, which was read from the same database; the difference is
    /// debt. Series that no longer exist stay away: their skill was forgotten.
    void keep_at_least(const TotalsTable& published);

    /// All totals, in order of first appearance of the skills. The same object as before if nothing changed.
    [[nodiscard]] TotalsTablePtr table();

    /// What changed since the last confirm_written(). The pointers are valid until the next change.
    struct Change {
        const SkillTotals* skill = nullptr;
        const std::vector<bool>* phases =
            nullptr;  ///< changed flags by index into skill->phases; missing ones are false
        const std::vector<PhaseTotals>* debts = nullptr;  ///< by index likewise; missing ones are 0
        bool anomalies = false;
    };
    [[nodiscard]] std::vector<Change> unwritten() const;
    void confirm_written();

  private:
    struct Entry {
        std::shared_ptr<SkillTotals> totals;
        bool shared = false;       // also in a published table: copy before writing
        bool unwritten = false;    // listed in unwritten_
        std::vector<bool> phases;  // unwritten flags by index; missing ones are false
        bool anomalies = false;
        std::vector<PhaseTotals> debts;  // by index; missing ones are 0
    };
    struct NameHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
    };

    [[nodiscard]] std::uint32_t index_of(std::string_view skill_name);
    [[nodiscard]] std::uint32_t admit(std::string_view skill_name);
    /// The totals to modify, copied first if they are shared (copy-on-write).
    [[nodiscard]] SkillTotals& mutable_totals(std::uint32_t index);
    [[nodiscard]] Entry& mark_unwritten(std::uint32_t index);
    void mark_phase_unwritten(std::uint32_t index, std::size_t phase);

    SeriesLimits limits_;
    std::vector<Entry> entries_;
    std::unordered_map<std::string, std::uint32_t, NameHash, std::equal_to<>> indices_;
    std::uint32_t own_series_ = 0;  // entries without kOtherSeries
    std::vector<std::uint32_t> unwritten_;
    std::map<std::pair<std::uint32_t, AnomalyType>, std::int64_t> unrecorded_;  // by index
    TotalsTablePtr table_;                                                      // cached; nullptr after a change
};

}  // namespace session_buddy
