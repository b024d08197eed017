// Unknown outcomes and corrected rows from a real database to the snapshot, the cache and the detector.
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "app/collector_fixture.hpp"
#include "session_buddy/storage/event_store.hpp"

namespace session_buddy::app {
namespace {

using namespace std::chrono_literals;
using storage::EventStore;
using storage::SkillEvent;
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
    SkillEvent use(const std::string& key, const Evidence& evidence) const {
        SkillEvent event;
        event.kind = SkillEvent::Kind::use;
        event.key = key;
        event.at = clock.now();
        event.record.skill_name = "pytest-run";
        event.record.session_id = "s1";
        event.evidence = evidence;
        event.evidence.name_basis = NameBasis::command;
        event.evidence.session_basis = SessionBasis::original;
        return event;
    }
    [[nodiscard]] Evidence started() const {
        Evidence evidence;
        evidence.started = {EvidenceSource::hook, clock.now() - 10s};
        return evidence;
    }
    [[nodiscard]] Evidence ended(Outcome outcome, EvidenceSource source = EvidenceSource::hook) const {
        Evidence evidence = started();
        evidence.result.outcome = {source, {outcome, outcome == Outcome::failed ? "exit_code" : ""}};
        evidence.result.at = {source, clock.now() - 5s};
        evidence.result.measured_us = {source, 5'000'000};
        return evidence;
    }
    static void ingest(EventStore& store, const SkillEvent& event, storage::Source source) {
        static_cast<void>(store.ingest({&event, 1}, source));
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

TEST_F(CollectorCorrections, better_evidence_from_a_store_of_this_process_replaces_an_unknown_outcome) {
    start();
    EventStore store(config.db_path, {});
    ingest(store, use("key-1", started()), storage::Source::hook);
    cycle();
    EXPECT_EQ(latest->skills->find("pytest-run"), nullptr) << "it is still open";
    Evidence abandoned = started();
    abandoned.is_abandoned = true;
    ingest(store, use("key-1", abandoned), storage::Source::hook);
    cycle();
    EXPECT_EQ(skill("pytest-run").window.invocation_count, 1);
    EXPECT_EQ(skill("pytest-run").window.unknown_count, 1);
    EXPECT_EQ(skill("pytest-run").lifetime.unknown_invocations, 1);
    EXPECT_EQ(latest->sessions->front().unknown, 1);
    EXPECT_EQ(cached_rate(), "NULL");

    ingest(store, use("key-1", ended(Outcome::completed)), storage::Source::hook);
    ASSERT_TRUE(cycle_until([&] { return skill("pytest-run").window.unknown_count == 0; }));
    EXPECT_EQ(skill("pytest-run").window.invocation_count, 1);
    EXPECT_EQ(skill("pytest-run").window.completed_count, 1);
    EXPECT_EQ(skill("pytest-run").window.p50_duration_seconds, 5.0);
    EXPECT_EQ(skill("pytest-run").lifetime.total_invocations, 1);
    EXPECT_EQ(skill("pytest-run").lifetime.completed_invocations, 1);
    EXPECT_EQ(skill("pytest-run").lifetime.unknown_invocations, 0);
    EXPECT_EQ(latest->sessions->front().invocations, 1);
    EXPECT_EQ(latest->sessions->front().unknown, 0);
    EXPECT_EQ(cached_rate(), "1.0");
}

TEST_F(CollectorCorrections, an_unknown_outcome_that_turns_out_as_completed_without_a_duration_is_noticed) {
    start();
    EventStore store(config.db_path, {});
    Evidence masked = started();
    masked.result.outcome = {EvidenceSource::hook, {Outcome::completed, ""}};
    masked.result.at = {EvidenceSource::hook, clock.now() - 5s};
    masked.is_masked = true;
    ingest(store, use("key-1", masked), storage::Source::hook);
    cycle();
    EXPECT_EQ(skill("pytest-run").window.unknown_count, 1);
    const std::string row = query_one(config.db_path, "SELECT completed, duration_seconds FROM skill_invocation");
    Evidence verdict = masked;
    verdict.verdict = {EvidenceSource::transcript, Outcome::completed};
    ingest(store, use("key-1", verdict), storage::Source::transcript);
    EXPECT_EQ(query_one(config.db_path, "SELECT completed, duration_seconds FROM skill_invocation"), row);
    ASSERT_TRUE(cycle_until([&] { return skill("pytest-run").window.unknown_count == 0; }));
    EXPECT_EQ(skill("pytest-run").lifetime.unknown_invocations, 0);
}

TEST_F(CollectorCorrections, the_detector_follows_corrections) {
    start();
    EventStore store(config.db_path, {});
    for (int i = 0; i < 30; ++i) {
        ingest(store, use("good-" + std::to_string(i), ended(Outcome::completed)), storage::Source::hook);
        clock.advance(1s);
    }
    for (int i = 0; i < 12; ++i) {
        Evidence masked = ended(Outcome::completed);
        masked.is_masked = true;
        ingest(store, use("masked-" + std::to_string(i), masked), storage::Source::hook);
        clock.advance(1s);
    }
    ASSERT_TRUE(cycle_until([&] {
        return latest->skills->find("pytest-run") != nullptr && skill("pytest-run").window.invocation_count == 42;
    }));
    EXPECT_EQ(skill("pytest-run").window.unknown_count, 12);
    EXPECT_TRUE(latest->anomalies->empty());
    Evidence verdict;
    verdict.verdict = {EvidenceSource::transcript, Outcome::failed};
    for (int i = 0; i < 12; ++i) {
        ingest(store, use("masked-" + std::to_string(i), verdict), storage::Source::transcript);
    }
    ASSERT_TRUE(cycle_until([&] { return skill("pytest-run").window.completed_count == 30; }));
    // Past moments are not judged again: the next invocation is compared with the corrected ones.
    ingest(store, use("next", ended(Outcome::failed)), storage::Source::hook);
    ASSERT_TRUE(cycle_until([&] { return !latest->anomalies->empty(); }));
    EXPECT_EQ(latest->anomalies->front().type, AnomalyType::performance_drop);
    EXPECT_EQ(latest->anomalies->front().observed_value, 8.0 / 21.0);
}

}  // namespace
}  // namespace session_buddy::app
