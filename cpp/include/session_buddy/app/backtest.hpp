// Looks back: what a recorded history would have caused to be reported, and what is to be reported at one moment of it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "session_buddy/app/anomaly_stream.hpp"
#include "session_buddy/storage/error.hpp"

namespace session_buddy::app {

/// Called every few thousand rows; what it throws ends the work.
using Heartbeat = std::function<void()>;

struct BacktestQuery {
    std::optional<TimePoint> from{};  ///< nothing for the beginning of the history
    TimePoint to;                     ///< not before `from`
    std::string skill_name{};         ///< this one alone; empty for all
};

struct BacktestResult {
    std::int64_t rows = 0;          ///< from `from` to `to`
    std::int64_t warm_up_rows = 0;  ///< of the one baseline window before `from`, which is evaluated as well
    std::int64_t skipped_rows = 0;  ///< could not be read
    std::int64_t skills = 0;        ///< different ones among `rows`
    /// Those that were open at `from` or later. One that started before it did so on the incomplete baseline of the
    /// warm-up.
    std::vector<ReportedEpisode> episodes;
};

/// Feeds the rows to the anomaly engine in the order of their times, as if each had been recorded when it happened: an
/// import that brought the sessions in one after the other is replayed as they ran. Memory does not grow with the rows.
/// Opens the database read-only. Throws StorageError.
[[nodiscard]] BacktestResult backtest(const std::string& db_path, const BacktestQuery& query,
                                      const anomaly::DetectorOptions& options, const Heartbeat& heartbeat);

/// What the server would report at `at`: feeds the rows of the two baseline windows before it, in the order of id. Rows
/// after `at` are left out. Opens the database read-only. Throws StorageError.
[[nodiscard]] std::vector<Anomaly> detect_anomalies(const std::string& db_path, TimePoint at,
                                                    const anomaly::DetectorOptions& options,
                                                    const Heartbeat& heartbeat);

}  // namespace session_buddy::app
