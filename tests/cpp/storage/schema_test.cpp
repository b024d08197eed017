// The created schema against a table of what a V4 database must have: tables, columns, keys, indexes, views,
// migrations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "session_buddy/storage/database.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::storage {
namespace {

/// Notation as in docs/storage/V4_SCHEMA.md: `name TYPE`, `!` NOT NULL, `=x` default, `PK` primary key, `> table`
/// foreign key.
struct TableFacts {
    const char* name;
    const char* columns;
    const char* indexes;            // without keys; columns separated by a space, indexes by "; "
    const char* compound_key = "";  // columns of a compound primary key
    const char* unique = "";        // columns of a unique key
};

const TableFacts kTables[] = {
    {"skill_invocation",
     "id INTEGER PK, skill_name TEXT!, invoked_at TEXT!, session_id TEXT!, workflow_path TEXT, completed BOOLEAN!=0, "
     "duration_seconds REAL, user_query TEXT, alternatives_considered TEXT, selection_rank INTEGER, follow_up_actions "
     "TEXT, "
     "error_type TEXT, created_at TEXT!=datetime('now'), embedding BLOB, workflow_phase TEXT, workflow_step_id TEXT",
     "embedding; invoked_at; session_id; session_id completed; skill_name; workflow_phase; workflow_phase completed; "
     "workflow_step_id"},
    {"skill_metrics",
     "skill_name TEXT PK, total_invocations INTEGER!=0, completed_invocations INTEGER!=0, abandoned_invocations "
     "INTEGER!=0, "
     "total_duration_seconds REAL!=0.0, workflow_paths TEXT!='{}', common_errors TEXT!='{}', follow_up_actions "
     "TEXT!='{}', "
     "avg_selection_rank REAL, recommendation_success_rate REAL, first_invoked TEXT, last_invoked TEXT, "
     "completion_rate REAL!=0.0, avg_duration_seconds REAL, updated_at TEXT!=datetime('now')",
     ""},
    {"session_skills", "session_id TEXT!, skill_name TEXT!, invocation_count INTEGER!=1", "skill_name",
     "session_id skill_name"},
    {"skill_migrations",
     "version TEXT PK, applied_at TEXT!, description TEXT, rollback_sql TEXT, checksum TEXT, applied_by "
     "TEXT='session-buddy', "
     "success BOOLEAN!=1",
     "applied_at"},
    {"mv_daily_skills",
     "date TEXT!, skill_name TEXT!, invocations INTEGER!, completions INTEGER!, abandonments INTEGER!, "
     "avg_duration_seconds REAL",
     "date; skill_name", "date skill_name"},
    {"skill_metrics_cache",
     "skill_name TEXT PK > skill_metrics, last_invocation_at TEXT!, invocation_count_1h INTEGER=0, "
     "invocation_count_24h INTEGER=0, avg_completion_rate_24h REAL, is_anomalous BOOLEAN=0, anomaly_score REAL, "
     "updated_at TEXT!",
     "updated_at"},
    {"skill_time_series",
     "id INTEGER PK, skill_name TEXT! > skill_metrics, timestamp TEXT!, invocation_count INTEGER=0, completion_rate "
     "REAL, "
     "avg_duration_seconds REAL, unique_sessions INTEGER=0",
     "skill_name timestamp"},
    {"skill_anomalies",
     "id INTEGER PK, skill_name TEXT! > skill_metrics, detected_at TEXT!, anomaly_type TEXT!, baseline_value REAL, "
     "observed_value REAL, deviation_score REAL, resolved_at TEXT",
     "detected_at; skill_name detected_at"},
    {"skill_community_baselines",
     "skill_name TEXT PK > skill_metrics, total_users INTEGER=0, total_invocations INTEGER=0, global_completion_rate "
     "REAL, "
     "global_avg_duration_seconds REAL, most_common_workflow_phase TEXT, effectiveness_percentile REAL, last_updated "
     "TEXT!",
     ""},
    {"skill_user_interactions",
     "id INTEGER PK, user_id TEXT!, session_id TEXT!, skill_name TEXT! > skill_metrics, invoked_at TEXT!, completed "
     "BOOLEAN!, "
     "rating REAL, alternatives_considered TEXT",
     "session_id; skill_name completed; user_id invoked_at"},
    {"skill_clusters",
     "cluster_id INTEGER PK, cluster_name TEXT!, description TEXT, centroid_embedding BLOB, created_at TEXT!", "", "",
     "cluster_name"},
    {"skill_cluster_membership",
     "skill_name TEXT! > skill_metrics, cluster_id INTEGER! > skill_clusters, membership_score REAL", "cluster_id",
     "skill_name cluster_id"},
    {"ab_test_configs",
     "test_id INTEGER PK, test_name TEXT!, description TEXT, control_strategy TEXT!, treatment_strategy TEXT!, "
     "start_date TEXT!, end_date TEXT, min_sample_size INTEGER=100, metrics TEXT, assignment_ratio REAL=0.5, "
     "status TEXT='running', created_at TEXT!=datetime('now')",
     "", "", "test_name"},
    {"ab_test_assignments",
     "assignment_id INTEGER PK, test_id INTEGER! > ab_test_configs, user_id TEXT!, group_name TEXT!, "
     "assigned_at TEXT!=datetime('now')",
     "test_id group_name; test_id user_id", "", "test_id user_id"},
    {"ab_test_outcomes",
     "outcome_id INTEGER PK, test_id INTEGER! > ab_test_configs, user_id TEXT!, skill_name TEXT! > skill_metrics, "
     "completed BOOLEAN!, duration_seconds REAL, user_rating REAL, recorded_at TEXT!=datetime('now')",
     "test_id; test_id user_id"},
    {"skill_categories",
     "category_id INTEGER PK, category_name TEXT!, parent_category_id INTEGER > skill_categories, description TEXT, "
     "domain TEXT, created_at TEXT!=datetime('now')",
     "", "", "category_name"},
    {"skill_category_mapping",
     "skill_name TEXT! > skill_metrics, category_id INTEGER! > skill_categories, confidence_score REAL, "
     "assigned_at TEXT!=datetime('now')",
     "category_id; skill_name", "skill_name category_id"},
    {"skill_dependencies",
     "skill_a TEXT! > skill_metrics, skill_b TEXT! > skill_metrics, co_occurrence_count INTEGER=1, lift_score REAL, "
     "last_updated TEXT!=datetime('now')",
     "lift_score; skill_a", "skill_a skill_b"},
    {"skill_modalities",
     "skill_name TEXT PK > skill_metrics, modality_type TEXT!, input_format TEXT, output_format TEXT, "
     "requires_human_review BOOLEAN=0, created_at TEXT!=datetime('now')",
     ""},
};

const std::pair<const char*, const char*> kViews[] = {
    {"v_session_skill_summary",
     "session_id, unique_skills, total_invocations, completed_count, abandoned_count, total_duration_seconds, "
     "first_skill_at, "
     "last_skill_at"},
    {"v_skill_effectiveness",
     "skill_name, total_invocations, completed_invocations, abandoned_invocations, completion_rate, "
     "avg_duration_seconds, "
     "first_invoked, last_invoked, days_since_last_use"},
    {"v_top_skills", "skill_name, total_invocations, completion_rate, avg_duration_seconds, preferred_workflow"},
    {"v_daily_skill_source", "date, skill_name, invocations, completions, abandonments, avg_duration_seconds"},
    {"v_skill_effectiveness_by_phase",
     "skill_name, workflow_phase, total_invocations, completed_count, abandoned_count, avg_duration_seconds, "
     "avg_completion_time, completion_rate"},
    {"v_workflow_phase_patterns",
     "workflow_phase, invocations_in_phase, unique_skills_in_phase, successful_completions, avg_phase_duration"},
    {"v_skills_by_phase_usage", "skill_name, workflow_phase, usage_count, success_rate"},
    {"v_realtime_skill_dashboard",
     "skill_name, last_invocation_at, invocation_count_1h, invocation_count_24h, avg_completion_rate_24h, "
     "is_anomalous, "
     "anomaly_score, total_invocations, completion_rate, avg_duration_seconds"},
    {"v_skill_effectiveness_trend",
     "skill_name, avg_completion_rate_7d, max_completion_rate_7d, min_completion_rate_7d, trend_slope"},
    {"v_community_baseline_comparison",
     "skill_name, user_invocations, user_completion_rate, baseline_completion_rate, effectiveness_percentile, "
     "delta_from_baseline"},
    {"v_skill_dependency_network", "skill_a, skill_b, co_occurrence_count, lift_score, relationship_type"},
    {"v_ab_test_summary",
     "test_id, test_name, control_strategy, treatment_strategy, status, total_users, control_users, treatment_users, "
     "control_completion_rate, treatment_completion_rate"},
    {"v_multimodal_skill_catalog",
     "skill_name, modality_type, input_format, output_format, requires_human_review, total_sessions, completion_rate, "
     "avg_duration_seconds, category_name, domain"},
};

std::vector<std::string> split(const std::string& text, const std::string& by) {
    std::vector<std::string> parts;
    std::size_t start = 0;
    while (!text.empty()) {
        const std::size_t end = text.find(by, start);
        parts.push_back(text.substr(start, end - start));
        if (end == std::string::npos) {
            break;
        }
        start = end + by.size();
    }
    return parts;
}

class Schema : public testing::Test {
  protected:
    void SetUp() override { database = open_database(dir.file("skills.db"), {}); }

    std::vector<std::string> rows(const std::string& sql) { return test::query(*database, sql); }

    test::TempDir dir;
    std::unique_ptr<SQLite::Database> database;
};

TEST_F(Schema, has_every_table_with_its_columns) {
    for (const TableFacts& table : kTables) {
        std::vector<std::string> wanted;
        std::set<std::string> wanted_references;
        for (std::string column : split(table.columns, ", ")) {
            if (const auto arrow = column.find(" > "); arrow != std::string::npos) {
                wanted_references.insert(column.substr(0, column.find(' ')) + " > " + column.substr(arrow + 3));
                column.resize(arrow);
            }
            wanted.push_back(column);
        }
        std::vector<std::string> found;
        for (const std::string& row : rows("SELECT name || ' ' || type || iif(\"notnull\", '!', '') || iif(dflt_value "
                                           "IS NULL, '', '=' || dflt_value)"
                                           " || iif(pk AND (SELECT max(pk) FROM pragma_table_info('" +
                                           std::string(table.name) + "')) = 1, ' PK', '') FROM pragma_table_xinfo('" +
                                           table.name + "') ORDER BY cid")) {
            found.push_back(row);
        }
        EXPECT_EQ(found, wanted) << table.name;

        const auto references = rows("SELECT \"from\" || ' > ' || \"table\" FROM pragma_foreign_key_list('" +
                                     std::string(table.name) + "')");
        EXPECT_EQ(std::set<std::string>(references.begin(), references.end()), wanted_references) << table.name;
        for (const std::string& row : rows("SELECT \"from\", \"to\", \"table\" FROM pragma_foreign_key_list('" +
                                           std::string(table.name) + "')")) {
            const auto parts = split(row, "|");
            if (parts[2] == "skill_metrics") {
                EXPECT_EQ(parts[1], "skill_name") << table.name;
            }
        }
    }
}

TEST_F(Schema, has_every_key_and_index) {
    for (const TableFacts& table : kTables) {
        std::vector<std::string> indexes;
        std::vector<std::string> unique;
        std::string key;
        for (const std::string& row :
             rows("SELECT name, origin FROM pragma_index_list('" + std::string(table.name) + "')")) {
            const auto parts = split(row, "|");
            const auto columns = rows("SELECT group_concat(name, ' ') FROM (SELECT name FROM pragma_index_info('" +
                                      parts[0] + "') ORDER BY seqno)");
            if (parts[1] == "c") {
                indexes.push_back(columns.front());
            } else if (parts[1] == "u") {
                unique.push_back(columns.front());
            } else {
                key = columns.front();
            }
        }
        std::ranges::sort(indexes);
        EXPECT_EQ(indexes, split(table.indexes, "; ")) << table.name;
        EXPECT_EQ(unique, split(table.unique, "; ")) << table.name;
        if (*table.compound_key != '\0') {
            EXPECT_EQ(key, table.compound_key) << table.name;
        }
    }
}

TEST_F(Schema, never_reuses_ids) {
    for (const TableFacts& table : kTables) {
        const std::string first = split(table.columns, ",").front();
        const bool counted = first.find("INTEGER PK") != std::string::npos;
        const auto text =
            rows("SELECT sql LIKE '%AUTOINCREMENT%' FROM sqlite_master WHERE name = '" + std::string(table.name) + "'");
        EXPECT_EQ(text.front(), counted ? "1" : "0") << table.name;
    }
}

TEST_F(Schema, has_nothing_else) {
    std::set<std::string> wanted{"skill_invocation_fts"};
    for (const TableFacts& table : kTables) {
        wanted.insert(table.name);
    }
    const auto found = rows(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        " AND name NOT LIKE 'skill_invocation_fts_%'");
    EXPECT_EQ(std::set<std::string>(found.begin(), found.end()), wanted);
}

TEST_F(Schema, has_every_view_with_its_columns) {
    for (const auto& [name, columns] : kViews) {
        EXPECT_EQ(rows("SELECT name FROM pragma_table_info('" + std::string(name) + "')"), split(columns, ", "))
            << name;
        EXPECT_NO_THROW(rows("SELECT * FROM " + std::string(name))) << name;
    }
    EXPECT_EQ(rows("SELECT count(*) FROM sqlite_master WHERE type = 'view'").front(),
              std::to_string(std::size(kViews)));
}

TEST_F(Schema, has_its_triggers_and_records_its_migrations) {
    EXPECT_EQ(rows("SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY name"),
              (std::vector<std::string>{"trg_metrics_cache_after_insert", "trg_session_skills_after_insert",
                                        "trg_skill_metrics_after_insert"}));
    EXPECT_EQ(rows("SELECT version FROM skill_migrations ORDER BY version"),
              (std::vector<std::string>{"V1__initial_schema", "V2__add_semantic_search", "V3__add_workflow_correlation",
                                        "V4__phase4_extensions"}));
    EXPECT_EQ(rows("SELECT count(*) FROM skill_migrations WHERE julianday(applied_at) > julianday('now', '-1 hour')"
                   " AND description <> '' AND success = 1 AND applied_by = 'session-buddy'")
                  .front(),
              "4");
}

TEST_F(Schema, searches_the_queries_of_invocations) {
    database->exec(
        "INSERT INTO skill_invocation (skill_name, invoked_at, session_id, user_query)"
        " VALUES ('a', '2026-02-10', 's', 'why do the tests fail')");
    database->exec("INSERT INTO skill_invocation_fts (skill_invocation_fts) VALUES ('rebuild')");
    EXPECT_EQ(rows("SELECT rowid FROM skill_invocation_fts WHERE skill_invocation_fts MATCH 'tests'"),
              std::vector<std::string>{"1"});
}

TEST_F(Schema, views_compute_what_their_columns_say) {
    database->exec(R"sql(
        INSERT INTO skill_invocation (skill_name, invoked_at, session_id, completed, duration_seconds, workflow_path,
                                      workflow_phase) VALUES
            ('a', date('now', '-3 days') || 'T10:00:00Z', 's1', 0, NULL, 'quick', 'setup'),
            ('a', date('now', '-2 days') || 'T10:00:00Z', 's1', 1, 2.0, 'full', 'setup'),
            ('a', date('now', '-2 days') || 'T11:00:00Z', 's2', 0, 8.0, 'full', 'test'),
            ('a', date('now', '-1 days') || 'T10:00:00Z', 's2', 1, 4.0, 'full.path', 'test');
        INSERT INTO skill_community_baselines (skill_name, global_completion_rate, last_updated) VALUES ('a', 0.75, 'x');
        INSERT INTO skill_dependencies (skill_a, skill_b, lift_score) VALUES ('a', 'a', 1.6);
        INSERT INTO ab_test_configs (test_id, test_name, control_strategy, treatment_strategy, start_date)
            VALUES (1, 't', 'c', 'n', '2026-01-01');
        INSERT INTO ab_test_assignments (test_id, user_id, group_name)
            VALUES (1, 'u1', 'control'), (1, 'u2', 'treatment'), (1, 'u3', 'treatment');
        INSERT INTO ab_test_outcomes (test_id, user_id, skill_name, completed)
            VALUES (1, 'u1', 'a', 0), (1, 'u1', 'a', 1), (1, 'u2', 'a', 1);
    )sql");
    EXPECT_EQ(rows("SELECT session_id, unique_skills, total_invocations, completed_count, abandoned_count,"
                   " total_duration_seconds FROM v_session_skill_summary ORDER BY 1"),
              (std::vector<std::string>{"s1|1|2|1|1|2.0", "s2|1|2|1|1|12.0"}));
    EXPECT_EQ(rows("SELECT preferred_workflow, avg_duration_seconds FROM v_top_skills"),
              std::vector<std::string>{"full|3.0"});
    EXPECT_EQ(rows("SELECT days_since_last_use BETWEEN 0 AND 1 FROM v_skill_effectiveness"),
              std::vector<std::string>{"1"});
    EXPECT_EQ(rows("SELECT invocations, completions, abandonments, avg_duration_seconds FROM v_daily_skill_source "
                   "ORDER BY date"),
              (std::vector<std::string>{"1|0|1|NULL", "2|1|1|2.0", "1|1|0|4.0"}));
    EXPECT_EQ(rows("SELECT avg_completion_rate_7d, max_completion_rate_7d, min_completion_rate_7d, trend_slope"
                   " FROM v_skill_effectiveness_trend"),
              std::vector<std::string>{"0.5|1.0|0.0|0.5"});
    EXPECT_EQ(rows("SELECT * FROM v_skills_by_phase_usage"),
              (std::vector<std::string>{"a|setup|2|0.5", "a|test|2|0.5"}));
    EXPECT_EQ(rows("SELECT completion_rate, avg_completion_time FROM v_skill_effectiveness_by_phase"),
              (std::vector<std::string>{"50.0|2.0", "50.0|4.0"}));
    EXPECT_EQ(
        rows("SELECT user_invocations, user_completion_rate, delta_from_baseline FROM v_community_baseline_comparison"),
        std::vector<std::string>{"4|0.5|-0.25"});
    EXPECT_EQ(rows("SELECT relationship_type FROM v_skill_dependency_network"),
              std::vector<std::string>{"moderate_positive"});
    EXPECT_EQ(
        rows("SELECT total_users, control_users, treatment_users, control_completion_rate, treatment_completion_rate"
             " FROM v_ab_test_summary"),
        std::vector<std::string>{"3|1|2|0.5|1.0"});
    EXPECT_EQ(rows("SELECT skill_name, total_sessions, completion_rate FROM v_multimodal_skill_catalog"),
              std::vector<std::string>{"a|2|0.5"});
}

}  // namespace
}  // namespace session_buddy::storage
