// What one cycle of the collector publishes: immutable, shared by every reader, never touched again.
// Parts that did not change from one cycle to the next are the same objects, so a copy of a Snapshot is a few pointers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/server_stats.hpp"

namespace session_buddy {

/// Analytics of one skill over the sliding window.
struct WindowMetrics {
    std::int64_t invocation_count = 0;
    std::int64_t completed_count = 0;
    double avg_duration_seconds = 0.0;  ///< mean over completed invocations that have a duration; 0 where none has
    TimePoint last_invocation_at;       ///< meaningful only where invocation_count > 0
    std::int64_t timed_count = 0;       ///< completed invocations that have a duration

    bool operator==(const WindowMetrics&) const = default;
};

/// Analytics of one skill over its whole recorded life, as `skill_metrics` has them.
struct LifetimeMetrics {
    std::int64_t total_invocations = 0;
    std::int64_t completed_invocations = 0;
    double avg_duration_seconds = 0.0;            ///< 0 where the table has NULL
    std::optional<TimePoint> last_invocation_at;  ///< nothing where the table's value cannot be read

    /// completed / total, 0 to 1; 0 for no invocation.
    [[nodiscard]] double completion_rate() const {
        return total_invocations > 0
                   ? static_cast<double>(completed_invocations) / static_cast<double>(total_invocations)
                   : 0.0;
    }
    bool operator==(const LifetimeMetrics&) const = default;
};

struct SkillMetrics {
    std::string skill_name;
    WindowMetrics window;
    LifetimeMetrics lifetime;
};

/// All known skills of one moment. Immutable; entries that did not change are shared with the table before.
class SkillTable {
  public:
    using Entry = std::shared_ptr<const SkillMetrics>;
    struct NameHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
    };
    using Index = std::unordered_map<std::string, std::uint32_t, NameHash, std::equal_to<>>;

    SkillTable() = default;
    /// `index` maps every name to its index in `entries`; `top` holds places, best first.
    SkillTable(std::vector<Entry> entries, std::shared_ptr<const Index> index, std::vector<std::uint32_t> top)
        : entries_(std::move(entries)), index_(std::move(index)), top_(std::move(top)) {}

    /// nullptr for a skill that was never seen.
    [[nodiscard]] const SkillMetrics* find(std::string_view skill_name) const {
        if (!index_) {
            return nullptr;
        }
        const auto found = index_->find(skill_name);
        return found == index_->end() ? nullptr : entries_[found->second].get();
    }
    /// The most active skills of the window in the contract's order, at most `top_skills` of the config.
    [[nodiscard]] std::span<const std::uint32_t> top() const { return top_; }
    [[nodiscard]] const SkillMetrics& at(std::uint32_t index) const { return *entries_[index]; }
    [[nodiscard]] std::size_t size() const { return entries_.size(); }

  private:
    std::vector<Entry> entries_;
    std::shared_ptr<const Index> index_;
    std::vector<std::uint32_t> top_;
};

enum class AnomalyType { performance_drop, performance_spike, pattern_shift };

/// The name on the wire and in skill_anomalies.
[[nodiscard]] constexpr std::string_view to_string(AnomalyType type) {
    switch (type) {
        case AnomalyType::performance_drop:
            return "performance_drop";
        case AnomalyType::performance_spike:
            return "performance_spike";
        case AnomalyType::pattern_shift:
            break;
    }
    return "pattern_shift";
}

/// One anomaly that is at or above the threshold now. Rates are fractions 0 to 1, durations seconds.
struct Anomaly {
    std::string skill_name;
    AnomalyType type = AnomalyType::performance_drop;
    double baseline_value = 0.0;
    double observed_value = 0.0;
    double deviation_score = 0.0;  ///< |z|, finite

    // What explains it; on the wire only where a subscription asks for details.
    std::int64_t baseline_samples = 0;
    std::int64_t observed_samples = 0;
    double z_score = 0.0;           ///< signed: negative where the observed value is the smaller one
    double tail_probability = 1.0;  ///< of a deviation at least this large on this side where nothing has changed
    TimePoint since;                ///< when the episode started
    /// The error types of the observed failures, the most common first, at most three.
    std::vector<std::pair<std::string, std::int64_t>> common_errors;

    bool operator==(const Anomaly&) const = default;
};

/// An active session.
struct SessionMetrics {
    std::string session_id;
    TimePoint first_activity_at;
    TimePoint last_activity_at;
    std::int64_t invocations = 0;
    std::int64_t completed = 0;
    std::int64_t distinct_skills = 0;

    bool operator==(const SessionMetrics&) const = default;
};

/// Upper bounds of the buckets that durations are counted in, in seconds; the last bucket has none.
inline constexpr std::array kDurationBounds{0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0};

/// What ever happened in one workflow phase of one skill.
struct PhaseTotals {
    std::string workflow_phase;
    std::int64_t completed = 0;
    std::int64_t failed = 0;
    /// Of completed invocations that have a duration, each in one bucket.
    std::array<std::int64_t, kDurationBounds.size() + 1> durations{};
    double duration_seconds = 0.0;  ///< sum of those

    bool operator==(const PhaseTotals&) const = default;
};

/// What ever happened to one skill, be it summed with others (core/totals.hpp).
struct SkillTotals {
    std::string skill_name;
    std::vector<PhaseTotals> phases{};
    std::array<std::int64_t, 3> anomalies{};  ///< found, by AnomalyType

    bool operator==(const SkillTotals&) const = default;
};

/// In the order in which the skills were first seen.
using TotalsTable = std::vector<std::shared_ptr<const SkillTotals>>;
using TotalsTablePtr = std::shared_ptr<const TotalsTable>;

/// Names of one kind, of which only so many are tracked.
struct TrackedNames {
    std::size_t count = 0;
    std::uint64_t rows_in_other = 0;  ///< that came when there was no room for their name; since the start or a rebuild

    bool operator==(const TrackedNames&) const = default;
};

struct DatabaseHealth {
    bool readable = false;
    std::string reason;  ///< empty where readable; never holds more than a short sentence

    bool operator==(const DatabaseHealth&) const = default;
};

struct Snapshot {
    std::uint64_t sequence = 0;  ///< counts up by one a cycle from 1
    TimePoint at;                ///< wall clock of the cycle
    std::shared_ptr<const SkillTable> skills = std::make_shared<SkillTable>();
    std::shared_ptr<const std::vector<Anomaly>> anomalies = std::make_shared<std::vector<Anomaly>>();
    std::shared_ptr<const std::vector<SessionMetrics>> sessions = std::make_shared<std::vector<SessionMetrics>>();
    std::uint64_t sessions_version = 0;  ///< changes whenever `sessions` does
    std::size_t active_sessions = 0;     ///< all, of which `sessions` lists max_sessions at most
    TrackedNames tracked_skills;
    TrackedNames tracked_sessions;
    TrackedNames tracked_error_types;
    DatabaseHealth database;
    TotalsTablePtr totals = std::make_shared<TotalsTable>();
    std::int64_t uncounted_rows = 0;  ///< about so many are not in `totals` yet
    CollectorStats collector;         ///< up to this cycle
};

using SnapshotPtr = std::shared_ptr<const Snapshot>;

}  // namespace session_buddy
