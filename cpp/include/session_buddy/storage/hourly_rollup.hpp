// Keeps skill_time_series: one row a skill and hour, written when the hour is over, written again where late rows
// arrive.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/storage/error.hpp"

namespace session_buddy::storage {

/// Has a connection of its own and is driven by one background thread, so that a long catch-up never delays a cycle.
/// How far it came is kept in the database (side table `session_buddy_state`), so nothing is lost or done twice over a
/// restart.
class HourlyRollup {
  public:
    HourlyRollup(std::string path, std::chrono::milliseconds busy_timeout);
    ~HourlyRollup();
    HourlyRollup(const HourlyRollup&) = delete;
    HourlyRollup& operator=(const HourlyRollup&) = delete;

    /// Does a bounded piece of what is due at `now` in one transaction. True where more is due. Throws StorageError;
    /// the same work is then done by a later step.
    bool step(TimePoint now);

    /// Makes the hours before `until`, the start of a day that is over, final, so that their rows may be deleted: they
    /// are not counted anew from then on, rows that come late are added to what is written. Call it after a step()
    /// that returned false. False, with nothing done, where rows for those hours came in meanwhile: step() again.
    /// Throws StorageError.
    [[nodiscard]] bool close(TimePoint until);

    /// Closes the connection where its file or log is no longer what it was: others of this process may be waiting for
    /// that. The next step() opens another. Throws StorageError.
    void close_if_stale();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace session_buddy::storage
