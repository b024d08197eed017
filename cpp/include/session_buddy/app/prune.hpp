// Prunes a database in the foreground: the core of `session-buddy prune`.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "session_buddy/core/config.hpp"
#include "session_buddy/storage/pruner.hpp"

namespace session_buddy::app {

/// Called after each step with the number of rows processed and the total; false stops. An exception from it aborts the
/// pruning.
using PruneProgress = std::function<bool(std::int64_t done, std::int64_t total)>;

struct PruneSummary {
    TimePoint cutoff;             ///< rows older than this were to be deleted
    storage::PruneResult result;  ///< of a dry run: what would be deleted, without the lock time
    bool stopped = false;
};

/// Deletes rows older than `keep`, in the steps and with the pauses of storage::Pruner; a dry run counts and writes
/// nothing. Throws ConfigError if `keep` is shorter than what a server with `config` needs, and StorageError.
[[nodiscard]] PruneSummary prune(const Config& config, Seconds keep, bool dry_run, const PruneProgress& progress);

}  // namespace session_buddy::app
