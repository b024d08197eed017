// Deletes old rows of skill_invocation in batches of a few milliseconds, and keeps all metrics computed from them.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/totals.hpp"
#include "session_buddy/storage/error.hpp"

namespace session_buddy::storage {

/// The start of the UTC day that contains now − keep. Rows before it may be deleted: always whole days.
[[nodiscard]] TimePoint prune_cutoff(TimePoint now, std::chrono::microseconds keep);

/// The rows before a cutoff.
struct PrunableRows {
    std::int64_t rows = 0;  ///< to be deleted
    std::int64_t kept_rows =
        0;  ///< kept, because their skills have no row in skill_metrics that would still count them
    std::optional<TimePoint> from;  ///< time of the first and the last of `rows`
    std::optional<TimePoint> to;
};

/// Counts without writing; any schema version. Throws StorageError.
[[nodiscard]] PrunableRows prunable_rows(const std::string& path, TimePoint cutoff,
                                         std::chrono::milliseconds busy_timeout);

struct PruneResult {
    std::int64_t rows = 0;       ///< deleted
    std::int64_t kept_rows = 0;  ///< as in PrunableRows
    std::optional<TimePoint> from;
    std::optional<TimePoint> to;
    std::chrono::microseconds longest_lock{0};  ///< longest time in which deleting blocked other writers
};

/// Can be stopped and restarted at any time: each step is one transaction that also records what it deleted (side table
/// `session_buddy_state`), for those who tail the table or count its rows. Triggers do not fire. The newest row and
/// rows without a readable time are always kept. For one thread.
class Pruner {
  public:
    /// Opens nothing. `cutoff` must be the start of a day.
    Pruner(const std::string& path, TimePoint cutoff, std::chrono::milliseconds busy_timeout, SeriesLimits bounds = {});
    ~Pruner();
    Pruner(const Pruner&) = delete;
    Pruner& operator=(const Pruner&) = delete;

    /// Does a bounded part of the work; returns true if more is due. First completes skill_time_series and the totals
    /// of the old rows, then deletes rows. Throws StorageError: read_only; incompatible if a trigger recomputes metrics
    /// from all rows. A new Pruner continues. `stop`: as in HourlyRollup::step().
    bool step(TimePoint now, const std::function<bool()>& stop = {});

    /// How long to wait before the next step, so that waiting writers can write.
    [[nodiscard]] std::chrono::milliseconds pause() const;

    [[nodiscard]] const PruneResult& result() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace session_buddy::storage
