// Invocations of every skill by the hour, over the last 24 hours, kept up by reading what is new.
#pragma once

#include <optional>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/protocol/api_response.hpp"
#include "session_buddy/storage/history_queries.hpp"

namespace session_buddy::app {

class HourlyCounts {
  public:
    /// As of `now`, which is in the last hour. Everything is counted anew when another hour begins, and when rows were
    /// changed by hand. Throws StorageError, and counts anew the next time.
    const protocol::Sparklines& update(storage::HistoryQueries& history, TimePoint now);

  private:
    protocol::Sparklines counts_;
    std::optional<storage::HistoryQueries::Cursor> cursor_;
};

}  // namespace session_buddy::app
