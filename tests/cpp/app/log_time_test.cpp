// Two servers over one database that poll at other phases: same episodes, anomalies and alerts, because what the
// detectors see depends only on the stored stamps. SESSION_BUDDY_LOG_TIME_DAYS=40 simulates more than the default.
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <random>

#include "session_buddy/app/collector.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "support/manual_clock.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::app {
namespace {

using namespace std::chrono_literals;

int simulated_days() {
    const char* const days = std::getenv("SESSION_BUDDY_LOG_TIME_DAYS");  // NOLINT(concurrency-mt-unsafe)
    return days == nullptr ? 2 : std::atoi(days);                         // NOLINT(cert-err34-c)
}

/// A server that polls at its own times.
struct PollingServer {
    PollingServer(const Config& its_config, TimePoint now) : config(its_config), clock(now) { start(now); }

    void start(TimePoint now) {
        clock.set(now);
        collector =
            std::make_unique<Collector>(config, clock, [this](SnapshotPtr snapshot) { latest = std::move(snapshot); });
        collector->open();
    }
    void poll(TimePoint now) {
        clock.set(now);
        collector->cycle();
    }

    const Config& config;
    test::ManualClock clock;
    SnapshotPtr latest;
    std::unique_ptr<Collector> collector;  // nullptr while it is stopped
};

/// Writes the rows of an hour of 4 skills that change every few hours: in time, late, in bursts, and from the future.
class SimulatedAgents {
  public:
    explicit SimulatedAgents(std::uint64_t seed) : random_(seed) {}

    [[nodiscard]] std::string rows_at(TimePoint now) {
        std::string sql;
        const double kind = uniform_(random_);
        const int count = kind < 0.02 ? 20 : 1;  // a transcript that was imported
        const TimePoint::duration late =
            kind < 0.02   ? std::chrono::microseconds{static_cast<std::int64_t>(uniform_(random_) * 6 * 3600e6)}
            : kind < 0.12 ? std::chrono::microseconds{static_cast<std::int64_t>(uniform_(random_) * 3600e6)}
            : kind < 0.15 ? TimePoint::duration{-40s}
                          : std::chrono::microseconds{static_cast<std::int64_t>(uniform_(random_) * 60e6)};
        for (int i = 0; i < count; ++i) {
            const auto skill = static_cast<int>(random_() % 4);
            const auto phase = now.time_since_epoch() / (5h + skill * 1h);
            const bool is_bad = (phase * 7 + skill) % 3 == 0;
            sql += test::insertion(fmt::format("skill-{}", skill), format_timestamp(now - late + i * 7s), "s1",
                                   uniform_(random_) < (is_bad ? 0.55 : 0.93),
                                   fmt::format("{}", (is_bad ? 9.0 : 5.0) + uniform_(random_)));
        }
        return sql;
    }
    [[nodiscard]] TimePoint::duration pause(double mean_seconds) {
        return std::chrono::microseconds{
            static_cast<std::int64_t>(std::exponential_distribution<double>{1.0 / mean_seconds}(random_) * 1e6) + 1};
    }

  private:
    std::mt19937_64 random_;
    std::uniform_real_distribution<double> uniform_{0.0, 1.0};
};

class LogTime : public testing::TestWithParam<unsigned> {
  protected:
    LogTime() { config.db_path = folder.file("skills.db"); }

    test::TempDir folder;
    Config config;
};

TEST_P(LogTime, two_servers_that_poll_at_other_phases_find_the_same_anomalies_and_alerts) {
    const TimePoint start = *parse_timestamp("2026-02-10T12:00:00Z");
    const TimePoint end = start + std::chrono::days{simulated_days()};
    config.update_interval = Seconds{300.0};
    config.alert_budget = "10/day";
    SimulatedAgents agents{GetParam()};
    SimulatedAgents faults{GetParam() + 1000};
    PollingServer first{config, start};
    PollingServer second{config, start};
    SQLite::Database database(config.db_path, SQLite::OPEN_READWRITE, 5000);
    database.exec("PRAGMA synchronous = OFF");
    TimePoint row_at = start + agents.pause(100.0);
    TimePoint first_at = start + 250s;
    TimePoint second_at = start + 127s;
    TimePoint restart_at = start + faults.pause(9 * 3600.0);
    TimePoint compared_at = start + 1h;
    int compared = 0;
    int differences = 0;
    std::size_t most = 0;
    std::size_t most_alerts = 0;
    for (TimePoint now = start; now < end;) {
        now = std::min({row_at, first_at, second_at, restart_at, compared_at});
        if (now == row_at) {
            database.exec(agents.rows_at(now));
            row_at += agents.pause(100.0);
        } else if (now == restart_at) {
            if (second.collector) {
                second.collector.reset();
                restart_at += faults.pause(1200.0);
            } else {
                second.start(now);
                restart_at += faults.pause(9 * 3600.0);
            }
        } else if (now == first_at) {
            first.poll(now);
            first_at += 240s + faults.pause(60.0);
        } else if (now == second_at) {
            if (second.collector) {
                second.poll(now);
            }
            second_at += 200s + faults.pause(100.0);
        } else {
            compared_at += 1h;
            if (!second.collector) {
                continue;
            }
            first.poll(now);
            second.poll(now);
            ++compared;
            differences += *first.latest->anomalies == *second.latest->anomalies ? 0 : 1;
            differences += *first.latest->alerts == *second.latest->alerts ? 0 : 1;
            most_alerts = std::max(most_alerts, first.latest->alerts->size());
            most = std::max(most, first.latest->anomalies->size());
        }
    }
    EXPECT_GT(compared, 20);
    EXPECT_GT(most, 0U);
    EXPECT_GT(most_alerts, 0U);
    EXPECT_EQ(differences, 0) << "of " << compared;
    EXPECT_GT(test::query(database, "SELECT id FROM skill_anomalies WHERE resolved_at IS NOT NULL").size(), 10U);
    EXPECT_EQ(
        test::query(database,
                    "SELECT skill_name, anomaly_type, detected_at, count(*) FROM skill_anomalies"
                    " WHERE resolved_at IS NULL OR resolved_at > detected_at GROUP BY 1, 2, 3 HAVING count(*) > 1"),
        std::vector<std::string>{});
    PollingServer third{config, end};
    first.poll(end);
    EXPECT_EQ(*third.latest->anomalies, *first.latest->anomalies) << "after a restart";
    EXPECT_EQ(*third.latest->alerts, *first.latest->alerts) << "after a restart";
}

INSTANTIATE_TEST_SUITE_P(RandomHistories, LogTime, testing::Range(1U, 3U));

}  // namespace
}  // namespace session_buddy::app
