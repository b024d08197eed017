// Reads and writes the side table session_buddy_stamp.
#include "stamps.hpp"

#include <SQLiteCpp/Database.h>

#include "side_tables.hpp"

namespace session_buddy::storage {
namespace {

constexpr const char* kStampTable = "session_buddy_stamp";

StoredStamp read_stamp(const sql::Statement& row) {
    return {row.integer(0), TimePoint{std::chrono::microseconds{row.integer(1)}}, row.integer(2)};
}

}  // namespace

StampLog::StampLog(SQLite::Database& database)
    : database_(database),
      last_(database, "SELECT seq, at_us, last_row FROM session_buddy_stamp ORDER BY seq DESC LIMIT 1"),
      after_(database, "SELECT seq, at_us, last_row FROM session_buddy_stamp WHERE seq > ?1 ORDER BY seq"),
      insert_(database, "INSERT INTO session_buddy_stamp (seq, at_us, last_row) VALUES (?1, ?2, ?3)"),
      // Two, so that the table does not grow when each added stamp removes some.
      remove_old_(database,
                  "DELETE FROM session_buddy_stamp WHERE seq IN (SELECT seq FROM (SELECT seq, at_us FROM"
                  " session_buddy_stamp ORDER BY seq LIMIT 2) WHERE at_us < ?1)") {}

std::optional<StoredStamp> StampLog::last() {
    if (!sql::has_known_table(database_, kStampTable)) {
        return std::nullopt;
    }
    sql::Statement& row = last_.with();
    if (!row.step()) {
        return std::nullopt;
    }
    const StoredStamp stamp = read_stamp(row);
    row.reset();
    return stamp;
}

void StampLog::read_after(std::int64_t seq, const std::function<bool(const StoredStamp&)>& visit) {
    if (!sql::has_known_table(database_, kStampTable)) {
        return;
    }
    sql::Statement& rows = after_.with(seq);
    while (rows.step() && visit(read_stamp(rows))) {
    }
    rows.reset();
}

void StampLog::add(const std::optional<StoredStamp>& previous, TimePoint at, std::int64_t last_row,
                   TimePoint keep_from) {
    create_side_tables(database_, SideTable::Group::stamps);
    insert_.with((previous ? previous->seq : 0) + 1, micros_of(at), last_row).run();
    remove_old_.with(micros_of(keep_from)).run();
}

void StampLog::remove_all() {
    if (sql::has_known_table(database_, kStampTable)) {
        database_.exec("DELETE FROM session_buddy_stamp");
    }
}

}  // namespace session_buddy::storage
