// The marks of invocations: what the columns of skill_invocation cannot say. They are in the side table
// session_buddy_mark, which has a row only for an invocation with a mark.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "session_buddy/core/invocation.hpp"
#include "sql.hpp"

namespace session_buddy::storage {

// Bits of session_buddy_mark.marks; others are ignored.
inline constexpr std::int64_t kUnknownOutcomeMark = 1;  ///< Invocation::outcome_is_unknown
inline constexpr std::int64_t kDurationBoundMark = 2;   ///< Invocation::duration_is_bound

/// Reads marks on one connection, in batches, so that most rows cost two comparisons if they are read in order of id.
/// Any other order is correct, too. A missing table has no marks.
class MarkReader {
  public:
    explicit MarkReader(SQLite::Database& database);

    /// Discards what was read. Must be called in each transaction, because another connection may have changed marks,
    /// or created the table.
    void restart();

    /// The marks of an invocation that was read in this transaction; 0 if it has none. May throw SQLite::Exception.
    [[nodiscard]] std::int64_t of(std::int64_t id) { return id >= gap_from_ && id < gap_to_ ? 0 : find(id); }

    /// Sets the members of an Invocation or an InvocationView. An outcome is unknown only if the row is stored as
    /// completed: otherwise another program has corrected it. May throw SQLite::Exception.
    template <typename Row>
    void add_to(Row& row, std::int64_t id) {
        if (const std::int64_t marks = of(id); marks != 0) {
            row.outcome_is_unknown = row.completed && (marks & kUnknownOutcomeMark) != 0;
            row.duration_is_bound = (marks & kDurationBoundMark) != 0;
        }
    }
    void add_to(Invocation& invocation) { add_to(invocation, invocation.id); }

  private:
    using Mark = std::pair<std::int64_t, std::int64_t>;  // id and marks

    std::int64_t find(std::int64_t id);
    void read_from(std::int64_t id);

    SQLite::Database& database_;
    sql::DeferredStatement rows_;  // the table may be missing
    // All marks with an id in [known_from_, known_to_], sorted.
    std::vector<Mark> known_;
    std::int64_t known_from_ = 0;
    std::int64_t known_to_ = -1;
    // The last gap between marks: no id in [gap_from_, gap_to_) has one.
    std::int64_t gap_from_ = 0;
    std::int64_t gap_to_ = 0;
};

// SQL expressions on a row of skill_invocation, also for a database without marks.

/// The marks; 0 if it has none.
[[nodiscard]] std::string marks_expression(SQLite::Database& database);
/// 1 for an unknown outcome, else 0.
[[nodiscard]] std::string unknown_expression(SQLite::Database& database);
/// 1 for a duration that is an upper bound, else 0.
[[nodiscard]] std::string bound_expression(SQLite::Database& database);
/// Aggregate: the mean of a duration expression over the rows with a measured duration; without any, over those with an
/// upper bound; NULL if there are none.
[[nodiscard]] std::string mean_expression(SQLite::Database& database, std::string_view duration);
/// The same for the valid durations of completed rows.
[[nodiscard]] std::string mean_duration_expression(SQLite::Database& database);

}  // namespace session_buddy::storage
