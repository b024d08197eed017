// The immutable state that one cycle of the collector publishes, shared by all readers.
// Parts that did not change since the previous cycle are shared with it, so copying a Snapshot copies a few pointers.
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

#include "session_buddy/core/alert.hpp"
#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/enum_names.hpp"
#include "session_buddy/core/server_stats.hpp"

namespace session_buddy {

/// Metrics of one skill over the sliding window.
struct WindowMetrics {
    std::int64_t invocation_count = 0;
    std::int64_t completed_count = 0;  ///< those with an unknown outcome included
    /// Mean over completed invocations with a measured duration; where none has one, with a duration; else 0.
    double avg_duration_seconds = 0.0;
    TimePoint last_invocation_at;     ///< meaningful only if invocation_count > 0
    std::int64_t timed_count = 0;     ///< completed invocations with a duration
    std::int64_t unknown_count = 0;   ///< of completed_count: with an unknown outcome
    std::int64_t measured_count = 0;  ///< of timed_count: with a duration that is no upper bound
    /// Quantiles of the durations behind the mean, estimated; nullopt if there is none.
    std::optional<double> p50_duration_seconds{};
    std::optional<double> p95_duration_seconds{};

    bool operator==(const WindowMetrics&) const = default;
};

/// Lifetime metrics of one skill, as stored in `skill_metrics`.
struct LifetimeMetrics {
    std::int64_t total_invocations = 0;
    std::int64_t completed_invocations = 0;       ///< those with an unknown outcome included
    double avg_duration_seconds = 0.0;            ///< 0 if the table has NULL
    std::optional<TimePoint> last_invocation_at;  ///< nullopt if the table's value cannot be parsed
    std::int64_t unknown_invocations = 0;         ///< of completed_invocations: with an unknown outcome

    /// completed / total, 0 to 1; 0 without invocations.
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

/// All known skills at one point in time. Immutable; unchanged entries are shared with the previous table.
class SkillTable {
  public:
    using Entry = std::shared_ptr<const SkillMetrics>;
    struct NameHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
    };
    using Index = std::unordered_map<std::string, std::uint32_t, NameHash, std::equal_to<>>;

    SkillTable() = default;
    /// `index` maps every name to its index in `entries`; `top` holds indices, best first.
    SkillTable(std::vector<Entry> entries, std::shared_ptr<const Index> index, std::vector<std::uint32_t> top)
        : entries_(std::move(entries)), index_(std::move(index)), top_(std::move(top)) {}

    /// nullptr for an unknown skill.
    [[nodiscard]] const SkillMetrics* find(std::string_view skill_name) const {
        if (!index_) {
            return nullptr;
        }
        const auto found = index_->find(skill_name);
        return found == index_->end() ? nullptr : entries_[found->second].get();
    }
    /// Indices of the most active skills of the window in the order of the API, at most `top_skills` of the config.
    [[nodiscard]] std::span<const std::uint32_t> top() const { return top_; }
    [[nodiscard]] const SkillMetrics& at(std::uint32_t index) const { return *entries_[index]; }
    [[nodiscard]] std::size_t size() const { return entries_.size(); }

  private:
    std::vector<Entry> entries_;
    std::shared_ptr<const Index> index_;
    std::vector<std::uint32_t> top_;
};

enum class AnomalyType { performance_drop, performance_spike, pattern_shift };

/// The names on the wire and in skill_anomalies.
inline constexpr EnumNames kAnomalyTypes{std::array{EnumName{AnomalyType::performance_drop, "performance_drop"},
                                                    EnumName{AnomalyType::performance_spike, "performance_spike"},
                                                    EnumName{AnomalyType::pattern_shift, "pattern_shift"}}};
[[nodiscard]] constexpr std::string_view to_string(AnomalyType type) {
    return kAnomalyTypes[type];
}

/// An anomaly of the current cycle: a deviation at or above the threshold. Rates are fractions 0 to 1, durations
/// seconds. Past ones are StoredEpisode (core/skill_history.hpp).
struct Anomaly {
    std::string skill_name;
    AnomalyType type = AnomalyType::performance_drop;
    double baseline_value = 0.0;
    double observed_value = 0.0;
    double deviation_score = 0.0;  ///< |z|, finite

    // Details; on the wire only if a subscription asks for them.
    std::int64_t baseline_samples = 0;
    std::int64_t observed_samples = 0;
    double z_score = 0.0;           ///< signed: negative if the observed value is smaller
    double tail_probability = 1.0;  ///< one-sided p-value of a deviation at least this large
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
    std::int64_t completed = 0;  ///< those with an unknown outcome included
    std::int64_t distinct_skills = 0;
    std::int64_t unknown = 0;  ///< of `completed`

    bool operator==(const SessionMetrics&) const = default;
};

/// Upper bounds of the histogram buckets of invocation durations, in seconds; the last bucket is unbounded.
inline constexpr std::array kDurationBounds{0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0};

/// All-time counts of one workflow phase of one skill.
struct PhaseTotals {
    std::string workflow_phase;
    std::int64_t completed = 0;  ///< with a known outcome
    std::int64_t failed = 0;
    std::int64_t unknown = 0;
    /// Histogram of the durations of invocations that did not fail.
    std::array<std::int64_t, kDurationBounds.size() + 1> durations{};
    double duration_seconds = 0.0;  ///< sum of those durations

    bool operator==(const PhaseTotals&) const = default;
};

/// All-time counts of one skill, or of all skills summed as `other` (core/totals.hpp).
struct SkillTotals {
    std::string skill_name;
    std::vector<PhaseTotals> phases{};
    std::array<std::int64_t, kAnomalyTypes.size()> anomalies{};  ///< detected, by AnomalyType

    bool operator==(const SkillTotals&) const = default;
};

/// In the order in which the skills were first seen.
using TotalsTable = std::vector<std::shared_ptr<const SkillTotals>>;
using TotalsTablePtr = std::shared_ptr<const TotalsTable>;

/// How many names of one kind are tracked, and how many rows exceeded the limit.
struct TrackedNames {
    std::size_t count = 0;
    std::uint64_t rows_in_other = 0;  ///< rows with a name beyond the limit, since the start or a rebuild

    bool operator==(const TrackedNames&) const = default;
};

struct DatabaseHealth {
    bool readable = false;
    std::string reason;  ///< a short sentence; empty if readable

    bool operator==(const DatabaseHealth&) const = default;
};

inline constexpr std::size_t kMaxSnapshotAlerts = 200;

struct Snapshot {
    std::uint64_t sequence = 0;  ///< incremented every cycle, starting at 1
    TimePoint at;                ///< wall-clock time of the cycle
    std::shared_ptr<const SkillTable> skills = std::make_shared<SkillTable>();
    std::shared_ptr<const std::vector<Anomaly>> anomalies = std::make_shared<std::vector<Anomaly>>();
    /// The open alerts and those that ended within the last hour, newest first; at most kMaxSnapshotAlerts.
    std::shared_ptr<const std::vector<Alert>> alerts = std::make_shared<std::vector<Alert>>();
    std::shared_ptr<const std::vector<SessionMetrics>> sessions = std::make_shared<std::vector<SessionMetrics>>();
    std::uint64_t sessions_version = 0;  ///< changes when `sessions` changes
    std::size_t active_sessions = 0;     ///< all of them; `sessions` lists at most max_sessions
    TrackedNames tracked_skills;
    TrackedNames tracked_sessions;
    TrackedNames tracked_error_types;
    DatabaseHealth database;
    TotalsTablePtr totals = std::make_shared<TotalsTable>();
    std::int64_t uncounted_rows = 0;  ///< estimated rows not in `totals` yet
    CollectorStats collector;         ///< up to this cycle
};

using SnapshotPtr = std::shared_ptr<const Snapshot>;

}  // namespace session_buddy
