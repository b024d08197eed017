// Corrections of recorded data: delete a skill or one invocation, or rename a skill.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "session_buddy/storage/error.hpp"

namespace session_buddy::storage {

struct CorrectionOptions {
    std::chrono::milliseconds busy_timeout{5000};
    bool dry_run = false;  ///< count only, change no row
    /// Called between batches with the number of rows done and the total; returning false stops. May be empty.
    std::function<bool(std::int64_t, std::int64_t)> progress;
};

struct CorrectionResult {
    bool found = false;            ///< whether the skill or invocation exists; if not, nothing was changed
    bool stopped = false;          ///< progress returned false; the next call continues
    std::string skill_name;        ///< the skill, or the skill of the invocation
    std::int64_t invocations = 0;  ///< rows deleted or renamed, or that a dry run would change
    std::int64_t pruned = 0;       ///< invocations pruned earlier: only their counts are left, and change with the rest
    std::int64_t merged = 0;       ///< rename: invocations that the new name already had
    std::chrono::microseconds longest_lock{0};  ///< longest time in which no other connection could write
};

// A few rows are changed in one transaction, many in batches, between which other connections can write. The last batch
// also changes the aggregates; a call that stopped before it is completed by calling again. Dedup keys are kept, so
// that the next import does not bring back what was deleted. All functions throw StorageError.

/// Deletes the skill from every table.
[[nodiscard]] CorrectionResult forget_skill(const std::string& path, std::string_view skill_name,
                                            const CorrectionOptions& options = {});
/// Deletes one invocation; with the last one of a skill, the skill is deleted, too. Totals keep counting it: they never
/// go down.
[[nodiscard]] CorrectionResult forget_invocation(const std::string& path, std::int64_t id,
                                                 const CorrectionOptions& options = {});
/// Renames a skill. If there is a skill named `to` already, invocations and metrics of both are merged.
[[nodiscard]] CorrectionResult rename_skill(const std::string& path, std::string_view from, std::string_view to,
                                            const CorrectionOptions& options = {});

}  // namespace session_buddy::storage
