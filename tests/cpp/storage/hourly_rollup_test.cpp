// Which hours are written, when, and with which values.
#include "session_buddy/storage/hourly_rollup.hpp"

#include <gtest/gtest.h>

#include <optional>

#include "session_buddy/storage/database.hpp"
#include "support/manual_clock.hpp"
#include "support/privileges.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::storage {
namespace {

using test::at;

class TimeSeries : public testing::Test {
  protected:
    void SetUp() override {
        static_cast<void>(open_database(path, {}));
        start();
    }
    void start() { rollup.emplace(path, std::chrono::milliseconds{200}); }
    /// Steps until nothing is due; returns the number of steps.
    int run(const std::string& now) {
        int steps = 1;
        while (rollup->step(at(now))) {
            if (++steps > 1000) {
                ADD_FAILURE() << "never done";
                break;
            }
        }
        return steps;
    }
    void insert(const std::string& skill, const std::string& when, const std::string& session = "s",
                bool completed = true, const std::string& duration = "NULL") {
        test::execute(path, test::insertion(skill, when, session, completed, duration));
    }
    std::vector<std::string> series() {
        return test::query(path,
                           "SELECT skill_name, timestamp, invocation_count, completion_rate, avg_duration_seconds,"
                           " unique_sessions FROM skill_time_series ORDER BY timestamp, skill_name");
    }
    std::string watermark() {
        return test::query_one(path, "SELECT value FROM session_buddy_state WHERE key = 'time_series_watermark'");
    }

    test::TempDir dir;
    std::string path = dir.file("skills.db");
    std::optional<HourlyRollup> rollup;
};

using Rows = std::vector<std::string>;

TEST_F(TimeSeries, writes_an_hour_when_it_is_over) {
    insert("a", "2026-02-10T11:00:00Z", "s1", true, "2.0");
    insert("a", "2026-02-10 11:59:59.999999", "s2", true, "4.0");
    insert("a", "2026-02-10T17:00:00+05:30", "s2", false, "9.0");
    insert("a", "2026-02-10T11:30:00Z", "s1", true);
    insert("b", "2026-02-10T11:30:00Z", "s1", false);
    insert("a", "2026-02-10T12:00:00Z");
    run("2026-02-10T11:59:59.999999Z");
    EXPECT_EQ(series(), Rows{});
    run("2026-02-10T12:00:00Z");
    EXPECT_EQ(series(), (Rows{"a|2026-02-10T11:00:00Z|4|0.75|3.0|2", "b|2026-02-10T11:00:00Z|1|0.0|NULL|1"}));
    EXPECT_EQ(watermark(), "5") << "the row of the current hour holds it back";
    run("2026-02-10T13:00:00Z");
    EXPECT_EQ(series().back(), "a|2026-02-10T12:00:00Z|1|1.0|NULL|1");
    EXPECT_EQ(watermark(), "6");
}

TEST_F(TimeSeries, rewrites_an_hour_when_late_rows_arrive) {
    insert("a", "2026-02-10T09:30:00Z");
    run("2026-02-10T12:00:00Z");
    insert("a", "2026-02-10T04:45:00-05:00", "s2", false);
    insert("b", "2026-02-10T09:50:00Z");
    run("2026-02-10T12:10:00Z");
    EXPECT_EQ(series(), (Rows{"a|2026-02-10T09:00:00Z|2|0.5|NULL|2", "b|2026-02-10T09:00:00Z|1|1.0|NULL|1"}));
}

TEST_F(TimeSeries, continues_at_its_watermark_after_a_restart) {
    insert("a", "2026-02-10T09:30:00Z");
    insert("a", "2026-02-10T11:30:00Z");
    run("2026-02-10T11:45:00Z");
    EXPECT_EQ(series().size(), 1U);
    start();
    run("2026-02-10T11:46:00Z");
    EXPECT_EQ(series().size(), 1U);
    insert("a", "2026-02-10T09:40:00Z");
    start();
    run("2026-02-10T12:00:00Z");
    EXPECT_EQ(series(), (Rows{"a|2026-02-10T09:00:00Z|2|1.0|NULL|1", "a|2026-02-10T11:00:00Z|1|1.0|NULL|1"}));
    EXPECT_EQ(watermark(), "3");
}

TEST_F(TimeSeries, fills_in_history_a_day_at_a_time_newest_first) {
    {
        SQLite::Database writer(path, SQLite::OPEN_READWRITE);
        writer.exec("BEGIN");
        for (int day = 1; day <= 9; ++day) {
            for (int hour = 0; hour < 24; ++hour) {
                writer.exec(test::insertion("a", "2026-01-0" + std::to_string(day) + (hour < 10 ? "T0" : "T") +
                                                     std::to_string(hour) + ":15:00Z"));
            }
        }
        writer.exec("COMMIT");
    }
    EXPECT_TRUE(rollup->step(at("2026-02-10T12:00:00Z")));
    EXPECT_EQ(series().size(), 24U);
    EXPECT_EQ(series().front(), "a|2026-01-09T00:00:00Z|1|1.0|NULL|1");
    EXPECT_EQ(watermark(), "0");
    EXPECT_EQ(run("2026-02-10T12:00:00Z"), 8);
    EXPECT_EQ(series().size(), 9U * 24);
    EXPECT_EQ(watermark(), std::to_string(9 * 24));
}

TEST_F(TimeSeries, reads_many_rows_over_several_steps) {
    {
        SQLite::Database writer(path, SQLite::OPEN_READWRITE);
        writer.exec(
            "DROP TRIGGER trg_session_skills_after_insert; DROP TRIGGER trg_metrics_cache_after_insert; "
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 45000)"
            " INSERT INTO skill_invocation (skill_name, invoked_at, session_id, completed)"
            " SELECT 'a', '2026-02-10T0' || (i % 5) || ':00:00Z', 's' || (i % 10), 1 FROM n");
    }
    EXPECT_EQ(run("2026-02-10T12:00:00Z"), 3);
    EXPECT_EQ(series().size(), 5U);
    EXPECT_EQ(series().front(), "a|2026-02-10T00:00:00Z|9000|1.0|NULL|2");
}

TEST_F(TimeSeries, writes_a_day_of_many_skills_in_parts) {
    {
        SQLite::Database writer(path, SQLite::OPEN_READWRITE);
        writer.exec(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1199)"
            " INSERT INTO skill_invocation (skill_name, invoked_at, session_id, completed)"
            " SELECT 'skill-' || i, '2026-02-10T0' || (i % 5) || ':00:00Z', 's', 1 FROM n");
    }
    EXPECT_TRUE(rollup->step(at("2026-02-10T12:00:00Z")));
    EXPECT_EQ(series().size(), 500U);
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM sqlite_master WHERE name = 'session_buddy_state'"), "0")
        << "the day is not complete";
    insert("skill-7", "2026-02-10T02:30:00Z");  // in an hour that is counted already
    run("2026-02-10T12:00:00Z");
    EXPECT_EQ(series().size(), 1200U);
    EXPECT_EQ(test::query_one(path, "SELECT invocation_count FROM skill_time_series WHERE skill_name = 'skill-7'"),
              "2");
    EXPECT_EQ(watermark(), "1201");
}

TEST_F(TimeSeries, replaces_rows_of_that_hour_by_other_programs) {
    insert("a", "2026-02-10T09:30:00Z");
    test::execute(path,
                  "INSERT INTO skill_time_series (skill_name, timestamp, invocation_count) VALUES"
                  " ('a', '2026-02-10 09:00:00', 7), ('a', '2026-02-10T09:00:00', 8), ('a', '2026-02-10T08:00:00', 5)");
    run("2026-02-10T12:00:00Z");
    EXPECT_EQ(series(), (Rows{"a|2026-02-10T08:00:00|5|NULL|NULL|0", "a|2026-02-10T09:00:00Z|1|1.0|NULL|1"}));
}

TEST_F(TimeSeries, adds_late_rows_of_a_final_hour_only_to_our_row) {
    insert("a", "2026-02-01T09:30:00Z");
    insert("a", "2026-02-10T09:30:00Z");
    run("2026-02-10T12:00:00Z");
    EXPECT_TRUE(rollup->close(at("2026-02-05")));
    test::execute(path,
                  "UPDATE skill_time_series SET timestamp = '2026-02-01 09:00:00' WHERE timestamp LIKE '2026-02-01%';"
                  "INSERT INTO skill_time_series (skill_name, timestamp, invocation_count, completion_rate) VALUES"
                  " ('a', '2026-02-01T09:00:00Z', 1, 1.0), ('a', '2026-02-01T09:00:00', 70, 1.0)");
    insert("a", "2026-02-01T09:40:00Z");
    run("2026-02-10T12:00:00Z");
    EXPECT_EQ(series().front(), "a|2026-02-01T09:00:00Z|2|1.0|NULL|1");
}

TEST_F(TimeSeries, is_not_held_back_by_unreadable_rows_or_rows_far_in_the_future) {
    insert("a", "garbage");
    insert("a", "2999-01-01T00:00:00Z");
    insert("a", "2026-02-10T09:30:00Z");
    run("2026-02-10T12:00:00Z");
    EXPECT_EQ(series().size(), 1U);
    EXPECT_EQ(watermark(), "3");
}

TEST_F(TimeSeries, keeps_the_history_of_pruned_rows) {
    insert("a", "2026-02-10T09:30:00Z");
    run("2026-02-10T12:00:00Z");
    test::execute(path, "DELETE FROM skill_invocation");
    insert("a", "2026-02-10T10:30:00Z");
    run("2026-02-10T12:00:00Z");
    EXPECT_EQ(series().size(), 2U);
}

TEST_F(TimeSeries, follows_a_replaced_database) {
    insert("a", "2026-02-10T09:30:00Z");
    insert("a", "2026-02-10T09:31:00Z");
    run("2026-02-10T12:00:00Z");
    for (const char* suffix : {"", "-wal", "-shm"}) {
        std::filesystem::remove(path + suffix);
    }
    EXPECT_THROW(rollup->step(at("2026-02-10T12:00:00Z")), StorageError);
    static_cast<void>(open_database(path, {}));
    insert("b", "2026-02-10T08:30:00Z");
    run("2026-02-10T12:00:00Z");
    EXPECT_EQ(series(), Rows{"b|2026-02-10T08:00:00Z|1|1.0|NULL|1"});
}

TEST_F(TimeSeries, retries_a_step_when_the_database_was_locked) {
    insert("a", "2026-02-10T09:30:00Z");
    SQLite::Database other(path, SQLite::OPEN_READWRITE);
    other.exec("BEGIN IMMEDIATE");
    try {
        rollup->step(at("2026-02-10T12:00:00Z"));
        FAIL() << "wrote to a locked database";
    } catch (const StorageError& error) {
        EXPECT_EQ(error.code(), StorageErrc::busy);
    }
    other.exec("ROLLBACK");
    run("2026-02-10T12:00:00Z");
    EXPECT_EQ(series().size(), 1U);
}

TEST_F(TimeSeries, two_rollups_agree) {
    HourlyRollup second(path, std::chrono::milliseconds{200});
    insert("a", "2026-02-10T09:30:00Z");
    run("2026-02-10T12:00:00Z");
    while (second.step(at("2026-02-10T12:00:00Z"))) {
    }
    insert("a", "2026-02-10T10:30:00Z");
    while (second.step(at("2026-02-10T12:00:00Z"))) {
    }
    run("2026-02-10T12:00:00Z");
    EXPECT_EQ(series(), (Rows{"a|2026-02-10T09:00:00Z|1|1.0|NULL|1", "a|2026-02-10T10:00:00Z|1|1.0|NULL|1"}));
    EXPECT_EQ(watermark(), "2");
}

TEST_F(TimeSeries, a_stop_ends_a_large_step_within_a_thousand_rows_and_loses_nothing) {
    test::execute(path,
                  "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 8000)"
                  " INSERT INTO skill_invocation (skill_name, invoked_at, session_id, completed)"
                  " SELECT 'a', '2026-02-10T09:30:00Z', 's', 1 FROM numbers");
    const std::string now = "2026-02-10T12:00:00Z";
    int asked = 0;
    // Asks before each 1,000 rows: 9 times while it finds the hours of 8,000 rows, then 8 times while it counts them.
    for (const int stop_at : {1, 4, 9, 11, 17}) {
        start();
        asked = 0;
        EXPECT_TRUE(rollup->step(at(now), [&] { return ++asked == stop_at; })) << stop_at;
        EXPECT_EQ(asked, stop_at) << "reads no row after the stop";
        EXPECT_EQ(series(), Rows{}) << stop_at;
    }
    EXPECT_TRUE(rollup->step(at(now), [] { return true; })) << "the same object continues";
    run(now);
    EXPECT_EQ(series(), Rows{"a|2026-02-10T09:00:00Z|8000|1.0|NULL|1"});
    EXPECT_EQ(watermark(), "8000");
}

TEST_F(TimeSeries, has_nothing_to_do_for_a_write_protected_database) {
    insert("a", "2026-02-10T09:30:00Z");
    test::WriteProtected file(path);
    EXPECT_FALSE(rollup->step(at("2026-02-10T12:00:00Z")));
}

}  // namespace
}  // namespace session_buddy::storage
