// Simulated skills with known behaviour, evaluated by the anomaly detector and by the plain rule that it replaces.
// Shared by the calibration program and the test that runs a short form of it.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "session_buddy/anomaly/skill_detector.hpp"

namespace session_buddy::bench {

/// Behaviour of a skill over time: `t` in hours since the start; invocations arrive as a Poisson process.
struct Behaviour {
    double per_hour = 10.0;
    std::function<double(double t)> completion_rate;  ///< 0 to 1
    std::function<double(double t)> median_seconds;   ///< of log-normal durations
    double sigma = 0.5;                               ///< of the durations' natural logarithm
};

/// A skill whose behaviour does not change.
[[nodiscard]] Behaviour steady(double per_hour, double rate, double sigma);

/// Number of evaluations that reported an anomaly, by type.
struct Counts {
    std::int64_t drop = 0;
    std::int64_t spike = 0;
    std::int64_t shift = 0;
};

struct Tally {
    double threshold = 0.0;
    std::int64_t evaluations = 0;
    Counts detector;
    Counts plain;             ///< the plain rule at the same moments
    Counts episodes;          ///< that started within the evaluated time
    double skill_days = 0.0;  ///< evaluated time
};

/// Evaluates `skills` skills of this behaviour at every full hour of `hours`, from hour 24 on, once per threshold.
/// Skips a skill without an invocation in the previous hour, as neither rule reports it.
[[nodiscard]] std::vector<Tally> watch(const Behaviour& behaviour, const std::vector<double>& thresholds, int skills,
                                       int hours, std::uint64_t seed);

/// Evaluates each of `skills` skills once, `hours` (or the time of five invocations, if that is longer) after hour 24,
/// when the change happens.
[[nodiscard]] std::vector<Tally> evaluate_after_change(const Behaviour& behaviour,
                                                       const std::vector<double>& thresholds, int skills, double hours,
                                                       std::uint64_t seed);

}  // namespace session_buddy::bench
