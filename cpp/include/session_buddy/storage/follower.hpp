// Follows skill_invocation by id and tells what is new; goes on beside a Pruner, and notices a database that was
// replaced, restored or truncated, or lost rows otherwise. One thread uses it, on a connection of its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/snapshot.hpp"
#include "session_buddy/storage/cycle_writer.hpp"
#include "session_buddy/storage/error.hpp"
#include "session_buddy/storage/totals_store.hpp"

namespace SQLite {
class Database;
}

namespace session_buddy::storage {

struct FollowerOptions {
    std::chrono::milliseconds open_busy_timeout{5000};  ///< for the first open, which may create or migrate
    std::chrono::milliseconds poll_busy_timeout{100};   ///< for every later statement: a poll never waits longer
    std::chrono::seconds lookback{86400};               ///< a rebuild returns the rows of this much time before now
    std::uint32_t max_rows = 50000;                     ///< of one batch
    bool replace_triggers = false;
};

struct Batch {
    bool rebuilt = false;          ///< forget everything known before: this batch starts anew
    bool more = false;             ///< max_rows was reached; poll again for the rest
    std::vector<Invocation> rows;  ///< readable rows, in the order of id; times are as stored, even in the future
    /// Lifetime figures of every skill (rebuilt) or of each skill that has new rows.
    std::vector<std::pair<std::string, LifetimeMetrics>> lifetimes;
    std::int64_t skipped_rows = 0;  ///< unreadable rows passed over in this batch
};

class Follower {
  public:
    Follower(std::string path, FollowerOptions options);
    ~Follower();
    Follower(const Follower&) = delete;
    Follower& operator=(const Follower&) = delete;

    /// Opens (creating or migrating) the database. Throws StorageError. poll() opens by itself after trouble, but never
    /// creates a file that has gone.
    void open();

    /// What is new since the last poll; cheap where nothing is. The first one after open() is a rebuild. Throws
    /// StorageError where the database cannot be read now; nothing is lost by that, the next poll goes on where the
    /// last good one ended.
    [[nodiscard]] Batch poll(TimePoint now);

    /// Closes the connection where its file or log is no longer what it was, which saves what only a removed log holds;
    /// cheap where it is. The next poll() opens another. Throws StorageError where that cannot be found out.
    void close_if_stale();

    /// Makes the next poll a rebuild.
    void request_rebuild();

    /// The open connection, for the writers that share this thread; nullptr where there is none. Valid until the next
    /// poll().
    [[nodiscard]] SQLite::Database* connection() noexcept;
    /// Writes through that connection; the same holds for it.
    [[nodiscard]] CycleWriter* writer();
    /// The totals on that connection; the same holds for them. Throws StorageError.
    [[nodiscard]] TotalsStore* totals();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace session_buddy::storage
