// Alerts from rows in a real database to the snapshot and to session_buddy_alert: through restarts, with several
// servers, and when the database cannot be read or written.
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "app/collector_fixture.hpp"
#include "session_buddy/storage/alert_store.hpp"
#include "session_buddy/storage/corrections.hpp"
#include "session_buddy/storage/database.hpp"
#include "support/log_lines.hpp"
#include "support/privileges.hpp"

namespace session_buddy::app {
namespace {

using namespace std::chrono_literals;
using test::execute;
using test::query;
using test::query_one;
using Rows = std::vector<std::string>;

constexpr std::chrono::milliseconds kStoreTimeout{1000};
constexpr const char* kAllAlerts =
    "SELECT skill_name, kind, detected_us, ended_us, \"end\", explanation FROM session_buddy_alert"
    " ORDER BY detected_us, skill_name, kind";
/// The key without a slash has the position: a row, and a time that does not advance while nothing changes.
constexpr const char* kAllState =
    "SELECT key, CASE WHEN key = 'alert_detector' THEN substr(value, 1, instr(value, ' ')) ELSE hex(value) END"
    " FROM session_buddy_state WHERE key >= 'alert_detector' AND key < 'alert_detector0' ORDER BY key";

std::string use(const std::string& skill, TimePoint at, bool completed) {
    return test::insertion(skill, format_timestamp(at), fmt::format("session of {}", format_timestamp(at)), completed,
                           "2.0");
}

class CollectorAlerts : public CollectorFixture {
  protected:
    /// Ten days of uses every half hour, of which one in 20 fails, up to `until`.
    void record_past(const std::string& skill, TimePoint until) {
        static_cast<void>(storage::open_database(config.db_path, {}));
        std::string sql = "BEGIN;";
        int number = 0;
        for (TimePoint at = until - 10h * 24; at < until; at += 30min) {
            sql += use(skill, at, ++number % 20 != 0);
        }
        execute(config.db_path, sql + "COMMIT;");
    }
    /// Uses every two minutes, each of which a cycle reads.
    void use_live(const std::string& skill, int count, const std::function<bool(int)>& completes) {
        for (int number = 0; number < count; ++number) {
            clock.advance(2min);
            execute(config.db_path, use(skill, clock.now(), completes(number)));
            collector->cycle();
        }
    }
    void fail_live(const std::string& skill, int count) {
        use_live(skill, count, [](int number) { return number % 4 == 3; });
    }
    [[nodiscard]] std::string stored(const std::string& columns) const {
        return query_one(config.db_path, "SELECT " + columns + " FROM session_buddy_alert");
    }
    [[nodiscard]] std::string number_stored() const { return stored("count(*)"); }
};

TEST_F(CollectorAlerts, have_their_id_in_the_snapshot_of_the_cycle_that_detects_them) {
    record_past("a", kNow);
    start();
    EXPECT_TRUE(latest->alerts->empty());
    EXPECT_TRUE(query(config.db_path, "SELECT 1 FROM sqlite_master WHERE name = 'session_buddy_alert'").empty());
    for (int number = 0; number < 60 && latest->alerts->empty(); ++number) {
        fail_live("a", 1);
    }
    ASSERT_EQ(latest->alerts->size(), 1U);
    const Alert& alert = latest->alerts->front();
    EXPECT_EQ(alert.skill_name, "a");
    EXPECT_EQ(alert.kind, AlertKind::completion_rate_fell);
    EXPECT_EQ(alert.id, 1);
    EXPECT_EQ(alert.detected_at, clock.now());
    EXPECT_EQ(latest->collector.alerts_started.at(static_cast<std::size_t>(alert.kind)), 1U);
    EXPECT_EQ(stored("count(*), skill_name, ended_us"), "1|a|NULL");
}

TEST_F(CollectorAlerts, stay_in_the_snapshot_for_an_hour_after_their_end) {
    record_past("a", kNow);
    start();
    fail_live("a", 60);
    ASSERT_EQ(latest->alerts->size(), 1U);
    for (int number = 0; number < 200 && !latest->alerts->empty() && !latest->alerts->front().ended_at; ++number) {
        use_live("a", 1, [](int) { return true; });
    }
    ASSERT_EQ(latest->alerts->size(), 1U);
    EXPECT_EQ(latest->alerts->front().end, AlertEnd::recovered);
    EXPECT_EQ(stored("\"end\""), "recovered");
    start();
    EXPECT_EQ(latest->alerts->size(), 1U) << "the restarted server reads it from the database";
    cycle(59min);
    EXPECT_EQ(latest->alerts->size(), 1U);
    cycle(2min);
    EXPECT_TRUE(latest->alerts->empty());
}

TEST_F(CollectorAlerts, of_a_first_start_are_the_problems_that_still_exist) {
    record_past("fails", kNow - 3h);
    record_past("failed", kNow - 72h);
    std::string sql = "BEGIN;";
    for (int i = 0; i < 60; ++i) {
        sql += use("fails", kNow - 3h + i * 2min, i % 4 == 0);
        sql += use("failed", kNow - 72h + i * 2min, i % 4 == 0);
    }
    for (int i = 0; i < 300; ++i) {
        sql += use("failed", kNow - 60h + i * 10min, i % 20 != 0);
    }
    execute(config.db_path, sql + "COMMIT;");
    start();
    ASSERT_EQ(latest->alerts->size(), 1U);
    EXPECT_EQ(latest->alerts->front().skill_name, "fails");
    EXPECT_LT(latest->alerts->front().since, kNow - 2h);
    EXPECT_EQ(number_stored(), "1");
}

TEST_F(CollectorAlerts, show_acknowledgements_and_mutes_of_other_connections_in_the_next_cycle) {
    record_past("a", kNow);
    start();
    fail_live("a", 60);
    ASSERT_EQ(latest->alerts->size(), 1U);
    storage::AlertStore store(config.db_path, kStoreTimeout);
    ASSERT_TRUE(store.acknowledge(latest->alerts->front().id, "known", clock.now()));
    cycle();
    EXPECT_EQ(latest->alerts->front().note, "known");
    EXPECT_EQ(latest->alerts->front().acknowledged_at, clock.now() - 1s);
    EXPECT_FALSE(latest->alerts->front().muted);
    store.mute("a", clock.now() + 10s, "", clock.now());
    cycle();
    EXPECT_TRUE(latest->alerts->front().muted);
    const auto same = latest->alerts;
    cycle();
    EXPECT_EQ(latest->alerts, same) << "the same object, because nothing changed";
    cycle(10s);
    EXPECT_FALSE(latest->alerts->front().muted) << "the mute is over";
    fail_live("a", 20);
    EXPECT_EQ(latest->alerts->front().note, "known") << "it was updated";
    start();
    EXPECT_EQ(latest->alerts->front().note, "known");
}

TEST_F(CollectorAlerts, of_two_servers_on_one_database_are_stored_once) {
    record_past("a", kNow);
    start();
    SnapshotPtr of_second;
    Collector second(config, clock, [&of_second](SnapshotPtr snapshot) { of_second = std::move(snapshot); });
    second.open();
    const auto both = [&](int count, const std::function<bool(int)>& completes) {
        for (int number = 0; number < count; ++number) {
            use_live("a", 1, [&](int) { return completes(number); });
            if (number % 3 == 0) {
                second.cycle();
            }
        }
        second.cycle();
    };
    both(60, [](int number) { return number % 4 == 0; });
    ASSERT_EQ(latest->alerts->size(), 1U);
    EXPECT_EQ(*latest->alerts, *of_second->alerts);
    both(100, [](int) { return true; });
    EXPECT_EQ(stored("count(*), \"end\""), "1|recovered");
    both(60, [](int number) { return number % 4 == 0; });
    EXPECT_EQ(number_stored(), "2");
    EXPECT_EQ(*latest->alerts, *of_second->alerts);
}

/// A history of three skills whose completion rates change at random times; each cycle reads a few uses.
class AlertHistory {
  public:
    AlertHistory(std::uint32_t seed, std::string db_path) : random_(seed), db_path_(std::move(db_path)) {}

    void record(TimePoint now) {
        std::string sql = "BEGIN;";
        for (std::size_t skill = 0; skill < rates_.size(); ++skill) {
            if (chance(0.02)) {
                rates_[skill] = chance(0.5) ? 0.97 : 0.4;
            }
            while (chance(0.75)) {
                sql += use(fmt::format("skill {}", skill), now, chance(rates_[skill]));
            }
        }
        execute(db_path_, sql + "COMMIT;");
    }

  private:
    bool chance(double probability) { return std::uniform_real_distribution<>{}(random_) < probability; }

    std::mt19937 random_;
    std::string db_path_;
    std::vector<double> rates_{0.97, 0.9, 0.97};
};

TEST_F(CollectorAlerts, and_their_state_are_the_same_after_restarts_and_crashes_at_random_times) {
    config.alert_budget = "1/hour";
    int alerts = 0;
    for (std::uint32_t seed = 1; seed <= 2; ++seed) {
        std::vector<Rows> results;
        for (const bool interrupts : {false, true}) {
            clock.set(kNow);
            config.db_path = folder.file(fmt::format("{}-{}.db", seed, interrupts));
            AlertHistory history(seed, config.db_path);
            std::mt19937 random(seed);
            start();
            for (int number = 0; number < 200; ++number) {
                clock.advance(20s);
                history.record(clock.now());
                const auto draw = random() % 16;
                if (!interrupts || draw > 2) {
                    collector->cycle();
                } else if (draw == 2) {
                    start();  // the old one crashed before it read these rows
                } else {
                    collector->cycle();
                    if (draw == 1) {
                        collector->stop();
                    }
                    start();
                }
            }
            collector->stop();
            results.push_back(query(config.db_path, kAllAlerts));
            results.push_back(query(config.db_path, kAllState));
        }
        EXPECT_EQ(results[0], results[2]) << seed;
        ASSERT_EQ(results[1].size(), results[3].size());
        for (std::size_t row = 0; row < results[1].size(); ++row) {  // a kilobyte each
            const std::string key = results[1][row].substr(0, results[1][row].find('|'));
            EXPECT_TRUE(results[1][row] == results[3][row]) << key << " differs, seed " << seed;
        }
        alerts += static_cast<int>(results[0].size());
    }
    EXPECT_GE(alerts, 3) << "else the test shows little";
}

TEST_F(CollectorAlerts, are_not_lost_while_the_database_is_locked) {
    record_past("a", kNow);
    start();
    {
        SQLite::Database other(config.db_path, SQLite::OPEN_READWRITE);
        for (int number = 0; number < 60; ++number) {
            clock.advance(2min);
            execute(config.db_path, use("a", clock.now(), number % 4 == 0));
            other.exec("BEGIN IMMEDIATE");
            collector->cycle();
            other.exec("ROLLBACK");
        }
        ASSERT_EQ(latest->alerts->size(), 1U);
        EXPECT_EQ(latest->alerts->front().id, 0) << "not stored yet";
    }
    cycle();
    EXPECT_EQ(latest->alerts->front().id, 1);
    EXPECT_EQ(number_stored(), "1");
}

TEST_F(CollectorAlerts, of_a_read_only_database_live_in_memory) {
    record_past("a", kNow - 2h);
    std::string sql = "BEGIN;";
    for (int i = 0; i < 60; ++i) {
        sql += use("a", kNow - 2h + i * 2min, i % 4 == 0);
    }
    execute(config.db_path, sql + "COMMIT;");
    {
        const test::WriteProtected folder_guard(folder.path());
        const test::WriteProtected file_guard(config.db_path);
        start();
        ASSERT_EQ(latest->alerts->size(), 1U);
        EXPECT_EQ(latest->alerts->front().id, 0);
        cycle();
        EXPECT_EQ(latest->alerts->size(), 1U);
    }
    cycle();
    cycle();
    ASSERT_EQ(latest->alerts->size(), 1U);
    EXPECT_EQ(latest->alerts->front().id, 1) << "it is stored once the database is writable";
}

TEST_F(CollectorAlerts, with_a_damaged_state_are_found_again_and_stay_acknowledged) {
    record_past("a", kNow);
    start();
    fail_live("a", 60);
    ASSERT_EQ(latest->alerts->size(), 1U);
    ASSERT_TRUE(storage::AlertStore(config.db_path, kStoreTimeout).acknowledge(1, "known", clock.now()));
    collector->stop();
    execute(config.db_path, "UPDATE session_buddy_state SET value = x'00' WHERE key LIKE 'alert_detector/%'");
    const test::LogLines lines(log::Level::warning);
    start();
    EXPECT_EQ(lines.count("learn again"), 1U);
    ASSERT_EQ(latest->alerts->size(), 1U);
    EXPECT_EQ(latest->alerts->front().note, "known");
    EXPECT_EQ(latest->alerts->front().ended_at, std::nullopt);
    EXPECT_EQ(number_stored(), "1");
    collector->stop();
    start();
    EXPECT_EQ(lines.count("learn again"), 1U) << "the state was written again";
}

TEST_F(CollectorAlerts, that_no_detector_knows_any_more_end) {
    record_past("a", kNow);
    start();
    fail_live("a", 60);
    collector->stop();
    execute(config.db_path,
            "DELETE FROM session_buddy_state WHERE key LIKE 'alert_detector%';"
            "DELETE FROM skill_invocation WHERE completed = 0");
    start();
    ASSERT_EQ(latest->alerts->size(), 1U);
    EXPECT_EQ(latest->alerts->front().end, AlertEnd::accepted);
    EXPECT_EQ(stored("count(*), \"end\""), "1|accepted");
}

TEST_F(CollectorAlerts, continue_under_the_new_name_of_a_skill_and_disappear_with_a_forgotten_one) {
    record_past("a", kNow);
    start();
    fail_live("a", 60);
    ASSERT_EQ(latest->alerts->size(), 1U);
    cycle(61s);
    EXPECT_TRUE(storage::rename_skill(config.db_path, "a", "b", {}).found);
    cycle(61s);
    cycle(61s);
    ASSERT_EQ(latest->alerts->size(), 1U);
    EXPECT_EQ(latest->alerts->front().skill_name, "b");
    EXPECT_EQ(latest->alerts->front().id, 1);
    EXPECT_EQ(latest->alerts->front().ended_at, std::nullopt);
    EXPECT_EQ(number_stored(), "1");
    use_live("b", 100, [](int) { return true; });
    EXPECT_EQ(stored("count(*), skill_name, \"end\""), "1|b|recovered");
    EXPECT_TRUE(storage::forget_skill(config.db_path, "b", {}).found);
    cycle(61s);
    cycle(61s);
    EXPECT_TRUE(latest->alerts->empty());
    EXPECT_EQ(number_stored(), "0");
    EXPECT_TRUE(query(config.db_path,
                      "SELECT key FROM session_buddy_state WHERE key IN ('alert_detector/a',"
                      " 'alert_detector/b')")
                    .empty());
}

TEST_F(CollectorAlerts, of_a_database_that_was_restored_from_a_backup_are_those_of_the_backup) {
    record_past("a", kNow);
    start();
    collector->stop();
    collector.reset();
    std::filesystem::copy_file(config.db_path, folder.file("backup.db"));
    start();
    fail_live("a", 60);
    ASSERT_EQ(latest->alerts->size(), 1U);
    std::filesystem::rename(folder.file("backup.db"), config.db_path);
    cycle();
    cycle();
    EXPECT_TRUE(latest->alerts->empty());
    fail_live("a", 60);
    EXPECT_EQ(latest->alerts->size(), 1U);
    EXPECT_EQ(number_stored(), "1");
}

TEST_F(CollectorAlerts, cost_an_idle_server_no_writes) {
    record_past("a", kNow);
    start();
    fail_live("a", 60);
    cycle(61s);
    cycle(61s);
    SQLite::Database other(config.db_path, SQLite::OPEN_READONLY);
    // The anomaly engine writes as its windows decay.
    const std::string changes =
        "SELECT group_concat(key || hex(value)) FROM session_buddy_state WHERE key LIKE 'alert%'";
    const Rows before = query(other, changes);
    for (int number = 0; number < 10; ++number) {
        cycle(61s);
    }
    EXPECT_EQ(query(other, changes), before);
}

TEST_F(CollectorAlerts, that_are_off_leave_nothing_in_the_database) {
    config.alert_budget = "off";
    record_past("a", kNow);
    start();
    fail_live("a", 60);
    collector->stop();
    EXPECT_TRUE(latest->alerts->empty());
    EXPECT_TRUE(query(config.db_path, "SELECT name FROM sqlite_master WHERE name = 'session_buddy_alert'").empty());
    EXPECT_TRUE(query(config.db_path, kAllState).empty());
}

}  // namespace
}  // namespace session_buddy::app
