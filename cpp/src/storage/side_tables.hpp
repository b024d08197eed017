// The side tables: tables of this program next to those of the V4 schema. side_tables.cpp has one entry for each, with
// its columns and with what happens to its rows when an invocation is deleted, a skill is forgotten or renamed, or a
// lost write-ahead log is replayed. A new side table is one entry there, plus the code that reads and writes it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "session_buddy/core/snapshot.hpp"
#include "sql.hpp"

namespace session_buddy::storage {

/// A column that an earlier version of a side table lacks.
struct SideColumn {
    std::string name;
    std::string definition;  ///< as in ALTER TABLE … ADD COLUMN
};

struct SideTable {
    enum class Group : std::uint8_t {
        state,   ///< what the cycle, the rollup, the pruner and the totals remember, by key
        totals,  ///< counters of GET /metrics
        events,  ///< of the event store
        alerts,  ///< alerts and mutes
        stamps,  ///< of the follower
    };
    std::string name;
    Group group;             ///< tables of a group are created together, when one of them is first written
    std::string definition;  ///< follows the name in CREATE TABLE
    std::vector<SideColumn> added_columns{};  ///< those in `definition` that an existing table may lack
    std::string on_forget{};                  ///< SQL for a forgotten skill ?1; empty if its rows stay
    std::string on_rename{};                  ///< SQL for a skill ?1 that is renamed to ?2; on_forget follows it for ?1
    std::string on_delete{};  ///< SQL for a deleted invocation ?1; empty if its rows stay, as dedup keys do
    /// Rows of a lost write-ahead log are inserted again, if the invocation in this column was in that log. The name is
    /// empty if no column names one, and then all rows are inserted; nullopt if none are.
    std::optional<std::string> replayed_with{};
    std::string on_replay{};  ///< ON CONFLICT clause of those insertions; empty: existing rows stay
};

[[nodiscard]] const std::vector<SideTable>& side_tables();

/// Creates the missing tables and columns of a group. Must be called in a write transaction. Like all functions here,
/// may throw SQLite::Exception.
void create_side_tables(SQLite::Database& database, SideTable::Group group);

/// Which rows of a forgotten skill stay.
enum class KeptRows : std::uint8_t {
    none,
    totals,  ///< the counters of GET /metrics, which never go down
};

void forget_in_side_tables(SQLite::Database& database, std::string_view skill_name, KeptRows kept = KeptRows::none);
void rename_in_side_tables(SQLite::Database& database, std::string_view from, std::string_view to);

/// Deletes invocations, with what belongs to them in the full-text index and in the side tables. For one connection.
class InvocationEraser {
  public:
    /// `fts_delete` deletes row ?1 from the full-text index; empty if there is none, or a trigger does it.
    InvocationEraser(SQLite::Database& database, const std::string& fts_delete);

    /// Deletes the row if its time is still `invoked_at`, or nullopt. Returns whether there was such a row.
    bool erase(std::int64_t id, const std::optional<std::string>& invoked_at = std::nullopt);

  private:
    SQLite::Database& database_;
    std::optional<sql::Statement> from_fts_;
    sql::Statement row_;
    std::vector<sql::Statement> from_side_tables_;
};

/// The statement that writes a value ?2 of session_buddy_state under a key ?1.
inline constexpr const char* kPutState = "INSERT OR REPLACE INTO session_buddy_state (key, value) VALUES (?1, ?2)";

/// The columns of the histogram buckets in session_buddy_totals, in the order of kDurationBounds.
inline constexpr std::array<std::string_view, kDurationBounds.size() + 1> kBucketColumns{
    "up_to_0_1s", "up_to_0_5s", "up_to_1s",  "up_to_2s",   "up_to_5s",
    "up_to_10s",  "up_to_30s",  "up_to_60s", "up_to_300s", "longer"};

}  // namespace session_buddy::storage
