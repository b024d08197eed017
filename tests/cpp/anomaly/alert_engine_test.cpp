#include "session_buddy/anomaly/alert_engine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "../../../bench/alert_simulation.hpp"
#include "support/manual_clock.hpp"

namespace session_buddy::anomaly {
namespace {

using Kind = AlertChange::Kind;

constexpr double kSecondsPerDay = 86400.0;

/// Feeds an engine with one skill, an invocation each `gap`, and collects what changes.
class AlertFeed {
  public:
    explicit AlertFeed(const AlertOptions& options = {}) : engine(options) {}

    void add(bool completed, const std::string& error = "", std::optional<double> seconds = std::nullopt) {
        Invocation invocation;
        invocation.id = ++id;
        invocation.skill_name = "Bash";
        invocation.invoked_at = now;
        invocation.session_id = session;
        invocation.completed = completed;
        invocation.error_type = error;
        invocation.duration_seconds = seconds;
        engine.add(invocation, now);
        for (AlertChange& change : engine.take_changes()) {
            changes.push_back(std::move(change));
        }
        now += gap;
    }
    /// `count` invocations of which every `period`-th fails; 0: none.
    void add_many(int count, int period, const std::string& error = "timeout") {
        for (int index = 1; index <= count; ++index) {
            const bool failed = period > 0 && index % period == 0;
            add(!failed, failed ? error : "");
        }
    }
    /// Completed invocations with log-normal durations.
    void add_durations(int count, double median, double sigma) {
        for (int index = 0; index < count; ++index) {
            add(true, "", median * std::exp(sigma * std::normal_distribution<>{}(random)));
        }
    }
    [[nodiscard]] std::vector<Alert> of(Kind kind) const {
        std::vector<Alert> alerts;
        for (const AlertChange& change : changes) {
            if (change.kind == kind) {
                alerts.push_back(change.alert);
            }
        }
        return alerts;
    }

    AlertEngine engine;
    TimePoint now = test::kStart;
    std::chrono::microseconds gap = std::chrono::minutes(2);
    std::string session;
    std::int64_t id = 0;
    std::mt19937_64 random{5};
    std::vector<AlertChange> changes;
};

TEST(AlertEngine, ReportsACompletionRateThatFallsWithItsChangePointAndLevels) {
    AlertFeed feed;
    feed.add_many(1000, 20);
    const TimePoint change = feed.now;
    feed.add_many(60, 2, "connection refused");
    const auto started = feed.of(Kind::started);
    ASSERT_EQ(started.size(), 1U);
    const Alert& alert = started[0];
    EXPECT_EQ(alert.kind, AlertKind::completion_rate_fell);
    EXPECT_EQ(alert.skill_name, "Bash");
    EXPECT_LE(std::chrono::abs(alert.since - change), std::chrono::minutes(10));
    EXPECT_LE(alert.since_low, alert.since);
    EXPECT_GE(alert.since_high, alert.since);
    EXPECT_LT(alert.detected_at - change, std::chrono::minutes(80));
    EXPECT_NEAR(alert.before.value, 0.95, 0.01);
    EXPECT_LT(alert.before.low, 0.95);
    EXPECT_GT(alert.before.high, 0.95);
    EXPECT_NEAR(alert.after.value, 0.5, 0.1);
    EXPECT_GE(alert.once_in_seconds, 7 * kSecondsPerDay);
    ASSERT_FALSE(alert.errors.empty());
    EXPECT_EQ(alert.errors[0].error_type, "connection refused");
    EXPECT_NEAR(alert.errors[0].after, 0.5, 0.15);
    EXPECT_EQ(alert.errors[0].before, 0.0);
    EXPECT_EQ(feed.engine.open().size(), 1U);
}

TEST(AlertEngine, EndsAnAlertWhenTheCompletionRateHasRecovered) {
    AlertFeed feed;
    feed.add_many(1000, 20);
    feed.add_many(60, 2);
    feed.add_many(200, 20);
    const auto ended = feed.of(Kind::ended);
    ASSERT_EQ(ended.size(), 1U);
    EXPECT_EQ(ended[0].end, AlertEnd::recovered);
    EXPECT_TRUE(feed.engine.open().empty());
    EXPECT_EQ(feed.of(Kind::started).size(), 1U) << "a recovery is no improvement";
}

TEST(AlertEngine, AcceptsAChangeThatLastsAWeek) {
    AlertFeed feed;
    feed.add_many(1000, 20);
    feed.add_many(8 * 24 * 30, 2);
    const auto ended = feed.of(Kind::ended);
    ASSERT_EQ(ended.size(), 1U);
    EXPECT_EQ(ended[0].end, AlertEnd::accepted);
    EXPECT_GE(*ended[0].ended_at - ended[0].detected_at, std::chrono::days(7));
}

TEST(AlertEngine, ReportsAnImprovementOnceAndAcceptsItImmediately) {
    AlertFeed feed;
    feed.add_many(1000, 3);
    feed.add_many(2000, 30);
    const auto started = feed.of(Kind::started);
    ASSERT_EQ(started.size(), 1U);
    EXPECT_EQ(started[0].kind, AlertKind::completion_rate_rose);
    const auto ended = feed.of(Kind::ended);
    ASSERT_EQ(ended.size(), 1U);
    EXPECT_EQ(ended[0].end, AlertEnd::accepted);
    EXPECT_EQ(ended[0].ended_at, ended[0].detected_at);
}

TEST(AlertEngine, ReportsDurationsThatRise) {
    AlertFeed feed;
    feed.add_durations(800, 2.0, 0.5);
    const TimePoint change = feed.now;
    feed.add_durations(100, 5.0, 0.5);
    const auto started = feed.of(Kind::started);
    ASSERT_EQ(started.size(), 1U);
    EXPECT_EQ(started[0].kind, AlertKind::duration_rose);
    EXPECT_LE(std::chrono::abs(started[0].since - change), std::chrono::minutes(10));
    EXPECT_NEAR(started[0].before.value, 2.0, 0.3);
    EXPECT_NEAR(started[0].after.value, 5.0, 1.5);
}

TEST(AlertEngine, CountsRetriesInOneSessionForLessThanFailuresOfManySessions) {
    const auto failures_until_alert = [](bool one_session) {
        AlertFeed feed;
        for (int session = 0; session < 100; ++session) {  // each retries one failure three times
            feed.session = "session " + std::to_string(session);
            feed.add_many(9, 0);
            for (int retry = 0; retry < 4; ++retry) {
                feed.add(false, "timeout");
            }
            feed.add_many(9, 0);
        }
        int failures = 0;
        while (feed.changes.empty() && failures < 100) {
            if (!one_session) {
                feed.session = "later session " + std::to_string(failures);
            }
            feed.add(false, "timeout");
            ++failures;
        }
        return failures;
    };
    EXPECT_LE(failures_until_alert(false), 8);
    EXPECT_GE(failures_until_alert(true), 25);
}

TEST(AlertEngine, NamesTheSessionThatCarriesAChange) {
    AlertFeed feed;
    for (int session = 0; session < 100; ++session) {
        feed.session = "session " + std::to_string(session);
        feed.add_many(10, 10);
    }
    for (int index = 0; feed.changes.empty() && index < 500; ++index) {
        feed.session = index % 4 == 3 ? "other" : "broken";
        feed.add(feed.session == "other" || index % 3 == 0, "timeout");
    }
    ASSERT_FALSE(feed.changes.empty());
    EXPECT_EQ(feed.changes[0].alert.session_id, "broken");
    EXPECT_GT(feed.changes[0].alert.session_share, 0.8);
    EXPECT_GE(feed.changes[0].alert.sessions, 2);
}

TEST(AlertEngine, ReportsSilenceOfARegularSkillAndItsEnd) {
    AlertFeed feed{{.silence = true}};
    feed.gap = std::chrono::hours(3);
    feed.add_many(80, 0);
    const TimePoint last = feed.now - feed.gap;
    feed.engine.advance(last + std::chrono::hours(23));
    EXPECT_TRUE(feed.engine.take_changes().empty());
    feed.engine.advance(last + std::chrono::hours(25));
    const auto changes = feed.engine.take_changes();
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(changes[0].alert.kind, AlertKind::silence);
    EXPECT_EQ(changes[0].alert.since, last);
    EXPECT_EQ(changes[0].alert.before.value, 3.0 * 3600.0);
    feed.now = last + std::chrono::hours(26);
    feed.add(true);
    ASSERT_EQ(feed.changes.size(), 1U);
    EXPECT_EQ(feed.changes[0].kind, Kind::ended);
    EXPECT_EQ(feed.changes[0].alert.end, AlertEnd::recovered);
}

TEST(AlertEngine, EndsAnAlertOfASkillThatIsNotUsedAnyMore) {
    AlertFeed feed;
    feed.add_many(1000, 20);
    feed.add_many(60, 2);
    ASSERT_EQ(feed.engine.open().size(), 1U);
    const TimePoint last = feed.now - feed.gap;
    feed.engine.advance(last + std::chrono::days(7) - std::chrono::seconds(1));
    EXPECT_EQ(feed.engine.open().size(), 1U);
    feed.engine.advance(last + std::chrono::days(8));
    EXPECT_TRUE(feed.engine.open().empty());
    const auto changes = feed.engine.take_changes();
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(changes[0].alert.end, AlertEnd::accepted);
    EXPECT_EQ(changes[0].alert.ended_at, last + std::chrono::days(7));
}

TEST(AlertEngine, ReplacesASkillThatIsNotUsedAnyMoreIfThereAreTooMany) {
    AlertEngine engine{{.max_skills = 2}};
    Invocation invocation;
    const auto add = [&](const std::string& name, TimePoint at) {
        ++invocation.id;
        invocation.skill_name = name;
        invocation.invoked_at = at;
        invocation.completed = true;
        engine.add(invocation, at);
    };
    const auto keys = [&] {
        std::vector<std::pair<std::string, bool>> result;  // and whether the entry is deleted
        for (const auto& state : engine.take_state()) {
            if (!state.key.empty()) {
                result.emplace_back(state.key, state.bytes.empty());
            }
        }
        return result;
    };
    add("a", test::kStart);
    add("b", test::kStart + std::chrono::days(1));
    add("c", test::kStart + std::chrono::days(2));
    using Keys = std::vector<std::pair<std::string, bool>>;
    EXPECT_EQ(keys(), (Keys{{"a", false}, {"b", false}}));
    add("c", test::kStart + std::chrono::days(29));
    EXPECT_EQ(keys(), (Keys{{"a", true}, {"c", false}}));
}

TEST(AlertEngine, AddsLateInvocationsToTheBaselineWithoutTestingThem) {
    AlertFeed feed;
    feed.add_many(1000, 20);
    Invocation late;
    late.skill_name = "Bash";
    late.invoked_at = feed.now - std::chrono::hours(5);
    for (int index = 0; index < 200; ++index) {
        late.id = ++feed.id;
        feed.engine.add(late, feed.now);
    }
    EXPECT_TRUE(feed.engine.take_changes().empty());
    feed.add_many(60, 1);
    ASSERT_FALSE(feed.changes.empty());
    EXPECT_NEAR(feed.changes[0].alert.before.value, 0.95 * 1000 / 1200, 0.02);
}

TEST(AlertEngine, ReportsFailuresInARow) {
    AlertFeed feed;
    feed.add_many(1000, 100);
    feed.add_many(30, 1);
    ASSERT_FALSE(feed.changes.empty());
    const Alert& alert = feed.changes[0].alert;
    EXPECT_EQ(alert.kind, AlertKind::completion_rate_fell);
    EXPECT_GE(alert.failures_in_a_row, 3);
    EXPECT_LE(alert.failures_in_a_row, 6) << "found late";
}

TEST(AlertEngine, ReportsNoSingleOutlierAmongDurations) {
    AlertFeed feed;
    for (int round = 0; round < 20; ++round) {
        feed.add_durations(100, 2.0, 0.5);
        feed.add_durations(3, 1e6, 0.1);
    }
    EXPECT_TRUE(feed.of(Kind::started).empty());
}

TEST(AlertEngine, ReportsNoDurationsThatChangeByLessThanTenPercent) {
    AlertFeed feed;
    feed.add_durations(3000, 2.0, 0.001);
    feed.add_durations(3000, 2.08, 0.001);
    EXPECT_TRUE(feed.changes.empty());
    feed.add_durations(300, 2.6, 0.001);
    EXPECT_FALSE(feed.changes.empty());
}

TEST(AlertEngine, KeepsTheBudgetOfADatabaseInWhichNothingChanges) {
    // Expected with one alert a day: 3. A short form of bench/alert_calibration.
    bench::StationaryDatabase database;
    database.skills = 30;
    database.per_day = 8000.0;
    std::int64_t alerts = 0;
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
        for (const std::int64_t count : bench::count_alerts(database, 3.0, 1.0, seed)) {
            alerts += count;
        }
    }
    EXPECT_LE(alerts, 3 * 9);
}

TEST(AlertEngine, ReportsADailyRhythmAtMostAsOftenAsTheBudgetAllows) {
    bench::StationaryDatabase database;
    database.skills = 20;
    database.per_day = 20'000.0;
    database.rate = 0.85;
    database.rhythm = 0.1;
    database.durations = bench::StationaryDatabase::Durations::none;
    std::int64_t alerts = 0;
    for (const std::int64_t count : bench::count_alerts(database, 6.0, 1.0 / 7.0, 3)) {
        alerts += count;
    }
    EXPECT_LE(alerts, 3);
}

TEST(AlertEngine, FindsAChangeAlmostAsSoonAsACusumThatKnowsBothRates) {
    // Thresholds of equal false alerts: bench/drift_compare.py. A short form of it.
    const bench::FallingRate stream{.before = 0.95, .after = 0.8, .per_hour = 40.0};
    std::vector<double> delays;
    std::vector<double> bounds;
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        delays.push_back(bench::detect(stream, 0.2, seed).delay.value_or(99.0));
        bounds.push_back(bench::detect_by_cusum(stream, 7.0, seed).delay.value_or(99.0));
    }
    std::ranges::sort(delays);
    std::ranges::sort(bounds);
    EXPECT_LE(delays[30], 1.3 * bounds[30]);
}

TEST(AlertEngine, StatesAnIntervalThatContainsMostChangePoints) {
    // 90 % by construction; a short form of the simulation with which the constants were chosen.
    int found = 0;
    int contained = 0;
    for (unsigned seed = 0; seed < 40; ++seed) {
        AlertFeed feed{{.budget = 0.05 / kSecondsPerDay}};
        feed.random.seed(seed);
        const auto add = [&](int count, double rate) {
            for (int index = 0; index < count && feed.of(Kind::started).empty(); ++index) {
                feed.add(std::bernoulli_distribution{rate}(feed.random));
            }
        };
        add(3000, 0.95);
        if (!feed.changes.empty()) {
            continue;  // a false alert
        }
        const TimePoint change = feed.now;
        add(1000, 0.7);
        const auto alerts = feed.of(Kind::started);
        ASSERT_EQ(alerts.size(), 1U);
        ++found;
        contained += alerts[0].since_low <= change && change - feed.gap <= alerts[0].since_high ? 1 : 0;
    }
    EXPECT_GE(found, 35);
    EXPECT_GE(contained, found * 3 / 4);
}

TEST(AlertEngine, DatesEachChangeWithinTheHistoryEvenWithAnAbsurdBudget) {
    AlertFeed feed{{.budget = 1.0}};
    for (int index = 0; index < 2000; ++index) {
        feed.add(std::bernoulli_distribution{0.8}(feed.random), "timeout",
                 std::lognormal_distribution<>{0.0, 1.0}(feed.random));
    }
    EXPECT_FALSE(feed.changes.empty());
    for (const AlertChange& change : feed.changes) {
        EXPECT_LE(test::kStart, change.alert.since_low);
        EXPECT_LE(change.alert.since_low, change.alert.since);
        EXPECT_LE(change.alert.since, change.alert.since_high);
        EXPECT_LE(change.alert.since_high, change.alert.detected_at);
    }
}

TEST(AlertEngine, IgnoresUnknownOutcomesAndDurationsThatAreBounds) {
    AlertFeed feed;
    feed.add_many(500, 20);
    Invocation invocation;
    invocation.skill_name = "Bash";
    invocation.outcome_is_unknown = true;
    for (int index = 0; index < 500; ++index) {
        invocation.id = ++feed.id;
        invocation.invoked_at = feed.now += feed.gap;
        feed.engine.add(invocation, feed.now);
    }
    EXPECT_TRUE(feed.engine.take_changes().empty());
}

TEST(AlertEngine, ReportsNothingWithoutABudget) {
    AlertFeed feed{{.budget = 0.0}};
    feed.add_many(1000, 20);
    feed.add_many(500, 1);
    EXPECT_TRUE(feed.changes.empty());
    EXPECT_TRUE(feed.engine.take_state().empty());
}

TEST(AlertEngine, ContinuesFromItsStateAsIfNothingHadHappened) {
    bench::StationaryDatabase database;
    database.skills = 5;
    database.per_day = 3000.0;
    database.rate = 0.8;
    std::vector<Invocation> rows;
    bench::simulate(database, 3.0, 7, [&](const Invocation& row) { rows.push_back(row); });
    const std::size_t half = rows.size() / 2;
    for (std::size_t index = half; index < rows.size(); index += (index < half + half / 2) ? 2U : 7U) {
        rows[index].completed = false;
    }
    const AlertOptions options{.budget = 1.0 / kSecondsPerDay};

    AlertEngine uninterrupted{options};
    std::optional<AlertEngine> restarted{options};
    std::vector<AlertEngine::State> saved;
    std::size_t started = 0;
    for (std::size_t index = 0; index < rows.size(); ++index) {
        uninterrupted.add(rows[index], rows[index].invoked_at);
        restarted->add(rows[index], rows[index].invoked_at);
        const auto changes = uninterrupted.take_changes();
        ASSERT_EQ(changes, restarted->take_changes());
        started += changes.size();
        if (index % 1009 == 0) {
            for (AlertEngine::State& state : restarted->take_state()) {
                std::erase_if(saved, [&](const auto& other) { return other.key == state.key; });
                saved.push_back(std::move(state));
            }
            restarted.emplace(options);
            for (const AlertEngine::State& state : saved) {
                ASSERT_TRUE(restarted->restore(state));
            }
            for (std::size_t again = index > 50 ? index - 50 : 0; again <= index; ++again) {
                restarted->add(rows[again], rows[again].invoked_at);  // rows that the state contains
            }
            ASSERT_EQ(restarted->open(), uninterrupted.open());
        }
    }
    EXPECT_GT(started, 0U);
    const auto bytes = [](AlertEngine& engine, std::vector<AlertEngine::State> states) {
        for (AlertEngine::State& state : engine.take_state()) {
            std::erase_if(states, [&](const auto& other) { return other.key == state.key; });
            states.push_back(std::move(state));
        }
        std::ranges::sort(states, {}, &AlertEngine::State::key);
        std::string all;
        for (const auto& state : states) {
            all += state.bytes;
        }
        return all;
    };
    EXPECT_EQ(bytes(uninterrupted, {}), bytes(*restarted, saved));
}

TEST(AlertEngine, RejectsDamagedState) {
    AlertFeed feed;
    feed.add_many(100, 10);
    for (const AlertEngine::State& state : feed.engine.take_state()) {
        for (std::size_t at = 0; at < state.bytes.size(); at += 7) {
            AlertEngine::State damaged = state;
            damaged.bytes[at] = static_cast<char>(damaged.bytes[at] ^ 0x10);
            EXPECT_FALSE(AlertEngine{AlertOptions{}}.restore(damaged));
            damaged.bytes = state.bytes.substr(0, at);
            EXPECT_FALSE(AlertEngine{AlertOptions{}}.restore(damaged));
        }
    }
}

}  // namespace
}  // namespace session_buddy::anomaly
