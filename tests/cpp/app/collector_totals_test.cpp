// Totals across restarts, pruning, errors and other processes: each invocation is counted once, and totals never
// decrease.
#include <gtest/gtest.h>

#include <filesystem>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "app/collector_fixture.hpp"
#include "session_buddy/storage/database.hpp"
#include "session_buddy/storage/pruner.hpp"
#include "support/privileges.hpp"

namespace session_buddy::app {
namespace {

using namespace std::chrono_literals;
using test::execute;
using test::insertion;
using test::query_one;

class CollectorTotals : public CollectorFixture {
  protected:
    void SetUp() override {
        create_database();
        start();
    }
    void create_database() const { const auto created = storage::open_database(config.db_path, {}); }
    /// As if no server ever ran.
    void create_database_again() {
        collector.reset();
        std::filesystem::remove(config.db_path);
        create_database();
    }
    void cycle_until_counted() {
        for (int cycles = 0; latest->uncounted_rows > 0; ++cycles) {
            ASSERT_LT(cycles, 1000);
            cycle();
        }
    }
    void insert(const std::string& skill, bool completed = true, const std::string& duration = "NULL",
                std::chrono::microseconds ago = 0s) const {
        execute(config.db_path, insertion(skill, format_timestamp(clock.now() - ago), "s1", completed, duration));
    }
    void insert_many(int rows, std::chrono::microseconds ago = 0s) const {
        execute(config.db_path,
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " + std::to_string(rows) +
                    ") INSERT INTO skill_invocation (skill_name, invoked_at, session_id, completed) SELECT 'bulk', '" +
                    format_timestamp(clock.now() - ago) + "', 's1', 1 FROM n");
    }
    /// Completed and failed invocations of a skill, in all phases.
    [[nodiscard]] std::pair<std::int64_t, std::int64_t> runs(const std::string& skill) const {
        std::pair<std::int64_t, std::int64_t> found{0, 0};
        for (const auto& each : *latest->totals) {
            for (const PhaseTotals& phase : each->phases) {
                if (each->skill_name == skill) {
                    found.first += phase.completed;
                    found.second += phase.failed;
                }
            }
        }
        return found;
    }
    using Runs = std::pair<std::int64_t, std::int64_t>;
};

TEST_F(CollectorTotals, continue_after_a_restart_with_the_rows_written_meanwhile) {
    insert("a", true, "0.3");
    insert("a", false);
    cycle();
    EXPECT_EQ(runs("a"), Runs(1, 1));
    collector.reset();
    insert("a", true, "7");
    start();
    EXPECT_EQ(runs("a"), Runs(2, 1));
    const PhaseTotals& phase = latest->totals->front()->phases.front();
    EXPECT_EQ(phase.durations[1], 1);
    EXPECT_EQ(phase.durations[5], 1);
    EXPECT_DOUBLE_EQ(phase.duration_seconds, 7.3);
}

TEST_F(CollectorTotals, count_rows_of_any_age_in_the_order_of_their_ids) {
    insert("late", true, "NULL", 24h * 400);
    cycle();
    insert("late", false, "NULL", -24h);
    cycle();
    EXPECT_EQ(runs("late"), Runs(1, 1));
}

TEST_F(CollectorTotals, keep_the_phase_and_skip_unreadable_rows) {
    execute(config.db_path,
            "INSERT INTO skill_invocation (skill_name, invoked_at, session_id, completed, workflow_phase) VALUES"
            " ('a', '2026-02-10T12:00:00Z', 's', 1, 'setup'), ('a', '2026-02-10T12:00:00Z', 's', 1, X'ff'),"
            " ('a', 'yesterday', 's', 1, 'setup'), ('', '2026-02-10T12:00:00Z', 's', 1, 'setup')");
    cycle();
    ASSERT_EQ(latest->totals->size(), 1U);
    const auto& phases = latest->totals->front()->phases;
    ASSERT_EQ(phases.size(), 2U);
    EXPECT_EQ(phases[0].workflow_phase, "setup");
    EXPECT_EQ(phases[0].completed, 1);
    EXPECT_EQ(phases[1].workflow_phase, "none");
}

TEST_F(CollectorTotals, keep_counting_pruned_rows) {
    for (int day = 100; day >= 0; --day) {
        insert("a", day % 2 == 0, "1", 24h * day);
    }
    storage::Pruner pruner(config.db_path, storage::prune_cutoff(clock.now(), 24h * 50), 200ms);
    while (pruner.step(clock.now())) {
    }
    EXPECT_EQ(pruner.result().rows, 50);
    cycle();
    EXPECT_EQ(runs("a"), Runs(51, 50)) << "the pruner counted what no server had";
    start();
    EXPECT_EQ(runs("a"), Runs(51, 50));
    insert("a");
    cycle();
    EXPECT_EQ(runs("a"), Runs(52, 50));
}

TEST_F(CollectorTotals, keep_pruned_rows_when_the_newest_row_is_deleted_manually) {
    for (int i = 0; i < 5; ++i) {
        insert("a", true, "NULL", 24h * 100);
    }
    insert("a");
    insert("a");
    cycle();
    storage::Pruner pruner(config.db_path, storage::prune_cutoff(clock.now(), 24h * 50), 200ms);
    while (pruner.step(clock.now())) {
    }
    cycle();
    execute(config.db_path, "DELETE FROM skill_invocation WHERE id = 7");
    cycle();
    EXPECT_EQ(runs("a"), Runs(7, 0));
    insert("a");
    cycle();
    EXPECT_EQ(runs("a"), Runs(8, 0));
    start();
    EXPECT_EQ(runs("a"), Runs(8, 0));
}

TEST_F(CollectorTotals, are_complete_before_pruning_even_if_no_server_ever_ran) {
    create_database_again();
    insert_many(20'000, 24h * 100);
    insert("a");
    storage::Pruner pruner(config.db_path, storage::prune_cutoff(clock.now(), 24h * 50), 200ms);
    while (pruner.step(clock.now())) {
    }
    EXPECT_EQ(pruner.result().rows, 20'000);
    start();
    EXPECT_EQ(runs("bulk"), Runs(20'000, 0));
    EXPECT_EQ(runs("a"), Runs(1, 0));
}

TEST_F(CollectorTotals, are_reset_by_another_database) {
    insert("a");
    insert("a");
    cycle();
    const std::string other = folder.file("other.db");
    { const auto created = storage::open_database(other, {}); }
    execute(other, insertion("b", "2026-02-01T00:00:00Z"));
    execute(other, insertion("b", "2026-02-01T00:00:00Z"));
    execute(other, insertion("b", "2026-02-01T00:00:00Z"));
    std::filesystem::rename(other, config.db_path);
    cycle();
    cycle();
    EXPECT_EQ(runs("a"), Runs(0, 0));
    EXPECT_EQ(runs("b"), Runs(3, 0));
}

TEST_F(CollectorTotals, are_reset_when_all_rows_were_deleted) {
    insert("a");
    insert("a");
    cycle();
    execute(config.db_path, "DELETE FROM skill_invocation; DELETE FROM sqlite_sequence");
    insert("b");
    cycle();
    EXPECT_EQ(runs("a"), Runs(0, 0));
    EXPECT_EQ(runs("b"), Runs(1, 0));
    EXPECT_EQ(query_one(config.db_path, "SELECT group_concat(skill_name) FROM session_buddy_totals"), "b");
}

TEST_F(CollectorTotals, are_kept_when_a_single_row_is_deleted_manually) {
    insert("a");
    insert("a");
    insert("a");
    cycle();
    execute(config.db_path, "DELETE FROM skill_invocation WHERE id = 1");
    cycle();
    EXPECT_EQ(runs("a"), Runs(3, 0));
}

TEST_F(CollectorTotals, are_those_of_the_database_after_another_program_corrected_them) {
    insert("a");
    insert("a");
    insert("a");
    cycle();
    cycle();
    // Like a command that corrects a mistake: removes the row and its count in one transaction.
    execute(config.db_path,
            "BEGIN; DELETE FROM skill_invocation WHERE id = 2; UPDATE session_buddy_totals SET completed = 2;" +
                insertion("a", format_timestamp(clock.now())) + "COMMIT");
    cycle();
    EXPECT_EQ(runs("a"), Runs(3, 0));
    cycle();
    EXPECT_EQ(query_one(config.db_path, "SELECT completed FROM session_buddy_totals"), "3");
}

TEST_F(CollectorTotals, stay_when_the_clock_jumps_and_all_metrics_are_rebuilt) {
    insert("a");
    cycle();
    clock.set(kNow - 24h);
    cycle();
    EXPECT_EQ(runs("a"), Runs(1, 0));
}

TEST_F(CollectorTotals, of_a_locked_database_are_counted_and_written_once_it_is_free) {
    insert("a");
    cycle();
    {
        SQLite::Database locker(config.db_path, SQLite::OPEN_READWRITE);
        insert("a");
        locker.exec("BEGIN IMMEDIATE");
        cycle();
        EXPECT_EQ(runs("a"), Runs(2, 0));
        locker.exec("ROLLBACK");
    }
    const std::string stored = "SELECT completed FROM session_buddy_totals WHERE skill_name = 'a'";
    EXPECT_EQ(query_one(config.db_path, stored), "1");
    cycle();
    EXPECT_EQ(query_one(config.db_path, stored), "2");
    EXPECT_EQ(runs("a"), Runs(2, 0));
}

TEST_F(CollectorTotals, of_a_read_only_database_are_counted_in_memory) {
    insert("a");
    insert("a", false);
    collector.reset();
    {
        const test::WriteProtected folder_guard(folder.path());
        const test::WriteProtected file_guard(config.db_path);
        start();
        EXPECT_EQ(runs("a"), Runs(1, 1));
        cycle();
        EXPECT_EQ(runs("a"), Runs(1, 1));
    }
    cycle();
    cycle();
    EXPECT_EQ(runs("a"), Runs(1, 1));
    EXPECT_EQ(query_one(config.db_path, "SELECT completed || failed FROM session_buddy_totals"), "11");
}

TEST_F(CollectorTotals, are_counted_once_by_two_servers_on_one_database) {
    SnapshotPtr of_second;
    Collector second(config, clock, [&of_second](SnapshotPtr snapshot) { of_second = std::move(snapshot); });
    second.open();
    for (int i = 0; i < 20; ++i) {
        insert("a");
        cycle();
        second.cycle();
        insert("a");
        second.cycle();
        EXPECT_EQ(of_second->totals->front()->phases.front().completed, 2 * (i + 1));
        cycle();
        EXPECT_EQ(runs("a"), Runs(2 * (i + 1), 0));
    }
    EXPECT_EQ(query_one(config.db_path, "SELECT completed FROM session_buddy_totals"), "40");
}

TEST_F(CollectorTotals, never_decrease_while_a_pruner_counts_at_the_same_time) {
    create_database_again();
    insert_many(50'000, 24h * 100);
    insert("a");
    config.update_interval = Seconds(0.01);
    start();
    storage::Pruner pruner(config.db_path, storage::prune_cutoff(clock.now(), 24h * 50), 200ms);
    std::int64_t before = 0;
    for (bool more = true; more;) {
        more = pruner.step(clock.now());
        cycle();
        ASSERT_GE(runs("bulk").first, before);
        before = runs("bulk").first;
    }
    cycle_until_counted();
    EXPECT_EQ(runs("bulk"), Runs(50'000, 0));
    EXPECT_EQ(query_one(config.db_path, "SELECT completed FROM session_buddy_totals WHERE skill_name = 'bulk'"),
              "50000");
}

TEST_F(CollectorTotals, count_the_episodes_that_the_database_has) {
    // An earlier anomaly, found by any program.
    insert("a");
    execute(config.db_path,
            "INSERT INTO skill_anomalies (skill_name, detected_at, anomaly_type, resolved_at) VALUES"
            " ('a', '2026-01-01T00:00:00Z', 'performance_spike', '2026-01-01T01:00:00Z'),"
            " ('a', '2026-01-01T00:00:00Z', 'of_another_tool', NULL)");
    cycle();
    EXPECT_EQ(latest->totals->front()->anomalies, (std::array<std::int64_t, 3>{0, 1, 0}));
    for (int i = 0; i < 30; ++i) {
        insert("a", true, "NULL", 2h);
    }
    cycle();
    for (int i = 0; i < 30; ++i) {
        insert("a", false);
    }
    cycle();
    cycle();
    EXPECT_EQ(latest->totals->front()->anomalies, (std::array<std::int64_t, 3>{1, 1, 0}));
    start();
    cycle();
    EXPECT_EQ(latest->totals->front()->anomalies, (std::array<std::int64_t, 3>{1, 1, 0}));
    EXPECT_EQ(query_one(config.db_path, "SELECT count(*) FROM skill_anomalies WHERE anomaly_type = 'performance_drop'"),
              "1");
}

TEST_F(CollectorTotals, of_dropped_tables_are_counted_again) {
    insert("a");
    insert("b");
    cycle();
    execute(config.db_path, "DROP TABLE session_buddy_totals");
    insert("a");
    cycle();
    cycle();
    EXPECT_EQ(runs("a"), Runs(2, 0));
    EXPECT_EQ(query_one(config.db_path, "SELECT group_concat(skill_name || completed) FROM session_buddy_totals"),
              "a2,b1");
}

TEST_F(CollectorTotals, keep_the_series_of_each_skill_when_the_limit_changes) {
    config.metrics_max_skills = 2;
    start();
    for (const char* skill : {"a", "b", "c"}) {
        insert(skill);
    }
    cycle();
    EXPECT_EQ(runs("other"), Runs(1, 0));
    config.metrics_max_skills = 1;
    start();
    insert("b");
    cycle();
    EXPECT_EQ(runs("b"), Runs(2, 0));
    config.metrics_max_skills = 3;
    start();
    insert("c");
    cycle();
    EXPECT_EQ(runs("c"), Runs(1, 0)) << "from here on";
    EXPECT_EQ(runs("other"), Runs(1, 0)) << "stays";
}

TEST_F(CollectorTotals, keep_the_series_of_each_phase_when_the_limit_changes) {
    const auto insert_in = [this](const std::string& phase) {
        execute(config.db_path,
                "INSERT INTO skill_invocation (skill_name, invoked_at, session_id, completed, workflow_phase) VALUES"
                " ('a', '2026-02-10T12:00:00Z', 's', 1, '" +
                    phase + "')");
    };
    const auto counts = [this] {
        std::map<std::string, std::int64_t> found;
        for (const PhaseTotals& phase : latest->totals->front()->phases) {
            found[phase.workflow_phase] = phase.completed;
        }
        return found;
    };
    using Counts = std::map<std::string, std::int64_t>;
    const auto go_on_with = [&](std::uint32_t bound, std::initializer_list<const char*> phases) {
        config.metrics_max_phases = bound;
        start();
        for (const char* phase : phases) {
            insert_in(phase);
        }
        cycle();
    };
    go_on_with(2, {"build", "test", "deploy"});
    EXPECT_EQ(counts(), (Counts{{"build", 1}, {"test", 1}, {"other", 1}}));
    go_on_with(1, {"test", "deploy"});
    EXPECT_EQ(counts(), (Counts{{"build", 1}, {"test", 2}, {"other", 2}})) << "limit lowered: no series is removed";
    go_on_with(3, {"deploy", "test"});
    EXPECT_EQ(counts(), (Counts{{"build", 1}, {"test", 3}, {"deploy", 1}, {"other", 2}}))
        << "limit raised: counted from now on";
}

TEST_F(CollectorTotals, of_more_phases_than_an_integer_has_bits_are_all_stored) {
    constexpr int kPhases = 100;
    config.metrics_max_phases = kPhases;
    start();
    for (int round = 0; round < 2; ++round) {
        execute(config.db_path,
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " + std::to_string(kPhases) +
                    ") INSERT INTO skill_invocation (skill_name, invoked_at, session_id, completed, workflow_phase)"
                    " SELECT 'a', '2026-02-10T12:00:00Z', 's1', 1, 'phase ' || i FROM n");
        cycle();
    }
    EXPECT_EQ(runs("a"), Runs(2 * kPhases, 0));
    EXPECT_EQ(query_one(config.db_path, "SELECT count(*) || ' ' || min(completed) FROM session_buddy_totals"), "100 2");
    start();
    EXPECT_EQ(runs("a"), Runs(2 * kPhases, 0));
}

TEST_F(CollectorTotals, leave_an_empty_database_as_it_is) {
    cycle();
    EXPECT_EQ(query_one(config.db_path,
                        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name LIKE 'session_buddy_%'"),
              "0");
}

TEST_F(CollectorTotals, are_published_with_the_collector_stats) {
    insert("a");
    execute(config.db_path, insertion("a", "yesterday"));
    cycle();
    const CollectorStats& stats = latest->collector;
    EXPECT_EQ(stats.rows_read, 1U);
    EXPECT_EQ(stats.rows_skipped, 1U);
    EXPECT_EQ(stats.up_to_date_at, clock.now());
    EXPECT_EQ(stats.read_failures, 0U);
    const TimePoint good = clock.now();
    std::filesystem::rename(config.db_path, folder.file("away.db"));
    cycle();
    EXPECT_EQ(latest->collector.read_failures, 1U);
    EXPECT_EQ(latest->collector.up_to_date_at, good);
    std::uint64_t cycles = 0;
    for (const std::uint64_t count : latest->collector.cycles.buckets) {
        cycles += count;
    }
    EXPECT_EQ(cycles, 3U);
}

}  // namespace
}  // namespace session_buddy::app
