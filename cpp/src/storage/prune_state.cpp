// Stores the prune state as four keys of session_buddy_state.
#include "prune_state.hpp"

#include <algorithm>
#include <string_view>

#include "session_buddy/core/timestamp.hpp"
#include "side_tables.hpp"

namespace session_buddy::storage {
namespace {

constexpr std::string_view kBefore = "pruned_before";
constexpr std::string_view kPrunedCountedId = "pruned_counted_id";
constexpr std::string_view kLastId = "pruned_last_id";
constexpr std::string_view kRows = "pruned_rows";

}  // namespace

PruneStateReader::PruneStateReader(SQLite::Database& database)
    : tables_(database, "SELECT 1 FROM sqlite_master WHERE name = 'session_buddy_state'"),
      values_(database, "SELECT key, value FROM session_buddy_state WHERE key IN (?1, ?2, ?3, ?4)") {}

PruneState PruneStateReader::read() {
    if (tables_.first_integer() == 0) {
        values_.forget();
        return {};
    }
    PruneState state;
    sql::Statement& values = values_.with(kBefore, kPrunedCountedId, kLastId, kRows);
    while (values.step()) {
        const std::string_view key = values.text(0);
        if (key == kBefore) {
            state.pruned_before = parse_timestamp(values.text(1)).value_or(TimePoint::min());
        } else {
            std::int64_t& number = key == kPrunedCountedId ? state.counted_id
                                   : key == kLastId        ? state.last_id
                                                           : state.rows;
            number = std::max<std::int64_t>(values.integer(1), 0);
        }
    }
    return state;
}

void write_prune_state(SQLite::Database& database, const PruneState& state) {
    create_side_tables(database, SideTable::Group::state);
    sql::Statement put(database, kPutState);
    if (state.pruned_before != TimePoint::min()) {
        put.with(kBefore, format_timestamp(state.pruned_before)).run();
    }
    put.with(kPrunedCountedId, state.counted_id).run();
    put.with(kLastId, state.last_id).run();
    put.with(kRows, state.rows).run();
}

}  // namespace session_buddy::storage
