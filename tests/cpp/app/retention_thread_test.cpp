// When old rows are deleted, and what happens after database errors.
#include "session_buddy/app/retention_thread.hpp"

#include <SQLiteCpp/Database.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "session_buddy/app/analytics.hpp"
#include "session_buddy/core/log.hpp"
#include "session_buddy/core/options.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/storage/database.hpp"
#include "support/manual_clock.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::app {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using Pauses = RetentionThread::Pauses;

constexpr Pauses kImmediately{.first = milliseconds{0}, .next = milliseconds{1}, .retry = milliseconds{1}};

/// Counts how often it was called.
class AskedClock final : public Clock {
  public:
    explicit AskedClock(TimePoint now) : now_(now) {}
    [[nodiscard]] TimePoint now() const override {
        ++times_;
        return now_;
    }
    [[nodiscard]] int times() const { return times_; }

  private:
    TimePoint now_;
    mutable std::atomic<int> times_{0};
};

class RetentionThreadTest : public testing::Test {
  protected:
    void SetUp() override {
        config.db_path = folder.file("skills.db");
        config.busy_timeout = Seconds{0.01};
        config.retention = Seconds{90.0 * 86400};
        static_cast<void>(storage::open_database(config.db_path, {}));
        insert("2025-11-01T12:00:00Z");
        insert("2025-11-02T12:00:00Z");
        insert("2026-02-10T11:00:00Z");
    }
    void TearDown() override { log::reset_sink(); }
    void insert(const std::string& at) const { test::execute(config.db_path, test::insertion("a", at)); }
    [[nodiscard]] std::string times() const {
        return test::query_one(config.db_path,
                               "SELECT group_concat(day) FROM (SELECT substr(invoked_at, 1, 10) AS day"
                               " FROM skill_invocation ORDER BY id)");
    }
    void wait_for_times(const std::string& expected) const {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
        while (times() != expected && std::chrono::steady_clock::now() < deadline) {
            std::this_thread::sleep_for(milliseconds{1});
        }
        EXPECT_EQ(times(), expected);
    }

    test::TempDir folder;
    test::ManualClock clock{parse_timestamp("2026-01-31T12:00:00Z").value()};
    Config config;
};

TEST_F(RetentionThreadTest, deletes_old_rows_and_repeats_as_time_passes) {
    RetentionThread retention(config, clock, kImmediately);
    retention.start();
    wait_for_times("2025-11-02,2026-02-10");
    clock.advance(hours{24});
    wait_for_times("2026-02-10");
    retention.stop();
    retention.stop();
    insert("2025-11-02T13:00:00Z");
    insert("2026-02-10T11:00:00Z");
    EXPECT_EQ(times(), "2026-02-10,2025-11-02,2026-02-10");
    retention.start();
    wait_for_times("2026-02-10,2026-02-10");
}

TEST_F(RetentionThreadTest, does_nothing_if_disabled_or_not_due) {
    RetentionThread due_later(config, clock);
    due_later.start();
    Config off = config;
    off.retention = Seconds{0.0};
    RetentionThread never(off, clock, kImmediately);
    never.start();
    // A second thread shows that there was enough time.
    const test::TempDir elsewhere;
    Config other = config;
    other.db_path = elsewhere.file("skills.db");
    std::filesystem::copy_file(config.db_path, other.db_path);
    RetentionThread third(other, clock, kImmediately);
    third.start();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    while (test::query_one(other.db_path, "SELECT count(*) FROM skill_invocation") != "2" &&
           std::chrono::steady_clock::now() < deadline) {
        std::this_thread::sleep_for(milliseconds{1});
    }
    EXPECT_EQ(times(), "2025-11-01,2025-11-02,2026-02-10");
}

TEST_F(RetentionThreadTest, a_stop_ends_a_long_wait_immediately) {
    RetentionThread retention(config, clock, {.first = hours{1}, .next = hours{1}, .retry = hours{1}});
    retention.start();
    const auto start = std::chrono::steady_clock::now();
    retention.stop();
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::minutes{1});
}

TEST_F(RetentionThreadTest, an_error_is_logged_once_and_retried) {
    std::mutex mutex;
    std::vector<std::string> warnings;
    log::set_sink([&](const log::Record& record) {
        const std::lock_guard lock(mutex);
        if (record.level == log::Level::warning) {
            warnings.emplace_back(record.message);
        }
    });
    std::optional<SQLite::Database> other(std::in_place, config.db_path, SQLite::OPEN_READWRITE);
    other->exec("BEGIN IMMEDIATE");
    const AskedClock asked(clock.now());
    RetentionThread retention(config, asked, kImmediately);
    retention.start();
    while (asked.times() < 10) {  // once or twice per attempt
        std::this_thread::sleep_for(milliseconds{1});
    }
    other->exec("ROLLBACK");
    other.reset();
    wait_for_times("2025-11-02,2026-02-10");
    retention.stop();
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_NE(warnings.front().find("cannot delete old invocations"), std::string::npos);
}

TEST(MinimumRetention, is_longer_than_the_lookback_of_a_start) {
    for (const double window : {60.0, 86400.0, 2678400.0}) {
        for (const double baseline : {600.0, 86400.0, 2678400.0}) {
            Config config;
            config.window = Seconds{window};
            config.baseline_window = Seconds{baseline};
            config.session_window = Seconds{86400};
            EXPECT_GE(options::minimum_retention(config), Analytics::lookback(config) + hours{1});
        }
    }
}

}  // namespace
}  // namespace session_buddy::app
