// Database files for tests: temporary directories, SQL from a separate connection, and databases of other tools.
#pragma once

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace session_buddy::test {

/// A temporary directory, deleted with its content on destruction.
class TempDir {
  public:
    TempDir() {
        std::string pattern = (std::filesystem::temp_directory_path() / "session-buddy-test-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) {
            throw std::runtime_error("cannot create a temporary directory");
        }
        path_ = pattern;
    }
    ~TempDir() {
        std::error_code ignored;
        std::filesystem::permissions(path_, std::filesystem::perms::owner_all, ignored);
        std::filesystem::remove_all(path_, ignored);
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }
    /// The names of its files, sorted, with their content.
    [[nodiscard]] std::map<std::string, std::string> contents() const {
        std::map<std::string, std::string> files;
        for (const auto& entry : std::filesystem::directory_iterator(path_)) {
            std::ifstream in(entry.path(), std::ios::binary);
            files[entry.path().filename().string()] = {std::istreambuf_iterator<char>(in), {}};
        }
        return files;
    }

  private:
    std::filesystem::path path_;
};

/// Runs SQL on a separate connection, as another program would.
inline void execute(const std::string& path, const std::string& sql) {
    SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, 5000);
    database.exec(sql);
}

/// All rows as text, columns joined by "|", NULL as "NULL".
inline std::vector<std::string> query(SQLite::Database& database, const std::string& sql) {
    std::vector<std::string> rows;
    SQLite::Statement statement(database, sql);
    while (statement.executeStep()) {
        std::string row;
        for (int column = 0; column < statement.getColumnCount(); ++column) {
            const SQLite::Column value = statement.getColumn(column);
            row += (column == 0 ? "" : "|") + (value.isNull() ? std::string("NULL") : value.getString());
        }
        rows.push_back(std::move(row));
    }
    return rows;
}
inline std::vector<std::string> query(const std::string& path, const std::string& sql) {
    SQLite::Database database(path, SQLite::OPEN_READWRITE, 5000);
    return query(database, sql);
}
/// The first column of the first row.
inline std::string query_one(const std::string& path, const std::string& sql) {
    const std::vector<std::string> rows = query(path, sql);
    return rows.empty() ? std::string("(no row)") : rows.front();
}

inline std::string quoted(const std::string& text) {
    std::string result = "'";
    for (const char c : text) {
        result += c == '\'' ? std::string("''") : std::string(1, c);
    }
    return result + "'";
}

/// One INSERT into skill_invocation; `duration` is SQL ("2.5", "NULL").
inline std::string insertion(const std::string& skill, const std::string& invoked_at, const std::string& session = "s1",
                             bool completed = true, const std::string& duration = "NULL") {
    return "INSERT INTO skill_invocation (skill_name, invoked_at, session_id, completed, duration_seconds) VALUES (" +
           quoted(skill) + ", " + quoted(invoked_at) + ", " + quoted(session) + ", " + (completed ? "1" : "0") + ", " +
           duration + ");";
}

/// A database as created by the Python tools at migration 1 to 4: the relevant tables, and triggers with the known bugs
/// (unquoted JSON paths, a cache that only grows). The unused tables of V4 are omitted: opening adds them.
inline void make_theirs(const std::string& path, int version) {
    execute(path, R"sql(
        PRAGMA journal_mode = WAL;
        CREATE TABLE skill_invocation (id INTEGER PRIMARY KEY AUTOINCREMENT, skill_name TEXT NOT NULL, invoked_at TEXT NOT NULL,
            session_id TEXT NOT NULL, workflow_path TEXT, completed BOOLEAN NOT NULL DEFAULT 0, duration_seconds REAL,
            user_query TEXT, alternatives_considered TEXT, selection_rank INTEGER, follow_up_actions TEXT, error_type TEXT,
            created_at TEXT NOT NULL DEFAULT (datetime('now')));
        CREATE INDEX idx_invocation_invoked_at ON skill_invocation (invoked_at DESC);
        CREATE TABLE skill_metrics (skill_name TEXT PRIMARY KEY, total_invocations INTEGER NOT NULL DEFAULT 0,
            completed_invocations INTEGER NOT NULL DEFAULT 0, abandoned_invocations INTEGER NOT NULL DEFAULT 0,
            total_duration_seconds REAL NOT NULL DEFAULT 0.0, workflow_paths TEXT NOT NULL DEFAULT '{}',
            common_errors TEXT NOT NULL DEFAULT '{}', follow_up_actions TEXT NOT NULL DEFAULT '{}', avg_selection_rank REAL,
            recommendation_success_rate REAL, first_invoked TEXT, last_invoked TEXT, completion_rate REAL NOT NULL DEFAULT 0.0,
            avg_duration_seconds REAL, updated_at TEXT NOT NULL DEFAULT (datetime('now')));
        CREATE TABLE session_skills (session_id TEXT NOT NULL, skill_name TEXT NOT NULL,
            invocation_count INTEGER NOT NULL DEFAULT 1, PRIMARY KEY (session_id, skill_name));
        CREATE TABLE mv_daily_skills (date TEXT NOT NULL, skill_name TEXT NOT NULL, invocations INTEGER NOT NULL,
            completions INTEGER NOT NULL, abandonments INTEGER NOT NULL, avg_duration_seconds REAL,
            PRIMARY KEY (date, skill_name));
        CREATE TABLE skill_migrations (version TEXT PRIMARY KEY, applied_at TEXT NOT NULL, description TEXT, rollback_sql TEXT,
            checksum TEXT, applied_by TEXT DEFAULT 'session-buddy', success BOOLEAN NOT NULL DEFAULT 1);
        CREATE VIRTUAL TABLE skill_invocation_fts USING fts5 (user_query, content = skill_invocation, content_rowid = id);
        CREATE TRIGGER trg_skill_metrics_after_insert AFTER INSERT ON skill_invocation BEGIN
            INSERT OR IGNORE INTO skill_metrics (skill_name, first_invoked) VALUES (NEW.skill_name, NEW.invoked_at);
            UPDATE skill_metrics SET total_invocations = total_invocations + 1, last_invoked = NEW.invoked_at,
                completed_invocations = completed_invocations + NEW.completed,
                abandoned_invocations = abandoned_invocations + 1 - NEW.completed,
                total_duration_seconds = total_duration_seconds + iif(NEW.completed, ifnull(NEW.duration_seconds, 0), 0)
                WHERE skill_name = NEW.skill_name;
            UPDATE skill_metrics SET completion_rate = 100.0 * completed_invocations / total_invocations,
                avg_duration_seconds = total_duration_seconds / nullif(completed_invocations, 0)
                WHERE skill_name = NEW.skill_name;
            UPDATE skill_metrics SET common_errors = json_set(common_errors, '$.' || NEW.error_type,
                ifnull(json_extract(common_errors, '$.' || NEW.error_type), 0) + 1)
                WHERE skill_name = NEW.skill_name AND NEW.error_type IS NOT NULL;
        END;
        CREATE TRIGGER trg_session_skills_after_insert AFTER INSERT ON skill_invocation BEGIN
            INSERT INTO session_skills (session_id, skill_name) VALUES (NEW.session_id, NEW.skill_name)
                ON CONFLICT (session_id, skill_name) DO UPDATE SET invocation_count = invocation_count + 1;
        END;
        INSERT INTO skill_migrations (version, applied_at) VALUES ('V1__initial_schema', '2026-01-01 00:00:00');
    )sql");
    if (version >= 2) {
        execute(path, R"sql(
            ALTER TABLE skill_invocation ADD COLUMN embedding BLOB;
            INSERT INTO skill_migrations (version, applied_at) VALUES ('V2__add_semantic_search', '2026-01-02 00:00:00');
        )sql");
    }
    if (version >= 3) {
        execute(path, R"sql(
            ALTER TABLE skill_invocation ADD COLUMN workflow_phase TEXT;
            ALTER TABLE skill_invocation ADD COLUMN workflow_step_id TEXT;
            INSERT INTO skill_migrations (version, applied_at) VALUES ('V3__add_workflow_correlation', '2026-01-03 00:00:00');
        )sql");
    }
    if (version >= 4) {
        execute(path, R"sql(
            CREATE TABLE skill_metrics_cache (skill_name TEXT PRIMARY KEY, last_invocation_at TEXT NOT NULL,
                invocation_count_1h INTEGER DEFAULT 0, invocation_count_24h INTEGER DEFAULT 0, avg_completion_rate_24h REAL,
                is_anomalous BOOLEAN DEFAULT 0, anomaly_score REAL, updated_at TEXT NOT NULL, UNIQUE (skill_name),
                FOREIGN KEY (skill_name) REFERENCES skill_metrics (skill_name));
            CREATE TRIGGER trg_metrics_cache_after_insert AFTER INSERT ON skill_invocation BEGIN
                INSERT INTO skill_metrics_cache (skill_name, last_invocation_at, invocation_count_1h, invocation_count_24h,
                    updated_at) VALUES (NEW.skill_name, NEW.invoked_at, 1, 1, datetime('now'))
                    ON CONFLICT (skill_name) DO UPDATE SET last_invocation_at = NEW.invoked_at,
                    invocation_count_1h = invocation_count_1h + 1, invocation_count_24h = invocation_count_24h + 1;
            END;
            INSERT INTO skill_migrations (version, applied_at) VALUES ('V4__phase4_extensions', '2026-01-04 00:00:00');
        )sql");
    }
}

}  // namespace session_buddy::test
