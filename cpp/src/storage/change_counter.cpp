// The change counter is three triggers and a row of sqlite_sequence, which cannot be dropped. If another program
// dropped a separate counter table, the triggers would make every delete of every program fail.
#include "change_counter.hpp"

#include <SQLiteCpp/Database.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <random>

namespace session_buddy::storage {
namespace {

// NOLINTBEGIN(cppcoreguidelines-macro-usage): literals can be joined only by the preprocessor
#define SESSION_BUDDY_COUNTER "'session_buddy_changes'"
// A random step, so that a restored copy that is changed again does not reach a number that was seen before.
#define SESSION_BUDDY_INCREMENT \
    "UPDATE sqlite_sequence SET seq = seq + 1 + abs(random() % 1000000) WHERE name = " SESSION_BUDDY_COUNTER
#define SESSION_BUDDY_COUNT_CHANGE " BEGIN " SESSION_BUDDY_INCREMENT "; END"
// NOLINTEND(cppcoreguidelines-macro-usage)

}  // namespace

// The triggers name columns of V1 only, so that a rollback of a later migration can drop its columns. REPLACE fires no
// delete trigger, but its insert reuses an id, and until the statement ends sqlite_sequence has the largest id. A table
// that was created without AUTOINCREMENT has no such row; there an audit finds replaced rows by counting all.
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
    if (!sql::has_table(database, "sqlite_sequence")) {
        // Only SQLite can create sqlite_sequence: it does so with the first AUTOINCREMENT table, and keeps it.
        database.exec(
            "CREATE TABLE session_buddy_sequence (id INTEGER PRIMARY KEY AUTOINCREMENT);"
            "DROP TABLE session_buddy_sequence");
    }
    // Starts at a random number, so that a counter that is created again differs from the earlier one.
    constexpr std::int64_t kLargestBegin = std::int64_t{1} << 48U;
    std::random_device device;
    const auto begin = std::uniform_int_distribution<std::int64_t>{0, kLargestBegin}(device);
    database.exec("DELETE FROM sqlite_sequence WHERE name = " SESSION_BUDDY_COUNTER);
    sql::Statement(database, "INSERT INTO sqlite_sequence (name, seq) VALUES (" SESSION_BUDDY_COUNTER ", ?1)")
        .with(begin)
        .run();
}

void count_change(SQLite::Database& database) {
    if (sql::has_table(database, "sqlite_sequence")) {
        database.exec(SESSION_BUDDY_INCREMENT);
    }
}

ChangeCounterReader::ChangeCounterReader(SQLite::Database& database)
    : objects_(database, fmt::format("SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_sequence'"
                                     " OR (type = 'trigger' AND name IN ('{}', '{}', '{}'))",
                                     kChangeTriggers[0].name, kChangeTriggers[1].name, kChangeTriggers[2].name)),
      counter_(database, "SELECT seq FROM sqlite_sequence WHERE name = " SESSION_BUDDY_COUNTER) {}

std::optional<std::int64_t> ChangeCounterReader::read() {
    if (objects_.first_integer() != static_cast<std::int64_t>(kChangeTriggers.size()) + 1) {
        counter_.forget();
        return std::nullopt;
    }
    sql::Statement& counter = counter_.with();
    std::optional<std::int64_t> count;
    if (counter.step()) {
        count = counter.integer(0);
    }
    counter.reset();
    return count;
}

}  // namespace session_buddy::storage
