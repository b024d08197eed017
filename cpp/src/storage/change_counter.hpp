// Counts changes to rows of skill_invocation that a reader by id cannot see: updates, deletions, and rows inserted
// under an id that was used before. Triggers do it, in whatever program makes the change.
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

/// Plain SQL that any SQLite shell can run.
extern const std::array<ChangeTrigger, 3> kChangeTriggers;

[[nodiscard]] bool is_change_trigger(std::string_view name, std::string_view text);

/// Makes the triggers and the counter where they are missing. In a write transaction. Every failure is a
/// SQLite::Exception.
void install_change_counter(SQLite::Database& database);

/// Belongs to one connection. Every failure is a SQLite::Exception.
class ChangeCounterReader {
  public:
    explicit ChangeCounterReader(SQLite::Database& database);

    /// Nothing where a trigger or the counter is missing. Any other value than before means that rows were changed:
    /// another database, or a counter that was made again, may have a smaller one.
    [[nodiscard]] std::optional<std::int64_t> read();

  private:
    SQLite::Database& database_;
    sql::Statement objects_;
    std::optional<sql::Statement> counter_;  // none as long as there is no sqlite_sequence
};

}  // namespace session_buddy::storage
