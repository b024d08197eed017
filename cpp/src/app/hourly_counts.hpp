// Hourly invocation counts of every skill over the last 24 hours, updated incrementally from new rows.
#pragma once

#include <optional>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/protocol/api_response.hpp"
#include "session_buddy/storage/history_queries.hpp"

namespace session_buddy::app {

class HourlyCounts {
  public:
    /// The counts as of `now`, which is in the last hour. Counts everything again when a new hour begins or existing
    /// rows were changed. Throws StorageError; the next call then counts everything again.
    const protocol::Sparklines& update(storage::HistoryQueries& history, TimePoint now);

  private:
    protocol::Sparklines counts_;
    std::optional<storage::HistoryQueries::Cursor> cursor_;
};

}  // namespace session_buddy::app
