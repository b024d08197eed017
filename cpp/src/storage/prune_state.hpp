// What the pruner has deleted from skill_invocation, stored in the side table `session_buddy_state`, for all who count
// rows.
#pragma once

#include <cstdint>

#include "session_buddy/core/clock.hpp"
#include "sql.hpp"

namespace session_buddy::storage {

struct PruneState {
    TimePoint pruned_before = TimePoint::min();  ///< start of a day; hours before it are final in skill_time_series
    std::int64_t counted_id = 0;                 ///< last row of those hours that is in skill_time_series
    std::int64_t rows = 0;                       ///< total number of deleted rows
    std::int64_t last_id = 0;                    ///< largest deleted id

    bool operator==(const PruneState&) const = default;
    [[nodiscard]] bool same_hours(const PruneState& other) const {
        return pruned_before == other.pruned_before && counted_id == other.counted_id;
    }
};

/// Reads the state repeatedly on one connection. All members may throw SQLite::Exception.
class PruneStateReader {
  public:
    explicit PruneStateReader(SQLite::Database& database);

    /// An empty state if nothing was ever pruned.
    [[nodiscard]] PruneState read();

  private:
    sql::Statement tables_;
    sql::DeferredStatement values_;  // there may be no table yet; a restored copy may lack it again
};

/// Creates the table if it is missing. Must be called in a write transaction. Throws SQLite::Exception.
void write_prune_state(SQLite::Database& database, const PruneState& state);

}  // namespace session_buddy::storage
