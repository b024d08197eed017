// What the follower does when the database was changed, replaced or damaged.
#include <SQLiteCpp/Backup.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "follower_fixture.hpp"
#include "session_buddy/storage/cycle_writer.hpp"
#include "session_buddy/storage/database.hpp"
#include "session_buddy/storage/skills_store.hpp"
#include "support/privileges.hpp"

namespace session_buddy::storage {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(FollowerTest, detects_a_replaced_database) {
    start();
    insert("old");
    insert("old");
    EXPECT_EQ(poll().rows.size(), 2U);
    const std::string other = dir.file("other.db");
    static_cast<void>(open_database(other, {}));
    test::execute(other,
                  test::insertion("new", kRecent) + test::insertion("new", kRecent) + test::insertion("new", kRecent));
    remove_database();
    std::filesystem::rename(other, path);
    const Batch batch = poll();
    EXPECT_TRUE(batch.rebuilt);
    EXPECT_EQ(batch.rows.size(), 3U);
    EXPECT_THAT(names(batch), ElementsAre("new"));
}

TEST_F(FollowerTest, detects_a_database_renamed_over_it) {
    start();
    insert("old");
    static_cast<void>(poll());
    static_cast<void>(poll());  // idle: checkpoints the write-ahead log
    const std::string other = dir.file("other.db");
    static_cast<void>(open_database(other, {}));
    test::execute(other, test::insertion("new", kRecent));
    std::filesystem::rename(other, path);
    const Batch batch = poll();
    EXPECT_TRUE(batch.rebuilt);
    EXPECT_THAT(names(batch), ElementsAre("new"));
    EXPECT_EQ(test::query_one(path, "PRAGMA integrity_check"), "ok");
    insert("new");
    EXPECT_EQ(poll().rows.size(), 1U);
}

TEST_F(FollowerTest, leaves_no_log_behind_for_the_database_that_replaces_it) {
    start();
    insert("old");
    insert("old");
    static_cast<void>(poll());  // the log still holds those rows
    const std::string other = dir.file("other.db");
    static_cast<void>(open_database(other, {}));
    test::execute(other, test::insertion("new", kRecent));
    std::filesystem::rename(other, path);
    EXPECT_THAT(names(poll_until_rebuilt()), ElementsAre("new"));
    EXPECT_EQ(test::query_one(path, "PRAGMA integrity_check"), "ok");
    EXPECT_EQ(test::query_one(path, "SELECT group_concat(skill_name) FROM skill_invocation"), "new");
}

TEST_F(FollowerTest, checkpoints_the_log_when_idle) {
    start();
    insert("a");
    static_cast<void>(poll());
    static_cast<void>(poll());
    EXPECT_EQ(std::filesystem::file_size(path + "-wal"), 0U);
    std::filesystem::copy_file(path, dir.file("copy.db"));
    EXPECT_EQ(test::query_one(dir.file("copy.db"), "SELECT count(*) FROM skill_invocation"), "1")
        << "a copy of just the file is complete";
    EXPECT_FALSE(poll().rebuilt);
}

TEST_F(FollowerTest, checkpoints_rows_of_other_connections_though_it_writes_after_each_poll) {
    start();
    static_cast<void>(poll());
    insert("a");
    std::int64_t count = 0;
    poll_until([&](const Batch&) {
        if (count > 0 && std::filesystem::file_size(path + "-wal") == 0) {
            return true;
        }
        const CacheRow rows[] = {{.skill_name = "a", .last_invocation_at = kNow, .invocation_count_1h = ++count}};
        follower->writer()->write({.cache = rows}, kNow);
        return false;
    });
    std::filesystem::copy_file(path, dir.file("copy.db"));
    EXPECT_EQ(test::query_one(dir.file("copy.db"), "SELECT count(*) FROM skill_invocation"), "1");
}

TEST_F(FollowerTest, detects_a_database_restored_through_sqlite) {
    start();
    for (int i = 0; i < 3; ++i) {
        insert("a");
    }
    const std::string backup = dir.file("backup.db");
    test::execute(path, "VACUUM INTO " + test::quoted(backup));
    insert("a");
    insert("b");
    EXPECT_EQ(poll().rows.size(), 5U);
    {
        SQLite::Database to(path, SQLite::OPEN_READWRITE);
        SQLite::Database from(backup, SQLite::OPEN_READONLY);
        SQLite::Backup restore(to, from);
        restore.executeStep(-1);
    }
    Batch batch = poll();
    EXPECT_TRUE(batch.rebuilt);
    EXPECT_EQ(batch.rows.size(), 3U);
    EXPECT_THAT(names(batch), ElementsAre("a"));
    insert("c");
    batch = poll();
    EXPECT_FALSE(batch.rebuilt);
    EXPECT_THAT(ids(batch), ElementsAre(4));
}

TEST_F(FollowerTest, detects_a_restored_database_with_the_same_number_of_rows) {
    start();
    insert("a");
    insert("a");
    const std::string backup = dir.file("backup.db");
    test::execute(path, "VACUUM INTO " + test::quoted(backup));
    insert("a");
    EXPECT_EQ(poll().rows.size(), 3U);
    test::execute(backup, test::insertion("z", kRecent));
    {
        SQLite::Database to(path, SQLite::OPEN_READWRITE);
        SQLite::Database from(backup, SQLite::OPEN_READONLY);
        SQLite::Backup restore(to, from);
        restore.executeStep(-1);
    }
    const Batch batch = poll();
    EXPECT_TRUE(batch.rebuilt);
    EXPECT_THAT(names(batch), ElementsAre("a", "z"));
}

TEST_F(FollowerTest, detects_an_older_copy_written_over_the_file) {
    start();
    insert("a");
    static_cast<void>(poll());
    static_cast<void>(poll());
    std::filesystem::copy_file(path, dir.file("copy.db"));
    insert("b");
    EXPECT_THAT(names(poll()), ElementsAre("b"));
    poll_until([&](const Batch&) { return std::filesystem::file_size(path + "-wal") == 0; });
    std::filesystem::copy_file(dir.file("copy.db"), path, std::filesystem::copy_options::overwrite_existing);
    const Batch batch = poll();
    EXPECT_TRUE(batch.rebuilt);
    EXPECT_THAT(names(batch), ElementsAre("a"));
}

TEST_F(FollowerTest, detects_pruned_rows) {
    start();
    for (int i = 0; i < 5; ++i) {
        insert("a");
    }
    static_cast<void>(poll());
    test::execute(path, "DELETE FROM skill_invocation WHERE id <= 2");
    Batch batch = poll();
    EXPECT_TRUE(batch.rebuilt);
    EXPECT_THAT(ids(batch), ElementsAre(3, 4, 5));
    test::execute(path, "DELETE FROM skill_invocation WHERE id = 5");
    batch = poll();
    EXPECT_TRUE(batch.rebuilt);
    EXPECT_THAT(ids(batch), ElementsAre(3, 4));
    test::execute(path, "DELETE FROM skill_invocation");
    batch = poll();
    EXPECT_TRUE(batch.rebuilt);
    EXPECT_THAT(batch.rows, IsEmpty());
    EXPECT_THAT(names(batch), ElementsAre("a")) << "its lifetime metrics stay";
    insert("a");
    EXPECT_THAT(ids(poll()), ElementsAre(6));
}

TEST_F(FollowerTest, detects_rows_deleted_from_the_middle) {
    start();
    for (int i = 0; i < 5; ++i) {
        insert("a");
    }
    static_cast<void>(poll());
    test::execute(path, "DELETE FROM skill_invocation WHERE id = 3;" + test::insertion("a", kRecent));
    std::vector<std::int64_t> reported;
    const Batch batch = poll_until_rebuilt();
    EXPECT_THAT(ids(batch), ElementsAre(1, 2, 4, 5, 6));
}

TEST_F(FollowerTest, detects_a_row_that_reuses_an_id) {
    start();
    test::execute(
        path,
        "INSERT INTO skill_invocation (id, skill_name, invoked_at, session_id) VALUES (10, 'a', '2026-02-10', 's'),"
        " (20, 'a', '2026-02-10', 's')");
    static_cast<void>(poll());
    test::execute(
        path,
        "INSERT INTO skill_invocation (id, skill_name, invoked_at, session_id) VALUES (15, 'b', '2026-02-10', 's')");
    EXPECT_THAT(ids(poll_until_rebuilt()), ElementsAre(10, 15, 20));
}

TEST_F(FollowerTest, detects_each_manual_change_with_the_next_poll_at_any_size) {
    start();
    test::execute(path,
                  "DROP TRIGGER trg_skill_metrics_after_insert; DROP TRIGGER trg_session_skills_after_insert;"
                  "DROP TRIGGER trg_metrics_cache_after_insert;"
                  "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
                  " INSERT INTO skill_invocation (skill_name, invoked_at, session_id, duration_seconds)"
                  " SELECT 'old', '2026-01-01', 's', 1.0 FROM n");
    for (int i = 0; i < 5; ++i) {
        insert("a");
    }
    while (poll().more) {
    }
    static_cast<void>(poll());  // counts all rows, which no poll does again for a long time
    const auto rebuilt = [&](const std::string& sql) {
        test::execute(path, sql);
        const bool noticed = poll().rebuilt;
        return noticed && !poll().rebuilt;
    };
    const std::string values = " (id, skill_name, invoked_at, session_id) VALUES ";
    EXPECT_TRUE(rebuilt("DELETE FROM skill_invocation WHERE id = 5000"));
    EXPECT_TRUE(rebuilt("DELETE FROM skill_invocation WHERE id = 5001; INSERT INTO skill_invocation" + values +
                        "(5000, 'a', '2026-02-10', 's')"))
        << "as many rows as before";
    EXPECT_TRUE(rebuilt("REPLACE INTO skill_invocation" + values + "(6000, 'a', '2026-02-10', 's')"));
    EXPECT_TRUE(rebuilt("REPLACE INTO skill_invocation" + values + "(20005, 'b', '2026-02-10', 's')"));
    EXPECT_TRUE(rebuilt("UPDATE skill_invocation SET duration_seconds = 2.0 WHERE id = 7"));
    EXPECT_TRUE(rebuilt("UPDATE skill_invocation SET error_type = 'timeout' WHERE id = 20005"));
    EXPECT_TRUE(rebuilt("DROP TRIGGER session_buddy_row_deleted; DELETE FROM skill_invocation WHERE id = 8"));
    EXPECT_TRUE(rebuilt("DELETE FROM skill_invocation WHERE id = 9")) << "the trigger was installed again";
}

TEST_F(FollowerTest, ignores_new_rows_and_irrelevant_columns) {
    start();
    insert("a");
    static_cast<void>(poll());
    const auto rebuilt = [&](const std::string& sql) {
        test::execute(path, sql);
        return poll().rebuilt;
    };
    EXPECT_FALSE(rebuilt("UPDATE skill_invocation SET user_query = 'x' WHERE id = 1"));
    EXPECT_FALSE(rebuilt(test::insertion("a", kRecent)));
}

TEST_F(FollowerTest, reads_the_lifetime_of_a_row_that_came_and_went_between_two_polls) {
    start();
    insert("a");
    static_cast<void>(poll());
    test::execute(path, test::insertion("a", kRecent) + "DELETE FROM skill_invocation WHERE id = 2");
    const Batch batch = poll();
    ASSERT_NE(lifetime(batch, "a"), nullptr);
    EXPECT_EQ(lifetime(batch, "a")->total_invocations, 2);
}

TEST_F(FollowerTest, finishes_a_rebuild_though_rows_change_all_the_time) {
    start(2);
    for (int i = 0; i < 20; ++i) {
        insert("a");
    }
    while (poll().more) {
    }
    int rebuilt = 0;
    std::size_t rows = 0;
    for (int polls = 0; polls < 40 && rows < 20; ++polls) {
        test::execute(path, "UPDATE skill_invocation SET completed = 1 - completed WHERE id = 1");
        const Batch batch = poll();
        rebuilt += batch.rebuilt ? 1 : 0;
        rows = batch.rebuilt ? batch.rows.size() : rows + batch.rows.size();
    }
    EXPECT_EQ(rows, 20U);
    EXPECT_EQ(rebuilt, 1);
    EXPECT_THAT(ids(poll_until_rebuilt()), ElementsAre(1, 2)) << "changes meanwhile are read afterwards";
}

TEST_F(FollowerTest, detects_deleted_rows_without_triggers) {
    static_cast<void>(open_database(path, {}));
    for (int i = 0; i < 5; ++i) {
        insert("a");
    }
    {
        // Log and index get the mode of the file; the user of the server must be able to read them.
        std::filesystem::permissions(path, std::filesystem::perms{0644});
        SQLite::Database other(path, SQLite::OPEN_READWRITE, 5000);  // keeps the log from being removed
        other.exec("BEGIN; SELECT count(*) FROM skill_invocation");
        const test::WriteProtected file(path);
        start();
        EXPECT_EQ(poll().rows.size(), 5U);
        EXPECT_EQ(test::query(other, "SELECT count(*) FROM sqlite_master WHERE name LIKE 'session_buddy%'").front(),
                  "0");
        other.exec("DELETE FROM skill_invocation WHERE id = 3; COMMIT");
        EXPECT_THAT(ids(poll_until_rebuilt()), ElementsAre(1, 2, 4, 5));
    }
}

TEST_F(FollowerTest, reports_a_deleted_database_until_it_exists_again) {
    start();
    insert("a");
    static_cast<void>(poll());
    remove_database();
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(poll_error(), StorageErrc::missing);
        EXPECT_EQ(follower->writer(), nullptr);
    }
    EXPECT_TRUE(dir.contents().empty()) << "a poll creates no file";
    test::make_theirs(path, 2);
    insert("b");
    Batch batch = poll_until_rebuilt();
    EXPECT_THAT(names(batch), ElementsAre("b"));
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_migrations"), "4")
        << "it was migrated when it was opened";
}

TEST_F(FollowerTest, waits_for_a_program_that_is_creating_the_file) {
    start();
    static_cast<void>(poll());
    remove_database();
    EXPECT_EQ(poll_error(), StorageErrc::missing);
    std::ofstream(path).close();
    EXPECT_EQ(poll_error(), StorageErrc::busy);
    test::execute(
        path,
        "CREATE TABLE skill_invocation (id INTEGER PRIMARY KEY, skill_name TEXT NOT NULL, invoked_at TEXT NOT NULL,"
        " session_id TEXT NOT NULL)");
    EXPECT_EQ(poll_error(), StorageErrc::busy);
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM sqlite_master"), "1") << "not touched yet";
    EXPECT_TRUE(poll_until_rebuilt().rebuilt);
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_migrations"), "4");
}

TEST_F(FollowerTest, reports_garbage_and_recovers_from_it) {
    start();
    insert("a");
    static_cast<void>(poll());
    static_cast<void>(poll());
    const std::string good = dir.file("good.db");
    std::filesystem::copy_file(path, good);
    std::ofstream(path, std::ios::binary | std::ios::trunc) << std::string(20000, 'x');
    for (int i = 0; i < 3; ++i) {
        const StorageErrc code = poll_error();
        EXPECT_TRUE(code == StorageErrc::damaged || code == StorageErrc::not_a_database) << static_cast<int>(code);
    }
    remove_database();
    std::filesystem::rename(good, path);
    EXPECT_THAT(names(poll_until_rebuilt()), ElementsAre("a"));
}

TEST_F(FollowerTest, reports_a_truncated_file) {
    start();
    insert("a");
    static_cast<void>(poll());
    static_cast<void>(poll());
    std::filesystem::resize_file(path, 3 * 4096);
    EXPECT_EQ(poll_error(), StorageErrc::damaged);
    EXPECT_EQ(poll_error(), StorageErrc::damaged);
    EXPECT_EQ(std::filesystem::file_size(path), 3U * 4096) << "and does not change it";
}

TEST_F(FollowerTest, detects_corrupt_pages_that_it_does_not_read) {
    start();
    insert("a");
    static_cast<void>(poll());
    static_cast<void>(poll());
    const auto size = static_cast<std::streamoff>(std::filesystem::file_size(path));
    {
        std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
        file.seekp(size / 2);
        file << std::string(static_cast<std::size_t>(size / 2), 'x');
    }
    EXPECT_EQ(poll_error(), StorageErrc::damaged);
    EXPECT_EQ(poll_error(), StorageErrc::damaged);
}

TEST_F(FollowerTest, rescues_the_rows_of_a_removed_log) {
    start();
    insert("a");
    static_cast<void>(poll());
    for (const std::vector<const char*>& suffixes :
         std::vector<std::vector<const char*>>{{"-wal"}, {"-wal", "-shm"}, {"-shm"}}) {
        insert("a");
        for (const char* suffix : suffixes) {
            std::filesystem::remove(path + suffix);
        }
        const Batch batch = poll();
        EXPECT_TRUE(batch.rebuilt);
        const auto rows = static_cast<std::int64_t>(batch.rows.size());
        EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_invocation"), std::to_string(rows));
        insert("a");
        EXPECT_THAT(ids(poll()), ElementsAre(rows + 1)) << "it reads the new log";
        EXPECT_EQ(test::query_one(path, "PRAGMA integrity_check"), "ok");
    }
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_invocation"), "7");
}

TEST_F(FollowerTest, survives_a_truncated_index) {
    start();
    insert("a");
    static_cast<void>(poll());
    std::filesystem::resize_file(path + "-shm", 0);
    EXPECT_TRUE(poll().rebuilt);
    insert("a");
    EXPECT_THAT(ids(poll()), ElementsAre(2));
}

TEST_F(FollowerTest, waits_until_no_connection_of_this_process_uses_a_removed_index) {
    start();
    SkillsStore store(path, std::chrono::seconds{5});
    store.store({.skill_name = "a", .invoked_at = kRecent, .session_id = "s"});
    EXPECT_EQ(poll().rows.size(), 1U);
    std::filesystem::remove(path + "-shm");
    EXPECT_EQ(poll_error(), StorageErrc::busy);
    EXPECT_EQ(poll_error(), StorageErrc::busy) << "SQLite would share the removed one with the store";
    store.store({.skill_name = "a", .invoked_at = kRecent, .session_id = "s"});
    const Batch batch = poll();
    EXPECT_TRUE(batch.rebuilt);
    EXPECT_EQ(batch.rows.size(), 2U);
}

TEST_F(FollowerTest, starts_again_in_an_emptied_file) {
    start();
    insert("a");
    static_cast<void>(poll());
    static_cast<void>(poll());
    std::filesystem::resize_file(path, 0);
    EXPECT_EQ(poll_error(), StorageErrc::busy);
    const Batch batch = poll_until_rebuilt();
    EXPECT_THAT(batch.lifetimes, IsEmpty());
    insert("b");
    EXPECT_THAT(ids(poll()), ElementsAre(1));
}

TEST_F(FollowerTest, reports_busy_quickly_and_continues_at_its_position) {
    start();
    insert("a");
    static_cast<void>(poll());
    const std::string other = dir.file("other.db");
    static_cast<void>(open_database(other, {}));
    test::execute(other, test::insertion("b", kRecent) + "PRAGMA journal_mode = DELETE;");
    remove_database();
    std::filesystem::rename(other, path);
    {
        SQLite::Database lock(path, SQLite::OPEN_READWRITE);
        lock.exec("BEGIN EXCLUSIVE");
        const auto start_time = std::chrono::steady_clock::now();
        EXPECT_EQ(poll_error(), StorageErrc::busy);
        EXPECT_LT(std::chrono::steady_clock::now() - start_time, std::chrono::seconds{5});
    }
    EXPECT_THAT(names(poll_until_rebuilt()), ElementsAre("b"));
}

TEST_F(FollowerTest, reads_on_while_another_process_writes) {
    start();
    insert("a");
    static_cast<void>(poll());
    SQLite::Database writer(path, SQLite::OPEN_READWRITE);
    writer.exec("BEGIN IMMEDIATE;" + test::insertion("b", kRecent));
    EXPECT_THAT(poll().rows, IsEmpty());
    writer.exec("COMMIT");
    EXPECT_THAT(ids(poll()), ElementsAre(2));
}

TEST_F(FollowerTest, follows_a_write_protected_database) {
    static_cast<void>(open_database(path, {}));
    insert("a");
    const auto before = dir.contents();
    {
        test::WriteProtected file(path);
        test::WriteProtected folder(dir.path());
        start();
        EXPECT_THAT(ids(poll()), ElementsAre(1));
        EXPECT_THAT(poll().rows, IsEmpty());
        const CacheRow rows[] = {{.skill_name = "a", .last_invocation_at = kNow}};
        EXPECT_THROW(follower->writer()->write({.cache = rows}, kNow), StorageError);
    }
    EXPECT_TRUE(dir.contents() == before);
    insert("b");  // by another user
    EXPECT_THAT(ids(poll_until_rebuilt()), ElementsAre(1, 2));
}

TEST_F(FollowerTest, writes_once_write_protection_ends) {
    static_cast<void>(open_database(path, {}));
    insert("a");
    const CacheRow rows[] = {{.skill_name = "a", .last_invocation_at = kNow}};
    {
        test::WriteProtected file(path);
        start();
        EXPECT_EQ(poll().rows.size(), 1U);
        EXPECT_FALSE(poll().rebuilt);
        EXPECT_THROW(follower->writer()->write({.cache = rows}, kNow), StorageError);
    }
    EXPECT_TRUE(poll().rebuilt) << "to write what could not be written meanwhile";
    EXPECT_NO_THROW(follower->writer()->write({.cache = rows}, kNow));
    insert("b");
    EXPECT_THAT(ids(poll()), ElementsAre(2));
}

}  // namespace
}  // namespace session_buddy::storage
