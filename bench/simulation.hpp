// Simulated skills with known behaviour, watched by the detector and, during_pruning it, by the plain rule it grew out
// of. Shared by the calibration program and by the test that runs a short form of it.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "session_buddy/anomaly/skill_detector.hpp"

namespace session_buddy::bench {

/// What a skill does at one moment; `t` in hours since the start, invocations come at random (a Poisson process).
struct Behaviour {
    double per_hour = 10.0;
    std::function<double(double t)> completion_rate;  ///< 0 to 1
    std::function<double(double t)> median_seconds;   ///< of log-normal durations
    double sigma = 0.5;                               ///< of the durations' natural logarithm
};

/// A skill whose behaviour does not change.
[[nodiscard]] Behaviour steady(double per_hour, double rate, double sigma);

/// How many of a number of evaluations found something reported.
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
    Counts episodes;          ///< started while evaluations were taken
    double skill_days = 0.0;  ///< over which evaluations were taken
};

/// A evaluate at every full hour of `hours`, counted from hour 24 on, at `skills` skills of this behaviour, once per
/// threshold. A skill that did not run within the hour before is not looked at, as neither rule reports it.
[[nodiscard]] std::vector<Tally> watch(const Behaviour& behaviour, const std::vector<double>& thresholds, int skills,
                                       int hours, std::uint64_t seed);

/// One evaluate at each of `skills` skills, `hours` (or five runs, where that is longer) after hour 24, when the change
/// happens.
[[nodiscard]] std::vector<Tally> evaluate_after_change(const Behaviour& behaviour,
                                                       const std::vector<double>& thresholds, int skills, double hours,
                                                       std::uint64_t seed);

}  // namespace session_buddy::bench
