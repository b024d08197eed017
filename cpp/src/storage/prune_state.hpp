// What was deleted from skill_invocation so far, as the side table `session_buddy_state` keeps it: for everybody who
// counts rows.
#pragma once

#include <cstdint>
#include <optional>

#include "session_buddy/core/clock.hpp"
#include "sql.hpp"

namespace session_buddy::storage {

struct PruneState {
    TimePoint pruned_before = TimePoint::min();  ///< the start of a day; hours before it are final in skill_time_series
    std::int64_t counted_id = 0;                 ///< rows up to here and of those hours are in skill_time_series
    std::int64_t rows = 0;                       ///< deleted ones, ever
    std::int64_t last_id = 0;                    ///< the largest id of them

    bool operator==(const PruneState&) const = default;
    [[nodiscard]] bool same_hours(const PruneState& other) const {
        return pruned_before == other.pruned_before && counted_id == other.counted_id;
    }
};

/// Reads the state again and again. Belongs to one connection. Every failure is a SQLite::Exception.
class PruneStateReader {
  public:
    explicit PruneStateReader(SQLite::Database& database);

    /// A state with nothing deleted where nobody ever pruned.
    [[nodiscard]] PruneState read();

  private:
    SQLite::Database& database_;
    sql::Statement tables_;
    std::optional<sql::Statement> values_;  // none as long as there is no table; a copy put back may have none again
};

/// In a write transaction, which makes the table where it is missing. Every failure is a SQLite::Exception.
void write_prune_state(SQLite::Database& database, const PruneState& state);

}  // namespace session_buddy::storage
