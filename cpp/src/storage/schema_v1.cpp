// Migration V1: invocations and their aggregates.
#include "migrations.hpp"
#include "schema_fragments.hpp"

namespace session_buddy::storage {
namespace {

constexpr const char* kScriptV1 = R"sql(
CREATE TABLE IF NOT EXISTS skill_migrations (
    version TEXT PRIMARY KEY,
    applied_at TEXT NOT NULL,
    description TEXT,
    rollback_sql TEXT,
    checksum TEXT,
    applied_by TEXT DEFAULT 'session-buddy',
    success BOOLEAN NOT NULL DEFAULT 1
);
CREATE INDEX IF NOT EXISTS idx_migrations_applied_at ON skill_migrations (applied_at DESC);

CREATE TABLE IF NOT EXISTS skill_invocation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    skill_name TEXT NOT NULL,
    invoked_at TEXT NOT NULL,
    session_id TEXT NOT NULL,
    workflow_path TEXT,
    completed BOOLEAN NOT NULL DEFAULT 0,
    duration_seconds REAL,
    user_query TEXT,
    alternatives_considered TEXT,
    selection_rank INTEGER,
    follow_up_actions TEXT,
    error_type TEXT,
    created_at TEXT NOT NULL DEFAULT (datetime('now'))
);
CREATE INDEX IF NOT EXISTS idx_invocation_skill ON skill_invocation (skill_name);
CREATE INDEX IF NOT EXISTS idx_invocation_session ON skill_invocation (session_id);
CREATE INDEX IF NOT EXISTS idx_invocation_session_completed ON skill_invocation (session_id, completed);
CREATE INDEX IF NOT EXISTS idx_invocation_invoked_at ON skill_invocation (invoked_at DESC);

CREATE VIRTUAL TABLE IF NOT EXISTS skill_invocation_fts
    USING fts5 (user_query, content = skill_invocation, content_rowid = id);

CREATE TABLE IF NOT EXISTS skill_metrics (
    skill_name TEXT PRIMARY KEY,
    total_invocations INTEGER NOT NULL DEFAULT 0,
    completed_invocations INTEGER NOT NULL DEFAULT 0,
    abandoned_invocations INTEGER NOT NULL DEFAULT 0,
    total_duration_seconds REAL NOT NULL DEFAULT 0.0,
    workflow_paths TEXT NOT NULL DEFAULT '{}',
    common_errors TEXT NOT NULL DEFAULT '{}',
    follow_up_actions TEXT NOT NULL DEFAULT '{}',
    avg_selection_rank REAL,
    recommendation_success_rate REAL,
    first_invoked TEXT,
    last_invoked TEXT,
    completion_rate REAL NOT NULL DEFAULT 0.0,
    avg_duration_seconds REAL,
    updated_at TEXT NOT NULL DEFAULT (datetime('now'))
);

CREATE TABLE IF NOT EXISTS session_skills (
    session_id TEXT NOT NULL,
    skill_name TEXT NOT NULL,
    invocation_count INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (session_id, skill_name)
);
CREATE INDEX IF NOT EXISTS idx_session_skills_skill ON session_skills (skill_name);

CREATE TABLE IF NOT EXISTS mv_daily_skills (
    date TEXT NOT NULL,
    skill_name TEXT NOT NULL,
    invocations INTEGER NOT NULL,
    completions INTEGER NOT NULL,
    abandonments INTEGER NOT NULL,
    avg_duration_seconds REAL,
    PRIMARY KEY (date, skill_name)
);
CREATE INDEX IF NOT EXISTS idx_mv_daily_date ON mv_daily_skills (date DESC);
CREATE INDEX IF NOT EXISTS idx_mv_daily_skill ON mv_daily_skills (skill_name);

CREATE VIEW IF NOT EXISTS v_session_skill_summary AS
SELECT session_id,
       count(DISTINCT skill_name) AS unique_skills,
       count(*) AS total_invocations,
       sum(CASE WHEN completed THEN 1 ELSE 0 END) AS completed_count,
       sum(CASE WHEN completed THEN 0 ELSE 1 END) AS abandoned_count,
       total(duration_seconds) AS total_duration_seconds,
       min(invoked_at) AS first_skill_at,
       max(invoked_at) AS last_skill_at
  FROM skill_invocation
 GROUP BY session_id;

CREATE VIEW IF NOT EXISTS v_skill_effectiveness AS
SELECT skill_name, total_invocations, completed_invocations, abandoned_invocations, completion_rate, avg_duration_seconds,
       first_invoked, last_invoked,
       CAST(julianday('now') - julianday(last_invoked) AS INTEGER) AS days_since_last_use
  FROM skill_metrics
 WHERE total_invocations > 0
 ORDER BY total_invocations DESC, skill_name;

CREATE VIEW IF NOT EXISTS v_top_skills AS
SELECT skill_name, total_invocations, completion_rate, avg_duration_seconds,
       (SELECT key FROM json_each(CASE WHEN json_valid(workflow_paths) THEN workflow_paths ELSE '{}' END)
         ORDER BY value DESC, key LIMIT 1) AS preferred_workflow
  FROM skill_metrics
 WHERE total_invocations > 0
 ORDER BY total_invocations DESC, skill_name;

CREATE VIEW IF NOT EXISTS v_daily_skill_source AS
SELECT date(invoked_at) AS date,
       skill_name,
       count(*) AS invocations,
       sum(CASE WHEN completed THEN 1 ELSE 0 END) AS completions,
       sum(CASE WHEN completed THEN 0 ELSE 1 END) AS abandonments,
       avg(CASE WHEN completed THEN duration_seconds END) AS avg_duration_seconds
  FROM skill_invocation
 GROUP BY date(invoked_at), skill_name;
)sql"

    // One row per skill. total/avg is the number of durations in the mean, so that the next mean is exact without a column for it; while all durations are 0, the completed invocations are used instead. INSERT … WHERE NOT EXISTS instead of OR IGNORE: the conflict clause of the outer statement would override one in the trigger.
    "CREATE TRIGGER IF NOT EXISTS trg_skill_metrics_after_insert AFTER INSERT ON skill_invocation\n"
    "WHEN NEW.skill_name IS NOT NULL\n"
    "BEGIN\n"
    "    INSERT INTO skill_metrics (skill_name, updated_at)\n"
    "    SELECT NEW.skill_name, datetime('now')\n"
    "     WHERE NOT EXISTS (SELECT 1 FROM skill_metrics WHERE skill_name = NEW.skill_name);\n"
    "    UPDATE skill_metrics\n"
    "       SET total_invocations = total_invocations + 1,\n"
    "           completed_invocations = completed_invocations + CASE WHEN NEW.completed THEN 1 ELSE 0 END,\n"
    "           abandoned_invocations = abandoned_invocations + CASE WHEN NEW.completed THEN 0 ELSE 1 END,\n"
    "           completion_rate = 100.0 * (completed_invocations + CASE WHEN NEW.completed THEN 1 ELSE 0 END)"
    " / (total_invocations + 1),\n"
    "           updated_at = datetime('now'),\n"
    "           (first_invoked, last_invoked) = (\n"
    "               SELECT CASE WHEN first_invoked IS NULL OR new_moment < first_moment\n"
    "                             OR (first_moment IS NULL AND new_moment IS NOT NULL)\n"
    "                           THEN NEW.invoked_at ELSE first_invoked END,\n"
    "                      CASE WHEN last_invoked IS NULL OR new_moment > last_moment\n"
    "                             OR (last_moment IS NULL AND new_moment IS NOT NULL)\n"
    "                             OR (new_moment = last_moment AND NEW.invoked_at > last_invoked)\n"
    "                           THEN NEW.invoked_at ELSE last_invoked END\n"
    "                 FROM (SELECT " SESSION_BUDDY_MOMENT("NEW.invoked_at") " AS new_moment,\n"
    "                              " SESSION_BUDDY_MOMENT("first_invoked") " AS first_moment,\n"
    "                              " SESSION_BUDDY_MOMENT("last_invoked") " AS last_moment))\n"
    "     WHERE skill_name = NEW.skill_name;\n"
    "    UPDATE skill_metrics\n"
    "       SET total_duration_seconds = total_duration_seconds + NEW.duration_seconds,\n"
    "           avg_duration_seconds = CASE\n"
    "               WHEN avg_duration_seconds > 0 THEN (total_duration_seconds + NEW.duration_seconds)"
    " / (round(total_duration_seconds / avg_duration_seconds) + 1)\n"
    "               WHEN avg_duration_seconds IS NULL THEN NEW.duration_seconds\n"
    "               ELSE NEW.duration_seconds / completed_invocations END\n"
    "     WHERE skill_name = NEW.skill_name AND " SESSION_BUDDY_SECONDS("NEW.") " IS NOT NULL;\n"
    "    UPDATE skill_metrics\n"
    "       SET workflow_paths = " SESSION_BUDDY_COUNTED("workflow_paths", "CAST(NEW.workflow_path AS TEXT)", "1") "\n"
    "     WHERE skill_name = NEW.skill_name AND " SESSION_BUDDY_NAME("NEW.workflow_path") " IS NOT NULL;\n"
    "    UPDATE skill_metrics\n"
    "       SET common_errors = " SESSION_BUDDY_COUNTED("common_errors", "CAST(NEW.error_type AS TEXT)", "1") "\n"
    "     WHERE skill_name = NEW.skill_name AND " SESSION_BUDDY_NAME("NEW.error_type") " IS NOT NULL;\n"
    "    UPDATE skill_metrics\n"
    "       SET follow_up_actions = "
    SESSION_BUDDY_COUNTED("follow_up_actions", "CAST(json_extract(NEW.follow_up_actions, '$[0]') AS TEXT)", "1") "\n"
    "     WHERE skill_name = NEW.skill_name AND " SESSION_BUDDY_FIRST_ELEMENT("NEW.follow_up_actions") " IS NOT NULL;\n"
    "END;\n"

    R"sql(
CREATE TRIGGER IF NOT EXISTS trg_session_skills_after_insert AFTER INSERT ON skill_invocation
WHEN NEW.session_id IS NOT NULL AND NEW.skill_name IS NOT NULL
BEGIN
    UPDATE session_skills
       SET invocation_count = invocation_count + 1
     WHERE session_id = NEW.session_id AND skill_name = NEW.skill_name;
    INSERT INTO session_skills (session_id, skill_name, invocation_count)
    SELECT NEW.session_id, NEW.skill_name, 1
     WHERE changes() = 0;
END;
)sql";

}  // namespace

const Migration kMigrationV1{"V1__initial_schema", "Invocations, metrics per skill, skills per session", {}, kScriptV1};

}  // namespace session_buddy::storage
