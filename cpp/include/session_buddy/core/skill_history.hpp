// What the database holds about a skill in addition to its current metrics: results of history queries.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "session_buddy/core/alert.hpp"
#include "session_buddy/core/clock.hpp"

namespace session_buddy {

struct PhaseCount {
    std::optional<std::string> workflow_phase{};
    std::int64_t invocation_count = 0;
    std::int64_t completed_count = 0;              ///< those with an unknown outcome included
    std::int64_t unknown_count = 0;                ///< of completed_count
    std::optional<double> avg_duration_seconds{};  ///< of completed invocations with a duration
};

struct ErrorTypeCount {
    std::string error_type;
    std::int64_t count = 0;
};

/// The part of a skill's response that is not in a snapshot.
struct SkillHistory {
    std::optional<TimePoint> first_invocation_at{};
    std::vector<ErrorTypeCount> errors;  ///< of failed invocations, the most frequent first
    std::vector<PhaseCount> phases;      ///< the most frequent first
};

/// An episode as read back from a row of skill_anomalies. Columns that other programs may leave NULL are optional.
struct StoredEpisode {
    std::int64_t id = 0;
    std::string skill_name;
    std::string anomaly_type;
    std::optional<double> baseline_value{};
    std::optional<double> observed_value{};
    std::optional<double> deviation_score{};
    TimePoint detected_at;
    std::optional<TimePoint> resolved_at{};
};

/// A part of the stored alerts, and the mutes.
struct AlertPage {
    std::int64_t total = 0;     ///< alerts that match, on all pages
    std::vector<Alert> alerts;  ///< newest first
    std::vector<Mute> mutes;    ///< those in effect, of all skills, by name

    bool operator==(const AlertPage&) const = default;
};

}  // namespace session_buddy
