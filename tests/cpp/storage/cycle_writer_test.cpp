// What CycleWriter writes and skips, and that it writes all or nothing.
#include "session_buddy/storage/cycle_writer.hpp"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "session_buddy/storage/database.hpp"
#include "support/manual_clock.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::storage {
namespace {

using test::at;

class CacheWriter : public testing::Test {
  protected:
    void SetUp() override {
        database = open_database(path, {.busy_timeout = std::chrono::milliseconds{50}});
        database->exec(test::insertion("a", "2020-01-01") + test::insertion("b", "2020-01-01"));
    }
    test::TempDir dir;
    std::string path = dir.file("skills.db");
    std::unique_ptr<SQLite::Database> database;
};

TEST_F(CacheWriter, writes_every_column) {
    database->exec("DELETE FROM skill_metrics_cache WHERE skill_name = 'b'");
    const CacheRow rows[] = {{.skill_name = "a",
                              .last_invocation_at = at("2026-02-10T12:00:00.5+01:00"),
                              .invocation_count_1h = 3,
                              .invocation_count_24h = 30,
                              .avg_completion_rate_24h = 0.75,
                              .is_anomalous = true,
                              .anomaly_score = 2.5},
                             {.skill_name = "b", .last_invocation_at = at("2026-02-09T00:00:00Z")}};
    CycleWriter(*database).write({.cache = rows}, at("2026-02-10T13:00:00Z"));
    EXPECT_EQ(test::query(*database, "SELECT * FROM skill_metrics_cache ORDER BY skill_name"),
              (std::vector<std::string>{"a|2026-02-10T11:00:00Z|3|30|0.75|1|2.5|2026-02-10T13:00:00Z",
                                        "b|2026-02-09T00:00:00Z|0|0|NULL|0|NULL|2026-02-10T13:00:00Z"}));
}

TEST_F(CacheWriter, skips_deleted_skills) {
    const CacheRow rows[] = {{.skill_name = "gone", .last_invocation_at = at("2026-02-10")},
                             {.skill_name = "a", .last_invocation_at = at("2026-02-10"), .invocation_count_1h = 7}};
    CycleWriter(*database).write({.cache = rows}, at("2026-02-10"));
    EXPECT_EQ(test::query(*database, "SELECT skill_name, invocation_count_1h FROM skill_metrics_cache ORDER BY 1"),
              (std::vector<std::string>{"a|7", "b|0"}));
}

TEST_F(CacheWriter, writes_all_or_nothing) {
    database->exec(
        "CREATE TRIGGER refuse BEFORE UPDATE ON skill_metrics_cache WHEN NEW.skill_name = 'b'"
        " BEGIN SELECT RAISE(ABORT, 'no'); END");
    const CacheRow rows[] = {{.skill_name = "a", .last_invocation_at = at("2026-02-10"), .invocation_count_1h = 7},
                             {.skill_name = "b", .last_invocation_at = at("2026-02-10")}};
    EXPECT_THROW(CycleWriter(*database).write({.cache = rows}, at("2026-02-10")), StorageError);
    EXPECT_EQ(test::query(*database, "SELECT sum(invocation_count_1h) FROM skill_metrics_cache").front(), "0");
    EXPECT_NO_THROW(database->exec("BEGIN; COMMIT")) << "no transaction is left open";
}

class StateWriter : public CacheWriter {
  protected:
    void write(const std::vector<StateEntry>& entries, bool replaces = false) {
        CycleWriter(*database).write({.detector_state = entries, .replaces_state = replaces}, at("2026-02-10"));
    }
    std::map<std::string, std::string> read() {
        std::map<std::string, std::string> texts;
        for (const StateEntry& entry : read_detector_state(*database)) {
            texts[entry.name] = entry.text.value_or("(none)");
        }
        return texts;
    }
    using Texts = std::map<std::string, std::string>;
};

TEST_F(StateWriter, has_nothing_to_read_before_the_first_write) {
    EXPECT_EQ(read(), Texts{});
}

TEST_F(StateWriter, adds_changes_and_removes_single_entries) {
    write({{"head", "1"}, {"episode/0/a", "x"}, {"episode/1/a", "y"}});
    write({{"head", "2"}, {"episode/0/a", std::nullopt}, {"episode/0/never", std::nullopt}});
    EXPECT_EQ(read(), (Texts{{"head", "2"}, {"episode/1/a", "y"}}));
}

TEST_F(StateWriter, removes_all_other_entries_when_the_state_is_replaced) {
    write({{"head", "1"}, {"episode/0/a", "x"}});
    database->exec("INSERT INTO session_buddy_state VALUES ('anomaly_detector', 'of before'), ('other', 'theirs')");
    write({{"head", "2"}}, true);
    EXPECT_EQ(read(), (Texts{{"head", "2"}}));
    EXPECT_EQ(test::query(*database, "SELECT key FROM session_buddy_state ORDER BY key"),
              (std::vector<std::string>{"anomaly_detector/head", "other"}));
}

TEST_F(CacheWriter, continues_after_an_error_and_after_a_schema_change) {
    const CacheRow rows[] = {{.skill_name = "a", .last_invocation_at = at("2026-02-10"), .invocation_count_1h = 7}};
    const StateEntry entries[] = {{.name = "one", .text = "1"}};
    CycleWriter writer(*database);
    writer.write({.cache = rows, .detector_state = entries}, at("2026-02-10"));
    SQLite::Database other(path, SQLite::OPEN_READWRITE);
    other.exec("BEGIN IMMEDIATE");
    EXPECT_THROW(writer.write({.cache = rows}, at("2026-02-10")), StorageError);
    other.exec("ROLLBACK");
    writer.write({.cache = rows, .detector_state = entries}, at("2026-02-10"));
    other.exec("DROP TABLE session_buddy_state");
    EXPECT_THROW(writer.write({.detector_state = entries}, at("2026-02-10")), StorageError);
    writer.write({.detector_state = entries}, at("2026-02-10"));
    EXPECT_EQ(other.execAndGet("SELECT count(*) FROM session_buddy_state").getInt(), 1);
}

TEST_F(CacheWriter, reports_busy_while_another_process_writes) {
    SQLite::Database other(path, SQLite::OPEN_READWRITE);
    other.exec("BEGIN IMMEDIATE");
    const CacheRow rows[] = {{.skill_name = "a", .last_invocation_at = at("2026-02-10")}};
    try {
        CycleWriter(*database).write({.cache = rows}, at("2026-02-10"));
        FAIL() << "wrote to a locked database";
    } catch (const StorageError& error) {
        EXPECT_EQ(error.code(), StorageErrc::busy);
        EXPECT_NE(std::string(error.what()).find(path), std::string::npos) << error.what();
    }
}

TEST_F(CacheWriter, reports_read_only_for_a_write_protected_database) {
    SQLite::Database reader(path, SQLite::OPEN_READONLY);
    const CacheRow rows[] = {{.skill_name = "a", .last_invocation_at = at("2026-02-10")}};
    try {
        CycleWriter(reader).write({.cache = rows}, at("2026-02-10"));
        FAIL() << "wrote to a read-only connection";
    } catch (const StorageError& error) {
        EXPECT_EQ(error.code(), StorageErrc::read_only);
    }
}

class AlertStateWriter : public CacheWriter {
  protected:
    struct Position {
        std::int64_t last_id;
        std::string until;
    };
    void write(Position position, std::vector<AlertStateEntry> entries, bool replaces = false) {
        AlertState state;
        state.last_id = position.last_id;
        state.until = at(position.until);
        state.replaces = replaces;
        state.entries = std::move(entries);
        CycleWriter(*database).write({.alert_state = &state}, at("2026-02-10"));
    }
    [[nodiscard]] std::optional<AlertState> read() { return read_alert_state(*database, at("2026-02-10")).detectors; }
    using Entries = std::vector<AlertStateEntry>;
    const std::string bytes{"\x01\x00\xff", 3};
};

TEST_F(AlertStateWriter, reads_what_it_wrote_with_its_position) {
    EXPECT_EQ(read(), std::nullopt);
    write({1, "2026-02-10T12:00:00Z"}, {{"", "budget"}, {"a", bytes}});
    write({2, "2026-02-10T12:00:01Z"}, {{"", "budget"}, {"b", bytes}});
    const auto state = read();
    ASSERT_TRUE(state);
    EXPECT_EQ(state->last_id, 2);
    EXPECT_EQ(state->until, at("2026-02-10T12:00:01Z"));
    EXPECT_EQ(state->entries, (Entries{{"", "budget"}, {"a", bytes}, {"b", bytes}}));
    write({2, "2026-02-10T12:00:02Z"}, {{"a", ""}});
    EXPECT_EQ(read()->entries, (Entries{{"", "budget"}, {"b", bytes}}));
    write({2, "2026-02-10T12:00:03Z"}, {{"", "new"}}, /*replaces=*/true);
    EXPECT_EQ(read()->entries, (Entries{{"", "new"}}));
}

TEST_F(AlertStateWriter, leaves_a_state_that_another_server_has_written_after_later_rows) {
    write({2, "2026-02-10T12:00:00Z"}, {{"a", "newer"}});
    write({1, "2026-02-10T12:00:00Z"}, {{"a", "older"}});
    write({2, "2026-02-10T11:00:00Z"}, {{"a", "older"}});
    EXPECT_EQ(read()->entries, (Entries{{"a", "newer"}}));
}

TEST_F(AlertStateWriter, leaves_out_skills_that_are_gone) {
    write({1, "2026-02-10T12:00:00Z"}, {{"", "budget"}, {"gone", bytes}});
    EXPECT_EQ(read()->entries, (Entries{{"", "budget"}}));
}

TEST_F(AlertStateWriter, has_no_state_of_other_rows_than_those_that_exist) {
    write({2, "2026-02-10T12:00:00Z"}, {{"", "budget"}});
    database->exec("DELETE FROM skill_invocation WHERE id = 2");
    EXPECT_NE(read(), std::nullopt) << "a deleted row leaves its id used";
    write({3, "2026-02-10T12:00:00Z"}, {{"", "budget"}});
    EXPECT_EQ(read(), std::nullopt) << "the table was created again";
}

TEST_F(AlertStateWriter, has_no_state_without_a_readable_position) {
    write({2, "2026-02-10T12:00:00Z"}, {{"", "budget"}});
    for (const char* damaged : {"''", "'2'", "'2 '", "'2 x'", "'x 2'", "x'00'", "NULL"}) {
        database->exec("UPDATE session_buddy_state SET value = " + std::string(damaged) +
                       " WHERE key = 'alert_detector'");
        EXPECT_EQ(read(), std::nullopt) << damaged;
    }
}

}  // namespace
}  // namespace session_buddy::storage
