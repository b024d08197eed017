// Creates databases of any size for the benchmarks: plausible rows, inserted fast because triggers are off.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/storage/skills_store.hpp"

namespace session_buddy::bench {

struct DatabasePlan {
    std::int64_t rows = 0;
    std::int64_t recent = 0;  ///< rows in the last 24 hours; the others are spread evenly over a year
    std::int64_t skills = 50;
};

/// Creates the database at `path` as of `now`, unless the file exists. No row lies within ten minutes of an edge of the
/// 24 hours, so that counts stay valid for that long.
void make_database(const std::string& path, const DatabasePlan& plan, TimePoint now);

struct DatabaseRow {
    const std::string& skill_name;
    const std::string& session_id;
    TimePoint at;
    bool completed = true;
    double seconds = 0.0;
    const char* error = nullptr;  ///< nullptr: none
};
using RowSink = std::function<void(const DatabaseRow&)>;

/// Creates a database with the rows that `produce` passes to its argument, unless the file exists.
void write_database(const std::string& path, const std::function<void(const RowSink&)>& produce);

/// Makes all rollups of skill_time_series due, as in a database that no server has opened yet.
void reset_rollups(const std::string& path);

/// Time of the newest row: the start value of a stopped clock.
[[nodiscard]] TimePoint newest_row(const std::string& path);

/// Moves the recent rows so that the newest lies just before `now`.
void move_recent_rows(const std::string& path, const DatabasePlan& plan, TimePoint now);

/// Records as a program would pass them to the store, all with time `at`.
[[nodiscard]] std::vector<storage::InvocationRecord> make_records(std::int64_t count, std::int64_t skills,
                                                                  TimePoint at);

}  // namespace session_buddy::bench
