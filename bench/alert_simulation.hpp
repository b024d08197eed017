// Simulated databases and skills for the alert engine: stationary ones, in which every alert is false, and single
// skills with one change. Shared by the calibration programs and by the tests that run short forms of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "session_buddy/anomaly/alert_engine.hpp"
#include "session_buddy/core/invocation.hpp"

namespace session_buddy::bench {

/// A database in which nothing changes.
struct StationaryDatabase {
    enum class Use : std::uint8_t { zipf, uniform, bursty };
    enum class Durations : std::uint8_t { none, log_normal, pareto };

    std::size_t skills = 200;
    double per_day = 100'000.0;  ///< invocations of all skills
    Use use = Use::zipf;         ///< bursty: as zipf, but nine tenths of the invocations within a tenth of the hours
    double rate = 0.9;           ///< completion rate
    Durations durations = Durations::log_normal;
    double sigma = 0.8;  ///< of ln(duration)
    double pareto_alpha = 2.5;
    double rhythm = 0.0;        ///< amplitude of the daily change of the rate, a fraction
    bool retries = false;       ///< failures come in runs of 1 to 15 in one session, with a mean of 3
    std::size_t sessions = 10;  ///< at a time; a session makes about 60 invocations; 0: no session ids
};

/// Passes `days` days of invocations in order of time to `sink`.
void simulate(const StationaryDatabase& database, double days, std::uint64_t seed,
              const std::function<void(const Invocation&)>& sink);

/// Alerts by kind (AlertKind).
using AlertCounts = std::array<std::int64_t, 5>;
[[nodiscard]] AlertCounts count_alerts(const StationaryDatabase& database, double days, double budget_per_day,
                                       std::uint64_t seed);

/// One skill with a completion rate that falls once. Hours.
struct FallingRate {
    double before = 0.9;
    double after = 0.8;
    double per_hour = 40.0;
    double warm = 24.0;
    double quiet = 48.0;
    double rest = 24.0;  ///< after the change
};
/// Passes its invocations, completed or not and at what hour, to `sink` until that returns false.
void simulate(const FallingRate& stream, std::uint64_t seed, const std::function<bool(bool, double)>& sink);

struct Detection {
    std::int64_t false_alerts = 0;  ///< in the quiet time
    std::optional<double> delay;    ///< hours from the change to the first alert
};
/// Completion rates fallen that the alert engine reports with this budget.
[[nodiscard]] Detection detect(const FallingRate& stream, double budget_per_day, std::uint64_t seed);
/// The CUSUM that knows both rates; it alerts at `threshold` and starts again.
[[nodiscard]] Detection detect_by_cusum(const FallingRate& stream, double threshold, std::uint64_t seed);

}  // namespace session_buddy::bench
