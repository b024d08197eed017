// Evidence that arrives after an invocation became a row changes the row, and everything that is counted from it.
#include <SQLiteCpp/Database.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/storage/corrections.hpp"
#include "session_buddy/storage/database.hpp"
#include "session_buddy/storage/event_store.hpp"
#include "session_buddy/storage/evidence_reader.hpp"
#include "session_buddy/storage/follower.hpp"
#include "session_buddy/storage/hourly_rollup.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::storage {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const TimePoint kStart = *parse_timestamp("2026-02-10T12:00:00Z");

/// The claims of one source about one invocation.
struct Use {
    SkillEvent event;
    EvidenceSource source;

    Use(EvidenceSource from, const std::string& key, const std::string& skill = "pytest-run") : source(from) {
        event.key = key;
        event.at = kStart;
        event.record.skill_name = skill;
        event.record.session_id = "s1";
        event.evidence.name_basis = NameBasis::command;
        event.evidence.session_basis = SessionBasis::original;
    }
    Use& started(TimePoint at = kStart) {
        event.evidence.started = {source, at};
        return *this;
    }
    Use& ended(Outcome outcome, const std::string& error = {}, TimePoint at = kStart + std::chrono::seconds{10}) {
        event.evidence.result.outcome = {source, {outcome, error}};
        event.evidence.result.at = {source, at};
        return *this;
    }
    Use& measured(std::chrono::milliseconds duration) {
        event.evidence.result.measured_us = {source, std::chrono::microseconds(duration).count()};
        return *this;
    }
    Use& masked() {
        event.evidence.is_masked = true;
        return *this;
    }
    Use& verdict(Outcome outcome) {
        event.evidence.verdict = {source, outcome};
        return *this;
    }
    Use& in_background() {
        event.evidence.in_background = true;
        return *this;
    }
    Use& notified(Outcome outcome, const std::string& error = {}) {
        in_background();
        event.evidence.background_end.outcome = {source, {outcome, error}};
        event.evidence.background_end.at = {source, kStart + std::chrono::minutes{4}};
        return *this;
    }
};

Use hook_use(const std::string& key, const std::string& skill = "pytest-run") {
    return {EvidenceSource::hook, key, skill};
}
Use transcript_use(const std::string& key, const std::string& skill = "pytest-run") {
    return {EvidenceSource::transcript, key, skill};
}

class RowCorrection : public testing::Test {
  protected:
    EventStore::Result ingest(const Use& use, const EventStore::IngestOptions& options = {}) {
        const Source source = use.source == EvidenceSource::transcript ? Source::transcript : Source::hook;
        return store.ingest({&use.event, 1}, source, {}, options).at(0);
    }
    std::vector<std::string> query(const std::string& text) const { return test::query(path, text); }
    std::vector<std::string> rows() const {
        return query(
            "SELECT skill_name, completed, duration_seconds, error_type, coalesce(marks, 0) FROM skill_invocation"
            " LEFT JOIN session_buddy_mark ON invocation_id = id ORDER BY id");
    }

    test::TempDir dir;
    std::string path = dir.file("skills.db");
    EventStore store{path, {.busy_timeout = std::chrono::milliseconds{200}}};
};

TEST_F(RowCorrection, a_use_in_the_background_is_open_until_its_end_is_reported) {
    ingest(hook_use("k", "agent:general").started());
    ingest(hook_use("k", "agent:general")
               .ended(Outcome::completed, {}, kStart + std::chrono::milliseconds{11})
               .in_background());
    EXPECT_THAT(rows(), IsEmpty());
    EXPECT_TRUE(ingest(transcript_use("k", "agent:general").notified(Outcome::failed, "interrupted")).is_new);
    EXPECT_THAT(rows(), ElementsAre("agent:general|0|240.0|interrupted|2"));
    EXPECT_THAT(query("SELECT * FROM session_buddy_open_use"), IsEmpty());
}

TEST_F(RowCorrection, a_launch_that_was_taken_for_the_end_becomes_unknown_until_the_end_is_reported) {
    ingest(hook_use("k").started().ended(Outcome::completed));
    const auto result = ingest(transcript_use("k").in_background());
    ASSERT_TRUE(result.correction);
    EXPECT_EQ(result.correction->before.outcome, Outcome::completed);
    EXPECT_THAT(rows(), ElementsAre("pytest-run|1|NULL|NULL|1"));
    ingest(transcript_use("k").notified(Outcome::completed));
    EXPECT_THAT(rows(), ElementsAre("pytest-run|1|240.0|NULL|2"));
}

TEST_F(RowCorrection, a_verdict_changes_the_row_and_all_counts) {
    ingest(hook_use("k1").started().ended(Outcome::completed).measured(std::chrono::seconds{3}).masked());
    ingest(hook_use("k2").started().ended(Outcome::completed).measured(std::chrono::seconds{5}));
    EXPECT_THAT(rows(), ElementsAre("pytest-run|1|3.0|NULL|1", "pytest-run|1|5.0|NULL|0"));
    EXPECT_THAT(query("SELECT * FROM session_buddy_unknown"), ElementsAre("pytest-run|1"));

    const auto result = ingest(transcript_use("k1").masked().ended(Outcome::completed).verdict(Outcome::failed));
    EXPECT_FALSE(result.is_new);
    ASSERT_TRUE(result.correction);
    EXPECT_EQ(result.correction->after.error_type, "exit_code");
    EXPECT_THAT(rows(), ElementsAre("pytest-run|0|3.0|exit_code|0", "pytest-run|1|5.0|NULL|0"));
    EXPECT_THAT(query("SELECT total_invocations, completed_invocations, abandoned_invocations, completion_rate,"
                      " total_duration_seconds, avg_duration_seconds, common_errors FROM skill_metrics"),
                ElementsAre("2|1|1|50.0|5.0|5.0|{\"exit_code\":1}"));
    EXPECT_THAT(query("SELECT * FROM session_skills"), ElementsAre("s1|pytest-run|2"));
    EXPECT_THAT(query("SELECT * FROM session_buddy_unknown"), IsEmpty());
}

TEST_F(RowCorrection, claims_that_are_known_write_nothing) {
    Use original = transcript_use("k1").started().ended(Outcome::completed);
    Use copy = transcript_use("k2").started().ended(Outcome::completed);
    copy.event.evidence.session_basis = SessionBasis::copy;
    copy.event.record.session_id = "s3";
    ingest(original);
    ingest(copy);
    test::execute(path,
                  "CREATE TABLE written (id);"
                  "CREATE TRIGGER source AFTER UPDATE ON session_buddy_source"
                  " BEGIN INSERT INTO written VALUES (old.invocation_id); END;"
                  "CREATE TRIGGER invocation AFTER UPDATE ON skill_invocation"
                  " BEGIN INSERT INTO written VALUES (old.id); END");
    ingest(original);
    ingest(copy);
    copy.event.record.session_id = "s4";
    ingest(copy);
    EXPECT_THAT(query("SELECT id FROM written"), IsEmpty());

    copy.event.record.session_id = "s2";  // of two copies, the smaller id holds
    EXPECT_TRUE(ingest(copy).correction);
    EXPECT_THAT(query("SELECT DISTINCT id FROM written"), ElementsAre("2"));
    EXPECT_THAT(query("SELECT session_id FROM skill_invocation ORDER BY id"), ElementsAre("s1", "s2"));
}

TEST_F(RowCorrection, a_skill_without_a_row_disappears_when_its_row_gets_a_better_name) {
    Use plain = hook_use("k", "Bash").started().ended(Outcome::completed).measured(std::chrono::seconds{1});
    plain.event.evidence.name_basis = NameBasis::tool;
    ingest(plain);
    Use chain = transcript_use("k", "mypy-run").ended(Outcome::completed);
    chain.event.evidence.name_basis = NameBasis::output;
    ASSERT_TRUE(ingest(chain).correction);
    EXPECT_THAT(rows(), ElementsAre("mypy-run|1|1.0|NULL|0"));
    EXPECT_THAT(query("SELECT skill_name, total_invocations, avg_duration_seconds, first_invoked FROM skill_metrics"),
                ElementsAre("mypy-run|1|1.0|2026-02-10T12:00:00.000Z"));
    EXPECT_THAT(query("SELECT skill_name FROM skill_metrics_cache"), ElementsAre("mypy-run"));
    EXPECT_THAT(query("SELECT * FROM session_skills"), ElementsAre("s1|mypy-run|1"));
    EXPECT_FALSE(ingest(plain).correction) << "the better name stays";
}

TEST_F(RowCorrection, a_name_that_the_user_gave_stays) {
    ingest(hook_use("k").started().ended(Outcome::completed));
    static_cast<void>(rename_skill(path, "pytest-run", "tests"));
    ingest(transcript_use("k").started().ended(Outcome::failed, "exit_code").measured(std::chrono::seconds{2}));
    EXPECT_THAT(rows(), ElementsAre("tests|1|2.0|NULL|0"));
}

TEST_F(RowCorrection, a_row_that_was_forgotten_or_pruned_stays_away) {
    ingest(hook_use("k1").started());
    store.expire(kStart + std::chrono::hours{1});
    ASSERT_TRUE(forget_invocation(path, 1).found);
    ingest(hook_use("k2").started().ended(Outcome::completed));
    test::execute(path, "DELETE FROM skill_invocation WHERE id = 2");
    EXPECT_FALSE(ingest(hook_use("k1").ended(Outcome::failed)).correction);
    EXPECT_FALSE(ingest(transcript_use("k2").masked()).correction);
    EXPECT_THAT(rows(), IsEmpty());
    EXPECT_THAT(query("SELECT * FROM session_buddy_unknown"), IsEmpty());
    EXPECT_THAT(query("SELECT * FROM session_buddy_mark WHERE invocation_id = 1"), IsEmpty());
}

TEST_F(RowCorrection, a_forgotten_unknown_outcome_is_not_counted_any_more) {
    ingest(hook_use("k1").started().ended(Outcome::completed).masked());
    ingest(hook_use("k2").started().ended(Outcome::completed).masked());
    ASSERT_TRUE(forget_invocation(path, 1).found);
    EXPECT_THAT(query("SELECT * FROM session_buddy_unknown"), ElementsAre("pytest-run|1"));
    EXPECT_THAT(query("SELECT * FROM session_buddy_mark"), ElementsAre("2|3"));
}

TEST_F(RowCorrection, an_hour_that_was_written_is_counted_again) {
    ingest(hook_use("k").started().ended(Outcome::completed).measured(std::chrono::seconds{4}));
    HourlyRollup rollup(path, std::chrono::milliseconds{200});
    const TimePoint later = kStart + std::chrono::hours{30};
    while (rollup.step(later)) {
    }
    const std::string series =
        "SELECT skill_name, timestamp, invocation_count, completion_rate, avg_duration_seconds FROM skill_time_series";
    ASSERT_THAT(query(series), ElementsAre("pytest-run|2026-02-10T12:00:00Z|1|1.0|4.0"));
    Use other = transcript_use("k", "mypy-run").masked().verdict(Outcome::failed);
    other.event.evidence.name_basis = NameBasis::output;
    ingest(other);
    EXPECT_THAT(query(series), IsEmpty()) << "the skill has no row left";
    while (rollup.step(later)) {
    }
    EXPECT_THAT(query(series), ElementsAre("mypy-run|2026-02-10T12:00:00Z|1|0.0|NULL"));
    ingest(hook_use("k", "mypy-run").ended(Outcome::failed, "interrupted"));
    EXPECT_THAT(rows(), ElementsAre(HasSubstr("mypy-run|0|4.0|interrupted")));
    EXPECT_THAT(query(series), ElementsAre("mypy-run|2026-02-10T12:00:00Z|1|0.0|NULL"));
}

TEST_F(RowCorrection, a_follower_in_the_same_process_rebuilds_even_if_only_a_mark_changes) {
    ingest(hook_use("k").started().ended(Outcome::completed).measured(std::chrono::seconds{4}).masked());
    Follower follower(path, {});
    follower.open();
    const TimePoint now = kStart + std::chrono::minutes{5};
    Batch batch = follower.poll(now);
    ASSERT_EQ(batch.rows.size(), 1U);
    EXPECT_TRUE(batch.rows.front().outcome_is_unknown);
    ingest(transcript_use("k").masked().verdict(Outcome::completed));
    for (int polls = 0; polls < 1000 && (batch = follower.poll(now), !batch.rebuilt); ++polls) {
    }
    ASSERT_TRUE(batch.rebuilt);
    ASSERT_EQ(batch.rows.size(), 1U);
    EXPECT_FALSE(batch.rows.front().outcome_is_unknown);
}

TEST_F(RowCorrection, rows_of_a_removed_log_keep_their_marks_and_evidence) {
    ingest(hook_use("k1").started().ended(Outcome::completed).masked());
    ingest(hook_use("k2").started());
    for (const char* suffix : {"-wal", "-shm"}) {
        std::filesystem::remove(path + suffix);
    }
    ingest(hook_use("k3").started().ended(Outcome::completed).masked());
    EXPECT_THAT(rows(), ElementsAre("pytest-run|1|10.0|NULL|3", "pytest-run|1|10.0|NULL|3"));
    EXPECT_THAT(query("SELECT * FROM session_buddy_unknown"), ElementsAre("pytest-run|2"));
    EXPECT_THAT(query("SELECT key FROM session_buddy_open_use"), ElementsAre("k2"));
    ingest(transcript_use("k1").verdict(Outcome::completed));
    EXPECT_THAT(query("SELECT * FROM session_buddy_unknown"), ElementsAre("pytest-run|1"));
}

TEST_F(RowCorrection, a_dry_run_reports_and_stores_nothing) {
    const EventStore::IngestOptions dry{.dry_run = true};
    EXPECT_TRUE(ingest(hook_use("k").started().ended(Outcome::completed), dry).is_new);
    EXPECT_THAT(rows(), IsEmpty());
    ingest(hook_use("k").started().ended(Outcome::completed));
    EXPECT_TRUE(ingest(transcript_use("k").masked(), dry).correction);
    EXPECT_THAT(rows(), ElementsAre("pytest-run|1|10.0|NULL|2"));
    EXPECT_THAT(query("SELECT seen_by FROM session_buddy_source"), ElementsAre("1"));
}

/// Rows as an earlier version recorded them.
class EarlierRows : public RowCorrection {
  protected:
    void SetUp() override {
        ingest(hook_use("hook", "Bash").started().ended(Outcome::completed).measured(std::chrono::seconds{3}));
        ingest(transcript_use("read", "Bash").started().ended(Outcome::completed));
        ingest(hook_use("guess", "Bash").started());
        store.expire(kStart + std::chrono::hours{1});
        test::execute(path,
                      "UPDATE session_buddy_source SET evidence = NULL; DELETE FROM session_buddy_mark;"
                      "DELETE FROM session_buddy_unknown;"
                      "UPDATE skill_invocation SET completed = 0, error_type = 'tool_error' WHERE id = 3;"
                      "UPDATE skill_metrics SET completed_invocations = 2, abandoned_invocations = 1,"
                      " common_errors = '{\"tool_error\":1}'");
    }
    /// What the transcript shows about each of them.
    std::vector<EventStore::Result> import_all(const EventStore::IngestOptions& options) {
        std::vector<SkillEvent> events;
        for (const char* key : {"hook", "read", "guess"}) {
            events.push_back(
                transcript_use(key).started().ended(Outcome::completed).masked().verdict(Outcome::failed).event);
        }
        return store.ingest(events, Source::transcript, {}, options);
    }
};

TEST_F(EarlierRows, stay_as_they_are) {
    const auto before = rows();
    for (const auto& result : import_all({})) {
        EXPECT_FALSE(result.correction || result.is_new);
    }
    EXPECT_EQ(rows(), before);
    EXPECT_THAT(query("SELECT key, seen_by FROM session_buddy_source ORDER BY key"),
                ElementsAre("guess|5", "hook|5", "read|4"));
}

TEST_F(EarlierRows, are_reclassified_on_request_once) {
    for (const auto& result : import_all({.reclassify = true, .dry_run = true})) {
        EXPECT_TRUE(result.correction);
    }
    for (const auto& result : import_all({.reclassify = true})) {
        ASSERT_TRUE(result.correction);
        EXPECT_EQ(result.correction->before.skill_name, "Bash");
        EXPECT_EQ(result.correction->after.outcome, Outcome::failed);
    }
    EXPECT_THAT(rows(), ElementsAre("pytest-run|0|3.0|exit_code|0", "pytest-run|0|10.0|exit_code|2",
                                    "pytest-run|0|10.0|exit_code|2"));
    EXPECT_THAT(query("SELECT skill_name, total_invocations, abandoned_invocations, common_errors FROM skill_metrics"),
                ElementsAre("pytest-run|3|3|{\"exit_code\":3}"));
    for (const auto& result : import_all({.reclassify = true})) {
        EXPECT_FALSE(result.correction);
    }
}

TEST_F(EarlierRows, are_explained_as_such) {
    const auto found = EvidenceReader(path, std::chrono::milliseconds{200}).find(1);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->key, "hook");
    EXPECT_EQ(found->seen_by, static_cast<Sources>(Source::hook));
    EXPECT_FALSE(found->evidence);
}

TEST_F(RowCorrection, the_evidence_of_rows_and_of_open_invocations_can_be_read) {
    ingest(hook_use("k1").started());
    ingest(transcript_use("k1").ended(Outcome::completed).masked());
    ingest(hook_use("k2", "Edit").started(kStart + std::chrono::minutes{1}));
    Use keyless = hook_use("", "Read").started().ended(Outcome::failed, "tool_error");
    ingest(keyless);
    const EvidenceReader reader(path, std::chrono::milliseconds{200});
    EXPECT_FALSE(reader.find(99));
    const auto last = reader.last(10);
    ASSERT_EQ(last.size(), 2U);
    EXPECT_EQ(last[0].values.skill_name, "Read");
    EXPECT_EQ(last[0].key, "");
    EXPECT_EQ(last[0].values.outcome, Outcome::failed);
    EXPECT_EQ(last[1].values.outcome, Outcome::unknown);
    EXPECT_TRUE(last[1].values.is_upper_bound);
    ASSERT_TRUE(last[1].evidence);
    EXPECT_EQ(last[1].evidence->started.source, EvidenceSource::hook);
    EXPECT_EQ(last[1].evidence->result.outcome.source, EvidenceSource::transcript);
    EXPECT_EQ(reader.last(1).size(), 1U);
    EXPECT_EQ(reader.last(10, "pytest-run").size(), 1U);
    const auto open = reader.open(10);
    ASSERT_EQ(open.size(), 1U);
    EXPECT_EQ(open[0].key, "k2");
    EXPECT_EQ(open[0].values.invoked_at, "2026-02-10T12:01:00.000Z");
    EXPECT_TRUE(open[0].evidence);
    EXPECT_TRUE(reader.open(10, "pytest-run").empty());
}

}  // namespace
}  // namespace session_buddy::storage
