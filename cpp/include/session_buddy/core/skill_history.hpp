// What the database holds of a skill beside its present figures, as it travels from the queries to their answers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "session_buddy/core/clock.hpp"

namespace session_buddy {

struct PhaseCount {
    std::optional<std::string> workflow_phase{};
    std::int64_t invocation_count = 0;
    std::int64_t completed_count = 0;
    std::optional<double> avg_duration_seconds{};  ///< of completed runs that have one
};

struct ErrorTypeCount {
    std::string error_type;
    std::int64_t count = 0;
};

/// What a snapshot does not hold of a skill.
struct SkillHistory {
    std::optional<TimePoint> first_invocation_at{};
    std::vector<ErrorTypeCount> errors;  ///< of runs that failed, the most frequent first
    std::vector<PhaseCount> phases;      ///< the most frequent first
};

/// A row of skill_anomalies. Other programs may have left out a value.
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

}  // namespace session_buddy
