// Migration V4: the real-time cache, time series, anomalies, and the tables for communities, experiments and catalogs.
#include "migrations.hpp"
#include "schema_fragments.hpp"

namespace session_buddy::storage {
namespace {

constexpr const char* kScriptV4 = R"sql(
CREATE TABLE IF NOT EXISTS skill_metrics_cache (
    skill_name TEXT PRIMARY KEY REFERENCES skill_metrics (skill_name),
    last_invocation_at TEXT NOT NULL,
    invocation_count_1h INTEGER DEFAULT 0,
    invocation_count_24h INTEGER DEFAULT 0,
    avg_completion_rate_24h REAL,
    is_anomalous BOOLEAN DEFAULT 0,
    anomaly_score REAL,
    updated_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS idx_metrics_cache_updated ON skill_metrics_cache (updated_at);

CREATE TABLE IF NOT EXISTS skill_time_series (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    skill_name TEXT NOT NULL REFERENCES skill_metrics (skill_name),
    timestamp TEXT NOT NULL,
    invocation_count INTEGER DEFAULT 0,
    completion_rate REAL,
    avg_duration_seconds REAL,
    unique_sessions INTEGER DEFAULT 0
);
CREATE INDEX IF NOT EXISTS idx_time_series_skill_timestamp ON skill_time_series (skill_name, timestamp DESC);

CREATE TABLE IF NOT EXISTS skill_anomalies (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    skill_name TEXT NOT NULL REFERENCES skill_metrics (skill_name),
    detected_at TEXT NOT NULL,
    anomaly_type TEXT NOT NULL,
    baseline_value REAL,
    observed_value REAL,
    deviation_score REAL,
    resolved_at TEXT
);
CREATE INDEX IF NOT EXISTS idx_anomalies_detected_at ON skill_anomalies (detected_at DESC);
CREATE INDEX IF NOT EXISTS idx_anomalies_skill ON skill_anomalies (skill_name, detected_at DESC);

CREATE TABLE IF NOT EXISTS skill_community_baselines (
    skill_name TEXT PRIMARY KEY REFERENCES skill_metrics (skill_name),
    total_users INTEGER DEFAULT 0,
    total_invocations INTEGER DEFAULT 0,
    global_completion_rate REAL,
    global_avg_duration_seconds REAL,
    most_common_workflow_phase TEXT,
    effectiveness_percentile REAL,
    last_updated TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS skill_user_interactions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    skill_name TEXT NOT NULL REFERENCES skill_metrics (skill_name),
    invoked_at TEXT NOT NULL,
    completed BOOLEAN NOT NULL,
    rating REAL,
    alternatives_considered TEXT
);
CREATE INDEX IF NOT EXISTS idx_user_interactions_session ON skill_user_interactions (session_id);
CREATE INDEX IF NOT EXISTS idx_user_interactions_skill ON skill_user_interactions (skill_name, completed);
CREATE INDEX IF NOT EXISTS idx_user_interactions_user ON skill_user_interactions (user_id, invoked_at DESC);

CREATE TABLE IF NOT EXISTS skill_clusters (
    cluster_id INTEGER PRIMARY KEY AUTOINCREMENT,
    cluster_name TEXT NOT NULL UNIQUE,
    description TEXT,
    centroid_embedding BLOB,
    created_at TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS skill_cluster_membership (
    skill_name TEXT NOT NULL REFERENCES skill_metrics (skill_name),
    cluster_id INTEGER NOT NULL REFERENCES skill_clusters (cluster_id),
    membership_score REAL,
    PRIMARY KEY (skill_name, cluster_id)
);
CREATE INDEX IF NOT EXISTS idx_cluster_membership_cluster ON skill_cluster_membership (cluster_id);

CREATE TABLE IF NOT EXISTS ab_test_configs (
    test_id INTEGER PRIMARY KEY AUTOINCREMENT,
    test_name TEXT NOT NULL UNIQUE,
    description TEXT,
    control_strategy TEXT NOT NULL,
    treatment_strategy TEXT NOT NULL,
    start_date TEXT NOT NULL,
    end_date TEXT,
    min_sample_size INTEGER DEFAULT 100,
    metrics TEXT,
    assignment_ratio REAL DEFAULT 0.5,
    status TEXT DEFAULT 'running',
    created_at TEXT NOT NULL DEFAULT (datetime('now'))
);

CREATE TABLE IF NOT EXISTS ab_test_assignments (
    assignment_id INTEGER PRIMARY KEY AUTOINCREMENT,
    test_id INTEGER NOT NULL REFERENCES ab_test_configs (test_id),
    user_id TEXT NOT NULL,
    group_name TEXT NOT NULL,
    assigned_at TEXT NOT NULL DEFAULT (datetime('now')),
    UNIQUE (test_id, user_id)
);
CREATE INDEX IF NOT EXISTS idx_ab_assignments_group ON ab_test_assignments (test_id, group_name);
CREATE INDEX IF NOT EXISTS idx_ab_assignments_test_user ON ab_test_assignments (test_id, user_id);

CREATE TABLE IF NOT EXISTS ab_test_outcomes (
    outcome_id INTEGER PRIMARY KEY AUTOINCREMENT,
    test_id INTEGER NOT NULL REFERENCES ab_test_configs (test_id),
    user_id TEXT NOT NULL,
    skill_name TEXT NOT NULL REFERENCES skill_metrics (skill_name),
    completed BOOLEAN NOT NULL,
    duration_seconds REAL,
    user_rating REAL,
    recorded_at TEXT NOT NULL DEFAULT (datetime('now'))
);
CREATE INDEX IF NOT EXISTS idx_ab_outcomes_test ON ab_test_outcomes (test_id);
CREATE INDEX IF NOT EXISTS idx_ab_outcomes_user ON ab_test_outcomes (test_id, user_id);

CREATE TABLE IF NOT EXISTS skill_categories (
    category_id INTEGER PRIMARY KEY AUTOINCREMENT,
    category_name TEXT NOT NULL UNIQUE,
    parent_category_id INTEGER REFERENCES skill_categories (category_id),
    description TEXT,
    domain TEXT,
    created_at TEXT NOT NULL DEFAULT (datetime('now'))
);

CREATE TABLE IF NOT EXISTS skill_category_mapping (
    skill_name TEXT NOT NULL REFERENCES skill_metrics (skill_name),
    category_id INTEGER NOT NULL REFERENCES skill_categories (category_id),
    confidence_score REAL,
    assigned_at TEXT NOT NULL DEFAULT (datetime('now')),
    PRIMARY KEY (skill_name, category_id)
);
CREATE INDEX IF NOT EXISTS idx_category_mapping_category ON skill_category_mapping (category_id);
CREATE INDEX IF NOT EXISTS idx_category_mapping_skill ON skill_category_mapping (skill_name);

CREATE TABLE IF NOT EXISTS skill_dependencies (
    skill_a TEXT NOT NULL REFERENCES skill_metrics (skill_name),
    skill_b TEXT NOT NULL REFERENCES skill_metrics (skill_name),
    co_occurrence_count INTEGER DEFAULT 1,
    lift_score REAL,
    last_updated TEXT NOT NULL DEFAULT (datetime('now')),
    PRIMARY KEY (skill_a, skill_b)
);
CREATE INDEX IF NOT EXISTS idx_dependencies_lift ON skill_dependencies (lift_score DESC);
CREATE INDEX IF NOT EXISTS idx_dependencies_skill_a ON skill_dependencies (skill_a);

CREATE TABLE IF NOT EXISTS skill_modalities (
    skill_name TEXT PRIMARY KEY REFERENCES skill_metrics (skill_name),
    modality_type TEXT NOT NULL,
    input_format TEXT,
    output_format TEXT,
    requires_human_review BOOLEAN DEFAULT 0,
    created_at TEXT NOT NULL DEFAULT (datetime('now'))
);

CREATE VIEW IF NOT EXISTS v_realtime_skill_dashboard AS
SELECT cache.skill_name, cache.last_invocation_at, cache.invocation_count_1h, cache.invocation_count_24h,
       cache.avg_completion_rate_24h, cache.is_anomalous, cache.anomaly_score,
       life.total_invocations, life.completion_rate, life.avg_duration_seconds
  FROM skill_metrics_cache AS cache
  JOIN skill_metrics AS life ON life.skill_name = cache.skill_name
 ORDER BY cache.invocation_count_24h DESC, cache.skill_name;

CREATE VIEW IF NOT EXISTS v_skill_effectiveness_trend AS
WITH daily AS (
    SELECT skill_name,
           julianday(date(invoked_at)) AS day,
           avg(CASE WHEN completed THEN 1.0 ELSE 0.0 END) AS rate
      FROM skill_invocation
     WHERE julianday(invoked_at) >= julianday('now', '-7 days')
     GROUP BY skill_name, date(invoked_at)
), centred AS (
    SELECT skill_name, rate,
           day - avg(day) OVER (PARTITION BY skill_name) AS x,
           rate - avg(rate) OVER (PARTITION BY skill_name) AS y
      FROM daily
)
SELECT skill_name,
       avg(rate) AS avg_completion_rate_7d,
       max(rate) AS max_completion_rate_7d,
       min(rate) AS min_completion_rate_7d,
       sum(x * y) / nullif(sum(x * x), 0) AS trend_slope
  FROM centred
 GROUP BY skill_name;

CREATE VIEW IF NOT EXISTS v_community_baseline_comparison AS
SELECT own.skill_name,
       own.invocations AS user_invocations,
       own.rate AS user_completion_rate,
       community.global_completion_rate AS baseline_completion_rate,
       community.effectiveness_percentile,
       own.rate - community.global_completion_rate AS delta_from_baseline
  FROM (SELECT skill_name, count(*) AS invocations, avg(CASE WHEN completed THEN 1.0 ELSE 0.0 END) AS rate
          FROM skill_invocation
         GROUP BY skill_name) AS own
  JOIN skill_community_baselines AS community ON community.skill_name = own.skill_name;

CREATE VIEW IF NOT EXISTS v_skill_dependency_network AS
SELECT skill_a, skill_b, co_occurrence_count, lift_score,
       CASE WHEN lift_score > 2.0 THEN 'strong_positive'
            WHEN lift_score > 1.5 THEN 'moderate_positive'
            WHEN lift_score > 1.0 THEN 'weak_positive'
            WHEN lift_score = 1.0 THEN 'independent'
            WHEN lift_score > 0.5 THEN 'weak_negative'
            ELSE 'moderate_negative' END AS relationship_type
  FROM skill_dependencies
 WHERE lift_score IS NOT NULL
 ORDER BY co_occurrence_count DESC, skill_a, skill_b;

CREATE VIEW IF NOT EXISTS v_ab_test_summary AS
SELECT test.test_id, test.test_name, test.control_strategy, test.treatment_strategy, test.status,
       (SELECT count(*) FROM ab_test_assignments AS a WHERE a.test_id = test.test_id) AS total_users,
       (SELECT count(*) FROM ab_test_assignments AS a
         WHERE a.test_id = test.test_id AND a.group_name = 'control') AS control_users,
       (SELECT count(*) FROM ab_test_assignments AS a
         WHERE a.test_id = test.test_id AND a.group_name = 'treatment') AS treatment_users,
       (SELECT avg(CASE WHEN o.completed THEN 1.0 ELSE 0.0 END)
          FROM ab_test_outcomes AS o
          JOIN ab_test_assignments AS a ON a.test_id = o.test_id AND a.user_id = o.user_id
         WHERE o.test_id = test.test_id AND a.group_name = 'control') AS control_completion_rate,
       (SELECT avg(CASE WHEN o.completed THEN 1.0 ELSE 0.0 END)
          FROM ab_test_outcomes AS o
          JOIN ab_test_assignments AS a ON a.test_id = o.test_id AND a.user_id = o.user_id
         WHERE o.test_id = test.test_id AND a.group_name = 'treatment') AS treatment_completion_rate
  FROM ab_test_configs AS test;

CREATE VIEW IF NOT EXISTS v_multimodal_skill_catalog AS
SELECT used.skill_name,
       modality.modality_type, modality.input_format, modality.output_format, modality.requires_human_review,
       used.total_sessions, used.completion_rate, used.avg_duration_seconds,
       category.category_name, category.domain
  FROM (SELECT skill_name,
               count(DISTINCT session_id) AS total_sessions,
               avg(CASE WHEN completed THEN 1.0 ELSE 0.0 END) AS completion_rate,
               avg(duration_seconds) AS avg_duration_seconds
          FROM skill_invocation
         GROUP BY skill_name) AS used
  LEFT JOIN skill_modalities AS modality ON modality.skill_name = used.skill_name
  LEFT JOIN skill_category_mapping AS mapping ON mapping.skill_name = used.skill_name
  LEFT JOIN skill_categories AS category ON category.category_id = mapping.category_id
 ORDER BY used.skill_name;
)sql"

    // Increments the counts; the server decrements them as time passes. Counts only rows within the hour or the day; a row from the future counts as now. The order of the triggers does not matter: the foreign key to skill_metrics is checked at the end of the insert.
    "CREATE TRIGGER IF NOT EXISTS trg_metrics_cache_after_insert AFTER INSERT ON skill_invocation\n"
    "WHEN NEW.skill_name IS NOT NULL AND NEW.invoked_at IS NOT NULL\n"
    "BEGIN\n"
    "    INSERT INTO skill_metrics_cache (skill_name, last_invocation_at, invocation_count_1h, invocation_count_24h,"
    " is_anomalous, updated_at)\n"
    "    SELECT NEW.skill_name, NEW.invoked_at, 0, 0, 0, datetime('now')\n"
    "     WHERE NOT EXISTS (SELECT 1 FROM skill_metrics_cache WHERE skill_name = NEW.skill_name);\n"
    "    UPDATE skill_metrics_cache\n"
    "       SET updated_at = datetime('now'),\n"
    "           (last_invocation_at, invocation_count_1h, invocation_count_24h) = (\n"
    "               SELECT CASE WHEN new_moment > last_moment OR (last_moment IS NULL AND new_moment IS NOT NULL)\n"
    "                             OR (new_moment = last_moment AND NEW.invoked_at > last_invocation_at)\n"
    "                           THEN NEW.invoked_at ELSE last_invocation_at END,\n"
    "                      coalesce(invocation_count_1h, 0) + coalesce(new_moment > julianday('now', '-1 hour'), 0),\n"
    "                      coalesce(invocation_count_24h, 0) + coalesce(new_moment > julianday('now', '-1 day'), 0)\n"
    "                 FROM (SELECT " SESSION_BUDDY_MOMENT("NEW.invoked_at") " AS new_moment,\n"
    "                              " SESSION_BUDDY_MOMENT("last_invocation_at") " AS last_moment))\n"
    "     WHERE skill_name = NEW.skill_name;\n"
    "END;\n";

}  // namespace

const Migration kMigrationV4{"V4__phase4_extensions",
                             "Real-time cache, time series, anomalies, community, experiments, catalogue",
                             {},
                             kScriptV4};

}  // namespace session_buddy::storage
