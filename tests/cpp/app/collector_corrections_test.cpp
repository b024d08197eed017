// Unknown outcomes and corrected rows from a real database to the snapshot, the cache and the detector.
#include <gtest/gtest.h>

#include <chrono>
#include <stdexcept>
#include <string>

#include "app/collector_fixture.hpp"

namespace session_buddy::app {
namespace {

using namespace std::chrono_literals;
using test::execute;
using test::insertion;
using test::query_one;

class CollectorCorrections : public CollectorFixture {
  protected:
    [[nodiscard]] const SkillMetrics& skill(const std::string& name) const {
        const SkillMetrics* metrics = latest->skills->find(name);
        if (metrics == nullptr) {
            throw std::runtime_error("no skill " + name);
        }
        return *metrics;
    }
    /// Cycles until `done`: after a rebuild of many rows, the next one waits.
    template <typename Done>
    [[nodiscard]] bool cycle_until(const Done& done) {
        const auto deadline = std::chrono::steady_clock::now() + 10s;
        do {
            cycle(1ms);
        } while (!done() && std::chrono::steady_clock::now() < deadline);
        return done();
    }
    [[nodiscard]] std::string cached_rate() const {
        return query_one(config.db_path, "SELECT avg_completion_rate_24h FROM skill_metrics_cache");
    }
};

constexpr const char* kTables =
    "CREATE TABLE IF NOT EXISTS session_buddy_mark (invocation_id INTEGER PRIMARY KEY, marks INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS session_buddy_unknown (skill_name TEXT PRIMARY KEY, invocations INTEGER NOT NULL)"
    " WITHOUT ROWID;";

TEST_F(CollectorCorrections, an_unknown_outcome_is_in_no_rate) {
    start();
    const std::string at = format_timestamp(kNow - 1s);
    execute(config.db_path, std::string("BEGIN;") + kTables + insertion("a", at, "s1", true, "4") +
                                insertion("a", at, "s1", true, "900") + insertion("a", at, "s1", false) +
                                "INSERT INTO session_buddy_mark VALUES (2, 3);"
                                "INSERT INTO session_buddy_unknown VALUES ('a', 1); COMMIT;");
    cycle();
    const SkillMetrics& metrics = skill("a");
    EXPECT_EQ(metrics.window.invocation_count, 3);
    EXPECT_EQ(metrics.window.completed_count, 2);
    EXPECT_EQ(metrics.window.unknown_count, 1);
    EXPECT_EQ(metrics.window.measured_count, 1);
    EXPECT_EQ(metrics.window.timed_count, 2);
    EXPECT_DOUBLE_EQ(metrics.window.avg_duration_seconds, 4.0);
    EXPECT_EQ(metrics.window.p50_duration_seconds, 4.0);
    EXPECT_EQ(metrics.window.p95_duration_seconds, 4.0);
    EXPECT_EQ(metrics.lifetime.unknown_invocations, 1);
    ASSERT_EQ(latest->sessions->size(), 1U);
    EXPECT_EQ(latest->sessions->front().completed, 2);
    EXPECT_EQ(latest->sessions->front().unknown, 1);
    EXPECT_EQ(cached_rate(), "0.5");
}

TEST_F(CollectorCorrections, the_cached_rate_is_null_if_no_outcome_is_known) {
    start();
    execute(config.db_path, std::string("BEGIN;") + kTables + insertion("a", format_timestamp(kNow - 1s)) +
                                "INSERT INTO session_buddy_mark VALUES (1, 1); COMMIT;");
    cycle();
    EXPECT_EQ(skill("a").window.unknown_count, 1);
    EXPECT_EQ(cached_rate(), "NULL");
}

TEST_F(CollectorCorrections, a_row_that_another_process_updates_is_followed) {
    start();
    execute(config.db_path, insertion("a", format_timestamp(kNow - 1s), "s1", true, "4"));
    cycle();
    EXPECT_EQ(skill("a").window.completed_count, 1);
    execute(config.db_path, "UPDATE skill_invocation SET completed = 0, error_type = 'exit_code' WHERE id = 1");
    ASSERT_TRUE(cycle_until([&] { return skill("a").window.completed_count == 0; }));
    EXPECT_EQ(skill("a").window.invocation_count, 1);
    EXPECT_FALSE(skill("a").window.p50_duration_seconds.has_value());
    EXPECT_EQ(latest->sessions->front().completed, 0);
    EXPECT_EQ(cached_rate(), "0.0");
}

}  // namespace
}  // namespace session_buddy::app
