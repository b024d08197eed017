// Commands on alerts: their results, and what happens while the database is locked, missing, or the thread is stopped.
#include "session_buddy/app/alert_thread.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "session_buddy/storage/database.hpp"
#include "support/manual_clock.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::app {
namespace {

class AlertThreadTest : public testing::Test {
  protected:
    static Config config_of(const test::TempDir& folder) {
        Config config;
        config.db_path = folder.file("skills.db");
        static_cast<void>(storage::open_database(config.db_path, {}));
        return config;
    }
    std::future<AlertCommandResult> submit(AlertCommand command) {
        auto result = std::make_shared<std::promise<AlertCommandResult>>();
        thread.submit(std::move(command), [result](AlertCommandResult done) { result->set_value(std::move(done)); });
        return result->get_future();
    }
    void put_alert() {
        static_cast<void>(submit(MuteSkill{.skill_name = "other", .reason = ""}).get());  // creates the tables
        test::execute(config.db_path,
                      R"sql(INSERT INTO session_buddy_alert (skill_name, kind, detected_us, explanation) VALUES ('a',
            'silence', 0, '{"since_us":0,"since_low_us":0,"since_high_us":0,"once_in_seconds":1,"failures_in_a_row":0,
            "before":{"value":1,"low":1,"high":1,"samples":1},"after":{"value":1,"low":1,"high":1,"samples":1},
            "errors":[],"session_id":"","session_share":0,"sessions":0}'))sql");
    }

    test::TempDir folder;
    Config config = config_of(folder);
    test::ManualClock clock{test::kStart};
    AlertThread thread{config, clock};
};

TEST_F(AlertThreadTest, acknowledges_mutes_and_unmutes) {
    thread.start();
    put_alert();
    const auto acknowledged = std::get<Alert>(submit(AcknowledgeAlert{.id = 1, .note = "known"}).get());
    EXPECT_EQ(acknowledged.note, "known");
    EXPECT_EQ(acknowledged.acknowledged_at, test::kStart);
    const auto muted =
        std::get<Mute>(submit(MuteSkill{.skill_name = "a", .time = std::chrono::hours{1}, .reason = "upgrade"}).get());
    EXPECT_EQ(muted.until, test::kStart + std::chrono::hours{1});
    EXPECT_TRUE(std::get<Alert>(submit(AcknowledgeAlert{.id = 1, .note = ""}).get()).muted);
    EXPECT_EQ(submit(UnmuteSkill{.skill_name = "a"}).get(), AlertCommandResult{Unmuted{}});
}

TEST_F(AlertThreadTest, reports_what_there_is_not) {
    thread.start();
    EXPECT_EQ(submit(AcknowledgeAlert{.id = 1, .note = ""}).get(), AlertCommandResult{AlertCommandError::not_found});
    EXPECT_EQ(submit(UnmuteSkill{.skill_name = "a"}).get(), AlertCommandResult{AlertCommandError::not_found});
}

TEST_F(AlertThreadTest, reports_a_locked_and_a_missing_database_and_works_again_afterwards) {
    thread.start();
    {
        SQLite::Database other(config.db_path, SQLite::OPEN_READWRITE);
        other.exec("BEGIN IMMEDIATE");
        EXPECT_EQ(submit(MuteSkill{.skill_name = "a", .reason = ""}).get(),
                  AlertCommandResult{AlertCommandError::locked});
        other.exec("ROLLBACK");
    }
    std::filesystem::rename(config.db_path, folder.file("moved.db"));
    EXPECT_EQ(submit(MuteSkill{.skill_name = "a", .reason = ""}).get(),
              AlertCommandResult{AlertCommandError::unavailable});
    std::filesystem::rename(folder.file("moved.db"), config.db_path);
    EXPECT_TRUE(std::holds_alternative<Mute>(submit(MuteSkill{.skill_name = "a", .reason = ""}).get()));
}

TEST_F(AlertThreadTest, bounds_its_queue_and_ends_queued_commands_at_a_stop) {
    std::vector<std::future<AlertCommandResult>> queued;
    for (std::size_t number = 0; number < AlertThread::kMaxAlertCommands; ++number) {
        queued.push_back(submit(UnmuteSkill{.skill_name = "a"}));
    }
    EXPECT_EQ(submit(UnmuteSkill{.skill_name = "a"}).get(), AlertCommandResult{AlertCommandError::too_many});
    thread.stop();
    for (auto& each : queued) {
        EXPECT_EQ(each.get(), AlertCommandResult{AlertCommandError::stopping});
    }
    EXPECT_EQ(submit(UnmuteSkill{.skill_name = "a"}).get(), AlertCommandResult{AlertCommandError::stopping});
}

}  // namespace
}  // namespace session_buddy::app
