// What an insert into skill_invocation does to the aggregates, for any values.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <nlohmann/json.hpp>
#include <string>

#include "session_buddy/storage/database.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::storage {
namespace {

class Triggers : public testing::Test {
  protected:
    void SetUp() override { database = open_database(dir.file("skills.db"), {}); }

    void insert(const std::string& columns, const std::string& values) {
        database->exec("INSERT INTO skill_invocation (skill_name, session_id, " + columns + ") VALUES ('a', 's', " +
                       values + ")");
    }
    std::string metrics(const std::string& columns) {
        return one("SELECT " + columns + " FROM skill_metrics WHERE skill_name = 'a'");
    }
    std::string cache(const std::string& columns) {
        return one("SELECT " + columns + " FROM skill_metrics_cache WHERE skill_name = 'a'");
    }
    std::string one(const std::string& sql) {
        const auto rows = test::query(*database, sql);
        return rows.size() == 1 ? rows.front() : std::to_string(rows.size()) + " rows";
    }

    test::TempDir dir;
    std::unique_ptr<SQLite::Database> database;
};

TEST_F(Triggers, count_durations_and_rates_of_each_skill) {
    insert("invoked_at, completed, duration_seconds", "'2026-02-10T12:00:00Z', 1, 2.0");
    insert("invoked_at, completed, duration_seconds", "'2026-02-10T12:00:01Z', 0, 50.0");
    insert("invoked_at, completed, duration_seconds", "'2026-02-10T12:00:02Z', 1, 5.0");
    insert("invoked_at, completed", "'2026-02-10T12:00:03Z', 1");
    insert("invoked_at, completed, duration_seconds", "'2026-02-10T12:00:04Z', 1, 8.0");
    EXPECT_EQ(metrics("total_invocations, completed_invocations, abandoned_invocations, total_duration_seconds"),
              "5|4|1|15.0");
    EXPECT_EQ(metrics("completion_rate, avg_duration_seconds"), "80.0|5.0")
        << "the mean excludes the invocation without a duration";
    EXPECT_EQ(one("SELECT session_id, skill_name, invocation_count FROM session_skills"), "s|a|5");
}

TEST_F(Triggers, keep_the_mean_exact_over_many_invocations) {
    database->exec("BEGIN");
    double sum = 0;
    for (int i = 1; i <= 2000; ++i) {
        const double seconds = 0.001 * i * (i % 7);
        sum += i % 3 == 0 ? 0.0 : seconds;
        insert("invoked_at, completed, duration_seconds",
               "'2026-02-10T12:00:00Z', 1, " + (i % 3 == 0 ? std::string("NULL") : std::to_string(seconds)));
    }
    database->exec("COMMIT");
    EXPECT_NEAR(std::stod(metrics("avg_duration_seconds")), sum / (2000 - 666), 1e-6);
}

TEST_F(Triggers, leave_the_mean_empty_while_nothing_completed_with_a_duration) {
    insert("invoked_at, completed, duration_seconds", "'2026-02-10T12:00:00Z', 0, 3.0");
    EXPECT_EQ(metrics("completion_rate, avg_duration_seconds, total_duration_seconds"), "0.0|NULL|0.0");
}

TEST_F(Triggers, ignore_invalid_durations) {
    for (const char* duration : {"-1.0", "9e999", "'abc'", "x'00'", "NULL"}) {
        insert("invoked_at, completed, duration_seconds", std::string("'2026-02-10T12:00:00Z', 1, ") + duration);
    }
    EXPECT_EQ(metrics("completed_invocations, total_duration_seconds, avg_duration_seconds"), "5|0.0|NULL");
}

TEST_F(Triggers, accept_any_name_of_a_workflow_or_an_error) {
    const std::vector<std::string> names{"[Errno 2] No such file",
                                         "a.b.c",
                                         "it's \"quoted\"",
                                         "back\\slash",
                                         "$",
                                         "$[0]",
                                         "]['\"",
                                         "line\nbreak",
                                         "\xC3\xBC\xE6\xB5\x8B\xF0\x9F\x9A\x80",
                                         "{\"a\":1}"};
    for (const std::string& name : names) {
        for (int i = 0; i < 2; ++i) {
            insert("invoked_at, error_type, workflow_path, follow_up_actions",
                   "'2026-02-10', " + test::quoted(name) + ", " + test::quoted(name) + ", " +
                       test::quoted(nlohmann::json::array({name, "second"}).dump()));
        }
    }
    nlohmann::json wanted = nlohmann::json::object();
    for (const std::string& name : names) {
        wanted[name] = 2;
    }
    for (const char* column : {"common_errors", "workflow_paths", "follow_up_actions"}) {
        EXPECT_EQ(nlohmann::json::parse(metrics(column)), wanted) << column;
    }
}

TEST_F(Triggers, tolerate_actions_that_are_no_list_of_names) {
    for (const char* actions :
         {"'nonsense'", "''", "'{\"a\":1}'", "'[]'", "'[null]'", "'3'", "'null'", "x'5B31'", "7"}) {
        insert("invoked_at, follow_up_actions", std::string("'2026-02-10', ") + actions);
    }
    insert("invoked_at, follow_up_actions", "'2026-02-10', '[\"git commit\", \"push\"]'");
    EXPECT_EQ(metrics("total_invocations, follow_up_actions"), "10|{\"git commit\":1}");
}

TEST_F(Triggers, tolerate_aggregates_that_other_programs_wrote) {
    insert("invoked_at", "'2026-02-10'");
    database->exec(
        "UPDATE skill_metrics SET common_errors = 'broken', workflow_paths = '[1]',"
        " follow_up_actions = '{\"x\":\"many\",\"n\":{\"y\":1},\"\\u00fc\":3}'");
    for (const char* action : {"x", "\xC3\xBC", "n"}) {
        insert("invoked_at, error_type, workflow_path, follow_up_actions",
               "'2026-02-10', 'e', 'w', " + test::quoted("[\"" + std::string(action) + "\"]"));
    }
    EXPECT_EQ(metrics("common_errors, workflow_paths"), "{\"e\":3}|{\"w\":3}");
    EXPECT_EQ(nlohmann::json::parse(metrics("follow_up_actions")),
              (nlohmann::json{{"x", 1}, {"n", 1}, {"\xC3\xBC", 4}}));
}

TEST_F(Triggers, order_by_time_and_not_by_text) {
    const char* const in_order[] = {"2026-02-10T12:00:00+02:00",   // 10:00 UTC
                                    "2026-02-10 10:30:00",         //
                                    "2026-02-10T05:45:00-0500",    // 10:45
                                    "2026-02-10t11:00:00z",        //
                                    "2026-02-10T15:15:00,250+04",  // 11:15
                                    "2026-02-10T11:30"};
    for (const std::size_t index : {3U, 1U, 5U, 0U, 4U, 2U}) {
        insert("invoked_at", test::quoted(in_order[index]));
    }
    EXPECT_EQ(metrics("first_invoked, last_invoked"), "2026-02-10T12:00:00+02:00|2026-02-10T11:30");
    EXPECT_EQ(cache("last_invocation_at"), "2026-02-10T11:30");
}

TEST_F(Triggers, prefer_a_valid_time_to_garbage) {
    insert("invoked_at", "'garbage'");
    EXPECT_EQ(metrics("first_invoked, last_invoked"), "garbage|garbage");
    insert("invoked_at", "'2026-02-10T12:00:00Z'");
    insert("invoked_at", "'zzz'");
    insert("invoked_at", "'now'");
    EXPECT_EQ(metrics("total_invocations, first_invoked, last_invoked"), "4|2026-02-10T12:00:00Z|2026-02-10T12:00:00Z");
    EXPECT_EQ(cache("last_invocation_at, invocation_count_24h"), "2026-02-10T12:00:00Z|0");
}

TEST_F(Triggers, count_in_the_cache_only_what_is_recent) {
    for (const char* at :
         {"datetime('now', '-30 seconds')", "datetime('now', '-59 minutes')", "datetime('now', '-61 minutes')",
          "datetime('now', '-23 hours')", "datetime('now', '-25 hours')", "datetime('now', '+2 days')"}) {
        insert("invoked_at", at);
    }
    EXPECT_EQ(cache("invocation_count_1h, invocation_count_24h, is_anomalous"), "3|5|0");
    EXPECT_EQ(one("SELECT last_invocation_at > datetime('now', '+1 day') FROM skill_metrics_cache"), "1");
    EXPECT_EQ(one("SELECT julianday(updated_at) > julianday('now', '-1 minute') FROM skill_metrics_cache"), "1");
}

TEST_F(Triggers, work_with_any_conflict_clause_of_the_outer_statement) {
    insert("invoked_at", "'2026-02-10'");
    database->exec(
        "INSERT OR REPLACE INTO skill_invocation (skill_name, session_id, invoked_at) VALUES ('a', 's', '2026-02-11')");
    database->exec(
        "INSERT OR IGNORE INTO skill_invocation (skill_name, session_id, invoked_at) VALUES ('a', 's', '2026-02-12')");
    EXPECT_EQ(metrics("total_invocations, first_invoked, last_invoked"), "3|2026-02-10|2026-02-12");
}

TEST_F(Triggers, hold_references_with_foreign_keys_on) {
    EXPECT_EQ(one("PRAGMA foreign_keys"), "1");
    insert("invoked_at", "'2026-02-10'");
    EXPECT_EQ(one("SELECT count(*) FROM pragma_foreign_key_check"), "0");
    EXPECT_THROW(
        database->exec("INSERT INTO skill_anomalies (skill_name, detected_at, anomaly_type) VALUES ('x', 'y', 'z')"),
        SQLite::Exception);
}

}  // namespace
}  // namespace session_buddy::storage
