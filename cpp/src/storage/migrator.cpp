// Migrates older, manually created and incomplete databases, and fills aggregates from rows that are older than their
// tables.
#include "migrator.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "inspection.hpp"
#include "schema_fragments.hpp"
#include "sql.hpp"

namespace session_buddy::storage {
namespace {

using sql::Statement;

void add_column(SQLite::Database& database, const std::string& table, const std::string& name,
                const std::string& declaration) {
    const std::vector<std::string> present = column_names(database, table);
    if (!present.empty() && std::ranges::find(present, name) == present.end()) {
        database.exec(fmt::format("ALTER TABLE {} ADD COLUMN {} {}", table, name, declaration));
    }
}

/// Adds columns that manually created tables lack. SQLite cannot add a column with a computed default (such as
/// created_at): it is added without default, and filled for existing rows.
void complete_tables(SQLite::Database& database) {
    for (const SchemaTable& table : finished_schema().tables) {
        if (table.is_virtual) {
            continue;
        }
        const std::vector<std::string> present = column_names(database, table.name);
        for (const SchemaColumn& column : table.columns) {
            if (present.empty() || std::ranges::find(present, column.name) != present.end()) {
                continue;
            }
            const bool computed = column.default_value.find('(') != std::string::npos;
            std::string declaration = column.type;
            if (!computed && !column.default_value.empty()) {
                declaration += (column.not_null ? " NOT NULL DEFAULT " : " DEFAULT ") + column.default_value;
            }
            add_column(database, table.name, column.name, declaration);
            if (computed) {
                database.exec(fmt::format("UPDATE {} SET {} = {}", table.name, column.name, column.default_value));
            }
        }
    }
}

void record(SQLite::Database& database, const Migration& migration) {
    // There may be a row of a failed attempt.
    Statement(database, "DELETE FROM skill_migrations WHERE version = ?1").with(migration.version).run();
    Statement(database,
              "INSERT INTO skill_migrations (version, applied_at, description, applied_by, success)"
              " VALUES (?1, datetime('now'), ?2, 'session-buddy', 1)")
        .with(migration.version, migration.description)
        .run();
}

bool is_empty(SQLite::Database& database, const char* table) {
    return sql::query_integer(database, fmt::format("SELECT EXISTS (SELECT 1 FROM {})", table)) == 0;
}

constexpr const char* kCountedColumns =
    "skill_name, total_invocations, completed_invocations, abandoned_invocations, total_duration_seconds, "
    "workflow_paths,"
    " common_errors, follow_up_actions, first_invoked, last_invoked, completion_rate, avg_duration_seconds, updated_at";

constexpr const char* kCountMetrics =
    "SELECT skill_name, count(*), sum(done), count(*) - sum(done), total(seconds),"
    " (SELECT json_group_object(name, n) FROM (SELECT CAST(workflow_path AS TEXT) AS name, count(*) AS n"
    "   FROM skill_invocation WHERE skill_name = rows.skill_name GROUP BY 1) WHERE name <> ''),"
    " (SELECT json_group_object(name, n) FROM (SELECT CAST(error_type AS TEXT) AS name, count(*) AS n"
    "   FROM skill_invocation WHERE skill_name = rows.skill_name GROUP BY 1) WHERE name <> ''),"
    " (SELECT json_group_object(name, n) FROM (SELECT " SESSION_BUDDY_FIRST_ELEMENT("follow_up_actions") " AS name,"
    "   count(*) AS n FROM skill_invocation WHERE skill_name = rows.skill_name GROUP BY 1) WHERE name <> ''),"
    " (SELECT invoked_at FROM (SELECT invoked_at, min(session_buddy_micros(invoked_at))"
    "   FROM skill_invocation WHERE skill_name = rows.skill_name)),"
    " (SELECT invoked_at FROM (SELECT invoked_at, max(session_buddy_micros(invoked_at))"
    "   FROM skill_invocation WHERE skill_name = rows.skill_name)),"
    " 100.0 * sum(done) / count(*), avg(seconds), datetime('now')"
    " FROM (SELECT skill_name, CASE WHEN completed THEN 1 ELSE 0 END AS done, " SESSION_BUDDY_TIMED " AS seconds"
    "   FROM skill_invocation WHERE skill_name IS NOT NULL) AS rows"
    " GROUP BY skill_name";

constexpr const char* kFillSessions =
    "INSERT INTO session_skills (session_id, skill_name, invocation_count)"
    " SELECT session_id, skill_name, count(*) FROM skill_invocation"
    " WHERE session_id IS NOT NULL AND skill_name IS NOT NULL GROUP BY session_id, skill_name";

// Skills without a readable time have no last_invocation_at, and are added with their next row.
constexpr const char* kFillCache =
    "INSERT INTO skill_metrics_cache (skill_name, last_invocation_at, invocation_count_1h, invocation_count_24h,"
    " avg_completion_rate_24h, is_anomalous, updated_at)"
    " SELECT skill_name, invoked_at, in_hour, in_day, rate, 0, datetime('now')"
    " FROM (SELECT skill_name, invoked_at, max(moment), sum(now - moment < 3600000000) AS in_hour,"
    "   sum(now - moment < 86400000000) AS in_day, avg(CASE WHEN now - moment < 86400000000 THEN done END) AS rate"
    "   FROM (SELECT skill_name, invoked_at, session_buddy_micros(invoked_at) AS moment,"
    "     CASE WHEN completed THEN 1.0 ELSE 0.0 END AS done,"
    "     session_buddy_micros(strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) AS now FROM skill_invocation)"
    "   WHERE moment IS NOT NULL GROUP BY skill_name) AS grouped"
    " WHERE EXISTS (SELECT 1 FROM skill_metrics WHERE skill_name = grouped.skill_name)";

/// Fills empty aggregates from invocations that are older than the tables and triggers.
void fill_empty_aggregates(SQLite::Database& database) {
    if (is_empty(database, "skill_invocation")) {
        return;
    }
    if (is_empty(database, "skill_metrics")) {
        database.exec(fmt::format("INSERT INTO skill_metrics ({}) {}", kCountedColumns, kCountMetrics));
    }
    if (is_empty(database, "session_skills")) {
        database.exec(kFillSessions);
    }
    if (is_empty(database, "skill_metrics_cache")) {
        database.exec(kFillCache);
    }
}

/// Recomputes entries that were maintained by buggy triggers. Skills with deleted rows keep their entries, because
/// nothing else counts those rows.
void count_metrics_again(SQLite::Database& database) {
    database.exec(
        fmt::format("CREATE TEMP TABLE counted ({}); INSERT INTO temp.counted {};"
                    "CREATE UNIQUE INDEX temp.counted_name ON counted (skill_name)",
                    kCountedColumns, kCountMetrics));
    database.exec(fmt::format(
        "UPDATE skill_metrics SET ({0}) = (SELECT {0} FROM temp.counted AS fresh"
        " WHERE fresh.skill_name = skill_metrics.skill_name)"
        " WHERE EXISTS (SELECT 1 FROM temp.counted AS fresh WHERE fresh.skill_name = skill_metrics.skill_name"
        " AND fresh.total_invocations >= skill_metrics.total_invocations);"
        "INSERT INTO skill_metrics ({0}) SELECT {0} FROM temp.counted AS fresh"
        " WHERE NOT EXISTS (SELECT 1 FROM skill_metrics WHERE skill_name = fresh.skill_name);"
        "DROP TABLE temp.counted",
        kCountedColumns));
}

void install_own_triggers(SQLite::Database& database) {
    for (const auto& [name, text] : finished_schema().triggers) {
        database.exec(fmt::format("DROP TRIGGER IF EXISTS {}", name));
        database.exec(text);
    }
}

}  // namespace

void apply_script(SQLite::Database& database, const Migration& migration) {
    for (const AddedColumn& column : migration.columns) {
        add_column(database, column.table, column.name, column.declaration);
    }
    database.exec(migration.script);
}

void migrate(SQLite::Database& database, const std::string& path, bool replace_triggers) {
    sql::translated(path, "cannot migrate", [&] {
        sql::register_functions(database);
        SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
        const Inspection inspection = inspect_schema(database, path);
        if (inspection.needs_migration()) {
            complete_tables(database);
            for (const Migration* migration : kMigrations) {
                const bool pending = std::ranges::find(inspection.pending, migration) != inspection.pending.end();
                if (pending || inspection.incomplete) {
                    apply_script(database, *migration);
                }
                if (pending) {
                    record(database, *migration);
                }
            }
            fill_empty_aggregates(database);
        }
        if (replace_triggers && inspection.foreign_triggers) {
            install_own_triggers(database);
            count_metrics_again(database);
        }
        transaction.commit();
    });
}

}  // namespace session_buddy::storage
