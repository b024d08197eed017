// Reads session_buddy_mark in batches, in order of id.
#include "marks.hpp"

#include <SQLiteCpp/Database.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <iterator>

#include "schema_fragments.hpp"

namespace session_buddy::storage {
namespace {

constexpr std::int64_t kMarksPerBatch = 256;

}  // namespace

MarkReader::MarkReader(SQLite::Database& database)
    : database_(database),
      rows_(database, fmt::format("SELECT invocation_id, marks FROM session_buddy_mark WHERE invocation_id >= ?1"
                                  " ORDER BY invocation_id LIMIT {}",
                                  kMarksPerBatch)) {}

void MarkReader::restart() {
    known_.clear();
    known_from_ = 0;
    known_to_ = -1;
    gap_from_ = 0;
    gap_to_ = 0;
}

void MarkReader::read_from(std::int64_t id) {
    known_.clear();
    // A changed schema was noticed by the statement that read the invocation.
    if (!sql::has_known_table(database_, "session_buddy_mark")) {
        rows_.forget();
        known_from_ = std::numeric_limits<std::int64_t>::min();
        known_to_ = std::numeric_limits<std::int64_t>::max();
        return;
    }
    sql::Statement& rows = rows_.with(id);
    while (rows.step()) {
        known_.emplace_back(rows.integer(0), rows.integer(1));
    }
    known_from_ = id;
    known_to_ = static_cast<std::int64_t>(known_.size()) < kMarksPerBatch ? std::numeric_limits<std::int64_t>::max()
                                                                          : known_.back().first;
}

std::int64_t MarkReader::find(std::int64_t id) {
    if (id < known_from_ || id > known_to_) {
        read_from(id);
    }
    const auto next = std::ranges::lower_bound(known_, id, {}, &Mark::first);
    if (next != known_.end() && next->first == id) {
        return next->second;
    }
    gap_from_ = next == known_.begin() ? known_from_ : std::prev(next)->first + 1;
    gap_to_ = next == known_.end() ? known_to_ : next->first;
    return 0;
}

std::string marks_expression(SQLite::Database& database) {
    return sql::has_table(database, "session_buddy_mark")
               ? "coalesce((SELECT mark.marks FROM session_buddy_mark AS mark"
                 " WHERE mark.invocation_id = skill_invocation.id), 0)"
               : "0";
}

std::string unknown_expression(SQLite::Database& database) {
    return fmt::format("(completed AND {} & {} <> 0)", marks_expression(database), kUnknownOutcomeMark);
}

std::string bound_expression(SQLite::Database& database) {
    return fmt::format("({} & {} <> 0)", marks_expression(database), kDurationBoundMark);
}

std::string mean_expression(SQLite::Database& database, std::string_view duration) {
    return fmt::format("coalesce(avg(CASE WHEN NOT {0} THEN {1} END), avg({1}))", bound_expression(database), duration);
}

std::string mean_duration_expression(SQLite::Database& database) {
    return mean_expression(database, SESSION_BUDDY_TIMED);
}

}  // namespace session_buddy::storage
