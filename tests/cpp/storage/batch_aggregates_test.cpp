// BatchAggregates writes what the triggers would write row by row, and leaves it to the triggers if that is not
// certain.
#include "storage/batch_aggregates.hpp"

#include <SQLiteCpp/Transaction.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/storage/database.hpp"
#include "session_buddy/storage/skills_store.hpp"
#include "support/system_clock.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::storage {
namespace {

/// All tables that inserts change, in storage order, with numbers in an exact format.
std::vector<std::string> aggregates(const std::string& path) {
    std::vector<std::string> all;
    for (const char* sql :
         {"SELECT rowid, quote(skill_name), quote(total_invocations), quote(completed_invocations),"
          " quote(abandoned_invocations), quote(total_duration_seconds), quote(workflow_paths), quote(common_errors),"
          " quote(follow_up_actions), quote(first_invoked), quote(last_invoked), quote(completion_rate),"
          " quote(avg_duration_seconds), quote(avg_selection_rank), quote(recommendation_success_rate)"
          " FROM skill_metrics ORDER BY rowid",
          "SELECT rowid, quote(session_id), quote(skill_name), quote(invocation_count) FROM session_skills"
          " ORDER BY rowid",
          "SELECT rowid, quote(skill_name), quote(last_invocation_at), quote(invocation_count_1h),"
          " quote(invocation_count_24h), quote(avg_completion_rate_24h), quote(is_anomalous), quote(anomaly_score)"
          " FROM skill_metrics_cache ORDER BY rowid",
          "SELECT id, quote(skill_name), quote(invoked_at), quote(session_id), quote(workflow_path), quote(completed),"
          " quote(duration_seconds), quote(error_type), quote(follow_up_actions) FROM skill_invocation ORDER BY id",
          "SELECT count(*) FROM skill_metrics WHERE updated_at IS NULL OR abs(julianday(updated_at) -"
          " julianday('now')) > 1"}) {
        for (std::string& row : test::query(path, sql)) {
            all.push_back(std::move(row));
        }
    }
    return all;
}

class RandomRecords {
  public:
    explicit RandomRecords(unsigned seed) : random_(seed) {}

    std::vector<InvocationRecord> next() {
        std::vector<InvocationRecord> records(16 + random_() % 40);
        for (InvocationRecord& record : records) {
            record.skill_name = one_of({"a", "b", "it's", "na\xC3\xAFve", "A"});
            record.session_id = one_of({"s1", "s2", "123", "s'3"});
            record.invoked_at = time();
            record.completed = random_() % 3 != 0;
            record.duration_seconds = duration();
            record.workflow_path =
                maybe({"", "quick", "a.b", "say \"hi\"", "$[0]", "7", "back\\slash", "\xF0\x9F\x98\x80"});
            record.error_type = maybe({"", "TimeoutError", "[Errno 2] No \"file\"", "1e3"});
            record.follow_up_actions =
                maybe({"[]", "[\"git commit\"]", "[1e2, 2]", "[[1], 2]", "[null]", "[{\"a\": 1}]", "[true]", "[\"\"]"});
        }
        return records;
    }

  private:
    std::string one_of(std::initializer_list<const char*> choices) {
        return choices.begin()[random_() % choices.size()];
    }
    std::optional<std::string> maybe(std::initializer_list<const char*> choices) {
        return random_() % 2 == 0 ? std::nullopt : std::optional(one_of(choices));
    }
    std::optional<double> duration() {
        switch (random_() % 6) {
            case 0:
                return std::nullopt;
            case 1:
                return 0.0;
            case 2:
                return 1e-300;
            case 3:
                return 2.0;
            default:
                return std::uniform_real_distribution<double>(0.0, 100.0)(random_);
        }
    }
    /// Not close to the edges of the hour and the day, in all accepted formats; some are the same time.
    std::string time() {
        const std::chrono::minutes ago{std::vector<int>{-600, 1, 20, 20, 90, 600, 4000, 4000, 600000}[random_() % 9]};
        const std::string text = format_timestamp(start_ - ago);
        const std::string date = text.substr(0, 10);
        const std::string clock = text.substr(11, 8);
        switch (random_() % 8) {
            case 0:
                return date + " " + clock;
            case 1:
                return date + "t" + clock + ",25z";
            case 2:
                return date + "T" + clock + ".123456Z";
            case 3:
                return date + "T" + clock + "+00";
            case 4:
                return date + "T" + clock + "+0000";
            case 5:
                return date + "T" + clock + "+00:00";
            default:
                return text;
        }
    }

    std::mt19937 random_;
    TimePoint start_ = test::kSystemClock.now();
};

TEST(BatchAggregates, of_random_batches_equal_what_the_triggers_write_row_by_row) {
    for (unsigned seed = 0; seed < 12; ++seed) {
        const test::TempDir dir;
        SkillsStore batches(dir.file("batches.db"), std::chrono::milliseconds{200});
        SkillsStore single(dir.file("single.db"), std::chrono::milliseconds{200});
        RandomRecords records(seed);
        for (int batch = 0; batch < 4; ++batch) {
            const auto next = records.next();
            batches.store_many(next);
            for (const InvocationRecord& record : next) {
                single.store(record);
            }
            ASSERT_EQ(aggregates(dir.file("batches.db")), aggregates(dir.file("single.db")))
                << "seed " << seed << ", batch " << batch;
        }
    }
}

/// A database with one skill, `a`, in it.
class SkillBatch : public testing::Test {
  protected:
    void SetUp() override {
        SkillsStore store(path, std::chrono::milliseconds{200});
        store.store(record());
    }
    static InvocationRecord record() {
        return {.skill_name = "a", .invoked_at = "2026-02-10T12:00:00Z", .session_id = "s"};
    }
    /// Whether `records` can be inserted without the triggers.
    bool is_taken(const std::vector<InvocationRecord>& records) const {
        const auto database = open_database(path, {});
        const SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::IMMEDIATE);
        std::vector<const InvocationRecord*> pointers;
        for (const InvocationRecord& each : records) {
            pointers.push_back(&each);
        }
        return BatchAggregates::prepare(*database, pointers) != nullptr;
    }

    test::TempDir dir;
    std::string path = dir.file("skills.db");
};

TEST_F(SkillBatch, replaces_the_triggers_if_the_schema_is_ours) {
    EXPECT_TRUE(is_taken({record()}));
}

TEST_F(SkillBatch, is_left_to_the_triggers_if_the_sum_of_its_durations_overflows) {
    InvocationRecord huge = record();
    huge.completed = true;
    huge.duration_seconds = 1.7e308;
    EXPECT_FALSE(is_taken({huge, huge}));
}

class OddDatabase : public SkillBatch, public testing::WithParamInterface<const char*> {};

TEST_P(OddDatabase, is_left_to_its_triggers) {
    test::execute(path, GetParam());
    EXPECT_FALSE(is_taken({record()}));
}

INSTANTIATE_TEST_SUITE_P(
    BatchAggregates, OddDatabase,
    testing::Values(
        "CREATE TRIGGER theirs AFTER INSERT ON skill_invocation BEGIN SELECT 1; END",
        "CREATE TRIGGER theirs AFTER UPDATE ON skill_metrics BEGIN SELECT 1; END",
        "DROP TRIGGER trg_session_skills_after_insert",
        "DROP TRIGGER trg_metrics_cache_after_insert; CREATE TRIGGER trg_metrics_cache_after_insert"
        " AFTER INSERT ON skill_invocation BEGIN SELECT 1; END",
        "ALTER TABLE skill_metrics ADD COLUMN note TEXT", "UPDATE skill_metrics SET total_invocations = 'many'",
        "UPDATE skill_metrics SET completed_invocations = -1",
        "UPDATE skill_metrics SET total_invocations = 9223372036854775807",
        "UPDATE skill_metrics SET total_duration_seconds = x'00'",
        "UPDATE skill_metrics SET avg_duration_seconds = 'x'", "UPDATE skill_metrics SET last_invoked = x'00'",
        "UPDATE skill_metrics SET workflow_paths = 'no object'", "UPDATE skill_metrics SET common_errors = '[1]'",
        "UPDATE skill_metrics SET common_errors = '{\"x\": 1.5}'",
        "UPDATE skill_metrics SET follow_up_actions = '{\"x\": {\"y\": 1}}'",
        "UPDATE skill_metrics_cache SET invocation_count_1h = 'few'",
        "UPDATE skill_metrics_cache SET invocation_count_24h = 0.5",
        "UPDATE skill_metrics_cache SET last_invocation_at = x'00'"));

TEST_F(SkillBatch, fires_a_trigger_of_another_program_for_every_row) {
    test::execute(path,
                  "CREATE TABLE theirs (id); CREATE TRIGGER theirs AFTER INSERT ON skill_invocation"
                  " BEGIN INSERT INTO theirs VALUES (NEW.id); END");
    SkillsStore store(path, std::chrono::milliseconds{200});
    store.store_many(std::vector<InvocationRecord>(100, record()));
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM theirs"), "100");
    EXPECT_EQ(test::query_one(path, "SELECT total_invocations FROM skill_metrics"), "101");
}

TEST_F(SkillBatch, reenables_the_triggers_afterwards) {
    SkillsStore store(path, std::chrono::milliseconds{200});
    store.store_many(std::vector<InvocationRecord>(100, record()));
    store.store(record());
    EXPECT_EQ(test::query_one(path, "SELECT total_invocations FROM skill_metrics"), "102");
}

TEST_F(SkillBatch, that_fails_writes_nothing_and_reenables_the_triggers) {
    test::execute(path, "CREATE UNIQUE INDEX theirs ON skill_invocation (session_id) WHERE session_id = 'once'");
    SkillsStore store(path, std::chrono::milliseconds{200});
    std::vector<InvocationRecord> records(100, record());
    records[50].session_id = "once";
    records[90].session_id = "once";
    EXPECT_THROW(store.store_many(records), StorageError);
    store.store(record());
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_invocation"), "2");
    EXPECT_EQ(test::query_one(path, "SELECT total_invocations FROM skill_metrics"), "2");
}

}  // namespace
}  // namespace session_buddy::storage
