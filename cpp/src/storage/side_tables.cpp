// The entries of the side tables, and the rules in them applied.
#include "side_tables.hpp"

#include <SQLiteCpp/Database.h>
#include <spdlog/fmt/fmt.h>

namespace session_buddy::storage {
namespace {

using Group = SideTable::Group;

std::string delete_skill_from(std::string_view table) {
    return fmt::format("DELETE FROM {} WHERE skill_name = ?1", table);
}

/// SQL that adds the counts of skill ?1 to those of ?2. `key`: the second column of the primary key. `debt`: a column
/// with a JSON array of numbers, which are added one by one; empty if there is none.
std::string add_counts(std::string_view table, std::string_view key, const std::vector<std::string_view>& counts,
                       std::string_view debt = {}) {
    std::string sums;
    for (const std::string_view count : counts) {
        sums += fmt::format("{0}{1} = {1} + excluded.{1}", sums.empty() ? "" : ", ", count);
    }
    std::string columns = fmt::format("{}", fmt::join(counts, ", "));
    if (!debt.empty()) {
        columns += fmt::format(", {}", debt);
        sums += fmt::format(
            ", {0} = CASE WHEN {0} IS NULL THEN excluded.{0} WHEN excluded.{0} IS NULL THEN {0} ELSE"
            " (SELECT json_group_array(mine.value + theirs.value) FROM json_each({1}.{0}) AS mine"
            " JOIN json_each(excluded.{0}) AS theirs ON theirs.key = mine.key) END",
            debt, table);
    }
    return fmt::format(
        "INSERT INTO {0} (skill_name, {1}, {2}) SELECT ?2, {1}, {2} FROM {0} WHERE skill_name = ?1"
        " ON CONFLICT (skill_name, {1}) DO UPDATE SET {3}",
        table, key, columns, sums);
}

// NOLINTBEGIN(cppcoreguidelines-macro-usage): literals can be joined only by the preprocessor
/// The keys of the detector's state for the open episodes of skill ?1: of the completion rate, and of the duration.
#define SESSION_BUDDY_EPISODE_KEYS "('anomaly_detector/episode/0/' || ?1, 'anomaly_detector/episode/1/' || ?1)"
// NOLINTEND(cppcoreguidelines-macro-usage)

std::vector<SideTable> all_tables() {
    std::vector<std::string_view> phase_counts{"completed", "failed", "unknown", "duration_seconds"};
    phase_counts.insert(phase_counts.end(), kBucketColumns.begin(), kBucketColumns.end());
    return {
        {.name = "session_buddy_state",
         .group = Group::state,
         .definition = "(key TEXT PRIMARY KEY, value) WITHOUT ROWID",
         .on_forget = "DELETE FROM session_buddy_state WHERE key IN " SESSION_BUDDY_EPISODE_KEYS
                      " OR key = 'alert_detector/' || ?1",
         .on_rename = "UPDATE OR IGNORE session_buddy_state SET key = substr(key, 1, length(key) - length(?1)) || ?2,"
                      " value = CASE WHEN key IN " SESSION_BUDDY_EPISODE_KEYS
                      " THEN json_set(value, '$.skill_name', ?2) ELSE value END"
                      " WHERE key IN " SESSION_BUDDY_EPISODE_KEYS " OR key = 'alert_detector/' || ?1"},
        {.name = "session_buddy_totals",
         .group = Group::totals,
         .definition = fmt::format("(skill_name TEXT NOT NULL, workflow_phase TEXT NOT NULL,"
                                   " completed INTEGER NOT NULL, failed INTEGER NOT NULL,"
                                   " duration_seconds REAL NOT NULL, {} INTEGER NOT NULL,"
                                   " unknown INTEGER NOT NULL DEFAULT 0, debt TEXT,"
                                   " PRIMARY KEY (skill_name, workflow_phase)) WITHOUT ROWID",
                                   fmt::join(kBucketColumns, " INTEGER NOT NULL, ")),
         .added_columns = {{"unknown", "INTEGER NOT NULL DEFAULT 0"}, {"debt", "TEXT"}},
         .on_forget = delete_skill_from("session_buddy_totals"),
         .on_rename = add_counts("session_buddy_totals", "workflow_phase", phase_counts, "debt")},
        {.name = "session_buddy_anomaly_totals",
         .group = Group::totals,
         .definition = "(skill_name TEXT NOT NULL, anomaly_type TEXT NOT NULL, detected INTEGER NOT NULL,"
                       " PRIMARY KEY (skill_name, anomaly_type)) WITHOUT ROWID",
         .on_forget = delete_skill_from("session_buddy_anomaly_totals"),
         .on_rename = add_counts("session_buddy_anomaly_totals", "anomaly_type", {"detected"})},
        // Dedup keys. They stay when an invocation is deleted, so that the next import does not bring it back.
        {.name = "session_buddy_source",
         .group = Group::events,
         .definition = "(key TEXT PRIMARY KEY, invocation_id INTEGER NOT NULL, seen_by INTEGER NOT NULL DEFAULT 4,"
                       " evidence BLOB) WITHOUT ROWID",
         // Without `seen_by`, all rows came from transcripts. Without evidence, an earlier version stored the row.
         .added_columns = {{"seen_by", "INTEGER NOT NULL DEFAULT 4"}, {"evidence", "BLOB"}},
         .replayed_with = "invocation_id"},
        {.name = "session_buddy_command",
         .group = Group::events,
         .definition = "(session_id TEXT NOT NULL, skill_name TEXT NOT NULL, at_us INTEGER NOT NULL,"
                       " source INTEGER NOT NULL, invocation_id INTEGER NOT NULL, evidence BLOB,"
                       " PRIMARY KEY (session_id, skill_name, at_us, source, invocation_id)) WITHOUT ROWID",
         .added_columns = {{"evidence", "BLOB"}},
         .replayed_with = "invocation_id"},
        {.name = "session_buddy_open_use",
         .group = Group::events,
         .definition = "(key TEXT PRIMARY KEY, skill_name TEXT NOT NULL, session_id TEXT NOT NULL,"
                       " started_us INTEGER NOT NULL, evidence BLOB) WITHOUT ROWID",
         .added_columns = {{"evidence", "BLOB"}},
         .on_rename = "UPDATE session_buddy_open_use SET skill_name = ?2 WHERE skill_name = ?1",
         .replayed_with = ""},
        // See marks.hpp.
        {.name = "session_buddy_mark",
         .group = Group::events,
         .definition = "(invocation_id INTEGER PRIMARY KEY, marks INTEGER NOT NULL)",
         .on_delete = "DELETE FROM session_buddy_mark WHERE invocation_id = ?1",
         .replayed_with = "invocation_id"},
        // How many invocations of a skill ever had an outcome that is unknown now, as skill_metrics counts the others.
        {.name = "session_buddy_unknown",
         .group = Group::events,
         .definition = "(skill_name TEXT PRIMARY KEY, invocations INTEGER NOT NULL) WITHOUT ROWID",
         .on_forget = delete_skill_from("session_buddy_unknown"),
         .on_rename = "INSERT INTO session_buddy_unknown (skill_name, invocations)"
                      " SELECT ?2, invocations FROM session_buddy_unknown WHERE skill_name = ?1"
                      " ON CONFLICT (skill_name) DO UPDATE SET invocations = invocations + excluded.invocations"},
        // Of pruned rows with marks: what their hour in skill_time_series does not have.
        {.name = "session_buddy_pruned_mark",
         .group = Group::state,
         .definition = "(skill_name TEXT NOT NULL, hour_us INTEGER NOT NULL, unknown INTEGER NOT NULL,"
                       " bounds INTEGER NOT NULL, PRIMARY KEY (skill_name, hour_us)) WITHOUT ROWID",
         .on_forget = delete_skill_from("session_buddy_pruned_mark"),
         .on_rename = add_counts("session_buddy_pruned_mark", "hour_us", {"unknown", "bounds"})},
        // What people added must survive a lost log, also if the detector has written the alert again.
        {.name = "session_buddy_alert",
         .group = Group::alerts,
         .definition = "(id INTEGER PRIMARY KEY, skill_name TEXT NOT NULL, kind TEXT NOT NULL,"
                       " detected_us INTEGER NOT NULL, ended_us INTEGER, \"end\" TEXT, explanation TEXT NOT NULL,"
                       " acknowledged_us INTEGER, note TEXT NOT NULL DEFAULT '',"
                       " UNIQUE (skill_name, kind, detected_us))",
         .on_forget = delete_skill_from("session_buddy_alert"),
         .on_rename = "UPDATE OR IGNORE session_buddy_alert SET skill_name = ?2 WHERE skill_name = ?1",
         .replayed_with = "",
         .on_replay = "ON CONFLICT (skill_name, kind, detected_us) DO UPDATE"
                      " SET acknowledged_us = excluded.acknowledged_us, note = excluded.note"
                      " WHERE excluded.acknowledged_us > coalesce(acknowledged_us, 0)"},
        {.name = "session_buddy_mute",
         .group = Group::alerts,
         .definition = "(skill_name TEXT PRIMARY KEY, muted_us INTEGER NOT NULL, until_us INTEGER,"
                       " reason TEXT NOT NULL DEFAULT '') WITHOUT ROWID",
         .on_forget = delete_skill_from("session_buddy_mute"),
         .on_rename = "UPDATE OR IGNORE session_buddy_mute SET skill_name = ?2 WHERE skill_name = ?1",
         .replayed_with = "",
         .on_replay = "ON CONFLICT (skill_name) DO UPDATE SET muted_us = excluded.muted_us,"
                      " until_us = excluded.until_us, reason = excluded.reason"
                      " WHERE excluded.muted_us > muted_us"},
        // See stamps.hpp. Stamps belong to ranges of rows: they stay when one of these is deleted or renamed. Replayed
        // rows get new stamps.
        {.name = "session_buddy_stamp",
         .group = Group::stamps,
         .definition = "(seq INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, last_row INTEGER NOT NULL)"},
        // A lost offset only makes its transcript be read again.
        {.name = "session_buddy_transcript",
         .group = Group::events,
         .definition = "(file TEXT PRIMARY KEY, offset INTEGER NOT NULL) WITHOUT ROWID"},
    };
}

void add_columns(SQLite::Database& database, const SideTable& table) {
    for (const SideColumn& column : table.added_columns) {
        if (!sql::has_column(database, table.name, column.name)) {
            database.exec(fmt::format("ALTER TABLE {} ADD COLUMN {} {}", table.name, column.name, column.definition));
        }
    }
}

}  // namespace

const std::vector<SideTable>& side_tables() {
    static const std::vector<SideTable> tables = all_tables();
    return tables;
}

void create_side_tables(SQLite::Database& database, Group group) {
    for (const SideTable& table : side_tables()) {
        if (table.group != group) {
            continue;
        }
        database.exec(fmt::format("CREATE TABLE IF NOT EXISTS {} {}", table.name, table.definition));
        add_columns(database, table);
    }
}

void forget_in_side_tables(SQLite::Database& database, std::string_view skill_name, KeptRows kept) {
    for (const SideTable& table : side_tables()) {
        if (kept == KeptRows::totals && table.group == Group::totals) {
            continue;
        }
        if (!table.on_forget.empty() && sql::has_table(database, table.name)) {
            sql::Statement(database, table.on_forget).with(skill_name).run();
        }
    }
}

void rename_in_side_tables(SQLite::Database& database, std::string_view from, std::string_view to) {
    for (const SideTable& table : side_tables()) {
        if (!table.on_rename.empty() && sql::has_table(database, table.name)) {
            add_columns(database, table);
            sql::Statement(database, table.on_rename).with(from, to).run();
        }
    }
    forget_in_side_tables(database, from);
}

InvocationEraser::InvocationEraser(SQLite::Database& database, const std::string& fts_delete)
    : database_(database),
      row_(database, "DELETE FROM skill_invocation WHERE id = ?1 AND (?2 IS NULL OR invoked_at = ?2)") {
    if (!fts_delete.empty()) {
        from_fts_.emplace(database, fts_delete);
    }
    for (const SideTable& table : side_tables()) {
        if (!table.on_delete.empty() && sql::has_table(database, table.name)) {
            from_side_tables_.emplace_back(database, table.on_delete);
        }
    }
}

bool InvocationEraser::erase(std::int64_t id, const std::optional<std::string>& invoked_at) {
    if (from_fts_) {
        from_fts_->with(id).run();
    }
    row_.with(id, invoked_at).run();
    if (database_.getChanges() == 0) {
        return false;
    }
    for (sql::Statement& each : from_side_tables_) {
        each.with(id).run();
    }
    return true;
}

}  // namespace session_buddy::storage
