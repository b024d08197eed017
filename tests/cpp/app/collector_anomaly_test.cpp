// Anomalies from rows in a real database to the snapshot, to skill_anomalies and through a restart.
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <random>

#include "app/collector_fixture.hpp"

namespace session_buddy::app {
namespace {

using namespace std::chrono_literals;
using test::execute;
using test::query;
using test::query_one;

std::string run(const std::string& skill, TimePoint at, bool completed, double seconds = 5.0) {
    return test::insertion(skill, format_timestamp(at), "s1", completed, fmt::format("{}", seconds));
}

class CollectorAnomalyTest : public CollectorFixture {
  protected:
    [[nodiscard]] std::vector<std::string> episodes() const {
        return query(
            config.db_path,
            "SELECT skill_name, anomaly_type, detected_at, coalesce(resolved_at, 'open'), round(deviation_score, 3) "
            "FROM skill_anomalies ORDER BY id");
    }
};

TEST_F(CollectorAnomalyTest, a_rate_that_fell_from_85_to_62_percent_is_a_performance_drop_of_2_3) {
    start();
    std::string sql = "BEGIN;";
    for (int i = 0; i < 100; ++i) {  // 85 of 100, spread evenly over the hours before the last one
        sql += run("pytest-run", kNow - 20h + i * 11min, i * 17 % 20 < 17);
    }
    for (int i = 0; i < 13; ++i) {  // 8 of 13 in the last hour
        sql += run("pytest-run", kNow - 50min + i * 3min, i < 4 || i >= 9);
    }
    execute(config.db_path, sql + "COMMIT;");
    cycle();
    ASSERT_EQ(latest->anomalies->size(), 1U);
    const Anomaly& anomaly = latest->anomalies->front();
    EXPECT_EQ(anomaly.skill_name, "pytest-run");
    EXPECT_EQ(anomaly.type, AnomalyType::performance_drop);
    EXPECT_NEAR(anomaly.baseline_value, 0.85, 0.005);
    EXPECT_NEAR(anomaly.observed_value, 0.615, 0.001);
    EXPECT_EQ(anomaly.observed_samples, 13);
    EXPECT_NEAR(anomaly.deviation_score, 2.3, 0.2);
    EXPECT_LT(anomaly.z_score, 0);
    EXPECT_EQ(query_one(config.db_path, "SELECT is_anomalous || ' ' || (anomaly_score > 2) FROM skill_metrics_cache"),
              "1 1");
}

TEST_F(CollectorAnomalyTest, a_rate_that_rose_from_80_to_95_percent_is_a_performance_spike) {
    start();
    std::string sql = "BEGIN;";
    for (int i = 0; i < 200; ++i) {
        sql += run("mypy", kNow - 23h + i * 6min, i % 5 != 0);
    }
    for (int i = 0; i < 40; ++i) {
        sql += run("mypy", kNow - 58min + i * 1min, i != 20 && i != 30);
    }
    execute(config.db_path, sql + "COMMIT;");
    cycle();
    ASSERT_EQ(latest->anomalies->size(), 1U);
    EXPECT_EQ(latest->anomalies->front().type, AnomalyType::performance_spike);
    EXPECT_NEAR(latest->anomalies->front().observed_value, 0.95, 0.001);
}

TEST_F(CollectorAnomalyTest, durations_that_went_from_5_to_15_seconds_are_a_pattern_shift) {
    start();
    std::string sql = "BEGIN;";
    for (int i = 0; i < 60; ++i) {
        sql += run("ruff-check", kNow - 20h + i * 15min, true, 4.0 + (i % 5) * 0.5);
    }
    for (int i = 0; i < 10; ++i) {
        sql += run("ruff-check", kNow - 40min + i * 2min, true, 14.0 + (i % 5) * 0.5);
    }
    execute(config.db_path, sql + "COMMIT;");
    cycle();
    ASSERT_EQ(latest->anomalies->size(), 1U);
    EXPECT_EQ(latest->anomalies->front().type, AnomalyType::pattern_shift);
    EXPECT_NEAR(latest->anomalies->front().baseline_value, 5.0, 0.05);
    EXPECT_NEAR(latest->anomalies->front().observed_value, 15.0, 0.01);
}

TEST_F(CollectorAnomalyTest, five_good_and_five_failed_within_a_second_are_reported_in_the_next_broadcast) {
    start();
    std::string sql = "BEGIN;";
    for (int i = 0; i < 10; ++i) {
        sql += run("fresh", kNow, i < 5);
    }
    execute(config.db_path, sql + "COMMIT;");
    cycle();
    ASSERT_EQ(latest->anomalies->size(), 1U);
    EXPECT_EQ(latest->anomalies->front().type, AnomalyType::performance_drop);
}

TEST_F(CollectorAnomalyTest, five_good_and_three_failed_are_too_few) {
    start();
    std::string sql = "BEGIN;";
    for (int i = 0; i < 8; ++i) {
        sql += run("fresh", kNow, i < 5);
    }
    execute(config.db_path, sql + "COMMIT;");
    cycle();
    EXPECT_TRUE(latest->anomalies->empty());
    EXPECT_TRUE(episodes().empty());
}

TEST_F(CollectorAnomalyTest, an_episode_is_one_row_over_all_its_cycles_and_is_resolved_at_its_end) {
    start();
    std::string sql = "BEGIN;";
    for (int i = 0; i < 40; ++i) {
        sql += run("a", clock.now(), true);
    }
    for (int i = 0; i < 8; ++i) {
        sql += run("a", clock.now(), false);
    }
    execute(config.db_path, sql + "COMMIT;");
    for (int i = 0; i < 30; ++i) {
        cycle();
    }
    ASSERT_EQ(episodes().size(), 1U);
    EXPECT_NE(episodes()[0].find("|open|"), std::string::npos);
    for (int i = 0; i < 60; ++i) {
        execute(config.db_path, run("a", clock.now(), true));
        cycle(60s);
    }
    EXPECT_EQ(query(config.db_path,
                    "SELECT count(*), resolved_at IS NOT NULL FROM skill_anomalies"
                    " WHERE anomaly_type = 'performance_drop'"),
              std::vector<std::string>{"1|1"});
    EXPECT_TRUE(std::ranges::none_of(*latest->anomalies,
                                     [](const Anomaly& a) { return a.type == AnomalyType::performance_drop; }));
}

TEST_F(CollectorAnomalyTest, a_restart_resumes_the_open_episode_without_a_second_row) {
    start();
    std::string sql = "BEGIN;";
    for (int i = 0; i < 48; ++i) {
        sql += run("a", clock.now(), i < 40);
    }
    execute(config.db_path, sql + "COMMIT;");
    cycle();
    const std::vector<Anomaly> before = *latest->anomalies;
    ASSERT_EQ(before.size(), 1U);
    for (int restart = 0; restart < 3; ++restart) {
        start();
        EXPECT_EQ(*latest->anomalies, before);
        cycle();
        EXPECT_EQ(*latest->anomalies, before);
    }
    EXPECT_EQ(episodes().size(), 1U);
}

TEST_F(CollectorAnomalyTest, an_orphaned_open_row_is_closed_and_rows_of_other_tools_are_not_changed) {
    start();
    execute(config.db_path,
            run("a", clock.now(), true) +
                "INSERT INTO skill_anomalies (skill_name, detected_at, anomaly_type) VALUES"
                " ('a', '2026-01-01T00:00:00Z', 'performance_drop'), ('a', '2026-01-01T00:00:00Z', 'drop')");
    start();
    cycle();
    EXPECT_EQ(query(config.db_path, "SELECT anomaly_type, resolved_at IS NULL FROM skill_anomalies ORDER BY id"),
              (std::vector<std::string>{"performance_drop|0", "drop|1"}));
}

TEST_F(CollectorAnomalyTest, a_clock_set_back_does_not_report_old_episodes_again) {
    start();
    std::string sql = "BEGIN;";
    for (int i = 0; i < 48; ++i) {
        sql += run("a", clock.now() - 1min + i * 1s, i < 40);
    }
    execute(config.db_path, sql + "COMMIT;");
    cycle();
    ASSERT_EQ(episodes().size(), 1U);
    clock.advance(-2h);
    cycle();
    cycle(4h);
    EXPECT_EQ(episodes().size(), 1U);
}

TEST_F(CollectorAnomalyTest, a_locked_database_loses_no_episode) {
    start();
    std::string sql = "BEGIN;";
    for (int i = 0; i < 48; ++i) {
        sql += run("a", clock.now(), i < 40);
    }
    execute(config.db_path, sql + "COMMIT;");
    {
        SQLite::Database locker(config.db_path, SQLite::OPEN_READWRITE);
        locker.exec("BEGIN IMMEDIATE");
        cycle();
        EXPECT_EQ(latest->anomalies->size(), 1U);
    }
    EXPECT_TRUE(episodes().empty());
    cycle();
    EXPECT_EQ(episodes().size(), 1U);
}

// The same history in three ways: row by row as it happens, in one batch at the end, and live with restarts in between.
class SameAnomalies : public testing::TestWithParam<unsigned> {};

struct Row {
    TimePoint at;
    std::string sql;
};

std::vector<Row> random_history(unsigned seed) {
    std::mt19937_64 random{seed};
    std::uniform_real_distribution<double> uniform{0.0, 1.0};
    std::vector<Row> rows;
    TimePoint at = kNow - 20h;
    while (at < kNow) {
        at += std::chrono::seconds{1 + static_cast<int>(uniform(random) * 900)};
        const double hours = std::chrono::duration<double, std::ratio<3600>>(kNow - at).count();
        const std::string skill = "skill-" + std::to_string(random() % 3);
        const bool bad = skill == "skill-1" && hours < 12 && hours > 6;
        rows.push_back(
            {at, run(skill, at, uniform(random) < (bad ? 0.4 : 0.93), (bad ? 20.0 : 5.0) + uniform(random))});
    }
    return rows;
}

std::vector<std::string> play(const std::vector<Row>& rows, const std::function<bool(std::size_t)>& restart_before,
                              bool in_one_batch) {
    test::TempDir folder;
    Config config;
    config.db_path = folder.file("skills.db");
    test::ManualClock clock{kNow - 20h};
    const auto open = [&] {
        auto collector = std::make_unique<Collector>(config, clock, [](const SnapshotPtr&) {});
        collector->open();
        return collector;
    };
    auto collector = open();
    SQLite::Database database(config.db_path, SQLite::OPEN_READWRITE, 5000);
    if (in_one_batch) {
        collector.reset();
        database.exec("BEGIN");
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
        clock.set(rows[i].at);
        if (!in_one_batch && restart_before(i)) {
            collector.reset();
            collector = open();
        }
        database.exec(rows[i].sql);
        if (!in_one_batch) {
            collector->cycle();
        }
    }
    clock.set(kNow + 20min);
    if (in_one_batch) {
        database.exec("COMMIT");
        collector = open();
    } else {
        collector->cycle();
    }
    return query(database,
                 "SELECT skill_name, anomaly_type, detected_at, resolved_at, baseline_value, observed_value, "
                 "deviation_score FROM skill_anomalies ORDER BY detected_at, skill_name, anomaly_type");
}

TEST_P(SameAnomalies, live_in_one_batch_and_resumed) {
    const auto rows = random_history(GetParam());
    const auto live = play(rows, [](std::size_t) { return false; }, false);
    EXPECT_FALSE(live.empty());
    EXPECT_EQ(play(rows, [](std::size_t) { return false; }, true), live);
    EXPECT_EQ(play(rows, [&](std::size_t i) { return i == rows.size() / 2; }, false), live);
    EXPECT_EQ(play(rows, [](std::size_t i) { return i % 37 == 36; }, false), live);
}

INSTANTIATE_TEST_SUITE_P(RandomHistories, SameAnomalies, testing::Range(1U, 7U));

}  // namespace
}  // namespace session_buddy::app
