// What happens to a write-ahead log that is removed while a connection is open. tests/python/faults tests it with other
// processes, because connections of one process share the index of the log.
#include "storage/guarded_connection.hpp"

#include <SQLiteCpp/Transaction.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "storage/sql.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::storage {
namespace {

namespace fs = std::filesystem;
using State = GuardedConnection::State;
using test::insertion;

constexpr const char* kAt = "2026-02-10T12:00:00Z";
constexpr const char* kNames = "SELECT skill_name FROM skill_invocation ORDER BY id";

class GuardedConnectionTest : public testing::Test {
  protected:
    /// The error code of the commit.
    static StorageErrc code_of_commit(GuardedConnection& connection, const std::string& path) {
        try {
            sql::translated(path, "cannot write to", [&] { connection->exec("COMMIT"); });
        } catch (const StorageError& error) {
            return error.code();
        }
        ADD_FAILURE() << "committed";
        return StorageErrc::io;
    }
    void remove(const std::string& suffix) const { ASSERT_TRUE(fs::remove(path + suffix)) << suffix; }
    [[nodiscard]] std::vector<std::string> names() const { return test::query(path, kNames); }

    test::TempDir folder;
    std::string path = folder.file("skills.db");
};

TEST_F(GuardedConnectionTest, restores_a_removed_log_with_or_without_its_index) {
    for (const bool with_index : {false, true}) {
        {
            GuardedConnection connection(path, {});
            connection->exec(insertion("kept", kAt));
            remove("-wal");
            if (with_index) {
                remove("-shm");
            }
            EXPECT_EQ(connection.state(), State::wal_lost);
        }
        EXPECT_GT(fs::file_size(path + "-wal"), 0U);
    }
    EXPECT_EQ(names(), (std::vector<std::string>{"kept", "kept"}));
    EXPECT_EQ(test::query_one(path, "PRAGMA integrity_check"), "ok");
}

TEST_F(GuardedConnectionTest, rejects_a_commit_that_other_processes_would_not_see) {
    for (const std::string removed : {"-wal", "-shm", ""}) {
        fs::remove(path);
        fs::remove(path + "-wal");
        fs::remove(path + "-shm");
        {
            GuardedConnection connection(path, {});
            connection->exec(insertion("kept", kAt));
            connection->exec("BEGIN IMMEDIATE");
            connection->exec(insertion("refused", kAt));
            remove(removed);
            EXPECT_EQ(code_of_commit(connection, path), StorageErrc::busy) << removed;
        }
        if (!removed.empty()) {
            EXPECT_EQ(names(), (std::vector<std::string>{"kept"})) << removed;
        }
    }
}

TEST_F(GuardedConnectionTest, detects_a_removed_log_of_a_database_opened_through_a_link) {
    static_cast<void>(open_database(path, {}));
    fs::create_directory(folder.file("elsewhere"));
    const std::string link = folder.file("elsewhere/link.db");
    fs::create_symlink(path, link);
    {
        GuardedConnection connection(link, {});
        connection->exec(insertion("kept", kAt));
        remove("-wal");
        EXPECT_EQ(connection.state(), State::wal_lost);
    }
    EXPECT_EQ(names(), (std::vector<std::string>{"kept"}));
}

TEST_F(GuardedConnectionTest, ignores_a_removed_log_that_was_checkpointed_completely) {
    {
        GuardedConnection connection(path, {});
        connection->exec(insertion("kept", kAt));
        connection->exec("PRAGMA wal_checkpoint(TRUNCATE)");
        remove("-wal");
    }
    EXPECT_EQ(names(), (std::vector<std::string>{"kept"}));
}

}  // namespace
}  // namespace session_buddy::storage
