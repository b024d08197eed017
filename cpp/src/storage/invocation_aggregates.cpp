// Reverts and repeats, for single rows, what the triggers of the schema do when a row is inserted.
#include "invocation_aggregates.hpp"

#include <SQLiteCpp/Database.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <utility>

#include "change_counter.hpp"
#include "marks.hpp"
#include "prune_state.hpp"
#include "schema_fragments.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "side_tables.hpp"
#include "totals_corrections.hpp"

namespace session_buddy::storage {
namespace {

using std::chrono::microseconds;

constexpr const char* kRateOfMetrics =
    "UPDATE skill_metrics SET completion_rate = coalesce(100.0 * completed_invocations / nullif(total_invocations, 0),"
    " 0.0), updated_at = datetime('now') WHERE skill_name = ?1";

}  // namespace

std::string json_object_of(std::string_view column) {
    return fmt::format(
        "CASE WHEN json_valid({0}) THEN CASE json_type({0}) WHEN 'object' THEN {0} ELSE '{{}}' END"
        " ELSE '{{}}' END",
        column);
}

std::int64_t InvocationAggregates::rows_of(std::string_view skill_name) {
    return integer("SELECT count(*) FROM skill_invocation WHERE skill_name = ?1", skill_name);
}

std::int64_t InvocationAggregates::total_of(std::string_view skill_name) {
    return integer("SELECT total_invocations FROM skill_metrics WHERE skill_name = ?1", skill_name);
}

std::optional<CountedRow> InvocationAggregates::read(std::int64_t id) {
    sql::Statement row(
        database_,
        fmt::format("SELECT skill_name, session_id, invoked_at, session_buddy_micros(invoked_at),"
                    " CASE WHEN completed THEN 1 ELSE 0 END, {}, {}, {}, {},"
                    " coalesce(CAST(workflow_phase AS TEXT), ''), {} FROM skill_invocation WHERE id = ?1",
                    SESSION_BUDDY_SECONDS(""), SESSION_BUDDY_NAME("workflow_path"), SESSION_BUDDY_NAME("error_type"),
                    SESSION_BUDDY_FIRST_ELEMENT("follow_up_actions"), unknown_expression(database_)));
    if (!row.with(id).step()) {
        return std::nullopt;
    }
    CountedRow found;
    int column = 0;
    found.skill_name = row.text(column);
    found.session_id = row.text(++column);
    found.invoked_at = row.text(++column);
    if (!row.is_null(++column)) {
        found.at = row.integer(column);
    }
    found.completed = row.integer(++column) != 0;
    found.seconds = row.optional_real(++column);
    for (std::optional<std::string>& name : found.names) {
        name = row.optional_text(++column);
    }
    found.workflow_phase = row.text(++column);
    found.outcome_is_unknown = row.integer(++column) != 0;
    return found;
}

void InvocationAggregates::subtract(const CountedRow& row) {
    subtract_counts(0, row);
    find_first_and_last(row);
    subtract_from_session(row);
    if (row.at) {
        subtract_from_cache(row);
        note_hour(row);
    }
    refresh_totals_position(database_);
}

void InvocationAggregates::move(std::int64_t id, const CountedRow& before, const CountedRow& after) {
    const bool same_skill = before.skill_name == after.skill_name;
    const bool same_time = before.invoked_at == after.invoked_at;
    subtract_counts(id, before);
    add_counts(after);
    if (!same_skill || !same_time) {
        find_first_and_last(before);
        add_to_first_and_last(after);
        subtract_from_cache(before);
        add_to_cache(after);
    }
    if (!same_skill || before.session_id != after.session_id) {
        subtract_from_session(before);
        add_to_session(after);
    }
    if (note_hour(before) != note_hour(after) || !same_skill) {
        first_moved_ = std::min(first_moved_, id);
    }
    correct_totals(database_, id, before, after);
    if (!same_skill && total_of(before.skill_name) <= 0 && rows_of(before.skill_name) == 0) {
        forget_skill(before.skill_name, KeptRows::totals);
    }
    refresh_totals_position(database_);
    count_change(database_);
}

void InvocationAggregates::subtract_counts(std::int64_t id, const CountedRow& row) {
    const std::string& name = row.skill_name;
    run("UPDATE skill_metrics SET total_invocations = max(total_invocations - 1, 0),"
        " completed_invocations = max(completed_invocations - ?2, 0),"
        " abandoned_invocations = max(abandoned_invocations - 1 + ?2, 0) WHERE skill_name = ?1",
        name, std::int64_t{row.completed ? 1 : 0});
    run(kRateOfMetrics, name);
    if (row.seconds) {
        // total / mean is the number of durations. While all are 0, it is not known.
        run("UPDATE skill_metrics SET"
            " total_duration_seconds = CASE WHEN avg_duration_seconds > 0 AND round(total_duration_seconds"
            " / avg_duration_seconds) <= 1 THEN 0.0 ELSE max(total_duration_seconds - ?2, 0.0) END,"
            " avg_duration_seconds = CASE WHEN avg_duration_seconds > 0 THEN max(total_duration_seconds - ?2, 0.0)"
            " / nullif(max(round(total_duration_seconds / avg_duration_seconds) - 1, 0), 0)"
            " WHEN EXISTS (SELECT 1 FROM skill_invocation WHERE skill_name = ?1 AND id <> ?3"
            " AND " SESSION_BUDDY_SECONDS("") " IS NOT NULL) THEN avg_duration_seconds END WHERE skill_name = ?1",
            name, row.seconds, id);
    }
    for (std::size_t index = 0; index < kNameCountColumns.size(); ++index) {
        if (row.names[index]) {
            run(fmt::format("UPDATE skill_metrics SET {0} = (SELECT json_group_object(key, CASE WHEN type IN"
                            " ('object', 'array') THEN json(value) ELSE value END) FROM (SELECT key, type,"
                            " CASE WHEN key = ?2 AND type = 'integer' THEN value - 1 ELSE value END AS value"
                            " FROM json_each({1})) WHERE NOT (key = ?2 AND type = 'integer' AND value <= 0))"
                            " WHERE skill_name = ?1",
                            kNameCountColumns[index], json_object_of(kNameCountColumns[index])),
                name, row.names[index]);
        }
    }
    if (row.outcome_is_unknown) {
        add_unknown(name, -1);
    }
}

void InvocationAggregates::add_counts(const CountedRow& row) {
    const std::string& name = row.skill_name;
    run("INSERT INTO skill_metrics (skill_name, updated_at) SELECT ?1, datetime('now')"
        " WHERE NOT EXISTS (SELECT 1 FROM skill_metrics WHERE skill_name = ?1)",
        name);
    run("UPDATE skill_metrics SET total_invocations = total_invocations + 1,"
        " completed_invocations = completed_invocations + ?2, abandoned_invocations = abandoned_invocations + 1 - ?2"
        " WHERE skill_name = ?1",
        name, std::int64_t{row.completed ? 1 : 0});
    run(kRateOfMetrics, name);
    if (row.seconds) {
        run("UPDATE skill_metrics SET total_duration_seconds = total_duration_seconds + ?2,"
            " avg_duration_seconds = CASE WHEN avg_duration_seconds > 0 THEN (total_duration_seconds + ?2)"
            " / (round(total_duration_seconds / avg_duration_seconds) + 1)"
            " WHEN avg_duration_seconds IS NULL THEN ?2 ELSE ?2 / completed_invocations END WHERE skill_name = ?1",
            name, row.seconds);
    }
    constexpr std::array kCounted{SESSION_BUDDY_COUNTED("workflow_paths", "?2", "1"),
                                  SESSION_BUDDY_COUNTED("common_errors", "?2", "1"),
                                  SESSION_BUDDY_COUNTED("follow_up_actions", "?2", "1")};
    for (std::size_t index = 0; index < kNameCountColumns.size(); ++index) {
        if (row.names[index]) {
            run(fmt::format("UPDATE skill_metrics SET {} = {} WHERE skill_name = ?1", kNameCountColumns[index],
                            kCounted[index]),
                name, row.names[index]);
        }
    }
    if (row.outcome_is_unknown) {
        add_unknown(name, 1);
    }
}

void InvocationAggregates::add_unknown(std::string_view skill_name, std::int64_t count) {
    run("INSERT INTO session_buddy_unknown (skill_name, invocations) VALUES (?1, max(?2, 0))"
        " ON CONFLICT (skill_name) DO UPDATE SET invocations = max(invocations + ?2, 0)",
        skill_name, count);
    if (count < 0) {
        run("DELETE FROM session_buddy_unknown WHERE skill_name = ?1 AND invocations = 0", skill_name);
    }
}

void InvocationAggregates::find_first_and_last(const CountedRow& row) {
    for (const auto& [column, best] : {std::pair("first_invoked", "min"), std::pair("last_invoked", "max")}) {
        run(fmt::format("UPDATE skill_metrics SET {0} = coalesce((SELECT invoked_at FROM (SELECT invoked_at,"
                        " {1}(session_buddy_micros(invoked_at)) FROM skill_invocation WHERE skill_name = ?1)), {0})"
                        " WHERE skill_name = ?1 AND {0} = ?2",
                        column, best),
            row.skill_name, row.invoked_at);
    }
}

void InvocationAggregates::add_to_first_and_last(const CountedRow& row) {
    run("UPDATE skill_metrics SET first_invoked = ?2 WHERE skill_name = ?1 AND (first_invoked IS NULL"
        " OR session_buddy_micros(?2) < session_buddy_micros(first_invoked))",
        row.skill_name, row.invoked_at);
    run("UPDATE skill_metrics SET last_invoked = ?2 WHERE skill_name = ?1 AND (last_invoked IS NULL"
        " OR session_buddy_micros(?2) > session_buddy_micros(last_invoked))",
        row.skill_name, row.invoked_at);
}

void InvocationAggregates::subtract_from_session(const CountedRow& row) {
    run("UPDATE session_skills SET invocation_count = invocation_count - 1 WHERE session_id = ?1 AND skill_name = ?2",
        row.session_id, row.skill_name);
    run("DELETE FROM session_skills WHERE session_id = ?1 AND skill_name = ?2 AND invocation_count <= 0",
        row.session_id, row.skill_name);
}

void InvocationAggregates::add_to_session(const CountedRow& row) {
    run("INSERT INTO session_skills (session_id, skill_name, invocation_count) VALUES (?1, ?2, 1)"
        " ON CONFLICT (session_id, skill_name) DO UPDATE SET invocation_count = invocation_count + 1",
        row.session_id, row.skill_name);
}

void InvocationAggregates::subtract_from_cache(const CountedRow& row) {
    run("UPDATE skill_metrics_cache SET"
        " avg_completion_rate_24h = CASE WHEN moment.age >= 86400e6 THEN avg_completion_rate_24h"
        " ELSE (avg_completion_rate_24h * invocation_count_24h - ?3) / nullif(invocation_count_24h - 1, 0) END,"
        " invocation_count_1h = max(coalesce(invocation_count_1h, 0) - (moment.age < 3600e6), 0),"
        " invocation_count_24h = max(coalesce(invocation_count_24h, 0) - (moment.age < 86400e6), 0),"
        " last_invocation_at = coalesce((SELECT last_invoked FROM skill_metrics WHERE skill_name = ?1),"
        " last_invocation_at), updated_at = datetime('now')"
        " FROM (SELECT session_buddy_micros(strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) - ?2 AS age) AS moment"
        " WHERE skill_name = ?1 AND ?2 IS NOT NULL",
        row.skill_name, row.at, std::int64_t{row.completed ? 1 : 0});
}

/// The server writes the rate in its next cycle.
void InvocationAggregates::add_to_cache(const CountedRow& row) {
    run("INSERT INTO skill_metrics_cache (skill_name, last_invocation_at, invocation_count_1h, invocation_count_24h,"
        " is_anomalous, updated_at) SELECT ?1, ?2, 0, 0, 0, datetime('now')"
        " WHERE NOT EXISTS (SELECT 1 FROM skill_metrics_cache WHERE skill_name = ?1)",
        row.skill_name, row.invoked_at);
    run("UPDATE skill_metrics_cache SET"
        " invocation_count_1h = coalesce(invocation_count_1h, 0) + coalesce(moment.age < 3600e6, 0),"
        " invocation_count_24h = coalesce(invocation_count_24h, 0) + coalesce(moment.age < 86400e6, 0),"
        " last_invocation_at = coalesce((SELECT last_invoked FROM skill_metrics WHERE skill_name = ?1),"
        " last_invocation_at), updated_at = datetime('now')"
        " FROM (SELECT session_buddy_micros(strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) - ?2 AS age) AS moment"
        " WHERE skill_name = ?1",
        row.skill_name, row.at);
}

std::optional<InvocationAggregates::Hour> InvocationAggregates::note_hour(const CountedRow& row) {
    if (!row.at) {
        return std::nullopt;
    }
    const Hour hour = std::chrono::floor<std::chrono::hours>(TimePoint{microseconds{*row.at}});
    hours_.emplace(row.skill_name, hour);
    return hour;
}

void InvocationAggregates::finish() {
    if (hours_.empty()) {
        return;
    }
    const TimePoint pruned_before = PruneStateReader(database_).read().pruned_before;
    for (const auto& [skill_name, hour] : hours_) {
        if (hour >= pruned_before) {
            recount_hour(skill_name, hour);
        }
    }
    hours_.clear();
    restart_rollup(std::exchange(first_moved_, INT64_MAX));
}

/// Counts an hour again in skill_time_series, if it was written; else the rollup counts it when it is over.
void InvocationAggregates::recount_hour(const std::string& skill_name, Hour hour) {
    const TimePoint begin{hour};
    const std::int64_t micros = begin.time_since_epoch().count();
    // Filters by text first, for the index: a UTC offset can move a row's date by one day.
    const std::string from = format_timestamp(begin - std::chrono::days{1}).substr(0, 10);
    const std::string until = format_timestamp(begin + std::chrono::days{2}).substr(0, 10);
    constexpr const char* kIsHour =
        "skill_name = ?1 AND timestamp >= ?3 AND timestamp < ?4 AND session_buddy_micros(timestamp) = ?2";
    if (integer(fmt::format("SELECT count(*) FROM skill_time_series WHERE {}", kIsHour), skill_name, micros, from,
                until) == 0) {
        return;
    }
    run(fmt::format("DELETE FROM skill_time_series WHERE {}", kIsHour), skill_name, micros, from, until);
    // As in the rollup, upper bounds are used only if there are no other durations.
    const std::string is_bound = sql::has_table(database_, "session_buddy_mark")
                                     ? fmt::format(
                                           "EXISTS (SELECT 1 FROM session_buddy_mark AS mark"
                                           " WHERE mark.invocation_id = skill_invocation.id AND mark.marks & {})",
                                           kDurationBoundMark)
                                     : "0";
    run(fmt::format("INSERT INTO skill_time_series (skill_name, timestamp, invocation_count, completion_rate,"
                    " avg_duration_seconds, unique_sessions)"
                    " SELECT ?1, ?3, count(*), avg(CASE WHEN completed THEN 1.0 ELSE 0.0 END),"
                    " coalesce(avg(CASE WHEN NOT {0} THEN {1} END), avg({1})), count(DISTINCT session_id)"
                    " FROM skill_invocation WHERE +skill_name = ?1"
                    " AND invoked_at >= ?4 AND invoked_at < ?5 AND session_buddy_micros(invoked_at) >= ?2"
                    " AND session_buddy_micros(invoked_at) < ?2 + 3600000000 HAVING count(*) > 0",
                    is_bound, SESSION_BUDDY_SECONDS("")),
        skill_name, micros, format_timestamp(begin), from, until);
}

void InvocationAggregates::restart_rollup(std::int64_t first_id) {
    if (sql::has_table(database_, "session_buddy_state")) {
        run("UPDATE session_buddy_state SET value = max(min(value - 1, ?1), 0) WHERE key = 'time_series_watermark'",
            first_id - 1);
    }
}

void InvocationAggregates::forget_skill(std::string_view name, KeptRows kept) {
    database_.exec("PRAGMA defer_foreign_keys = ON");
    const auto erase_from = [&](const auto& tables) {
        for (const char* table : tables) {
            run(fmt::format("DELETE FROM {} WHERE skill_name = ?1", table), name);
        }
    };
    erase_from(kUniqueTables);
    erase_from(kSummedTables);
    erase_from(kOtherTables);
    run("DELETE FROM skill_dependencies WHERE skill_a = ?1 OR skill_b = ?1", name);
    run("DELETE FROM skill_metrics WHERE skill_name = ?1", name);
    forget_in_side_tables(database_, name, kept);
    refresh_totals_position(database_);
}

}  // namespace session_buddy::storage
