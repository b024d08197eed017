// What happens to the rows of each side table when an invocation is deleted, or a skill is forgotten or renamed.
#include "storage/side_tables.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "session_buddy/storage/database.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::storage {
namespace {

using Group = SideTable::Group;
using Rows = std::vector<std::string>;

class SideTables : public testing::Test {
  protected:
    void SetUp() override {
        for (const Group group : {Group::state, Group::totals, Group::events, Group::alerts, Group::stamps}) {
            create_side_tables(*database, group);
        }
    }
    void put_totals(const std::string& skill, int completed, double seconds) {
        database->exec("INSERT INTO session_buddy_totals VALUES ('" + skill + "', 'p', " + std::to_string(completed) +
                       ", 1, " + std::to_string(seconds) + ", 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, NULL)");
        database->exec("INSERT INTO session_buddy_anomaly_totals VALUES ('" + skill + "', 'performance_drop', 3)");
    }
    void put_episode(const std::string& skill, const std::string& metric) {
        database->exec("INSERT INTO session_buddy_state VALUES ('anomaly_detector/episode/" + metric + "/" + skill +
                       "', '{\"skill_name\":\"" + skill + "\"}')");
    }
    Rows query(const std::string& sql) { return test::query(*database, sql); }

    test::TempDir folder;
    std::string path = folder.file("skills.db");
    std::unique_ptr<SQLite::Database> database = open_database(path, {});
};

TEST_F(SideTables, can_be_created_again) {
    create_side_tables(*database, Group::events);
    for (const SideTable& table : side_tables()) {
        EXPECT_TRUE(sql::has_table(*database, table.name)) << table.name;
    }
}

TEST_F(SideTables, add_the_counts_of_a_renamed_skill_to_those_of_the_other_name) {
    put_totals("a", 2, 1.5);
    put_totals("b", 4, 2.0);
    rename_in_side_tables(*database, "a", "b");
    rename_in_side_tables(*database, "b", "c");
    EXPECT_EQ(
        query("SELECT skill_name, completed, failed, duration_seconds, up_to_0_1s, longer FROM session_buddy_totals"),
        (Rows{"c|6|2|3.5|2|4"}));
    EXPECT_EQ(query("SELECT skill_name, detected FROM session_buddy_anomaly_totals"), (Rows{"c|6"}));
}

TEST_F(SideTables, move_the_open_episodes_of_a_renamed_skill_unless_the_other_has_one) {
    put_episode("a", "0");
    put_episode("a", "1");
    put_episode("b", "1");
    database->exec("INSERT INTO session_buddy_state VALUES ('pruned_rows', 7)");
    rename_in_side_tables(*database, "a", "b");
    EXPECT_EQ(query("SELECT key, value FROM session_buddy_state ORDER BY key"),
              (Rows{"anomaly_detector/episode/0/b|{\"skill_name\":\"b\"}",
                    "anomaly_detector/episode/1/b|{\"skill_name\":\"b\"}", "pruned_rows|7"}));
    forget_in_side_tables(*database, "b");
    EXPECT_EQ(query("SELECT key FROM session_buddy_state"), (Rows{"pruned_rows"}));
}

TEST_F(SideTables, move_the_state_of_an_alert_detector_to_the_new_name_unless_that_has_one) {
    database->exec(
        "INSERT INTO session_buddy_state VALUES ('alert_detector/a', x'01'), ('alert_detector/', x'02'),"
        " ('alert_detector', '1 1')");
    rename_in_side_tables(*database, "a", "longer name");
    const std::string all = "SELECT key, hex(value) FROM session_buddy_state ORDER BY key";
    EXPECT_EQ(query(all), (Rows{"alert_detector|312031", "alert_detector/|02", "alert_detector/longer name|01"}));
    database->exec("INSERT INTO session_buddy_state VALUES ('alert_detector/b', x'03')");
    rename_in_side_tables(*database, "b", "longer name");
    EXPECT_EQ(query(all), (Rows{"alert_detector|312031", "alert_detector/|02", "alert_detector/longer name|01"}));
    forget_in_side_tables(*database, "longer name");
    EXPECT_EQ(query(all), (Rows{"alert_detector|312031", "alert_detector/|02"}));
}

TEST_F(SideTables, keep_the_dedup_keys_of_a_forgotten_skill_and_of_a_deleted_invocation) {
    database->exec(test::insertion("a", "2026-02-10T12:00:00Z"));
    database->exec("INSERT INTO session_buddy_source VALUES ('k', 1, 1, NULL)");
    database->exec("INSERT INTO session_buddy_command VALUES ('s1', 'a', 0, 1, 1, NULL)");
    InvocationEraser eraser(*database, {});
    EXPECT_FALSE(eraser.erase(1, "2026-02-10T13:00:00Z")) << "it was changed since";
    EXPECT_TRUE(eraser.erase(1, "2026-02-10T12:00:00Z"));
    EXPECT_FALSE(eraser.erase(1));
    forget_in_side_tables(*database, "a");
    EXPECT_EQ(query("SELECT count(*) FROM skill_invocation"), (Rows{"0"}));
    EXPECT_EQ(query("SELECT key FROM session_buddy_source"), (Rows{"k"}));
    EXPECT_EQ(query("SELECT skill_name FROM session_buddy_command"), (Rows{"a"}));
}

TEST_F(SideTables, add_the_debts_of_a_renamed_skill) {
    const auto put = [this](const std::string& skill, const std::string& debt) {
        put_totals(skill, 3, 1.0);
        database->exec("UPDATE session_buddy_totals SET debt = " + debt + " WHERE skill_name = '" + skill + "'");
    };
    put("a", "'[1,0,2,0.5]'");
    put("b", "'[1,1,0,0.25]'");
    put("c", "NULL");
    rename_in_side_tables(*database, "a", "b");
    EXPECT_EQ(query("SELECT debt FROM session_buddy_totals WHERE skill_name = 'b'"), (Rows{"[2,1,2,0.75]"}));
    rename_in_side_tables(*database, "b", "c");
    EXPECT_EQ(query("SELECT unknown, debt FROM session_buddy_totals"), (Rows{"3|[2,1,2,0.75]"}));
}

TEST_F(SideTables, get_the_columns_that_an_earlier_version_lacks) {
    for (const SideTable& table : side_tables()) {
        for (const SideColumn& column : table.added_columns) {
            database->exec("ALTER TABLE " + table.name + " DROP COLUMN " + column.name);
        }
    }
    database->exec("INSERT INTO session_buddy_source VALUES ('k', 1)");
    rename_in_side_tables(*database, "a", "b");
    for (const Group group : {Group::state, Group::totals, Group::events, Group::alerts, Group::stamps}) {
        create_side_tables(*database, group);
    }
    for (const SideTable& table : side_tables()) {
        for (const SideColumn& column : table.added_columns) {
            EXPECT_TRUE(sql::has_column(*database, table.name, column.name)) << table.name << "." << column.name;
        }
    }
    EXPECT_EQ(query("SELECT seen_by, evidence FROM session_buddy_source"), (Rows{"4|NULL"}));
}

TEST_F(SideTables, follow_unknown_outcomes_when_a_skill_is_renamed_or_forgotten_and_a_row_deleted) {
    database->exec(test::insertion("a", "2026-02-10T12:00:00Z"));
    database->exec("INSERT INTO session_buddy_mark VALUES (1, 3)");
    database->exec("INSERT INTO session_buddy_unknown VALUES ('a', 2), ('b', 3)");
    rename_in_side_tables(*database, "a", "b");
    EXPECT_EQ(query("SELECT * FROM session_buddy_unknown"), (Rows{"b|5"}));
    EXPECT_TRUE(InvocationEraser(*database, {}).erase(1));
    EXPECT_EQ(query("SELECT count(*) FROM session_buddy_mark"), (Rows{"0"}));
    EXPECT_EQ(query("SELECT * FROM session_buddy_unknown"), (Rows{"b|5"})) << "pruned rows stay counted";
    forget_in_side_tables(*database, "b");
    EXPECT_EQ(query("SELECT count(*) FROM session_buddy_unknown"), (Rows{"0"}));
}

TEST_F(SideTables, rename_the_skill_of_an_open_invocation) {
    database->exec("INSERT INTO session_buddy_open_use VALUES ('k', 'a', 's1', 0, NULL)");
    rename_in_side_tables(*database, "a", "b");
    EXPECT_EQ(query("SELECT skill_name FROM session_buddy_open_use"), (Rows{"b"}));
}

}  // namespace
}  // namespace session_buddy::storage
