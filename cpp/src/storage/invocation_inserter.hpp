// All inserts of invocations.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "distinct_values.hpp"
#include "session_buddy/storage/invocation_record.hpp"
#include "sql.hpp"

namespace session_buddy::storage {

/// For one connection. All members may throw SQLite::Exception.
class InvocationInserter {
  public:
    /// `max_values`: see OpenOptions::max_values_per_skill.
    InvocationInserter(SQLite::Database& database, std::size_t max_values);

    /// Inserts a valid record. Returns the id.
    std::int64_t insert(const InvocationRecord& record);
    /// Inserts valid records in a write transaction. Returns their ids. When the rows must be inserted one by one,
    /// stops after the first row that ends after `until`; then there are fewer ids, but at least one.
    std::vector<std::int64_t> insert_all(
        std::span<const InvocationRecord* const> records,
        std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max());

    /// The record as it may be stored, with its error type and workflow path limited: for a row that is changed.
    [[nodiscard]] InvocationRecord bounded(const InvocationRecord& record) {
        values_.forget();
        return values_.bounded(record).value_or(record);
    }

  private:
    std::int64_t insert_bounded(const InvocationRecord& record);

    SQLite::Database& database_;
    sql::Statement insert_;
    DistinctValues values_;
};

}  // namespace session_buddy::storage
