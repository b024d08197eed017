// The engine against SQL that recomputes everything: random histories, compared at random times.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <random>

#include "session_buddy/metrics/metrics_engine.hpp"
#include "support/manual_clock.hpp"

namespace session_buddy::metrics {
namespace {

using test::kStart;

struct Expected {
    std::string skill_name;
    WindowMetrics window;
};

std::vector<Expected> top_by_sql(SQLite::Database& database, TimePoint now, std::chrono::microseconds window,
                                 int limit) {
    SQLite::Statement query(database,
                            "SELECT skill, count(*) AS n, sum(completed), "
                            "coalesce(avg(duration) FILTER (WHERE completed AND NOT bound),"
                            " avg(duration) FILTER (WHERE completed), 0.0), max(at) AS last, "
                            "count(duration) FILTER (WHERE completed), sum(unknown), "
                            "count(duration) FILTER (WHERE completed AND NOT bound) "
                            "FROM run WHERE at > :after AND read_at <= :now GROUP BY skill "
                            "ORDER BY n DESC, last DESC, skill LIMIT :limit");
    query.bind(":after", (now - window).time_since_epoch().count());
    query.bind(":now", now.time_since_epoch().count());
    query.bind(":limit", limit);
    std::vector<Expected> rows;
    while (query.executeStep()) {
        rows.push_back({query.getColumn(0).getString(),
                        {query.getColumn(1).getInt64(), query.getColumn(2).getInt64(), query.getColumn(3).getDouble(),
                         TimePoint{std::chrono::microseconds{query.getColumn(4).getInt64()}},
                         query.getColumn(5).getInt64(), query.getColumn(6).getInt64(), query.getColumn(7).getInt64()}});
    }
    return rows;
}

class Oracle : public testing::TestWithParam<unsigned> {};

TEST_P(Oracle, agrees_with_the_engine_to_the_last_count) {
    std::mt19937_64 random{GetParam()};
    const auto pick = [&](std::int64_t low, std::int64_t high) {
        return std::uniform_int_distribution<std::int64_t>{low, high}(random);
    };
    const std::chrono::microseconds window = std::chrono::minutes(pick(1, 3000));
    MetricsEngine engine{{.window = window}};
    SQLite::Database database(":memory:", SQLite::OPEN_READWRITE);
    database.exec(
        "CREATE TABLE run (skill TEXT, at INTEGER, completed INTEGER, duration REAL, read_at INTEGER,"
        " unknown INTEGER, bound INTEGER)");
    SQLite::Statement insert(database, "INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?)");

    TimePoint now = kStart;
    for (int step = 0; step < 400; ++step) {
        now += std::chrono::microseconds{pick(0, 1) == 0 ? pick(0, 5'000'000) : pick(0, 3'600'000'000)};
        for (auto rows = pick(0, 6); rows > 0; --rows) {
            Invocation row;
            row.skill_name = "skill-" + std::to_string(pick(0, 14));
            // Mostly now, sometimes late, sometimes exactly on a boundary, sometimes in the future.
            const auto kind = pick(0, 9);
            row.invoked_at = kind < 5   ? now - std::chrono::microseconds{pick(0, 1'000'000)}
                             : kind < 7 ? now - std::chrono::microseconds{pick(0, 2 * window.count())}
                             : kind < 8 ? now - window
                             : kind < 9 ? now
                                        : now + std::chrono::microseconds{pick(0, 10'000'000)};
            row.completed = pick(0, 3) != 0;
            if (pick(0, 4) != 0) {
                row.duration_seconds = static_cast<double>(pick(0, 90'000'000)) / 1e6;
            }
            row.outcome_is_unknown = row.completed && pick(0, 3) == 0;
            row.duration_is_bound = pick(0, 2) == 0;
            engine.add(row, now);

            insert.bind(1, row.skill_name);
            insert.bind(2, std::min(row.invoked_at, now).time_since_epoch().count());
            insert.bind(3, row.completed ? 1 : 0);
            if (row.duration_seconds) {
                insert.bind(4, *row.duration_seconds);
            } else {
                insert.bind(4);
            }
            insert.bind(5, now.time_since_epoch().count());
            insert.bind(6, row.outcome_is_unknown ? 1 : 0);
            insert.bind(7, row.duration_is_bound ? 1 : 0);
            insert.exec();
            insert.reset();
        }
        if (pick(0, 2) != 0) {
            continue;  // so that the windows also advance over several additions in one step
        }
        engine.advance(now);
        const auto expected = top_by_sql(database, now, window, 10);
        const auto table = engine.table();
        ASSERT_EQ(table->top().size(), expected.size()) << "step " << step;
        for (std::size_t i = 0; i < expected.size(); ++i) {
            const SkillMetrics& actual = table->at(table->top()[i]);
            ASSERT_EQ(actual.skill_name, expected[i].skill_name) << "step " << step << ", rank " << i;
            ASSERT_EQ(actual.window.invocation_count, expected[i].window.invocation_count);
            ASSERT_EQ(actual.window.completed_count, expected[i].window.completed_count);
            ASSERT_EQ(actual.window.last_invocation_at, expected[i].window.last_invocation_at);
            ASSERT_NEAR(actual.window.avg_duration_seconds, expected[i].window.avg_duration_seconds, 1e-6);
            ASSERT_EQ(actual.window.timed_count, expected[i].window.timed_count);
            ASSERT_EQ(actual.window.unknown_count, expected[i].window.unknown_count);
            ASSERT_EQ(actual.window.measured_count, expected[i].window.measured_count);
            ASSERT_EQ(actual.window.p50_duration_seconds.has_value(), actual.window.timed_count > 0);
            if (actual.window.measured_count == 1) {
                ASSERT_EQ(actual.window.p95_duration_seconds, actual.window.p50_duration_seconds);
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(RandomHistories, Oracle, testing::Range(1U, 41U));

}  // namespace
}  // namespace session_buddy::metrics
