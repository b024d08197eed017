// Maintains skill_time_series: one row per skill and hour, written when the hour is over, and rewritten when late rows
// arrive.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/storage/error.hpp"

namespace session_buddy::storage {

/// For one background thread, with its own connection, so that a long catch-up never delays a cycle. The watermark is
/// kept in the database (side table `session_buddy_state`), so that a restart neither loses nor repeats work.
class HourlyRollup {
  public:
    HourlyRollup(const std::string& path, std::chrono::milliseconds busy_timeout);
    ~HourlyRollup();
    HourlyRollup(const HourlyRollup&) = delete;
    HourlyRollup& operator=(const HourlyRollup&) = delete;

    /// Does a bounded part of the work due at `now`, in one transaction. Returns true if more is due. Throws
    /// StorageError; a later step then repeats the work. `stop`, if any, is asked every 1,000 rows that are read: once
    /// it returns true, the step returns without reading more, and a later step or process reads these rows again.
    bool step(TimePoint now, const std::function<bool()>& stop = {});

    /// Finalizes the hours before `until`, the start of a past day, so that their rows may be deleted: they are not
    /// counted again, late rows are added to the written ones. Call it after step() returned false. Returns false, and
    /// does nothing, if rows of those hours arrived meanwhile: call step() again. Throws StorageError.
    [[nodiscard]] bool close(TimePoint until);

    /// Closes the connection if its file or write-ahead log was removed or replaced: other connections of this process
    /// may wait for that. The next step() reconnects. Throws StorageError.
    void close_if_stale();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace session_buddy::storage
