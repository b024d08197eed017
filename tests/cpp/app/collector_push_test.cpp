// Push mode with a real database file: each commit is broadcast immediately and once, and nothing else is.
#include <SQLiteCpp/Database.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "session_buddy/app/collector.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "support/system_clock.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::app {
namespace {

using std::chrono::steady_clock;
using test::execute;
using test::insertion;

class CollectorPushTest : public testing::Test {
  protected:
    void start() {
        collector.open();
        collector.start();
    }
    static Config settings(const std::string& path) {
        Config config;
        config.db_path = path;
        config.update_interval = Seconds{3600.0};  // so that every further broadcast is a push
        config.push = true;
        config.push_min_interval = Seconds{0.02};
        return config;
    }
    static std::string insertion_now(const std::string& skill) {
        return insertion(skill, format_timestamp(test::kSystemClock.now()));
    }
    /// Waits until the latest broadcast counts this many invocations of the skill.
    bool wait_for(const std::string& skill, std::int64_t count) {
        std::unique_lock lock(mutex);
        return changed.wait_for(lock, std::chrono::seconds{20}, [&] {
            const SkillMetrics* metrics = latest->skills->find(skill);
            return metrics != nullptr && metrics->window.invocation_count == count;
        });
    }
    std::size_t broadcasts() {
        const std::lock_guard lock(mutex);
        return times.size();
    }

    test::TempDir folder;
    std::string path = folder.file("skills.db");
    std::mutex mutex;
    std::condition_variable changed;
    SnapshotPtr latest;
    std::vector<steady_clock::time_point> times;  // of all broadcasts
    Config config = settings(path);
    Collector collector{config, test::kSystemClock, [this](SnapshotPtr snapshot) {
                            const std::lock_guard lock(mutex);
                            latest = std::move(snapshot);
                            times.push_back(steady_clock::now());
                            changed.notify_all();
                        }};
};

TEST_F(CollectorPushTest, a_commit_is_one_broadcast_although_the_cycle_writes_to_the_database_itself) {
    start();
    for (int commit = 1; commit <= 10; ++commit) {
        execute(path, insertion_now("a"));
        ASSERT_TRUE(wait_for("a", commit));
        EXPECT_EQ(broadcasts(), 1U + static_cast<std::size_t>(commit));
    }
}

TEST_F(CollectorPushTest, writes_to_other_tables_and_checkpoints_cause_no_broadcast) {
    start();
    execute(path, insertion_now("a"));
    ASSERT_TRUE(wait_for("a", 1));
    execute(path, "CREATE TABLE notes (body TEXT)");
    for (int commit = 0; commit < 50; ++commit) {
        execute(path,
                "INSERT INTO notes VALUES ('x'); UPDATE skill_metrics_cache SET updated_at = '2026-02-10T12:00:00Z'");
        execute(path, "PRAGMA wal_checkpoint(PASSIVE)");
    }
    execute(path, insertion_now("a"));
    ASSERT_TRUE(wait_for("a", 2));
    EXPECT_EQ(broadcasts(), 3U) << "the first one, and one for each of two invocations";
}

TEST_F(CollectorPushTest, a_transaction_is_pushed_at_its_commit_and_not_when_its_first_pages_are_written) {
    start();
    SQLite::Database writer(path, SQLite::OPEN_READWRITE, 5000);
    // A cache so small that pages are written to the WAL before the commit.
    writer.exec("PRAGMA cache_size = 1");
    const auto fill_log = [&](const std::string& skill, int rows) {
        const auto before = std::filesystem::file_size(path + "-wal");
        writer.exec("BEGIN IMMEDIATE");
        for (int row = 0; row < rows; ++row) {
            writer.exec(insertion_now(skill));
        }
        ASSERT_GT(std::filesystem::file_size(path + "-wal"), before);
    };
    fill_log("undone", 150);
    writer.exec("ROLLBACK");
    fill_log("done", 300);
    EXPECT_EQ(broadcasts(), 1U);
    writer.exec("COMMIT");
    ASSERT_TRUE(wait_for("done", 300));
    EXPECT_EQ(broadcasts(), 2U);
    EXPECT_EQ(latest->skills->find("undone"), nullptr);
}

TEST_F(CollectorPushTest, a_burst_of_commits_is_pushed_at_the_minimum_interval_up_to_the_last_one) {
    start();
    {
        SQLite::Database writer(path, SQLite::OPEN_READWRITE, 5000);
        writer.exec("PRAGMA synchronous = OFF");
        for (int commit = 0; commit < 1000; ++commit) {
            writer.exec(insertion_now("a"));
        }
    }
    ASSERT_TRUE(wait_for("a", 1000));
    collector.stop();
    EXPECT_GE(times.size(), 3U);
    for (std::size_t i = 2; i < times.size(); ++i) {
        EXPECT_GE(times[i] - times[i - 1], std::chrono::milliseconds{20}) << i;
    }
}

TEST_F(CollectorPushTest, what_is_committed_before_the_thread_starts_is_pushed) {
    collector.open();
    execute(path, insertion_now("a"));
    collector.start();
    EXPECT_TRUE(wait_for("a", 1));
}

TEST_F(CollectorPushTest, continues_after_the_last_writer_checkpointed_and_removed_the_wal) {
    start();
    for (int commit = 1; commit <= 3; ++commit) {
        execute(path, insertion_now("a") + "PRAGMA wal_checkpoint(TRUNCATE);");
        ASSERT_TRUE(wait_for("a", commit));
    }
}

TEST_F(CollectorPushTest, a_replaced_database_and_commits_to_it_are_pushed) {
    start();
    execute(path, insertion_now("old"));
    ASSERT_TRUE(wait_for("old", 1));
    const std::string other = folder.file("other.db");
    {
        Config elsewhere = settings(other);
        Collector maker{elsewhere, test::kSystemClock, [](const SnapshotPtr&) {}};
        maker.open();
        execute(other, insertion_now("new"));
    }
    std::filesystem::rename(other, path);
    ASSERT_TRUE(wait_for("new", 1));
    execute(path, insertion_now("new"));
    EXPECT_TRUE(wait_for("new", 2));
}

TEST_F(CollectorPushTest, without_push_nothing_is_broadcast_before_the_interval) {
    config.push = false;
    config.update_interval = Seconds{0.3};
    start();
    execute(path, insertion_now("a"));
    ASSERT_TRUE(wait_for("a", 1));
    const std::lock_guard lock(mutex);
    EXPECT_GE(times[1] - times[0], config.update_interval);
}

TEST_F(CollectorPushTest, the_interval_continues_in_addition_to_pushes) {
    config.update_interval = Seconds{0.01};
    config.push_min_interval = Seconds{60.0};
    start();
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds{20}, [this] { return times.size() >= 5; }));
}

}  // namespace
}  // namespace session_buddy::app
