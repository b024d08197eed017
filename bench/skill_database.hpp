// Databases of any size for the programs that measure: plausible rows, made fast, without the triggers' work.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/storage/skills_store.hpp"

namespace session_buddy::bench {

struct DatabasePlan {
    std::int64_t rows = 0;
    std::int64_t recent = 0;  ///< of them in the last 24 hours; the others are older, evenly over a year
    std::int64_t skills = 50;
};

/// Makes the database at `path` where there is none of this plan yet, as of `now`; one that is there is kept. No row
/// lies within ten minutes of an edge of the 24 hours, so that counts hold for that long.
void make_database(const std::string& path, const DatabasePlan& plan, TimePoint now);

/// Makes the whole skill_time_series due, as in a database that no server ever ran on.
void reset_rollups(const std::string& path);

/// When the newest row of the database ran: what a stopped clock should show.
[[nodiscard]] TimePoint newest_row(const std::string& path);

/// Moves the recent rows so that the newest lies just before `now`.
void move_recent_rows(const std::string& path, const DatabasePlan& plan, TimePoint now);

/// Records as a program would hand them to the store, all at `at`.
[[nodiscard]] std::vector<storage::InvocationRecord> make_records(std::int64_t count, std::int64_t skills,
                                                                  TimePoint at);

}  // namespace session_buddy::bench
