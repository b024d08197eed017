// Reads the recorded invocations of a stretch of time once, from beginning to end, without writing anything.
// For whoever looks back; the Follower is for whoever looks on.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "session_buddy/core/invocation.hpp"
#include "session_buddy/storage/error.hpp"

namespace session_buddy::storage {

struct HistoryQuery {
    enum class Order {
        id,    ///< as they were recorded, and as the Follower hands them out
        time,  ///< as they happened, whenever they were recorded; by id within one moment
    };
    std::optional<TimePoint> from{};  ///< rows of this moment and later; nothing for all
    TimePoint to;                     ///< up to this moment, itself included
    Order order = Order::id;
    std::string skill_name{};  ///< of this skill alone; empty for all
    std::chrono::milliseconds busy_timeout{5000};
};

struct HistoryCounts {
    std::int64_t rows = 0;
    std::int64_t skipped_rows = 0;  ///< without a readable time, or in the stretch and without a readable name
};

struct HistoryConsumer {
    std::function<void()> on_start;                 ///< before the first row, and again where the reading starts anew
    std::function<void(const Invocation&)> on_row;  ///< what it throws ends the reading
};

/// Hands out the rows of a skills database of any version. Rows are sorted on disk and read one by one, so that memory
/// does not grow with them. The file is opened read-only: nothing is created, migrated or recovered. A database that
/// nobody has open is read without a lock, so that no file is left beside it; should it be written to meanwhile, the
/// reading starts anew. Throws StorageError: missing, not_a_database, damaged, foreign_database, newer_version,
/// incompatible, busy, io.
HistoryCounts read_history(const std::string& path, const HistoryQuery& query, const HistoryConsumer& consumer);

}  // namespace session_buddy::storage
