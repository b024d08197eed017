// End-to-end from rows in SQLite to metrics in a snapshot, compared with the same metrics computed by SQL.
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <random>

#include "session_buddy/app/collector.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "support/manual_clock.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::app {
namespace {

using namespace std::chrono_literals;

const TimePoint kStart = *parse_timestamp("2026-02-10T12:00:00Z");

// The same time in one of the formats found in databases; whole milliseconds, the precision of SQLite's julianday.
std::string in_some_format(TimePoint at, std::uint64_t choice) {
    const std::int64_t millis =
        std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count() % 1000;
    const std::string fraction = fmt::format(".{:03}", millis);
    const auto text = [&](std::chrono::minutes offset, char separator) {
        std::string form = format_timestamp(at + offset).substr(0, 19) + fraction;
        form[10] = separator;
        return form;
    };
    switch (choice % 6) {
        case 0:
            return text(0min, 'T') + "Z";
        case 1:
            return text(0min, ' ');
        case 2:
            return text(0min, 'T') + "+00:00";
        case 3:
            return text(330min, 'T') + "+05:30";
        case 4:
            return text(-480min, ' ') + "-08:00";
        default:
            return text(0min, 'T') + "000";
    }
}

class CollectorOracle : public testing::TestWithParam<unsigned> {};

TEST_P(CollectorOracle, equals_the_counts_computed_by_sql) {
    std::mt19937_64 random{GetParam()};
    const auto pick = [&](std::int64_t low, std::int64_t high) {
        return std::uniform_int_distribution<std::int64_t>{low, high}(random);
    };
    test::TempDir folder;
    Config config;
    config.db_path = folder.file("skills.db");
    config.window = Seconds{static_cast<double>(pick(60, 200'000))};
    test::ManualClock clock{kStart};
    SnapshotPtr latest;
    Collector collector{config, clock, [&](SnapshotPtr snapshot) { latest = std::move(snapshot); }};
    collector.open();
    SQLite::Database database(config.db_path, SQLite::OPEN_READWRITE, 5000);
    const auto window = std::chrono::duration_cast<std::chrono::microseconds>(config.window);

    for (int step = 0; step < 40; ++step) {
        clock.advance(std::chrono::milliseconds{pick(0, 1) == 0 ? pick(0, 5'000) : pick(0, 7'200'000)});
        std::string sql = "BEGIN;";
        for (auto rows = pick(0, 8); rows > 0; --rows) {
            const auto ago =
                std::chrono::milliseconds{pick(0, 2) == 0 ? pick(0, window.count() / 500) : pick(0, 5'000)};
            sql += test::insertion("skill-" + std::to_string(pick(0, 14)), in_some_format(clock.now() - ago, random()),
                                   "session-" + std::to_string(pick(0, 3)), pick(0, 3) != 0,
                                   pick(0, 4) == 0 ? "NULL" : fmt::format("{}.{:03}", pick(0, 60), pick(0, 999)));
        }
        database.exec(sql + "COMMIT;");
        collector.cycle();

        const std::int64_t now = clock.now().time_since_epoch().count() / 1000;
        const std::string millis = "CAST(round((julianday(invoked_at) - 2440587.5) * 86400000) AS INTEGER)";
        SQLite::Statement expected(
            database,
            "SELECT skill_name, count(*), sum(completed), coalesce(avg(duration_seconds) FILTER (WHERE completed), 0.0)"
            ", max(" +
                millis + ") AS last FROM skill_invocation WHERE " + millis + " > ? AND " + millis +
                " <= ? GROUP BY skill_name ORDER BY 2 DESC, last DESC, skill_name LIMIT 10");
        expected.bind(1, now - window.count() / 1000);
        expected.bind(2, now);
        std::size_t rank = 0;
        for (; expected.executeStep(); ++rank) {
            ASSERT_LT(rank, latest->skills->top().size()) << "step " << step;
            const SkillMetrics& actual = latest->skills->at(latest->skills->top()[rank]);
            ASSERT_EQ(actual.skill_name, expected.getColumn(0).getString()) << "step " << step << ", rank " << rank;
            ASSERT_EQ(actual.window.invocation_count, expected.getColumn(1).getInt64());
            ASSERT_EQ(actual.window.completed_count, expected.getColumn(2).getInt64());
            ASSERT_NEAR(actual.window.avg_duration_seconds, expected.getColumn(3).getDouble(), 1e-6);
            ASSERT_EQ(actual.window.last_invocation_at.time_since_epoch().count() / 1000,
                      expected.getColumn(4).getInt64());
        }
        ASSERT_EQ(rank, latest->skills->top().size()) << "step " << step;

        SQLite::Statement lifetimes(database,
                                    "SELECT skill_name, count(*), sum(completed) FROM skill_invocation GROUP BY 1");
        while (lifetimes.executeStep()) {
            const SkillMetrics* actual = latest->skills->find(lifetimes.getColumn(0).getString());
            ASSERT_NE(actual, nullptr);
            ASSERT_EQ(actual->lifetime.total_invocations, lifetimes.getColumn(1).getInt64());
            ASSERT_EQ(actual->lifetime.completed_invocations, lifetimes.getColumn(2).getInt64());
        }

        SQLite::Statement cache(
            database,
            "SELECT c.skill_name, c.invocation_count_1h, c.invocation_count_24h, (SELECT count(*) FROM "
            "skill_invocation i WHERE i.skill_name = c.skill_name AND " +
                millis +
                " > ?1 - 3600000), "
                "(SELECT count(*) FROM skill_invocation i WHERE i.skill_name = c.skill_name AND " +
                millis + " > ?1 - 86400000) FROM skill_metrics_cache c");
        cache.bind(1, now);
        while (cache.executeStep()) {
            ASSERT_EQ(cache.getColumn(1).getInt64(), cache.getColumn(3).getInt64()) << "step " << step;
            ASSERT_EQ(cache.getColumn(2).getInt64(), cache.getColumn(4).getInt64()) << "step " << step;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(RandomHistories, CollectorOracle, testing::Range(1U, 13U));

}  // namespace
}  // namespace session_buddy::app
