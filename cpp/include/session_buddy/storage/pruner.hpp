// Deletes the old rows of skill_invocation, a few milliseconds' worth at a time, and leaves every figure that was
// computed from them as it is.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/totals.hpp"
#include "session_buddy/storage/error.hpp"

namespace session_buddy::storage {

/// The start of the UTC day in which now − keep lies. Rows before it may go: a day is deleted as a whole or not at all.
[[nodiscard]] TimePoint prune_cutoff(TimePoint now, std::chrono::microseconds keep);

/// What lies before a cut-off.
struct PrunableRows {
    std::int64_t rows = 0;          ///< can be deleted
    std::int64_t kept_rows = 0;     ///< stay: of skills without an entry in skill_metrics, which would lose them
    std::optional<TimePoint> from;  ///< the first and the last moment of `rows`
    std::optional<TimePoint> to;
};

/// Counts without writing anything, whatever the version of the schema. Throws StorageError.
[[nodiscard]] PrunableRows prunable_rows(const std::string& path, TimePoint cutoff,
                                         std::chrono::milliseconds busy_timeout);

struct PruneResult {
    std::int64_t rows = 0;       ///< deleted
    std::int64_t kept_rows = 0;  ///< as in PrunableRows
    std::optional<TimePoint> from;
    std::optional<TimePoint> to;
    std::chrono::microseconds longest_lock{0};  ///< of deleting: for which no other connection could write
};

/// Can be ended and begun again at any moment: each step is one transaction, and what is deleted is noted down in it
/// (side table `session_buddy_state`), so that who follows the table or counts its rows is not misled. Triggers do not
/// fire. The newest row always stays, and so do rows without a readable time. Used by one thread.
class Pruner {
  public:
    /// Nothing is opened yet. `cutoff` is a start of a day.
    Pruner(std::string path, TimePoint cutoff, std::chrono::milliseconds busy_timeout, SeriesLimits bounds = {});
    ~Pruner();
    Pruner(const Pruner&) = delete;
    Pruner& operator=(const Pruner&) = delete;

    /// Does a bounded piece; true where more is due. First the hours of the old rows are completed in
    /// skill_time_series and rows in the totals of TotalsTracker, then rows go. Throws StorageError, among others
    /// read_only, and incompatible where a trigger computes figures from the rows again and again; the next Pruner goes
    /// on.
    bool step(TimePoint now);

    /// How long to wait before the next step, so that writers which found the database locked get their turn.
    [[nodiscard]] std::chrono::milliseconds pause() const;

    [[nodiscard]] const PruneResult& result() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace session_buddy::storage
