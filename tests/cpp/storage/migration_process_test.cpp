// Migrations in several processes: killed half way, and running on the same file at the same time.
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <vector>

#include "session_buddy/storage/database.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::storage {
namespace {

void migrate_database(const std::string& path, const OpenOptions& options) {
    static_cast<void>(open_database(path, options));
}

/// Runs `work` in a child process; returns its wait status. The child ends without running anything of gtest's.
int run_in_child(const std::function<void()>& work) {
    const pid_t child = ::fork();
    if (child == 0) {
        try {
            work();
        } catch (const std::exception& error) {
            std::fprintf(stderr, "child: %s\n", error.what());
            ::_exit(1);
        }
        ::_exit(0);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return status;
}

int steps_to_live = 0;

/// SQLite calls this in the child for every new connection: kills the process after a number of steps in a write
/// transaction.
int arm(sqlite3* database, const char** /*message*/, const sqlite3_api_routines* /*api*/) {
    if (steps_to_live < 0) {
        sqlite3_commit_hook(
            database,
            [](void* /*context*/) {
                std::raise(SIGKILL);
                return 0;
            },
            nullptr);
        return SQLITE_OK;
    }
    sqlite3_progress_handler(
        database, 1,
        [](void* connection) {
            if (sqlite3_txn_state(static_cast<sqlite3*>(connection), "main") == SQLITE_TXN_WRITE &&
                --steps_to_live <= 0) {
                std::raise(SIGKILL);
            }
            return 0;
        },
        database);
    return SQLITE_OK;
}

class KilledMigration : public testing::TestWithParam<std::tuple<int, std::string>> {};

TEST_P(KilledMigration, leaves_the_old_database) {
    const auto& [steps, journal_mode] = GetParam();
    const test::TempDir dir;
    const std::string path = dir.file("skills.db");
    test::make_theirs(path, 1);
    test::execute(path, test::insertion("a", "2026-02-10T12:00:00Z") + test::insertion("b", "2026-02-10T13:00:00Z"));
    test::execute(path, "PRAGMA journal_mode = " + journal_mode);
    const std::string everything = "SELECT name, sql FROM sqlite_master ORDER BY name";
    const auto schema = test::query(path, everything);

    const int status = run_in_child([&, after = steps] {
        steps_to_live = after;
        sqlite3_auto_extension(reinterpret_cast<void (*)()>(&arm));
        static_cast<void>(open_database(path, {}));
    });
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the child survived";

    EXPECT_EQ(test::query(path, everything), schema);
    EXPECT_EQ(test::query(path, "SELECT version FROM skill_migrations"),
              std::vector<std::string>{"V1__initial_schema"});
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_invocation"), "2");
    EXPECT_EQ(test::query_one(path, "PRAGMA integrity_check"), "ok");
    migrate_database(path, {});
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_migrations"), "4");
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_metrics_cache"), "2");
}

INSTANTIATE_TEST_SUITE_P(Moments, KilledMigration,
                         testing::Combine(testing::Values(1, 200, 2000, 6000, -1),
                                          testing::Values(std::string("WAL"), std::string("DELETE"))));

TEST(UnfinishedTransaction, of_a_killed_process_is_rolled_back_on_open) {
    const test::TempDir dir;
    const std::string path = dir.file("skills.db");
    test::make_theirs(path, 1);
    test::execute(path, test::insertion("a", "2026-02-10T12:00:00Z") + "PRAGMA journal_mode = DELETE;");
    const int status = run_in_child([&] {
        SQLite::Database database(path, SQLite::OPEN_READWRITE);
        // A cache of few pages spills into the file before the commit, so that a hot journal stays behind.
        database.exec(
            "PRAGMA cache_size = 5; BEGIN; DELETE FROM skill_invocation;"
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
            "INSERT INTO session_skills SELECT 's' || i, 'x', i FROM n");
        std::raise(SIGKILL);
    });
    ASSERT_TRUE(WIFSIGNALED(status));
    ASSERT_GT(std::filesystem::file_size(path + "-journal"), 0U);
    migrate_database(path, {});
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_invocation"), "1");
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM session_skills"), "1");
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_migrations"), "4");
}

TEST(UnfinishedTransaction, of_another_program_is_not_touched) {
    const test::TempDir dir;
    const std::string path = dir.file("other.db");
    test::execute(path, "CREATE TABLE recipes (a, b)");
    run_in_child([&] {
        SQLite::Database database(path, SQLite::OPEN_READWRITE);
        database.exec(
            "PRAGMA cache_size = 5; BEGIN;"
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
            "INSERT INTO recipes SELECT i, hex(zeroblob(100)) FROM n");
        std::raise(SIGKILL);
    });
    const auto before = dir.contents();
    ASSERT_TRUE(before.contains("other.db-journal"));
    try {
        static_cast<void>(open_database(path, {}));
        FAIL() << "opened another program's database";
    } catch (const StorageError& error) {
        EXPECT_EQ(error.code(), StorageErrc::foreign_database) << error.what();
    }
    EXPECT_TRUE(dir.contents() == before);
}

class SeveralProcesses : public testing::TestWithParam<int> {};

TEST_P(SeveralProcesses, open_the_same_file_at_the_same_time) {
    constexpr int kProcesses = 6;
    for (int round = 0; round < 5; ++round) {
        const test::TempDir dir;
        const std::string path = dir.file("skills.db");
        if (GetParam() > 0) {
            test::make_theirs(path, GetParam());
            test::execute(path, test::insertion("old", "2026-02-10T12:00:00Z") + "PRAGMA journal_mode = DELETE;");
        }
        int gate[2];
        ASSERT_EQ(::pipe(gate), 0);
        std::vector<pid_t> children;
        for (int i = 0; i < kProcesses; ++i) {
            const pid_t child = ::fork();
            if (child == 0) {
                ::close(gate[1]);
                char byte = 0;
                const auto opened = ::read(gate[0], &byte, 1);  // all start when the parent closes its end
                int result = opened == 0 ? 0 : 2;
                try {
                    const auto database = open_database(path, {.busy_timeout = std::chrono::seconds{20}});
                    database->exec(test::insertion("new", "2026-02-10T12:00:00Z", "s" + std::to_string(i)));
                } catch (const std::exception& error) {
                    std::fprintf(stderr, "child: %s\n", error.what());
                    result = 1;
                }
                ::_exit(result);
            }
            children.push_back(child);
        }
        ::close(gate[0]);
        ::close(gate[1]);
        for (const pid_t child : children) {
            int status = 0;
            ASSERT_EQ(::waitpid(child, &status, 0), child);
            EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
        }
        EXPECT_EQ(test::query_one(path, "SELECT total_invocations FROM skill_metrics WHERE skill_name = 'new'"), "6");
        EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_migrations"), "4");
        EXPECT_EQ(test::query_one(path, "PRAGMA integrity_check"), "ok");
        EXPECT_EQ(test::query_one(path, "PRAGMA journal_mode"), "wal");
    }
}

INSTANTIATE_TEST_SUITE_P(FromVersion, SeveralProcesses, testing::Values(0, 1, 4));

}  // namespace
}  // namespace session_buddy::storage
