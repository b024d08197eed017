// Reads the recorded invocations of a time range once, from start to end, without writing (backtests). To tail new
// invocations, use Follower.
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
        id,    ///< in the order they were recorded, as Follower returns them
        time,  ///< in the order they happened; by id if at the same time
    };
    std::optional<TimePoint> from{};  ///< first time, inclusive; nullopt for all
    TimePoint to;                     ///< last time, inclusive
    Order order = Order::id;
    std::string skill_name{};  ///< empty for all skills
    std::chrono::milliseconds busy_timeout{5000};
};

struct HistoryCounts {
    std::int64_t rows = 0;
    std::int64_t skipped_rows = 0;  ///< no readable time, or in the range and no readable name
};

struct HistoryConsumer {
    std::function<void()> on_start;  ///< before the first row, and again when reading restarts from the first row
    std::function<void(const Invocation&)> on_row;  ///< an exception stops reading
};

/// Passes the rows of a skills database of any version to `consumer`. Rows are sorted on disk and read one by one, so
/// memory use does not depend on their number. The file is opened read-only: nothing is created, migrated or recovered.
/// A database that no process has open is read without locks, so that no -wal or -shm file is left behind; if a process
/// writes to it meanwhile, reading restarts. Throws StorageError: missing, not_a_database, damaged, foreign_database,
/// newer_version, incompatible, busy, io.
HistoryCounts read_history(const std::string& path, const HistoryQuery& query, const HistoryConsumer& consumer);

}  // namespace session_buddy::storage
