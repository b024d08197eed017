// Prunes a database at one go, for whoever waits for it: what `session-buddy prune` is made of.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "session_buddy/core/config.hpp"
#include "session_buddy/storage/pruner.hpp"

namespace session_buddy::app {

/// Called after each step with the rows that are dealt with and those there are in all; false stops. What it throws
/// ends the pruning.
using PruneProgress = std::function<bool(std::int64_t done, std::int64_t total)>;

struct PruneSummary {
    TimePoint cutoff;             ///< rows from before it were to go
    storage::PruneResult result;  ///< of a dry run, what it would be, without a lock
    bool stopped = false;
};

/// Deletes what is older than `keep`, in the steps and with the pauses of storage::Pruner; a dry run counts and writes
/// nothing. `config` says for which server the rest has to be enough: throws ConfigError where it is not, and
/// StorageError.
[[nodiscard]] PruneSummary prune(const Config& config, Seconds keep, bool dry_run, const PruneProgress& progress);

}  // namespace session_buddy::app
