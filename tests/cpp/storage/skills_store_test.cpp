// SkillsStore: inserts, metrics and errors.
#include "session_buddy/storage/skills_store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <thread>

#include "session_buddy/core/timestamp.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::storage {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

InvocationRecord record(const std::string& skill, const std::string& at = "2026-02-10T12:00:00Z", bool completed = true,
                        std::optional<double> duration = std::nullopt) {
    return {.skill_name = skill,
            .invoked_at = at,
            .session_id = "s1",
            .completed = completed,
            .duration_seconds = duration};
}

class Store : public testing::Test {
  protected:
    test::TempDir dir;
    std::string path = dir.file("skills.db");
    SkillsStore store{path, std::chrono::milliseconds{200}};

    std::string rejection(const std::function<void()>& work) {
        try {
            work();
        } catch (const StorageError& error) {
            EXPECT_EQ(error.code(), StorageErrc::invalid_argument);
            return error.what();
        }
        return "(accepted)";
    }
};

TEST_F(Store, writes_every_column_and_returns_the_id) {
    EXPECT_EQ(store.store(record("a")), 1);
    InvocationRecord full = record("b", "2026-02-10 13:00:00+01:00", false, 2.5);
    full.workflow_path = "quick";
    full.user_query = "why \xC3\xBC";
    full.alternatives_considered = "[\"c\"]";
    full.selection_rank = 2;
    full.follow_up_actions = "[\"git commit\"]";
    full.error_type = "[Errno 2] No such file";
    full.embedding = std::vector<std::uint8_t>{0, 1, 255};
    full.workflow_phase = "setup";
    full.workflow_step_id = "step-1";
    EXPECT_EQ(store.store(full), 2);
    EXPECT_EQ(test::query_one(path,
                              "SELECT skill_name, invoked_at, session_id, workflow_path, completed, duration_seconds,"
                              " user_query, alternatives_considered, selection_rank, follow_up_actions, error_type,"
                              " hex(embedding), workflow_phase, workflow_step_id FROM skill_invocation WHERE id = 2"),
              "b|2026-02-10 13:00:00+01:00|s1|quick|0|2.5|why \xC3\xBC|[\"c\"]|2|[\"git commit\"]|[Errno 2] No such "
              "file|0001FF|"
              "setup|step-1");
    EXPECT_EQ(
        test::query_one(path,
                        "SELECT count(*) FROM skill_invocation WHERE id = 1 AND workflow_path IS NULL AND embedding"
                        " IS NULL AND error_type IS NULL AND julianday(created_at) IS NOT NULL"),
        "1");
}

TEST_F(Store, names_the_field_that_cannot_be_stored) {
    const std::string too_long(1024 * 1024 + 1, 'x');
    const auto expect_field = [&](const char* field, const std::function<void(InvocationRecord&)>& spoil) {
        InvocationRecord bad = record("a");
        spoil(bad);
        EXPECT_THAT(rejection([&] { store.store(bad); }), StartsWith(field));
        const InvocationRecord both[] = {record("a"), bad};
        EXPECT_THAT(rejection([&] { store.store_many(both); }), StartsWith(std::string("record 1: ") + field));
    };
    expect_field("skill_name must be 1 to 256 bytes", [](auto& r) { r.skill_name.clear(); });
    expect_field("skill_name", [](auto& r) { r.skill_name = std::string(257, 'x'); });
    expect_field("skill_name", [](auto& r) { r.skill_name = "a\nb"; });
    expect_field("invoked_at", [](auto& r) { r.invoked_at = "yesterday"; });
    expect_field("session_id", [](auto& r) { r.session_id.clear(); });
    expect_field("session_id", [](auto& r) { r.session_id = std::string(1025, 'x'); });
    expect_field("duration_seconds", [](auto& r) { r.duration_seconds = -0.5; });
    expect_field("duration_seconds", [](auto& r) { r.duration_seconds = std::numeric_limits<double>::quiet_NaN(); });
    expect_field("duration_seconds", [](auto& r) { r.duration_seconds = std::numeric_limits<double>::infinity(); });
    expect_field("selection_rank", [](auto& r) { r.selection_rank = -1; });
    expect_field("user_query", [](auto& r) { r.user_query = "\xFF"; });
    expect_field("error_type", [&](auto& r) { r.error_type = too_long; });
    expect_field("workflow_path", [](auto& r) { r.workflow_path = std::string("a\0b", 3); });
    expect_field("alternatives_considered", [](auto& r) { r.alternatives_considered = "not json"; });
    expect_field("follow_up_actions", [](auto& r) { r.follow_up_actions = "{}"; });
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_invocation"), "0");
}

TEST_F(Store, writes_all_records_or_none) {
    std::vector<InvocationRecord> records;
    for (int i = 0; i < 1000; ++i) {
        records.push_back(record("skill-" + std::to_string(i % 7)));
    }
    const auto ids = store.store_many(records);
    ASSERT_EQ(ids.size(), 1000U);
    EXPECT_EQ(ids.front(), 1);
    EXPECT_EQ(ids.back(), 1000);
    EXPECT_TRUE(store.store_many({}).empty());

    test::execute(path,
                  "CREATE TRIGGER refuse BEFORE INSERT ON skill_invocation WHEN NEW.skill_name = 'bad'"
                  " BEGIN SELECT RAISE(ABORT, 'no'); END");
    const InvocationRecord mixed[] = {record("good"), record("bad")};
    EXPECT_THROW(store.store_many(mixed), StorageError);
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_invocation"), "1000");
    EXPECT_EQ(store.store(record("good")), 1001);
}

TEST_F(Store, reads_metrics) {
    store.store(record("b", "2026-02-10T12:00:00Z", true, 2.0));
    store.store(record("b", "2026-02-10T11:00:00Z", false));
    store.store(record("a"));
    store.store(record("c"));
    const auto row = store.metrics("b");
    ASSERT_TRUE(row.has_value());
    EXPECT_EQ(row->total_invocations, 2);
    EXPECT_EQ(row->completed_invocations, 1);
    EXPECT_EQ(row->abandoned_invocations, 1);
    EXPECT_EQ(row->total_duration_seconds, 2.0);
    EXPECT_EQ(row->completion_rate, 50.0);
    EXPECT_EQ(row->avg_duration_seconds, 2.0);
    EXPECT_EQ(row->first_invoked, "2026-02-10T11:00:00Z");
    EXPECT_EQ(row->last_invoked, "2026-02-10T12:00:00Z");
    EXPECT_EQ(row->common_errors, "{}");
    EXPECT_EQ(row->avg_selection_rank, std::nullopt);
    EXPECT_FALSE(row->updated_at.empty());
    EXPECT_FALSE(store.metrics("none").has_value());

    std::vector<std::string> names;
    for (const auto& each : store.all_metrics(10)) {
        names.push_back(each.skill_name);
    }
    EXPECT_EQ(names, (std::vector<std::string>{"b", "a", "c"}));
    EXPECT_EQ(store.all_metrics(1).size(), 1U);
    EXPECT_TRUE(store.all_metrics(0).empty());
    EXPECT_THAT(rejection([&] { static_cast<void>(store.all_metrics(-1)); }), HasSubstr("limit"));
}

TEST_F(Store, reads_the_sliding_window_in_the_contracts_order) {
    const TimePoint now = parse_timestamp("2026-02-10T12:00:00Z").value();
    const InvocationRecord records[] = {
        record("a", "2026-02-10T11:00:00Z", true, 2.0),
        record("a", "2026-02-10T16:30:00+05:30", false, 50.0),  // 11:00 UTC
        record("b", "2026-02-10T11:59:00Z"),
        record("b", "2026-02-09T12:00:00.000001Z", true, 3.0),
        record("b", "2026-02-09T12:00:00Z"),       // exactly a day ago: out
        record("c", "2026-02-09T11:00:00-05:00"),  // 16:00 UTC: in, though its date is earlier
        record("d", "2027-01-01T00:00:00Z"),       // from the future: now
        record("f", "2026-02-10T12:00:00Z"),
        record("e", "2026-02-10T12:00:00Z"),
    };
    store.store_many(records);
    test::execute(path,
                  test::insertion("g", "garbage") + test::insertion("a", "2026-02-10T10:00:00Z", "s", true, "'x'"));
    std::vector<std::string> lines;
    for (const auto& [name, window, lifetime] : store.real_time_metrics(10, std::chrono::hours{24}, now)) {
        lines.push_back(name + " " + std::to_string(window.invocation_count) + " " +
                        std::to_string(window.completed_count) + " " +
                        std::to_string(window.avg_duration_seconds).substr(0, 3) + " " +
                        format_timestamp(window.last_invocation_at));
    }
    EXPECT_EQ(lines, (std::vector<std::string>{"a 3 2 2.0 2026-02-10T11:00:00Z", "b 2 2 3.0 2026-02-10T11:59:00Z",
                                               "d 1 1 0.0 2026-02-10T12:00:00Z", "e 1 1 0.0 2026-02-10T12:00:00Z",
                                               "f 1 1 0.0 2026-02-10T12:00:00Z", "c 1 1 0.0 2026-02-09T16:00:00Z"}));
    EXPECT_EQ(store.real_time_metrics(2, std::chrono::hours{24}, now).size(), 2U);
    EXPECT_TRUE(store.real_time_metrics(0, std::chrono::hours{24}, now).empty());
    EXPECT_THAT(rejection([&] { static_cast<void>(store.real_time_metrics(1, std::chrono::hours{0}, now)); }),
                HasSubstr("window"));
}

TEST_F(Store, stays_closed) {
    store.close();
    store.close();
    EXPECT_THAT(rejection([&] { store.store(record("a")); }), HasSubstr("closed"));
    EXPECT_THAT(rejection([&] { static_cast<void>(store.metrics("a")); }), HasSubstr("closed"));
}

TEST_F(Store, is_shared_between_threads) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([this, t] {
            for (int i = 0; i < 50; ++i) {
                store.store(record("skill-" + std::to_string(t)));
                static_cast<void>(store.metrics("skill-0"));
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(test::query_one(path, "SELECT sum(total_invocations) FROM skill_metrics"), "200");
}

TEST_F(Store, reports_busy_while_another_process_writes) {
    SQLite::Database other(path, SQLite::OPEN_READWRITE);
    other.exec("BEGIN IMMEDIATE");
    try {
        store.store(record("a"));
        FAIL() << "wrote to a locked database";
    } catch (const StorageError& error) {
        EXPECT_EQ(error.code(), StorageErrc::busy);
    }
}

TEST_F(Store, loses_nothing_when_its_log_is_removed) {
    for (const char* suffix : {"-wal", "-shm"}) {
        store.store(record("a"));
        std::filesystem::remove(path + suffix);
        store.store(record("a"));
    }
    store.store(record("a"));
    std::filesystem::remove(path + "-wal");
    std::filesystem::remove(path + "-shm");
    store.store(record("a"));
    store.close();
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_invocation"), "6");
    EXPECT_EQ(test::query_one(path, "PRAGMA integrity_check"), "ok");
}

TEST_F(Store, works_again_once_a_damaged_database_is_repaired) {
    store.store(record("a"));
    const std::string good = dir.file("good.db");
    test::execute(path, "VACUUM INTO " + test::quoted(good) + "; PRAGMA wal_checkpoint(TRUNCATE)");
    std::ofstream(path, std::ios::binary | std::ios::trunc) << std::string(20000, 'x');
    EXPECT_THROW(store.store(record("b")), StorageError);
    std::filesystem::copy_file(good, path, std::filesystem::copy_options::overwrite_existing);
    store.store(record("c"));
    EXPECT_EQ(test::query_one(path, "SELECT group_concat(skill_name) FROM skill_invocation"), "a,c");
}

TEST_F(Store, starts_again_in_an_emptied_file) {
    store.store(record("a"));
    test::execute(path, "PRAGMA wal_checkpoint(TRUNCATE)");
    std::filesystem::resize_file(path, 0);
    store.store(record("b"));
    EXPECT_EQ(test::query_one(path, "SELECT group_concat(skill_name) FROM skill_invocation"), "b");
}

TEST_F(Store, writes_to_the_database_at_the_path) {
    store.store(record("a"));
    for (const char* suffix : {"", "-wal", "-shm"}) {
        std::filesystem::remove(path + suffix);
    }
    EXPECT_EQ(store.store(record("b")), 1);
    EXPECT_EQ(test::query_one(path, "SELECT skill_name FROM skill_invocation"), "b");
}

}  // namespace
}  // namespace session_buddy::storage
