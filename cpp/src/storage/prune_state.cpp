// Stores the prune state as four keys of session_buddy_state.
#include "prune_state.hpp"

#include <SQLiteCpp/Database.h>

#include <algorithm>
#include <string_view>

#include "session_buddy/core/timestamp.hpp"

namespace session_buddy::storage {
namespace {

constexpr std::string_view kBefore = "pruned_before";
constexpr std::string_view kCountedId = "pruned_counted_id";
constexpr std::string_view kLastId = "pruned_last_id";
constexpr std::string_view kRows = "pruned_rows";

}  // namespace

PruneStateReader::PruneStateReader(SQLite::Database& database)
    : database_(database), tables_(database, "SELECT 1 FROM sqlite_master WHERE name = 'session_buddy_state'") {}

PruneState PruneStateReader::read() {
    tables_.reset();
    const bool has_table = tables_.step();
    tables_.reset();
    if (!has_table) {
        values_.reset();
        return {};
    }
    if (!values_) {
        values_.emplace(database_, "SELECT key, value FROM session_buddy_state WHERE key IN (?1, ?2, ?3, ?4)");
    }
    PruneState state;
    values_->with(kBefore, kCountedId, kLastId, kRows);
    while (values_->step()) {
        const std::string_view key = values_->text(0);
        if (key == kBefore) {
            state.pruned_before = parse_timestamp(values_->text(1)).value_or(TimePoint::min());
        } else {
            std::int64_t& number = key == kCountedId ? state.counted_id : key == kLastId ? state.last_id : state.rows;
            number = std::max<std::int64_t>(values_->integer(1), 0);
        }
    }
    return state;
}

void write_prune_state(SQLite::Database& database, const PruneState& state) {
    database.exec("CREATE TABLE IF NOT EXISTS session_buddy_state (key TEXT PRIMARY KEY, value) WITHOUT ROWID");
    sql::Statement put(database, "INSERT OR REPLACE INTO session_buddy_state (key, value) VALUES (?1, ?2)");
    if (state.pruned_before != TimePoint::min()) {
        put.with(kBefore, std::string_view(format_timestamp(state.pruned_before))).run();
    }
    put.with(kCountedId, state.counted_id).run();
    put.with(kLastId, state.last_id).run();
    put.with(kRows, state.rows).run();
}

}  // namespace session_buddy::storage
