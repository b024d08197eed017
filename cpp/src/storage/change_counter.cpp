// Three triggers and one row of sqlite_sequence. A table of our own could be dropped by anybody, and then every delete
// of every program would fail in the trigger; sqlite_sequence cannot be dropped.
#include "change_counter.hpp"

#include <SQLiteCpp/Database.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <random>

namespace session_buddy::storage {
namespace {

// NOLINTBEGIN(cppcoreguidelines-macro-usage): literals can be joined only by the preprocessor
#define SESSION_BUDDY_COUNTER "'session_buddy_changes'"
// By a random step: a copy that was put back, and changed again, must not come to a number that was seen before.
#define SESSION_BUDDY_COUNT_CHANGE                                                                                  \
    " BEGIN UPDATE sqlite_sequence SET seq = seq + 1 + abs(random() % 1000000) WHERE name = " SESSION_BUDDY_COUNTER \
    "; END"
// NOLINTEND(cppcoreguidelines-macro-usage)

}  // namespace

// Only columns of V1 are named, so that a rollback of a later migration can drop its columns. REPLACE fires no delete
// trigger, but its insert has an id that was used before: until its statement ends, sqlite_sequence has the largest
// one. Not of a table made by hand without AUTOINCREMENT, where such rows are found by counting all.
const std::array<ChangeTrigger, 3> kChangeTriggers{
    {{"session_buddy_row_inserted",
      "CREATE TRIGGER session_buddy_row_inserted AFTER INSERT ON skill_invocation"
      " WHEN NEW.id <= (SELECT seq FROM sqlite_sequence WHERE name = 'skill_invocation')" SESSION_BUDDY_COUNT_CHANGE},
     {"session_buddy_row_updated",
      "CREATE TRIGGER session_buddy_row_updated AFTER UPDATE ON skill_invocation"
      " WHEN OLD.id IS NOT NEW.id OR OLD.skill_name IS NOT NEW.skill_name OR OLD.invoked_at IS NOT NEW.invoked_at"
      " OR OLD.session_id IS NOT NEW.session_id OR OLD.completed IS NOT NEW.completed"
      " OR OLD.duration_seconds IS NOT NEW.duration_seconds"
      " OR OLD.error_type IS NOT NEW.error_type" SESSION_BUDDY_COUNT_CHANGE},
     {"session_buddy_row_deleted",
      "CREATE TRIGGER session_buddy_row_deleted AFTER DELETE ON skill_invocation" SESSION_BUDDY_COUNT_CHANGE}}};

bool is_change_trigger(std::string_view name, std::string_view text) {
    return std::ranges::any_of(kChangeTriggers,
                               [&](const ChangeTrigger& each) { return each.name == name && each.text == text; });
}

void install_change_counter(SQLite::Database& database) {
    for (const ChangeTrigger& trigger : kChangeTriggers) {
        sql::Statement known(database, "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?1");
        if (known.with(trigger.name).step() && known.text(0) == trigger.text) {
            continue;
        }
        known.reset();
        database.exec(fmt::format("DROP TRIGGER IF EXISTS {}", trigger.name));
        database.exec(std::string(trigger.text));
    }
    if (sql::query_integer(database, "SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_sequence'") == 0) {
        // Nobody may create it; SQLite does, with the first table that has AUTOINCREMENT, and keeps it.
        database.exec(
            "CREATE TABLE session_buddy_sequence (id INTEGER PRIMARY KEY AUTOINCREMENT);"
            "DROP TABLE session_buddy_sequence");
    }
    // Begins anywhere, so that a copy whose counter was made again differs from the one before it.
    constexpr std::int64_t kLargestBegin = std::int64_t{1} << 48U;
    std::random_device device;
    const auto begin = std::uniform_int_distribution<std::int64_t>{0, kLargestBegin}(device);
    database.exec("DELETE FROM sqlite_sequence WHERE name = " SESSION_BUDDY_COUNTER);
    sql::Statement(database, "INSERT INTO sqlite_sequence (name, seq) VALUES (" SESSION_BUDDY_COUNTER ", ?1)")
        .with(begin)
        .run();
}

ChangeCounterReader::ChangeCounterReader(SQLite::Database& database)
    : database_(database),
      objects_(database, fmt::format("SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_sequence'"
                                     " OR (type = 'trigger' AND name IN ('{}', '{}', '{}'))",
                                     kChangeTriggers[0].name, kChangeTriggers[1].name, kChangeTriggers[2].name)) {}

std::optional<std::int64_t> ChangeCounterReader::read() {
    objects_.reset();
    const bool complete =
        objects_.step() && objects_.integer(0) == static_cast<std::int64_t>(kChangeTriggers.size()) + 1;
    objects_.reset();
    if (!complete) {
        counter_.reset();
        return std::nullopt;
    }
    if (!counter_) {
        counter_.emplace(database_, "SELECT seq FROM sqlite_sequence WHERE name = " SESSION_BUDDY_COUNTER);
    }
    counter_->reset();
    std::optional<std::int64_t> count;
    if (counter_->step()) {
        count = counter_->integer(0);
    }
    counter_->reset();
    return count;
}

}  // namespace session_buddy::storage
