// Which changes of a database are notified, and that the watch follows the path when files are replaced.
#include "session_buddy/storage/database_watch.hpp"

#include <SQLiteCpp/Database.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "session_buddy/core/log.hpp"
#include "support/no_descriptors_left.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::storage {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;
using test::execute;

constexpr DatabaseWatch::Time kImmediately = DatabaseWatch::Time::min();

class DatabaseWatchTest : public testing::Test {
  protected:
    DatabaseWatchTest() { make(path); }

    static void make(const std::string& file, const std::string& journal_mode = "WAL") {
        execute(file, "PRAGMA journal_mode = " + journal_mode + "; CREATE TABLE notes (body TEXT)");
    }
    /// Whether a change was notified; the system does so before a write returns.
    static bool notified(DatabaseWatch& watch) {
        bool any = false;
        while (watch.wait(steady_clock::now(), kImmediately)) {
            any = true;
        }
        return any;
    }

    test::TempDir folder;
    std::string path = folder.file("skills.db");
};

TEST_F(DatabaseWatchTest, reports_possible_changes_first_and_then_nothing) {
    DatabaseWatch watch(path);
    EXPECT_TRUE(watch.wait(steady_clock::now(), kImmediately));
    EXPECT_FALSE(watch.wait(steady_clock::now(), kImmediately));
    EXPECT_FALSE(watch.wait(steady_clock::now() + std::chrono::milliseconds{20}, kImmediately));
}

TEST_F(DatabaseWatchTest, reports_a_commit_in_every_journal_mode) {
    for (const std::string mode : {"WAL", "DELETE", "TRUNCATE", "PERSIST"}) {
        const std::string file = folder.file(mode + ".db");
        make(file, mode);
        SQLite::Database writer(file, SQLite::OPEN_READWRITE);
        writer.exec("PRAGMA journal_mode = " + mode + "; INSERT INTO notes VALUES ('first')");
        DatabaseWatch watch(file);
        notified(watch);
        for (int commit = 0; commit < 3; ++commit) {
            writer.exec("INSERT INTO notes VALUES ('a')");
            EXPECT_TRUE(notified(watch)) << mode << ", commit " << commit;
        }
    }
}

TEST_F(DatabaseWatchTest, reports_a_log_that_is_created_truncated_and_removed) {
    DatabaseWatch watch(path);
    notified(watch);
    SQLite::Database writer(path, SQLite::OPEN_READWRITE);
    ASSERT_FALSE(fs::exists(path + "-wal"));
    writer.exec("INSERT INTO notes VALUES ('a')");
    ASSERT_TRUE(fs::exists(path + "-wal"));
    EXPECT_TRUE(notified(watch)) << "the log was created";
    writer.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    EXPECT_TRUE(notified(watch)) << "the log was truncated";
    writer.exec("INSERT INTO notes VALUES ('b')");
    EXPECT_TRUE(notified(watch)) << "the log was written again";
    fs::remove(path + "-wal");
    EXPECT_TRUE(notified(watch)) << "the log was removed";
}

TEST_F(DatabaseWatchTest, ignores_readers_and_other_files) {
    SQLite::Database reader(path, SQLite::OPEN_READONLY);
    test::query(reader, "SELECT * FROM notes");
    DatabaseWatch watch(path);
    notified(watch);
    test::query(reader, "SELECT * FROM notes");
    test::query(reader, "PRAGMA data_version");
    for (const std::string name : {"other.db", "skills.db.bak", "skills.db-shm2", "skills", "xskills.db"}) {
        std::ofstream(folder.file(name)) << "something";
        fs::remove(folder.file(name));
    }
    EXPECT_FALSE(notified(watch));
}

TEST_F(DatabaseWatchTest, continues_after_the_database_was_replaced) {
    DatabaseWatch watch(path);
    notified(watch);
    for (const std::string name : {"second.db", "third.db"}) {
        make(folder.file(name));
        EXPECT_FALSE(notified(watch)) << name;
        fs::rename(folder.file(name), path);
        EXPECT_TRUE(notified(watch)) << name << " replaced it";
        execute(path, "INSERT INTO notes VALUES ('a')");
        EXPECT_TRUE(notified(watch)) << "a commit to " << name;
    }
}

TEST_F(DatabaseWatchTest, continues_after_its_folder_was_replaced) {
    const fs::path home = folder.path() / "above" / "home";
    const std::string file = (home / "skills.db").string();
    // The folder itself, and its parent, whose changes the watch of the folder does not report.
    for (const fs::path& moved : {home, home.parent_path()}) {
        fs::remove_all(folder.path() / "above");
        fs::create_directories(home);
        make(file);
        DatabaseWatch watch(file);
        notified(watch);
        fs::rename(moved, folder.path() / "elsewhere");
        notified(watch);
        EXPECT_FALSE(notified(watch)) << "there is nothing to watch";
        fs::create_directories(home);
        make(file);
        EXPECT_TRUE(notified(watch)) << "there is a folder again";
        EXPECT_FALSE(notified(watch));
        execute(file, "INSERT INTO notes VALUES ('a')");
        EXPECT_TRUE(notified(watch)) << "a commit in the new folder";
        fs::remove_all(folder.path() / "elsewhere");
    }
}

TEST_F(DatabaseWatchTest, follows_a_symbolic_link_to_the_log_of_the_real_file) {
    const fs::path other = folder.path() / "other";
    fs::create_directories(other);
    fs::create_symlink(path, other / "link.db");
    DatabaseWatch watch((other / "link.db").string());
    notified(watch);
    execute(path, "INSERT INTO notes VALUES ('a')");
    EXPECT_TRUE(notified(watch));
}

TEST_F(DatabaseWatchTest, does_not_listen_before_listen_from_but_loses_nothing) {
    DatabaseWatch watch(path);
    notified(watch);
    execute(path, "INSERT INTO notes VALUES ('a')");
    const auto later = steady_clock::now() + std::chrono::hours{1};
    EXPECT_FALSE(watch.wait(steady_clock::now() + std::chrono::milliseconds{5}, later));
    EXPECT_FALSE(watch.wait(steady_clock::now(), DatabaseWatch::kNever));
    const auto soon = steady_clock::now() + std::chrono::milliseconds{20};
    EXPECT_TRUE(watch.wait(later, soon));
    EXPECT_GE(steady_clock::now(), soon);
}

TEST_F(DatabaseWatchTest, a_commit_ends_the_wait_of_another_thread) {
    DatabaseWatch watch(path);
    notified(watch);
    std::thread writer([this] { execute(path, "INSERT INTO notes VALUES ('a')"); });
    EXPECT_TRUE(watch.wait(steady_clock::now() + std::chrono::seconds{30}, kImmediately));
    writer.join();
}

TEST_F(DatabaseWatchTest, an_interruption_ends_the_wait_of_another_thread_or_the_next_one) {
    DatabaseWatch watch(path);
    notified(watch);
    const auto deadline = steady_clock::now() + std::chrono::seconds{30};
    std::thread interrupter([&watch] { watch.interrupt(); });
    EXPECT_FALSE(watch.wait(deadline, kImmediately));
    interrupter.join();
    watch.interrupt();
    EXPECT_FALSE(watch.wait(deadline, DatabaseWatch::kNever));
    EXPECT_LT(steady_clock::now(), deadline);
}

TEST_F(DatabaseWatchTest, logs_once_that_it_cannot_watch_and_waits_for_the_deadline) {
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "the sanitizers open files to inspect objects, and report errors if they cannot";
#endif
    std::vector<std::string> lines;
    log::set_sink([&lines](const log::Record& record) { lines.emplace_back(record.message); });
    DatabaseWatch watch(path);
    {
        const test::NoDescriptorsLeft trouble;
        for (int round = 0; round < 3; ++round) {
            const auto until = steady_clock::now() + std::chrono::milliseconds{2};
            EXPECT_FALSE(watch.wait(until, kImmediately));
            EXPECT_GE(steady_clock::now(), until);
        }
    }
    EXPECT_THAT(lines, testing::ElementsAre(testing::AllOf(testing::HasSubstr(path), testing::HasSubstr("interval"),
                                                           testing::HasSubstr("Too many open files"))));
    EXPECT_TRUE(notified(watch)) << "there may have been changes";
    execute(path, "INSERT INTO notes VALUES ('a')");
    EXPECT_TRUE(notified(watch));
    EXPECT_THAT(lines, testing::SizeIs(2));
    log::reset_sink();
}

}  // namespace
}  // namespace session_buddy::storage
