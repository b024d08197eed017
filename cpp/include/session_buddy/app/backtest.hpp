// Backtest: the alerts and anomalies that would have been detected in a recorded history, and the anomalies at one time
// in it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "session_buddy/app/anomaly_stream.hpp"
#include "session_buddy/storage/error.hpp"

namespace session_buddy::app {

/// Called every few thousand rows. An exception from it aborts the work.
using Heartbeat = std::function<void()>;

struct BacktestQuery {
    std::optional<TimePoint> from{};  ///< nullopt: from the beginning of the history
    TimePoint to;                     ///< not before `from`
    std::string skill_name{};         ///< only this skill; empty for all
    /// Alert budgets, per second; 0: off. The alerts of the first one are listed, those of the others are counted.
    std::vector<double> alert_budgets{0.0};
};

struct BacktestResult {
    std::int64_t rows = 0;          ///< between `from` and `to`
    std::int64_t warm_up_rows = 0;  ///< in the baseline window before `from`, which is evaluated too
    std::int64_t skipped_rows = 0;  ///< rows that could not be read
    std::int64_t skills = 0;        ///< distinct skills in `rows`
    /// Episodes that were open at `from` or later. One that started before `from` was found with the incomplete
    /// baseline of the warm-up.
    std::vector<ReportedEpisode> episodes;
    std::vector<Alert> alerts;  ///< of the first budget; open at `from` or later
    /// For each budget, the alerts that were detected at `from` or later, improvements included.
    std::vector<std::int64_t> alerts_by_budget;
};

/// What the alerts learn from before `from`.
inline constexpr std::chrono::days kAlertWarmUp{14};

/// Replays the rows in order of their time, as if each had been recorded when it happened, so that sessions that were
/// imported one after the other interleave as they did. Memory does not grow with the number of rows. Opens the
/// database read-only. Throws StorageError.
[[nodiscard]] BacktestResult backtest(const std::string& db_path, const BacktestQuery& query,
                                      const anomaly::DetectorOptions& options, const Heartbeat& heartbeat);

/// The anomalies the server would report at `at`, from the rows of the two baseline windows before it, in order of id.
/// Later rows are ignored. Opens the database read-only. Throws StorageError.
[[nodiscard]] std::vector<Anomaly> detect_anomalies(const std::string& db_path, TimePoint at,
                                                    const anomaly::DetectorOptions& options,
                                                    const Heartbeat& heartbeat);

}  // namespace session_buddy::app
