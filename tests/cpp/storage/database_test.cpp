// Every kind of file that open_database may find, including those that it must not change.
#include "session_buddy/storage/database.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <optional>

#include "support/privileges.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::storage {
namespace {

void bring_up_to_date(const std::string& path, const OpenOptions& options) {
    static_cast<void>(open_database(path, options));
}

using testing::AllOf;
using testing::HasSubstr;

constexpr const char* kVersions = "SELECT version FROM skill_migrations ORDER BY version";
const std::vector<std::string> kAllVersions{"V1__initial_schema", "V2__add_semantic_search",
                                            "V3__add_workflow_correlation", "V4__phase4_extensions"};
const OpenOptions kQuick{.busy_timeout = std::chrono::milliseconds{200}};

StorageErrc code_of(const std::string& path, const OpenOptions& options = kQuick) {
    try {
        static_cast<void>(open_database(path, options));
    } catch (const StorageError& error) {
        EXPECT_EQ(error.path(), path);
        EXPECT_THAT(error.what(), HasSubstr(path));
        return error.code();
    }
    ADD_FAILURE() << "opened " << path;
    return StorageErrc::io;
}

std::string message_of(const std::string& path) {
    try {
        static_cast<void>(open_database(path, kQuick));
    } catch (const StorageError& error) {
        return error.what();
    }
    return "(opened)";
}

class OpenDatabase : public testing::Test {
  protected:
    void expect_rejected_unchanged(StorageErrc code, const char* reason) {
        const auto before = dir.contents();
        EXPECT_EQ(code_of(path), code);
        EXPECT_THAT(message_of(path), HasSubstr(reason));
        EXPECT_TRUE(dir.contents() == before) << "the file, or a file next to it, changed";
    }
    void expect_whole() {
        EXPECT_EQ(test::query(path, kVersions), kAllVersions);
        EXPECT_EQ(test::query_one(path, "PRAGMA integrity_check"), "ok");
        EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM pragma_foreign_key_check"), "0");
        EXPECT_EQ(test::query_one(path, "PRAGMA journal_mode"), "wal");
        EXPECT_NO_THROW(test::query(path, "SELECT * FROM v_realtime_skill_dashboard, v_multimodal_skill_catalog"));
        EXPECT_NO_THROW(
            test::query(path, "SELECT embedding, workflow_phase, workflow_step_id, created_at FROM skill_invocation"));
    }

    test::TempDir dir;
    std::string path = dir.file("skills.db");
};

TEST_F(OpenDatabase, creates_a_missing_file) {
    path = dir.file("a b 'c' skills%41?x=1#.db");
    const auto database = open_database(path, {});
    EXPECT_EQ(test::query(*database, "PRAGMA foreign_keys").front(), "1");
    EXPECT_EQ(test::query(*database, "PRAGMA busy_timeout").front(), "5000");
    EXPECT_TRUE(std::filesystem::exists(path));
    expect_whole();
    EXPECT_NO_THROW(bring_up_to_date(path, {})) << "and opens it again, odd name or not";
}

TEST_F(OpenDatabase, creates_a_database_that_only_its_owner_can_read) {
    const auto others_may = [](const std::string& file) {
        constexpr auto kOthers = std::filesystem::perms::group_all | std::filesystem::perms::others_all;
        return (std::filesystem::status(file).permissions() & kOthers) != std::filesystem::perms::none;
    };
    const auto database = open_database(path, kQuick);
    database->exec("CREATE TABLE notes (body TEXT)");
    for (const std::string suffix : {"", "-wal", "-shm"}) {
        EXPECT_FALSE(others_may(path + suffix)) << suffix;
    }
}

TEST_F(OpenDatabase, keeps_the_mode_of_an_existing_file) {
    std::ofstream{path};
    std::filesystem::permissions(path, std::filesystem::perms{0644});
    bring_up_to_date(path, kQuick);
    EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms{0644});
}

TEST_F(OpenDatabase, uses_a_write_ahead_log_that_is_synced_on_checkpoint) {
    for (int i = 0; i < 2; ++i) {  // a new file, and an existing one
        const auto database = open_database(path, {});
        SQLite::Statement journal(*database, "PRAGMA journal_mode");
        ASSERT_TRUE(journal.executeStep());
        EXPECT_EQ(journal.getColumn(0).getString(), "wal");
        SQLite::Statement synchronous(*database, "PRAGMA synchronous");
        ASSERT_TRUE(synchronous.executeStep());
        EXPECT_EQ(synchronous.getColumn(0).getInt(), 1) << "NORMAL";
    }
}

TEST_F(OpenDatabase, creates_the_schema_in_an_empty_file) {
    std::ofstream(path).close();
    bring_up_to_date(path, {});
    expect_whole();
}

TEST_F(OpenDatabase, creates_the_schema_in_a_database_without_tables) {
    test::execute(path, "PRAGMA journal_mode = WAL; CREATE TABLE t (x); DROP TABLE t");
    bring_up_to_date(path, {});
    expect_whole();
}

TEST_F(OpenDatabase, creates_nothing_with_create_off) {
    EXPECT_EQ(code_of(path, {.create = false}), StorageErrc::missing);
    EXPECT_EQ(code_of(dir.file("no/folder/x.db"), {.create = false}), StorageErrc::missing);
    EXPECT_TRUE(dir.contents().empty());
}

TEST_F(OpenDatabase, rejects_a_missing_folder_and_creates_nothing) {
    path = dir.file("no/folder/skills.db");
    EXPECT_EQ(code_of(path), StorageErrc::missing);
    EXPECT_THAT(message_of(path), AllOf(HasSubstr("the folder \"" + dir.file("no/folder") + "\" does not exist"),
                                        HasSubstr("create it, or correct the path")));
    EXPECT_TRUE(dir.contents().empty());
}

TEST_F(OpenDatabase, creates_the_folders_of_the_default_location) {
    const char* const before = std::getenv("XDG_DATA_HOME");
    const std::optional<std::string> kept = before != nullptr ? std::optional<std::string>(before) : std::nullopt;
    ::setenv("XDG_DATA_HOME", dir.file("new/data").c_str(), 1);
    path = dir.file("new/data/session-buddy/skills.db");
    EXPECT_NO_THROW(bring_up_to_date(path, {}));
    expect_whole();
    EXPECT_EQ(code_of(dir.file("new/data/other/skills.db")), StorageErrc::missing);
    if (kept) {
        ::setenv("XDG_DATA_HOME", kept->c_str(), 1);
    } else {
        ::unsetenv("XDG_DATA_HOME");
    }
}

TEST_F(OpenDatabase, can_be_opened_many_times) {
    const auto first = open_database(path, {});
    first->exec(test::insertion("a", "2026-02-10"));
    const auto second = open_database(path, {});
    EXPECT_EQ(test::query(*second, "SELECT total_invocations FROM skill_metrics").front(), "1");
    EXPECT_EQ(test::query(*second, "SELECT count(*) FROM skill_migrations").front(), "4");
}

class OpenOlderDatabase : public OpenDatabase, public testing::WithParamInterface<int> {};

TEST_P(OpenOlderDatabase, migrates_it_to_v4_and_loses_nothing) {
    test::make_theirs(path, GetParam());
    test::execute(path, test::insertion("a", "2026-02-10T12:00:00Z", "s1", true, "2.5") +
                            test::insertion("a", "2026-02-10T12:00:01Z", "s1", false) +
                            test::insertion("b", "2026-02-10T13:00:00Z", "s2", true));
    const std::string rows =
        "SELECT id, skill_name, invoked_at, session_id, completed, duration_seconds, created_at"
        " FROM skill_invocation ORDER BY id";
    const std::string metrics = "SELECT * FROM skill_metrics ORDER BY skill_name";
    const std::string trigger = "SELECT sql FROM sqlite_master WHERE name = 'trg_skill_metrics_after_insert'";
    const auto rows_before = test::query(path, rows);
    const auto metrics_before = test::query(path, metrics);
    const auto trigger_before = test::query(path, trigger);
    const auto recorded_before = test::query(path, "SELECT version, applied_at FROM skill_migrations ORDER BY version");

    bring_up_to_date(path, {});

    expect_whole();
    EXPECT_EQ(test::query(path, rows), rows_before);
    EXPECT_EQ(test::query(path, metrics), metrics_before);
    EXPECT_EQ(test::query(path, trigger), trigger_before) << "their triggers stay";
    auto recorded = test::query(path, "SELECT version, applied_at FROM skill_migrations ORDER BY version");
    recorded.resize(recorded_before.size());
    EXPECT_EQ(recorded, recorded_before);
    EXPECT_EQ(test::query(path, "SELECT skill_name, last_invocation_at FROM skill_metrics_cache ORDER BY 1"),
              (std::vector<std::string>{"a|2026-02-10T12:00:01Z", "b|2026-02-10T13:00:00Z"}));
    EXPECT_NO_THROW(test::execute(path, "PRAGMA foreign_keys = ON;" + test::insertion("new", "2026-02-10T12:00:00Z")));
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_metrics_cache"), "3");
}

TEST_P(OpenOlderDatabase, replaces_their_triggers_only_when_asked) {
    test::make_theirs(path, GetParam());
    const std::string bad_error =
        "INSERT INTO skill_invocation (skill_name, invoked_at, session_id, error_type)"
        " VALUES ('a', '2026-02-10', 's', '[Errno 2] No such file')";
    bring_up_to_date(path, {});
    EXPECT_THROW(test::execute(path, bad_error), SQLite::Exception) << "the known bug of their trigger";
    bring_up_to_date(path, {.replace_triggers = true});
    EXPECT_NO_THROW(test::execute(path, bad_error));
    EXPECT_EQ(test::query_one(path, "SELECT common_errors FROM skill_metrics"), "{\"[Errno 2] No such file\":1}");
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'"), "3");
}

TEST_P(OpenOlderDatabase, recomputes_metrics_when_it_replaces_triggers) {
    test::make_theirs(path, GetParam());
    test::execute(path, test::insertion("a", "2026-02-10T12:00:00Z", "s", true, "6.0") +
                            test::insertion("a", "2026-02-10T12:00:00Z") +
                            test::insertion("a", "2026-02-09T12:00:00Z", "s", true, "2.0") +
                            test::insertion("pruned", "2026-01-01T12:00:00Z", "s", true, "2.0") +
                            test::insertion("pruned", "2026-02-09T12:00:00Z") +
                            "DELETE FROM skill_invocation WHERE invoked_at < '2026-02'");
    const std::string metrics =
        "SELECT skill_name, total_invocations, avg_duration_seconds, first_invoked, last_invoked FROM skill_metrics";
    bring_up_to_date(path, {});
    EXPECT_EQ(test::query(path, metrics).front(), "a|3|2.66666666666667|2026-02-10T12:00:00Z|2026-02-09T12:00:00Z");
    bring_up_to_date(path, {.replace_triggers = true});
    EXPECT_EQ(test::query(path, metrics),
              (std::vector<std::string>{"a|3|4.0|2026-02-09T12:00:00Z|2026-02-10T12:00:00Z",
                                        "pruned|2|1.0|2026-01-01T12:00:00Z|2026-02-09T12:00:00Z"}))
        << "nothing else counts deleted rows";
    test::execute(path, test::insertion("a", "2026-02-10T13:00:00Z", "s", true, "7.0"));
    EXPECT_EQ(test::query(path, metrics).front(), "a|4|5.0|2026-02-09T12:00:00Z|2026-02-10T13:00:00Z");
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM pragma_foreign_key_check"), "0");
}

INSTANTIATE_TEST_SUITE_P(Versions, OpenOlderDatabase, testing::Values(1, 2, 3, 4));

TEST_F(OpenDatabase, does_not_change_v4) {
    test::make_theirs(path, 4);
    bring_up_to_date(path, {});  // adds the tables that the short V4 of the test lacks
    const std::string schema = "SELECT type, name, sql FROM sqlite_master ORDER BY rowid";
    const auto before = test::query(path, schema);
    test::execute(path, "DROP VIEW v_top_skills; DROP INDEX idx_invocation_skill");
    bring_up_to_date(path, {});
    EXPECT_EQ(test::query(path, schema).size(), before.size() - 2) << "what was dropped on purpose stays dropped";
}

TEST_F(OpenDatabase, treats_a_failed_migration_as_pending) {
    test::make_theirs(path, 3);
    test::execute(
        path, "INSERT INTO skill_migrations (version, applied_at, success) VALUES ('V4__phase4_extensions', 'x', 0)");
    bring_up_to_date(path, {});
    expect_whole();
    EXPECT_EQ(test::query_one(path, "SELECT min(success) FROM skill_migrations"), "1");
}

TEST_F(OpenDatabase, completes_manually_created_tables) {
    test::execute(path, R"sql(
        CREATE TABLE skill_invocation (id INTEGER PRIMARY KEY, skill_name TEXT NOT NULL, invoked_at TEXT NOT NULL,
            session_id TEXT NOT NULL, completed BOOLEAN, duration_seconds REAL, note TEXT, error_type TEXT,
            follow_up_actions TEXT, workflow_path TEXT);
        CREATE TABLE my_notes (x);
        INSERT INTO my_notes VALUES ('mine');
        INSERT INTO skill_invocation (skill_name, invoked_at, session_id, completed, duration_seconds, note, error_type,
                                      follow_up_actions, workflow_path) VALUES
            ('a', datetime('now', '-10 minutes'), 's1', 1, 2.0, 'kept', NULL, '["x.y"]', 'q"1'),
            ('a', strftime('%Y-%m-%dT%H:%M:%S', 'now', '-2 hours', '+5 hours') || '+0500', 's1', 0, 9.0, NULL, '[E]', 'bad', 'q"1'),
            ('a', '2020-01-01', 's2', 1, 4.0, NULL, NULL, NULL, NULL),
            ('b', 'garbage', 's2', 1, 'abc', NULL, NULL, NULL, NULL);
    )sql");
    bring_up_to_date(path, {});
    expect_whole();
    EXPECT_EQ(test::query_one(path, "SELECT x FROM my_notes"), "mine");
    EXPECT_EQ(test::query_one(path, "SELECT note FROM skill_invocation WHERE id = 1"), "kept");
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_invocation WHERE julianday(created_at) IS NOT NULL"),
              "4");
    EXPECT_EQ(
        test::query(path,
                    "SELECT skill_name, total_invocations, completed_invocations, abandoned_invocations,"
                    " total_duration_seconds, workflow_paths, common_errors, follow_up_actions,"
                    " round(completion_rate, 3), avg_duration_seconds, first_invoked FROM skill_metrics ORDER BY 1"),
        (std::vector<std::string>{R"(a|3|2|1|6.0|{"q\"1":2}|{"[E]":1}|{"x.y":1}|66.667|3.0|2020-01-01)",
                                  "b|1|1|0|0.0|{}|{}|{}|100.0|NULL|garbage"}));
    EXPECT_EQ(test::query(path, "SELECT session_id, skill_name, invocation_count FROM session_skills ORDER BY 1, 2"),
              (std::vector<std::string>{"s1|a|2", "s2|a|1", "s2|b|1"}));
    EXPECT_EQ(test::query(path,
                          "SELECT skill_name, invocation_count_1h, invocation_count_24h, avg_completion_rate_24h,"
                          " last_invocation_at > datetime('now', '-11 minutes') FROM skill_metrics_cache"),
              std::vector<std::string>{"a|1|2|0.5|1"});
    test::execute(path, test::insertion("a", "2026-02-10T12:00:00Z", "s1", true, "1.0"));
    EXPECT_EQ(test::query_one(path, "SELECT total_invocations FROM skill_metrics WHERE skill_name = 'a'"), "4");
}

TEST_F(OpenDatabase, keeps_existing_aggregates) {
    test::execute(path, R"sql(
        CREATE TABLE skill_metrics_cache (skill_name TEXT PRIMARY KEY, last_invocation_at TEXT NOT NULL,
            invocation_count_1h INTEGER DEFAULT 0, invocation_count_24h INTEGER DEFAULT 0, avg_completion_rate_24h REAL,
            is_anomalous BOOLEAN DEFAULT 0, anomaly_score REAL, updated_at TEXT NOT NULL);
        INSERT INTO skill_metrics_cache VALUES ('a', '2026-01-01', 7, 70, 0.5, 1, 3.0, 'x');
    )sql");
    bring_up_to_date(path, {});
    EXPECT_EQ(test::query_one(path, "SELECT * FROM skill_metrics_cache"), "a|2026-01-01|7|70|0.5|1|3.0|x");
    EXPECT_EQ(test::query(path, kVersions), kAllVersions);
}

TEST_F(OpenDatabase, adds_a_column_that_v4_lost) {
    bring_up_to_date(path, {});
    test::execute(path,
                  "DROP VIEW v_skill_effectiveness_by_phase; DROP VIEW v_workflow_phase_patterns;"
                  "DROP VIEW v_skills_by_phase_usage; DROP INDEX idx_invocation_workflow_step;"
                  "ALTER TABLE skill_invocation DROP COLUMN workflow_step_id; DROP TABLE skill_anomalies");
    bring_up_to_date(path, {});
    expect_whole();
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_anomalies"), "0");
}

TEST_F(OpenDatabase, rejects_a_table_without_a_column_that_cannot_be_added) {
    test::execute(path, "CREATE TABLE skill_invocation (id INTEGER PRIMARY KEY, skill_name TEXT, invoked_at TEXT)");
    expect_rejected_unchanged(StorageErrc::incompatible, "skill_invocation has no column session_id");
}

TEST_F(OpenDatabase, rejects_a_view_instead_of_a_table) {
    test::execute(path,
                  "CREATE TABLE skill_invocation (id INTEGER PRIMARY KEY, skill_name TEXT NOT NULL, invoked_at TEXT"
                  " NOT NULL, session_id TEXT NOT NULL); CREATE VIEW skill_metrics AS SELECT 1 AS skill_name");
    expect_rejected_unchanged(StorageErrc::incompatible, "skill_metrics is a view");
}

TEST_F(OpenDatabase, rejects_a_later_version) {
    bring_up_to_date(path, {});
    test::execute(path, "INSERT INTO skill_migrations (version, applied_at) VALUES ('V5__ulid_migration', 'x')");
    expect_rejected_unchanged(StorageErrc::newer_version, "V5__ulid_migration");
}

TEST_F(OpenDatabase, rejects_another_programs_database) {
    test::execute(path, "CREATE TABLE moz_bookmarks (id INTEGER PRIMARY KEY); INSERT INTO moz_bookmarks VALUES (1)");
    expect_rejected_unchanged(StorageErrc::foreign_database, "moz_bookmarks");
    test::execute(path, "PRAGMA journal_mode = WAL; INSERT INTO moz_bookmarks VALUES (2)");
    expect_rejected_unchanged(StorageErrc::foreign_database, "moz_bookmarks");
}

TEST_F(OpenDatabase, rejects_another_programs_database_while_that_program_runs) {
    SQLite::Database other(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    other.exec("PRAGMA journal_mode = WAL; CREATE TABLE skill_categories (a); CREATE TABLE recipes (b)");
    // Its shared memory has the read marks of all readers; nothing else may change.
    auto before = dir.contents();
    EXPECT_EQ(code_of(path), StorageErrc::foreign_database);
    EXPECT_THAT(message_of(path), HasSubstr("recipes"));
    auto after = dir.contents();
    before.erase("skills.db-shm");
    after.erase("skills.db-shm");
    EXPECT_TRUE(after == before);
    EXPECT_NO_THROW(other.exec("INSERT INTO recipes VALUES (1)"));
}

TEST_F(OpenDatabase, rejects_a_database_with_another_application_id) {
    test::execute(path, "PRAGMA application_id = 252006674");
    expect_rejected_unchanged(StorageErrc::foreign_database, "application id 0x0f055112");
}

TEST_F(OpenDatabase, rejects_a_file_that_is_not_sqlite) {
    for (const std::string& content : {std::string("hello"), std::string("# notes\n"), std::string(100000, 'x'),
                                       std::string(8192, '\0'), std::string("SQLite format 3"), std::string(1, '\0')}) {
        SCOPED_TRACE(content.size());
        std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
        expect_rejected_unchanged(StorageErrc::not_a_database, "not an SQLite database");
    }
}

TEST_F(OpenDatabase, rejects_a_truncated_database) {
    open_database(path, {})->exec(test::insertion("a", "2026-02-10"));
    std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
    expect_rejected_unchanged(StorageErrc::damaged, "damaged");
}

TEST_F(OpenDatabase, rejects_a_truncated_database_without_write_ahead_log) {
    open_database(path, {})->exec(test::insertion("a", "2026-02-10"));
    test::execute(path, "PRAGMA journal_mode = DELETE");
    std::filesystem::resize_file(path, std::filesystem::file_size(path) - 4096);
    expect_rejected_unchanged(StorageErrc::damaged, "damaged");
}

TEST_F(OpenDatabase, rejects_a_database_with_garbage_in_its_pages) {
    for (const bool log : {true, false}) {
        std::filesystem::remove(path);
        open_database(path, {})->exec(test::insertion("a", "2026-02-10"));
        test::execute(path, log ? "PRAGMA journal_mode = WAL" : "PRAGMA journal_mode = DELETE");
        std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
        file.seekp(4096);
        file << std::string(30 * 4096, '\x5A');
        file.close();
        expect_rejected_unchanged(StorageErrc::damaged, "damaged");
    }
}

TEST_F(OpenDatabase, rejects_a_folder_and_a_device) {
    EXPECT_EQ(code_of(dir.path().string()), StorageErrc::io);
    EXPECT_EQ(::mkfifo(path.c_str(), 0600), 0);
    EXPECT_EQ(code_of(path), StorageErrc::io);
    EXPECT_EQ(code_of("/dev/null"), StorageErrc::io);
    EXPECT_THAT(message_of(dir.path().string()), HasSubstr("it is a folder"));
}

TEST_F(OpenDatabase, rejects_invalid_file_names) {
    EXPECT_EQ(code_of(""), StorageErrc::invalid_argument);
    EXPECT_EQ(code_of(":memory:"), StorageErrc::invalid_argument);
    EXPECT_THROW(bring_up_to_date(std::string("a\0b", 3), {}), StorageError);
    std::ofstream(dir.file("plain")).close();
    EXPECT_EQ(code_of(dir.file("plain/x.db")), StorageErrc::io) << "a file instead of a folder";
}

TEST_F(OpenDatabase, reports_busy_while_another_process_locks_the_file) {
    test::make_theirs(path, 1);
    SQLite::Database other(path, SQLite::OPEN_READWRITE);
    other.exec("BEGIN IMMEDIATE");
    EXPECT_EQ(code_of(path), StorageErrc::busy);
    other.exec("ROLLBACK");
    EXPECT_NO_THROW(bring_up_to_date(path, {}));
}

TEST_F(OpenDatabase, says_why_a_file_cannot_be_created) {
    test::WriteProtected protection(dir.path());
    EXPECT_EQ(code_of(path), StorageErrc::io);
    EXPECT_THAT(message_of(path), HasSubstr("write-protected"));
}

TEST_F(OpenDatabase, opens_a_write_protected_v4_for_reading) {
    open_database(path, {})->exec(test::insertion("a", "2026-02-10"));
    const auto before = dir.contents();
    {
        test::WriteProtected protection(path);
        const auto database = open_database(path, kQuick);
        EXPECT_EQ(test::query(*database, "SELECT total_invocations FROM skill_metrics").front(), "1");
        EXPECT_EQ(sqlite3_db_readonly(database->getHandle(), "main"), 1);
    }
    EXPECT_TRUE(dir.contents()["skills.db"] == before.at("skills.db"));
}

TEST_F(OpenDatabase, opens_v4_in_a_write_protected_folder_for_reading) {
    for (const char* mode : {"WAL", "DELETE"}) {
        open_database(path, {})->exec(test::insertion("a", "2026-02-10"));
        test::execute(path, std::string("PRAGMA journal_mode = ") + mode);
        const auto before = dir.contents();
        {
            test::WriteProtected file(path);
            test::WriteProtected folder(dir.path());
            const auto database = open_database(path, kQuick);
            EXPECT_NE(test::query(*database, "SELECT total_invocations FROM skill_metrics").front(), "0");
        }
        EXPECT_TRUE(dir.contents() == before) << mode;
    }
}

TEST_F(OpenDatabase, rejects_an_older_version_that_is_write_protected) {
    test::make_theirs(path, 3);
    test::WriteProtected protection(path);
    EXPECT_EQ(code_of(path), StorageErrc::read_only);
    EXPECT_THAT(message_of(path), HasSubstr("must be migrated"));
}

TEST_F(OpenDatabase, waits_for_the_disk_with_durability_power) {
    for (const bool short_lived :
         {false, false, true}) {  // a new file, an existing one, and one opened without an inspection
        const auto database = open_database(path, {.durability = Durability::power, .short_lived = short_lived});
        EXPECT_EQ(test::query(*database, "PRAGMA synchronous").front(), "3") << "EXTRA";
        EXPECT_EQ(test::query(*database, "PRAGMA journal_mode").front(), "wal");
    }
    const auto database = open_database(path, {.short_lived = true});
    EXPECT_EQ(test::query(*database, "PRAGMA synchronous").front(), "1") << "NORMAL";
}

class OpenShortLived : public OpenDatabase {
  protected:
    static constexpr OpenOptions kShortLived{.busy_timeout = std::chrono::milliseconds{200}, .short_lived = true};
};

TEST_F(OpenShortLived, does_not_change_a_database_with_all_known_migrations) {
    test::make_theirs(path, 4);  // without the tables of V4 that nothing here reads
    const auto schema = test::query(path, "SELECT name, sql FROM sqlite_master ORDER BY name");
    {
        const auto database = open_database(path, kShortLived);
        EXPECT_EQ(test::query(*database, "PRAGMA foreign_keys").front(), "1");
        EXPECT_EQ(test::query(*database, "PRAGMA busy_timeout").front(), "200");
        database->exec(test::insertion("a", "2026-02-10"));
    }
    EXPECT_EQ(test::query(path, "SELECT name, sql FROM sqlite_master ORDER BY name"), schema);
    EXPECT_EQ(test::query_one(path, "SELECT total_invocations FROM skill_metrics"), "1");
}

TEST_F(OpenShortLived, does_not_checkpoint_on_close) {
    const auto insert = [this](const OpenOptions& options) {
        open_database(path, options)->exec(test::insertion("a", "2026-02-10"));
    };
    insert(kQuick);
    EXPECT_EQ(dir.contents().count("skills.db-wal"), 0U) << "a long-lived connection checkpoints it on close";
    const auto checkpointed = dir.contents().at("skills.db");
    insert(kShortLived);
    insert(kShortLived);
    EXPECT_GT(dir.contents()["skills.db-wal"].size(), 0U);
    EXPECT_TRUE(dir.contents().at("skills.db") == checkpointed) << "all new rows are in the log";
    insert(kQuick);
    EXPECT_EQ(dir.contents().count("skills.db-wal"), 0U);
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_invocation"), "4");
}

TEST_F(OpenShortLived, limits_the_log_with_and_without_other_connections_and_through_links) {
    constexpr std::size_t kBound = std::size_t{6} << 20U;
    const std::string link = dir.file("link.db");
    std::filesystem::create_symlink("skills.db", link);
    bring_up_to_date(path, kQuick);
    test::execute(path, "CREATE TABLE session_buddy_filler (bytes BLOB)");
    std::unique_ptr<SQLite::Database> other;
    for (const std::string& name : {path, link, path}) {
        std::size_t longest = 0;
        for (int i = 0; i < 20; ++i) {
            open_database(name, kShortLived)->exec("INSERT INTO session_buddy_filler VALUES (randomblob(1000000))");
            std::error_code none;
            const auto size = std::filesystem::file_size(path + "-wal", none);
            longest = std::max<std::size_t>(longest, none ? 0 : size);
        }
        EXPECT_GT(longest, 0U);
        EXPECT_LT(longest, kBound) << name;
        if (name == link) {
            other = open_database(path, kQuick);
        }
    }
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM session_buddy_filler"), "60");
}

TEST_F(OpenShortLived, migrates_an_older_database) {
    for (int version = 1; version <= 3; ++version) {
        path = dir.file(std::to_string(version) + ".db");
        test::make_theirs(path, version);
        test::execute(path, test::insertion("a", "2026-02-10T12:00:00Z"));
        bring_up_to_date(path, kShortLived);
        expect_whole();
        EXPECT_EQ(test::query_one(path, "SELECT skill_name FROM skill_metrics_cache"), "a");
    }
}

TEST_F(OpenShortLived, creates_a_missing_empty_or_table_less_database) {
    path = dir.file("new.db");
    bring_up_to_date(path, kShortLived);
    expect_whole();
    path = dir.file("empty.db");
    std::ofstream(path).close();
    bring_up_to_date(path, kShortLived);
    expect_whole();
    path = dir.file("tableless.db");
    test::execute(path, "CREATE TABLE t (x); DROP TABLE t");
    bring_up_to_date(path, kShortLived);
    expect_whole();
    path = dir.file("none.db");
    EXPECT_EQ(code_of(path, {.create = false, .short_lived = true}), StorageErrc::missing);
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(OpenShortLived, keeps_the_journal_mode_because_a_change_may_take_long) {
    bring_up_to_date(path, {});
    test::execute(path, "PRAGMA journal_mode = DELETE");
    EXPECT_EQ(test::query(*open_database(path, kShortLived), "PRAGMA journal_mode").front(), "delete");
}

TEST_F(OpenShortLived, rejects_the_same_files_and_leaves_them_unchanged) {
    const auto rejected = [this](StorageErrc code) {
        const auto before = dir.contents().at(std::filesystem::path(path).filename());
        EXPECT_EQ(code_of(path, kShortLived), code) << path;
        EXPECT_TRUE(dir.contents().at(std::filesystem::path(path).filename()) == before) << path;
    };
    path = dir.file("text.db");
    std::ofstream(path) << std::string(5000, 'x');
    rejected(StorageErrc::not_a_database);
    path = dir.file("foreign.db");
    test::execute(path, "CREATE TABLE customers (id)");
    rejected(StorageErrc::foreign_database);
    path = dir.file("later.db");
    bring_up_to_date(path, {});
    test::execute(path, "INSERT INTO skill_migrations (version, applied_at) VALUES ('V5__next', 'x')");
    rejected(StorageErrc::newer_version);
    path = dir.file("replaced.db");
    bring_up_to_date(path, {});
    test::execute(path, "UPDATE skill_migrations SET version = 'V5__next' WHERE version LIKE 'V1%'");
    rejected(StorageErrc::newer_version);
}

}  // namespace
}  // namespace session_buddy::storage
