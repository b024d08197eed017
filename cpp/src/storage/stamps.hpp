// The stamps: when rows of skill_invocation were accepted. The server that reads rows first stamps them, and all others
// follow the stored stamps; so log time is the same for all servers over a database.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "session_buddy/core/clock.hpp"
#include "sql.hpp"

namespace session_buddy::storage {

/// Rows up to `last_row` that no earlier stamp has were accepted at `at`. A stamp without rows only lets time pass.
struct StoredStamp {
    std::int64_t seq = 0;
    TimePoint at;
    std::int64_t last_row = 0;
};

/// The stamps on one connection. In the side table `session_buddy_stamp`, in which `at` and `last_row` never decrease.
/// All members may throw SQLite::Exception.
class StampLog {
  public:
    explicit StampLog(SQLite::Database& database);

    /// nullopt if there is none.
    [[nodiscard]] std::optional<StoredStamp> last();
    /// Calls `visit` with the stamps after `seq`, in order, until it returns false.
    void read_after(std::int64_t seq, const std::function<bool(const StoredStamp&)>& visit);

    // In a write transaction:

    /// Adds a stamp after `previous`, the last one. Deletes a few of those before `keep_from`.
    void add(const std::optional<StoredStamp>& previous, TimePoint at, std::int64_t last_row, TimePoint keep_from);
    void remove_all();

  private:
    SQLite::Database& database_;
    sql::DeferredStatement last_;
    sql::DeferredStatement after_;
    sql::DeferredStatement insert_;
    sql::DeferredStatement remove_old_;
};

}  // namespace session_buddy::storage
