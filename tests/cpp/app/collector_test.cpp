// Cycle by cycle with a real database file: what is published, what is written back, and how errors are handled.
#include "session_buddy/app/collector.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "app/collector_fixture.hpp"
#include "session_buddy/core/log.hpp"
#include "session_buddy/storage/database.hpp"

namespace session_buddy::app {
namespace {

using namespace std::chrono_literals;
using test::execute;
using test::insertion;
using test::query_one;

class CollectorTest : public CollectorFixture {
  protected:
    [[nodiscard]] const SkillMetrics& skill(const std::string& name) const {
        const SkillMetrics* metrics = latest->skills->find(name);
        if (metrics == nullptr) {
            throw std::runtime_error("no skill " + name);
        }
        return *metrics;
    }
    void insert(const std::string& name, std::chrono::microseconds ago = 0s, bool completed = true,
                const std::string& session = "s1", const std::string& duration = "2.5") const {
        execute(config.db_path, insertion(name, format_timestamp(clock.now() - ago), session, completed, duration));
    }
};

TEST_F(CollectorTest, an_empty_database_gives_an_empty_snapshot) {
    start();
    ASSERT_NE(latest, nullptr);
    EXPECT_EQ(latest->sequence, 1U);
    EXPECT_EQ(latest->at, kNow);
    EXPECT_TRUE(latest->database.readable);
    EXPECT_EQ(latest->skills->size(), 0U);
    EXPECT_TRUE(std::filesystem::exists(config.db_path));
}

TEST_F(CollectorTest, publishes_new_rows_with_window_and_lifetime_metrics) {
    start();
    insert("pytest-run", 10s, true, "s1", "4.0");
    insert("pytest-run", 5s, true, "s1", "6.0");
    insert("pytest-run", 1s, false, "s2", "NULL");
    cycle();
    const SkillMetrics& metrics = skill("pytest-run");
    EXPECT_EQ(metrics.window.invocation_count, 3);
    EXPECT_EQ(metrics.window.completed_count, 2);
    EXPECT_DOUBLE_EQ(metrics.window.avg_duration_seconds, 5.0);
    EXPECT_EQ(metrics.window.last_invocation_at, kNow - 1s);
    EXPECT_EQ(metrics.lifetime.total_invocations, 3);
    EXPECT_EQ(metrics.lifetime.completed_invocations, 2);
    EXPECT_EQ(latest->sessions->size(), 2U);
    EXPECT_EQ(latest->sequence, 2U);
}

TEST_F(CollectorTest, lifetime_counts_rows_older_than_the_window) {
    start();
    insert("old", 1000h);
    cycle();
    EXPECT_EQ(skill("old").window.invocation_count, 0);
    EXPECT_EQ(skill("old").lifetime.total_invocations, 1);
    EXPECT_TRUE(latest->skills->top().empty());
}

TEST_F(CollectorTest, sessions_version_changes_only_with_the_sessions) {
    start();
    insert("a");
    cycle();
    const auto version = latest->sessions_version;
    cycle();
    EXPECT_EQ(latest->sessions_version, version);
    insert("a");
    cycle();
    EXPECT_NE(latest->sessions_version, version);
}

TEST_F(CollectorTest, updates_cache_columns_that_a_trigger_cannot_compute) {
    start();
    insert("a");
    insert("a", 0s, false);
    cycle();
    const std::string row =
        "SELECT invocation_count_1h || ' ' || invocation_count_24h || ' ' || avg_completion_rate_24h || ' ' || "
        "is_anomalous || ' ' || last_invocation_at FROM skill_metrics_cache WHERE skill_name = 'a'";
    EXPECT_EQ(query_one(config.db_path, row), "2 2 0.5 0 2026-02-10T12:00:00Z");
    cycle(2h);
    EXPECT_EQ(query_one(config.db_path, row), "0 2 0.5 0 2026-02-10T12:00:00Z");
    cycle(24h);
    EXPECT_EQ(query_one(config.db_path,
                        "SELECT invocation_count_24h || ' ' || (avg_completion_rate_24h IS NULL) "
                        "FROM skill_metrics_cache WHERE skill_name = 'a'"),
              "0 1");
}

TEST_F(CollectorTest, writes_only_cache_rows_that_changed) {
    start();
    insert("quiet");
    cycle();
    const std::string updated = "SELECT updated_at FROM skill_metrics_cache WHERE skill_name = 'quiet'";
    const std::string before = query_one(config.db_path, updated);
    insert("busy", 0s);
    cycle(60s);
    EXPECT_EQ(query_one(config.db_path, updated), before);
}

TEST_F(CollectorTest, corrects_a_cache_whose_trigger_counts_wrongly) {
    start();
    execute(
        config.db_path,
        "INSERT INTO skill_metrics (skill_name, total_invocations, last_invoked) VALUES ('x', 7, "
        "'2026-02-01T00:00:00Z');"
        "INSERT INTO skill_metrics_cache (skill_name, last_invocation_at, invocation_count_1h, invocation_count_24h, "
        "updated_at) VALUES ('x', '2026-02-01T00:00:00Z', 99, 99, '2026-02-01T00:00:00Z')");
    Collector again{config, clock, [](const SnapshotPtr&) {}};
    again.open();
    EXPECT_EQ(query_one(config.db_path, "SELECT invocation_count_24h FROM skill_metrics_cache WHERE skill_name = 'x'"),
              "0");
}

TEST_F(CollectorTest, a_missing_database_is_served_from_memory_and_read_again_when_it_is_back) {
    start();
    insert("a");
    cycle();
    std::filesystem::rename(config.db_path, folder.file("away.db"));
    cycle();
    EXPECT_FALSE(latest->database.readable);
    EXPECT_FALSE(latest->database.reason.empty());
    EXPECT_EQ(skill("a").window.invocation_count, 1);
    EXPECT_FALSE(std::filesystem::exists(config.db_path)) << "a missing database is not created again";
    cycle(25h);
    EXPECT_EQ(skill("a").window.invocation_count, 0) << "counts decay meanwhile";

    std::filesystem::rename(folder.file("away.db"), config.db_path);
    cycle();
    insert("a");
    cycle();
    EXPECT_TRUE(latest->database.readable);
    EXPECT_EQ(skill("a").window.invocation_count, 1);
    EXPECT_EQ(skill("a").lifetime.total_invocations, 2);
}

TEST_F(CollectorTest, a_replaced_database_replaces_all_metrics) {
    start();
    insert("old");
    cycle();
    const std::string other = folder.file("other.db");
    { const auto created = storage::open_database(other, {}); }
    execute(other, insertion("new", format_timestamp(clock.now())));
    std::filesystem::rename(other, config.db_path);
    cycle();
    EXPECT_EQ(latest->skills->find("old"), nullptr);
    EXPECT_EQ(skill("new").window.invocation_count, 1);
}

TEST_F(CollectorTest, pruned_rows_leave_the_window) {
    start();
    insert("a", 3h);
    insert("a", 1h);
    insert("b");
    cycle();
    execute(config.db_path, "DELETE FROM skill_invocation WHERE id = 1");
    cycle();
    EXPECT_EQ(skill("a").window.invocation_count, 1);
    EXPECT_EQ(skill("b").window.invocation_count, 1);
}

TEST_F(CollectorTest, a_locked_database_delays_nothing_and_is_read_when_free) {
    start();
    insert("a");
    cycle();
    {
        SQLite::Database locker(config.db_path, SQLite::OPEN_READWRITE);
        locker.exec("BEGIN IMMEDIATE; " + insertion("a", format_timestamp(clock.now())));
        cycle(2h);  // the cache row would change now, but cannot be written
        EXPECT_EQ(skill("a").window.invocation_count, 1);
        locker.exec("COMMIT");
    }
    cycle();
    EXPECT_EQ(skill("a").window.invocation_count, 2);
    EXPECT_EQ(query_one(config.db_path, "SELECT invocation_count_24h FROM skill_metrics_cache WHERE skill_name = 'a'"),
              "2");
}

TEST_F(CollectorTest, a_short_lock_is_not_logged_and_a_long_one_is_logged_once) {
    int warnings = 0;
    log::set_sink([&](const log::Record& record) {
        warnings +=
            record.message.find("cannot update skill_metrics_cache and skill_anomalies") != std::string::npos ? 1 : 0;
    });
    start();
    SQLite::Database writer(config.db_path, SQLite::OPEN_READWRITE);
    for (int round = 0; round < 3; ++round) {
        insert("a");
        writer.exec("BEGIN IMMEDIATE");
        cycle();
        writer.exec("ROLLBACK");
        cycle();
    }
    EXPECT_EQ(warnings, 0);
    insert("a");
    writer.exec("BEGIN IMMEDIATE");
    for (int round = 0; round < 3; ++round) {
        cycle(10s);
    }
    EXPECT_EQ(warnings, 1);
    writer.exec("ROLLBACK");
    log::reset_sink();
}

TEST_F(CollectorTest, unreadable_rows_are_skipped) {
    start();
    execute(config.db_path, insertion("a", "yesterday"));
    insert("a");
    cycle();
    EXPECT_TRUE(latest->database.readable);
    EXPECT_EQ(skill("a").window.invocation_count, 1);
}

TEST_F(CollectorTest, a_clock_set_back_by_a_day_gives_the_metrics_of_that_time) {
    start();
    insert("a");
    cycle();
    cycle(30h);
    EXPECT_EQ(skill("a").window.invocation_count, 0);
    clock.set(kNow + 10s);
    collector->cycle();
    EXPECT_EQ(skill("a").window.invocation_count, 1);
}

TEST_F(CollectorTest, a_corrected_clock_that_was_a_day_slow_gives_the_metrics_of_the_right_time) {
    start();
    insert("a");
    cycle();
    clock.set(kNow - 24h);
    collector->cycle();
    EXPECT_EQ(skill("a").window.invocation_count, 1) << "from the future counts as now";
    clock.set(kNow + 10s);
    collector->cycle();
    EXPECT_EQ(skill("a").window.invocation_count, 1);
    EXPECT_EQ(skill("a").window.last_invocation_at, kNow);
}

TEST_F(CollectorTest, a_start_with_a_clock_that_is_a_day_slow_loses_nothing) {
    { const auto created = storage::open_database(config.db_path, {}); }
    insert("a");
    clock.set(kNow - 24h);
    start();
    clock.set(kNow + 10s);
    collector->cycle();
    EXPECT_EQ(skill("a").window.invocation_count, 1);
}

TEST_F(CollectorTest, more_rows_than_one_batch_are_all_read_before_the_first_snapshot) {
    { const auto created = storage::open_database(config.db_path, {}); }
    std::string sql = "BEGIN;";
    for (int i = 0; i < 950; ++i) {
        sql += insertion("a", format_timestamp(kNow - i * 1s));
    }
    execute(config.db_path, sql + "COMMIT;");
    config.max_rows_per_cycle = 100;
    Collector small{config, clock, [this](SnapshotPtr snapshot) { latest = std::move(snapshot); }};
    small.open();
    EXPECT_EQ(latest->sequence, 1U);
    EXPECT_EQ(skill("a").window.invocation_count, 950);
}

TEST_F(CollectorTest, the_thread_publishes_until_it_is_stopped) {
    config.update_interval = Seconds{0.01};
    std::atomic<int> count{0};
    Collector running{config, clock, [&](const SnapshotPtr&) { ++count; }};
    running.open();
    running.start();
    while (count < 5) {
        std::this_thread::yield();
    }
    running.stop();
    const int at_stop = count;
    running.stop();
    EXPECT_EQ(count, at_stop);
}

}  // namespace
}  // namespace session_buddy::app
