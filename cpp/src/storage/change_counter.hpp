// A counter of changes to skill_invocation that a reader by id cannot see: updates, deletions, and inserts that reuse
// an id. Triggers increment it, in any program that makes the change.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "sql.hpp"

namespace session_buddy::storage {

struct ChangeTrigger {
    std::string_view name;
    std::string_view text;
};

/// Plain SQL without functions of this program, so that any program can fire them.
extern const std::array<ChangeTrigger, 3> kChangeTriggers;

[[nodiscard]] bool is_change_trigger(std::string_view name, std::string_view text);

/// Creates the triggers and the counter if they are missing. Must be called in a write transaction. Throws
/// SQLite::Exception.
void install_change_counter(SQLite::Database& database);

/// Counts a change to rows that exists only in a side table, such as a mark that was added or removed. Does nothing if
/// there is no counter. Must be called in the transaction of the change. Throws SQLite::Exception.
void count_change(SQLite::Database& database);

/// Reads the counter on one connection. All members may throw SQLite::Exception.
class ChangeCounterReader {
  public:
    explicit ChangeCounterReader(SQLite::Database& database);

    /// nullopt if a trigger or the counter is missing. Any different value means that rows were changed: it may also be
    /// smaller, in another database or after the counter was created again.
    [[nodiscard]] std::optional<std::int64_t> read();

  private:
    sql::Statement objects_;
    sql::DeferredStatement counter_;  // there may be no sqlite_sequence
};

}  // namespace session_buddy::storage
