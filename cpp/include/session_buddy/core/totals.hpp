// Counts of everything that ever happened, by skill and workflow phase, in a bounded number of series: what the
// counters of GET /metrics show.
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

/// The skill, or the phase, that all without a series of their own are summed as.
inline constexpr std::string_view kOtherSeries = "other";
/// The phase of a run that has none.
inline constexpr std::string_view kNoPhase = "none";

/// How many get a series of their own, in the order in which they are first seen, next to those of kNoPhase and
/// kOtherSeries.
struct SeriesLimits {
    std::uint32_t skills = Config{}.metrics_max_skills;
    std::uint32_t phases = Config{}.metrics_max_phases;  ///< of one skill
};

/// What a side table or a snapshot holds of one skill is in snapshot.hpp; this is who counts. For one thread.
class Totals {
  public:
    /// What restore() brings keeps its series, be it beyond the bounds.
    explicit Totals(SeriesLimits limits = {}) : limits_(limits) {}

    /// `workflow_phase`: empty for none.
    void add(const Invocation& row, std::string_view workflow_phase);
    /// An anomaly that was found, as the database has noted it down.
    void add_anomaly(std::string_view skill_name, AnomalyType type);
    /// One that the database could not note down. Should it do so later, that one is not counted again.
    void add_unrecorded_anomaly(std::string_view skill_name, AnomalyType type);

    /// What was counted before. Only while nothing else of this skill and phase was counted.
    void restore(std::string_view skill_name, PhaseTotals phase);
    void restore(std::string_view skill_name, AnomalyType type, std::int64_t count);

    /// Everything, in the order in which skills were first seen. The same object as before where nothing changed.
    [[nodiscard]] TotalsTablePtr table();

    /// What changed since the last confirm_written(). Valid until the next change.
    struct Change {
        const SkillTotals* skill = nullptr;
        const std::vector<bool>* phases = nullptr;  ///< which of skill->phases; those beyond its end did not
        bool anomalies = false;
    };
    [[nodiscard]] std::vector<Change> unwritten() const;
    void confirm_written();

  private:
    struct Entry {
        std::shared_ptr<SkillTotals> totals;
        bool shared = false;       // a table that was given out has it, too: it must not change any more
        bool unwritten = false;    // listed in unwritten_
        std::vector<bool> phases;  // that are unwritten; those beyond its end are not
        bool anomalies = false;
    };
    struct NameHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
    };

    [[nodiscard]] std::uint32_t index_of(std::string_view skill_name);
    [[nodiscard]] std::uint32_t admit(std::string_view skill_name);
    /// For a change.
    [[nodiscard]] SkillTotals& mutable_totals(std::uint32_t index);
    [[nodiscard]] Entry& mark_unwritten(std::uint32_t index);

    SeriesLimits limits_;
    std::vector<Entry> entries_;
    std::unordered_map<std::string, std::uint32_t, NameHash, std::equal_to<>> indices_;
    std::uint32_t own_series_ = 0;  // entries but kOtherSeries
    std::vector<std::uint32_t> unwritten_;
    std::map<std::pair<std::uint32_t, AnomalyType>, std::int64_t> unrecorded_;  // by index
    TotalsTablePtr table_;  // nullptr where it no longer is what there is
};

}  // namespace session_buddy
