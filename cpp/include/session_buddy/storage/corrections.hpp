// Takes back what was recorded by mistake: a skill, one invocation of it, or the name of a skill.
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
    bool dry_run = false;  ///< change no row
    /// Called between batches with the rows that are done and all of them; false stops. May be empty.
    std::function<bool(std::int64_t, std::int64_t)> progress;
};

struct CorrectionResult {
    bool found = false;            ///< the skill or invocation; else nothing was changed
    bool stopped = false;          ///< by progress; the next call goes on
    std::string skill_name;        ///< that it was of
    std::int64_t invocations = 0;  ///< rows that were deleted or renamed, or would be
    std::int64_t pruned = 0;  ///< further invocations, whose rows were deleted before and whose counts go with them
    std::int64_t merged = 0;  ///< of a rename: invocations that the new name had already
    std::chrono::microseconds longest_lock{0};  ///< for which no other connection could write
};

// A few rows are one transaction. Many are batches, between which others can write; the last one does the rest, and
// what was stopped before it is complete once the call is made again. Keys by which sources know an invocation stay:
// what was forgotten does not come back with the next import. All throw StorageError.

/// Deletes the skill from every table.
[[nodiscard]] CorrectionResult forget_skill(const std::string& path, std::string_view skill_name,
                                            const CorrectionOptions& options = {});
/// Deletes one invocation, and the skill with its last one. The totals of TotalsTracker keep it: they never go down.
[[nodiscard]] CorrectionResult forget_invocation(const std::string& path, std::int64_t id,
                                                 const CorrectionOptions& options = {});
/// Gives the invocations of a skill another name, and joins the metrics of both where there is a skill of that name.
[[nodiscard]] CorrectionResult rename_skill(const std::string& path, std::string_view from, std::string_view to,
                                            const CorrectionOptions& options = {});

}  // namespace session_buddy::storage
