// What the change counter counts, and that its triggers do not disturb other programs.
#include "storage/change_counter.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>

#include "session_buddy/storage/database.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::storage {
namespace {

using test::insertion;

constexpr const char* kTime = "2026-02-10T12:00:00Z";

class ChangeCounter : public testing::Test {
  protected:
    void SetUp() override {
        const auto database = open_database(path, {});
        install_change_counter(*database);
        other.emplace(path, SQLite::OPEN_READWRITE, 5000);
        for (int i = 0; i < 5; ++i) {
            other->exec(insertion("a", kTime));
        }
        before = read();
    }
    std::optional<std::int64_t> read() {
        SQLite::Database database(path, SQLite::OPEN_READONLY, 5000);
        return ChangeCounterReader(database).read();
    }
    /// Whether it changed since the last call.
    bool counted(const std::string& sql) {
        other->exec(sql);
        const auto now = read();
        EXPECT_TRUE(now.has_value() && before.has_value()) << sql;
        return std::exchange(before, now) < now;
    }

    test::TempDir dir;
    std::string path = dir.file("skills.db");
    std::optional<SQLite::Database> other;  // as another program has it open
    std::optional<std::int64_t> before;
};

TEST_F(ChangeCounter, counts_updated_and_deleted_rows_and_reused_ids) {
    const std::string put = "REPLACE INTO skill_invocation (id, skill_name, invoked_at, session_id) VALUES ";
    EXPECT_TRUE(counted("UPDATE skill_invocation SET completed = 0 WHERE id = 2"));
    EXPECT_TRUE(counted("UPDATE skill_invocation SET error_type = 'timeout'"));
    EXPECT_TRUE(counted("DELETE FROM skill_invocation WHERE id = 2"));
    EXPECT_TRUE(counted(put + "(5, 'c', 'x', 's')")) << "the largest id";
    EXPECT_TRUE(counted(put + "(2, 'b', 'x', 's')"));
    EXPECT_TRUE(counted(put + "(4, 'c', 'x', 's')"));
    EXPECT_TRUE(
        counted("INSERT INTO skill_invocation (id, skill_name, invoked_at, session_id) VALUES (5, 'd', 'x', 's')"
                " ON CONFLICT (id) DO UPDATE SET skill_name = 'd'"));
    EXPECT_TRUE(counted("UPDATE skill_invocation SET rowid = 30 WHERE id = 3"));
    EXPECT_TRUE(counted("DELETE FROM skill_invocation"));
}

TEST_F(ChangeCounter, counts_neither_new_rows_nor_columns_without_a_metric) {
    EXPECT_FALSE(counted(insertion("a", kTime) + insertion("b", kTime) +
                         "INSERT INTO skill_invocation (skill_name, invoked_at, session_id)"
                         " SELECT skill_name, invoked_at, session_id FROM skill_invocation"));
    EXPECT_FALSE(counted("UPDATE skill_invocation SET embedding = x'00', user_query = 'x', completed = completed"));
}

TEST_F(ChangeCounter, of_a_restored_copy_that_is_changed_never_repeats_a_number) {
    const std::string copy = dir.file("copy.db");
    other->exec("VACUUM INTO " + test::quoted(copy));
    EXPECT_TRUE(counted("DELETE FROM skill_invocation WHERE id = 2"));
    test::execute(copy, "DELETE FROM skill_invocation WHERE id = 3");
    SQLite::Database database(copy, SQLite::OPEN_READONLY);
    EXPECT_NE(ChangeCounterReader(database).read(), before);
}

TEST_F(ChangeCounter, does_not_disturb_other_programs) {
    other->exec("PRAGMA recursive_triggers = ON; PRAGMA foreign_keys = ON");
    EXPECT_TRUE(
        counted("REPLACE INTO skill_invocation (id, skill_name, invoked_at, session_id) VALUES (3, 'c', 'x', 's')"));
    EXPECT_EQ(test::query(*other, "PRAGMA integrity_check").front(), "ok");
    other->exec(insertion("a", kTime));
    EXPECT_EQ(other->getLastInsertRowid(), 6);
    other->exec("PRAGMA trusted_schema = OFF");
    EXPECT_EQ(other->exec("DELETE FROM skill_invocation WHERE id < 4"), 3)
        << "rows that the trigger wrote are not in it";
}

TEST_F(ChangeCounter, leaves_every_change_possible_after_any_drop) {
    for (const std::string& table :
         test::query(*other, "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'session_buddy%'")) {
        other->exec("DROP TABLE " + table);
    }
    other->exec("DELETE FROM sqlite_sequence");
    EXPECT_NO_THROW(other->exec("DELETE FROM skill_invocation WHERE id = 1"));
    EXPECT_NO_THROW(other->exec("ALTER TABLE skill_invocation ADD COLUMN of_theirs TEXT"));
    other->exec("DROP INDEX idx_invocation_workflow_step");
    for (const char* view :
         {"v_skill_effectiveness_by_phase", "v_workflow_phase_patterns", "v_skills_by_phase_usage"}) {
        other->exec(std::string("DROP VIEW ") + view);
    }
    EXPECT_NO_THROW(other->exec("ALTER TABLE skill_invocation DROP COLUMN workflow_step_id"));
    EXPECT_EQ(read(), std::nullopt);
}

TEST_F(ChangeCounter, starts_at_another_number_when_created_again) {
    const auto lose = [&](const std::string& sql) {
        other->exec(sql);
        EXPECT_EQ(read(), std::nullopt) << sql;
        const auto database = open_database(path, {});
        install_change_counter(*database);
        EXPECT_TRUE(read().has_value());
        EXPECT_NE(read(), before);
    };
    lose("DELETE FROM sqlite_sequence");
    lose("DROP TRIGGER session_buddy_row_deleted");
    // Like a migration of another tool that drops columns.
    lose(
        "CREATE TABLE copied AS SELECT * FROM skill_invocation; DROP TABLE skill_invocation;"
        "CREATE TABLE skill_invocation (id INTEGER PRIMARY KEY, skill_name TEXT, invoked_at TEXT, session_id TEXT,"
        " completed BOOLEAN, duration_seconds REAL, error_type TEXT);");
}

}  // namespace
}  // namespace session_buddy::storage
