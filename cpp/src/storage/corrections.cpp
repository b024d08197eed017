// Changes the invocations of a skill in batches, found by the index on skill_name. The transaction that finds no row
// left changes all other tables that name the skill.
#include "session_buddy/storage/corrections.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "connection.hpp"
#include "inspection.hpp"
#include "prune_state.hpp"
#include "row_reader.hpp"
#include "schema_fragments.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "side_tables.hpp"
#include "sql.hpp"
#include "totals_corrections.hpp"
#include "write_batches.hpp"

namespace session_buddy::storage {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// Time per batch for its rows, without the commit.
constexpr milliseconds kCorrectionTimeForRows{20};
constexpr std::int64_t kCorrectedRowsPerQuery = 500;

/// Tables in which a skill has one row, or one per key, that cannot be added up on a rename.
constexpr std::array kUniqueTables{"skill_community_baselines", "skill_cluster_membership", "skill_category_mapping",
                                   "skill_modalities"};
constexpr std::array kSummedTables{"session_skills", "skill_metrics_cache", "mv_daily_skills", "skill_time_series"};
constexpr std::array kOtherTables{"skill_anomalies", "skill_user_interactions", "ab_test_outcomes"};

/// SQL that deletes a row from the full-text index; empty if there is no index, or a trigger of another tool does it.
std::string required_fts_delete_sql(SQLite::Database& database) {
    const bool has_trigger = sql::query_integer(database,
                                                "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'"
                                                " AND lower(tbl_name) = 'skill_invocation'"
                                                " AND sql LIKE '%skill_invocation_fts%'") != 0;
    return has_trigger ? std::string() : fts_delete_sql(database);
}

class Corrector {
  public:
    Corrector(const std::string& path, const CorrectionOptions& options)
        : connection_(path, {.busy_timeout = options.busy_timeout, .create = false},
                      {.on_close = [this] { eraser_.reset(); }}),
          options_(options) {}

    CorrectionResult forget_skill(std::string_view name) {
        find(name);
        if (result_.found && !options_.dry_run) {
            in_batches(name, [&](std::int64_t id) { erase(id); }, [&] { forget_rest(name); });
        }
        return result_;
    }

    CorrectionResult rename_skill(std::string_view from, std::string_view to) {
        if (from == to || !is_valid_skill_name(to)) {
            connection_.reject(from == to ? fmt::format("skill '{}' has this name already", to)
                                          : fmt::format("the new name {}", kSkillNameRule));
        }
        connection_.attempt("cannot read", [&] { result_.merged = std::max(rows_of(to), total_of(to)); });
        find(from);
        if (result_.found && !options_.dry_run) {
            in_batches(
                from,
                [&](std::int64_t id) {
                    first_id_ = std::min(first_id_, id);
                    run("UPDATE skill_invocation SET skill_name = ?2 WHERE id = ?1", id, to);
                },
                [&] { rename_rest(from, to); });
        }
        return result_;
    }

    CorrectionResult forget_invocation(std::int64_t id) {
        connection_.attempt("cannot correct", [&] {
            SQLite::Transaction transaction(database(), SQLite::TransactionBehavior::IMMEDIATE);
            const auto start = steady_clock::now();
            const auto row = read(id);
            if (!row) {
                return;
            }
            result_.found = true;
            result_.skill_name = row->skill_name;
            result_.invocations = 1;
            if (options_.dry_run) {
                return;
            }
            erase(id);
            if (rows_of(row->skill_name) == 0 && total_of(row->skill_name) <= 1) {
                forget_rest(row->skill_name);
            } else {
                subtract(*row);
                refresh_totals_position(database());
                restart_rollup();
            }
            transaction.commit();
            result_.longest_lock = std::chrono::ceil<microseconds>(steady_clock::now() - start);
        });
        return result_;
    }

  private:
    /// The values of an invocation that the triggers counted.
    struct Row {
        std::string skill_name;
        std::string session_id;
        std::string invoked_at;
        std::optional<std::int64_t> at;  // microseconds
        std::int64_t completed = 0;
        std::optional<double> seconds;
        std::array<std::optional<std::string>, 3> names;  // workflow path, error type, first follow-up action
    };

    [[nodiscard]] SQLite::Database& database() { return connection_.database(); }

    template <typename... Values>
    void run(std::string_view text, const Values&... values) {
        sql::Statement(database(), text).with(values...).run();
    }

    template <typename... Values>
    std::int64_t integer(std::string_view text, const Values&... values) {
        sql::Statement statement(database(), text);
        statement.with(values...);
        return statement.step() ? statement.integer(0) : 0;
    }

    std::int64_t rows_of(std::string_view name) {
        return integer("SELECT count(*) FROM skill_invocation WHERE skill_name = ?1", name);
    }
    std::int64_t total_of(std::string_view name) {
        return integer("SELECT total_invocations FROM skill_metrics WHERE skill_name = ?1", name);
    }

    void find(std::string_view name) {
        connection_.attempt("cannot read", [&] {
            result_.skill_name = name;
            rows_ = rows_of(name);
            result_.found = rows_ > 0 || integer("SELECT count(*) FROM skill_metrics WHERE skill_name = ?1", name) > 0;
            result_.pruned = std::max<std::int64_t>(total_of(name) - rows_, 0);
            result_.invocations = options_.dry_run ? rows_ : 0;
        });
    }

    /// Calls `change` for each row of the skill, and `finish` in the transaction that finds no further row.
    template <typename Change, typename Finish>
    void in_batches(std::string_view name, const Change& change, const Finish& finish) {
        for (;;) {
            const auto [done, changed] = connection_.attempt("cannot correct", [&] {
                return batches_.run(database(), [&](steady_clock::time_point until) {
                    database().exec("PRAGMA defer_foreign_keys = ON");
                    const std::int64_t changed_rows = change_some(name, change, until);
                    restart_rollup();
                    const bool all =
                        integer("SELECT EXISTS (SELECT 1 FROM skill_invocation WHERE skill_name = ?1)", name) == 0;
                    if (all) {
                        finish();
                        count_change();
                    }
                    return std::pair(all, changed_rows);
                });
            });
            result_.invocations += changed;
            result_.longest_lock = batches_.longest();
            if (done) {
                return;
            }
            if (options_.progress && !options_.progress(result_.invocations, rows_)) {
                result_.stopped = true;
                return;
            }
            std::this_thread::sleep_for(batches_.pause());
        }
    }

    template <typename Change>
    std::int64_t change_some(std::string_view name, const Change& change, steady_clock::time_point until) {
        std::int64_t changed = 0;
        for (;;) {
            std::vector<std::int64_t> ids;
            sql::Statement rows(database(), "SELECT id FROM skill_invocation WHERE skill_name = ?1 LIMIT ?2");
            rows.with(name, kCorrectedRowsPerQuery);
            while (rows.step()) {
                ids.push_back(rows.integer(0));
            }
            for (const std::int64_t id : ids) {
                change(id);
                ++changed;
                if (steady_clock::now() >= until) {
                    return changed;
                }
            }
            if (ids.empty()) {
                return changed;
            }
        }
    }

    void erase(std::int64_t id) {
        if (!eraser_) {
            eraser_.emplace(database(), required_fts_delete_sql(database()));
        }
        eraser_->erase(id);
    }

    // ---- A whole skill

    void forget_rest(std::string_view name) {
        database().exec("PRAGMA defer_foreign_keys = ON");
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
        forget_in_side_tables(database(), name);
        refresh_totals_position(database());
    }

    void rename_rest(std::string_view from, std::string_view to) {
        merge_counts(from, to);
        const auto move = [&](const auto& tables) {
            for (const char* table : tables) {
                run(fmt::format("UPDATE OR IGNORE {} SET skill_name = ?2 WHERE skill_name = ?1", table), from, to);
                run(fmt::format("DELETE FROM {} WHERE skill_name = ?1", table), from);
            }
        };
        move(kUniqueTables);
        move(kSummedTables);
        move(kOtherTables);
        run("UPDATE OR IGNORE skill_dependencies SET skill_a = ?2 WHERE skill_a = ?1", from, to);
        run("UPDATE OR IGNORE skill_dependencies SET skill_b = ?2 WHERE skill_b = ?1", from, to);
        run("DELETE FROM skill_dependencies WHERE skill_a = ?1 OR skill_b = ?1 OR skill_a = skill_b", from);
        move(std::array{"skill_metrics"});
        rename_in_side_tables(database(), from, to);
        refresh_totals_position(database());
    }

    /// Adds the counts of the old name to the rows of the new one. Rows that the new name lacks are renamed later.
    void merge_counts(std::string_view from, std::string_view to) {
        const auto add = [&](const char* text) { run(text, from, to); };
        add("UPDATE session_skills AS kept SET invocation_count = kept.invocation_count + gone.invocation_count"
            " FROM session_skills AS gone WHERE gone.skill_name = ?1 AND kept.skill_name = ?2"
            " AND gone.session_id = kept.session_id");
        add("UPDATE mv_daily_skills AS kept SET invocations = kept.invocations + gone.invocations,"
            " completions = kept.completions + gone.completions, abandonments = kept.abandonments + gone.abandonments,"
            " avg_duration_seconds = CASE WHEN kept.avg_duration_seconds IS NULL THEN gone.avg_duration_seconds"
            " WHEN gone.avg_duration_seconds IS NULL THEN kept.avg_duration_seconds"
            " ELSE (kept.avg_duration_seconds * kept.completions + gone.avg_duration_seconds * gone.completions)"
            " / max(kept.completions + gone.completions, 1) END"
            " FROM mv_daily_skills AS gone WHERE gone.skill_name = ?1 AND kept.skill_name = ?2 AND gone.date = "
            "kept.date");
        add("UPDATE skill_metrics_cache AS kept SET"
            " invocation_count_1h = coalesce(kept.invocation_count_1h, 0) + coalesce(gone.invocation_count_1h, 0),"
            " invocation_count_24h = coalesce(kept.invocation_count_24h, 0) + coalesce(gone.invocation_count_24h, 0),"
            " avg_completion_rate_24h = (coalesce(kept.avg_completion_rate_24h * kept.invocation_count_24h, 0)"
            " + coalesce(gone.avg_completion_rate_24h * gone.invocation_count_24h, 0))"
            " / nullif(coalesce(kept.invocation_count_24h, 0) + coalesce(gone.invocation_count_24h, 0), 0),"
            " last_invocation_at = CASE WHEN session_buddy_micros(gone.last_invocation_at)"
            " > session_buddy_micros(kept.last_invocation_at) THEN gone.last_invocation_at"
            " ELSE kept.last_invocation_at END, updated_at = datetime('now')"
            " FROM skill_metrics_cache AS gone WHERE gone.skill_name = ?1 AND kept.skill_name = ?2");
        // The rollup recounts hours whose rows exist; for pruned hours these sums are final.
        add("UPDATE skill_time_series AS kept SET"
            " invocation_count = kept.invocation_count + gone.invocation_count,"
            " completion_rate = (kept.completion_rate * kept.invocation_count + gone.completion_rate"
            " * gone.invocation_count) / nullif(kept.invocation_count + gone.invocation_count, 0),"
            " avg_duration_seconds = CASE WHEN kept.avg_duration_seconds IS NULL THEN gone.avg_duration_seconds"
            " WHEN gone.avg_duration_seconds IS NULL THEN kept.avg_duration_seconds"
            " ELSE (kept.avg_duration_seconds * kept.completion_rate * kept.invocation_count"
            " + gone.avg_duration_seconds * gone.completion_rate * gone.invocation_count)"
            " / nullif(kept.completion_rate * kept.invocation_count + gone.completion_rate * gone.invocation_count, 0)"
            " END, unique_sessions = kept.unique_sessions + gone.unique_sessions"
            " FROM skill_time_series AS gone WHERE gone.skill_name = ?1 AND kept.skill_name = ?2"
            " AND gone.timestamp = kept.timestamp");
        run("DELETE FROM skill_time_series WHERE skill_name = ?1 AND EXISTS (SELECT 1 FROM skill_time_series AS kept"
            " WHERE kept.skill_name = ?2 AND kept.timestamp = skill_time_series.timestamp)",
            from, to);
        // total / mean is the number of invocations with a duration, as in the trigger.
        add("UPDATE skill_metrics AS kept SET"
            " total_invocations = kept.total_invocations + gone.total_invocations,"
            " completed_invocations = kept.completed_invocations + gone.completed_invocations,"
            " abandoned_invocations = kept.abandoned_invocations + gone.abandoned_invocations,"
            " completion_rate = 100.0 * (kept.completed_invocations + gone.completed_invocations)"
            " / max(kept.total_invocations + gone.total_invocations, 1),"
            " total_duration_seconds = kept.total_duration_seconds + gone.total_duration_seconds,"
            " avg_duration_seconds = CASE WHEN gone.avg_duration_seconds IS NULL THEN kept.avg_duration_seconds"
            " WHEN kept.avg_duration_seconds IS NULL THEN gone.avg_duration_seconds"
            " ELSE (kept.total_duration_seconds + gone.total_duration_seconds)"
            " / max(coalesce(round(kept.total_duration_seconds / nullif(kept.avg_duration_seconds, 0)),"
            " kept.completed_invocations)"
            " + coalesce(round(gone.total_duration_seconds / nullif(gone.avg_duration_seconds, 0)),"
            " gone.completed_invocations), 1) END,"
            " first_invoked = CASE WHEN kept.first_invoked IS NULL OR session_buddy_micros(gone.first_invoked)"
            " < session_buddy_micros(kept.first_invoked) THEN gone.first_invoked ELSE kept.first_invoked END,"
            " last_invoked = CASE WHEN kept.last_invoked IS NULL OR session_buddy_micros(gone.last_invoked)"
            " > session_buddy_micros(kept.last_invoked) THEN gone.last_invoked ELSE kept.last_invoked END,"
            " updated_at = datetime('now')"
            " FROM skill_metrics AS gone WHERE gone.skill_name = ?1 AND kept.skill_name = ?2");
        for (const char* column : kCountColumns) {
            run(fmt::format("UPDATE skill_metrics AS kept SET {0} = (SELECT json_group_object(key, n) FROM ("
                            "SELECT key, sum(value) AS n FROM ("
                            "SELECT key, type, value FROM json_each({1}) UNION ALL"
                            " SELECT key, type, value FROM skill_metrics AS gone, json_each({2})"
                            " WHERE gone.skill_name = ?1) WHERE type IN ('integer', 'real') GROUP BY key))"
                            " WHERE skill_name = ?2 AND EXISTS (SELECT 1 FROM skill_metrics WHERE skill_name = ?1)",
                            column, object_of(fmt::format("kept.{}", column)),
                            object_of(fmt::format("gone.{}", column))),
                from, to);
        }
    }

    // ---- One invocation

    std::optional<Row> read(std::int64_t id) {
        sql::Statement row(database(),
                           "SELECT skill_name, session_id, invoked_at, session_buddy_micros(invoked_at),"
                           " CASE WHEN completed THEN 1 ELSE 0 END, " SESSION_BUDDY_SECONDS(
                               "") ", " SESSION_BUDDY_NAME("workflow_path") ", " SESSION_BUDDY_NAME("error_type")
                               ", " SESSION_BUDDY_FIRST_ELEMENT("follow_up_actions")
                               " FROM skill_invocation WHERE id = ?1");
        if (!row.with(id).step()) {
            return std::nullopt;
        }
        Row found;
        found.skill_name = row.text(0);
        found.session_id = row.text(1);
        found.invoked_at = row.text(2);
        found.completed = row.integer(4);
        if (!row.is_null(3)) {
            found.at = row.integer(3);
        }
        found.seconds = row.optional_real(5);
        constexpr int kFirstName = 6;
        for (std::size_t index = 0; index < found.names.size(); ++index) {
            found.names[index] = row.optional_text(kFirstName + static_cast<int>(index));
        }
        return found;
    }

    /// Reverts what the triggers did when the row was inserted.
    void subtract(const Row& row) {
        const std::string& name = row.skill_name;
        run("UPDATE skill_metrics SET total_invocations = max(total_invocations - 1, 0),"
            " completed_invocations = max(completed_invocations - ?2, 0),"
            " abandoned_invocations = max(abandoned_invocations - 1 + ?2, 0),"
            " completion_rate = coalesce(100.0 * max(completed_invocations - ?2, 0) / nullif(total_invocations - 1, 0),"
            " 0.0), updated_at = datetime('now') WHERE skill_name = ?1",
            name, row.completed);
        if (row.seconds) {
            run("UPDATE skill_metrics SET total_duration_seconds = max(total_duration_seconds - ?2, 0.0),"
                " avg_duration_seconds = CASE WHEN avg_duration_seconds > 0 THEN max(total_duration_seconds - ?2, 0.0)"
                " / nullif(max(round(total_duration_seconds / avg_duration_seconds) - 1, 0), 0)"
                " WHEN completed_invocations > 0 THEN avg_duration_seconds END WHERE skill_name = ?1",
                name, row.seconds);
        }
        for (std::size_t index = 0; index < kCountColumns.size(); ++index) {
            if (row.names[index]) {
                run(fmt::format("UPDATE skill_metrics SET {0} = (SELECT json_group_object(key, CASE WHEN type IN"
                                " ('object', 'array') THEN json(value) ELSE value END) FROM (SELECT key, type,"
                                " CASE WHEN key = ?2 AND type = 'integer' THEN value - 1 ELSE value END AS value"
                                " FROM json_each({1})) WHERE NOT (key = ?2 AND type = 'integer' AND value <= 0))"
                                " WHERE skill_name = ?1",
                                kCountColumns[index], object_of(kCountColumns[index])),
                    name, row.names[index]);
            }
        }
        for (const auto& [column, best] : {std::pair("first_invoked", "min"), std::pair("last_invoked", "max")}) {
            run(fmt::format("UPDATE skill_metrics SET {0} = coalesce((SELECT invoked_at FROM (SELECT invoked_at,"
                            " {1}(session_buddy_micros(invoked_at)) FROM skill_invocation WHERE skill_name = ?1)), {0})"
                            " WHERE skill_name = ?1 AND {0} = ?2",
                            column, best),
                name, row.invoked_at);
        }
        run("UPDATE session_skills SET invocation_count = invocation_count - 1 WHERE session_id = ?1"
            " AND skill_name = ?2",
            row.session_id, name);
        run("DELETE FROM session_skills WHERE session_id = ?1 AND skill_name = ?2 AND invocation_count <= 0",
            row.session_id, name);
        if (row.at) {
            subtract_from_cache(row);
            recount_hour(row);
        }
    }

    void subtract_from_cache(const Row& row) {
        run("UPDATE skill_metrics_cache SET"
            " avg_completion_rate_24h = CASE WHEN moment.age >= 86400e6 THEN avg_completion_rate_24h"
            " ELSE (avg_completion_rate_24h * invocation_count_24h - ?3) / nullif(invocation_count_24h - 1, 0) END,"
            " invocation_count_1h = max(coalesce(invocation_count_1h, 0) - (moment.age < 3600e6), 0),"
            " invocation_count_24h = max(coalesce(invocation_count_24h, 0) - (moment.age < 86400e6), 0),"
            " last_invocation_at = coalesce((SELECT last_invoked FROM skill_metrics WHERE skill_name = ?1),"
            " last_invocation_at), updated_at = datetime('now')"
            " FROM (SELECT session_buddy_micros(strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) - ?2 AS age) AS moment"
            " WHERE skill_name = ?1",
            row.skill_name, row.at, row.completed);
    }

    /// Recounts the row's hour in skill_time_series, if it was written and is not pruned.
    void recount_hour(const Row& row) {
        const TimePoint at{microseconds{*row.at}};
        const TimePoint hour = std::chrono::floor<std::chrono::hours>(at);
        if (hour < PruneStateReader(database()).read().pruned_before) {
            return;
        }
        const std::string& name = row.skill_name;
        const std::int64_t begin = hour.time_since_epoch().count();
        constexpr const char* kIsHour = "skill_name = ?1 AND session_buddy_micros(timestamp) = ?2";
        if (integer(fmt::format("SELECT count(*) FROM skill_time_series WHERE {}", kIsHour), name, begin) == 0) {
            return;  // the rollup counts it when the hour is over
        }
        run(fmt::format("DELETE FROM skill_time_series WHERE {}", kIsHour), name, begin);
        // Filters by text first, for the index: a UTC offset can move a row's date by one day.
        const std::string from = format_timestamp(at - std::chrono::days{1}).substr(0, 10);
        const std::string until = format_timestamp(at + std::chrono::days{2}).substr(0, 10);
        run("INSERT INTO skill_time_series (skill_name, timestamp, invocation_count, completion_rate,"
            " avg_duration_seconds, unique_sessions)"
            " SELECT ?1, ?3, count(*), avg(CASE WHEN completed THEN 1.0 ELSE 0.0 END), avg(" SESSION_BUDDY_SECONDS(
                "") "), count(DISTINCT session_id) FROM skill_invocation WHERE skill_name = ?1"
                    " AND invoked_at >= ?4 AND invoked_at < ?5 AND session_buddy_micros(invoked_at) >= ?2"
                    " AND session_buddy_micros(invoked_at) < ?2 + 3600000000 HAVING count(*) > 0",
            name, begin, format_timestamp(hour), from, until);
    }

    // ---- Shared

    static constexpr std::array kCountColumns{"workflow_paths", "common_errors", "follow_up_actions"};

    static std::string object_of(std::string_view column) {
        return fmt::format(
            "CASE WHEN json_valid({0}) THEN CASE json_type({0}) WHEN 'object' THEN {0} ELSE '{{}}' END"
            " ELSE '{{}}' END",
            column);
    }

    /// Increments the change counter like the triggers, so that a server notices changes to a skill without rows.
    void count_change() {
        if (sql::has_table(database(), "sqlite_sequence")) {
            database().exec("UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'session_buddy_changes'");
        }
    }

    /// Makes the hourly rollup restart, so that it does not write hours it has counted before, and recounts the hours
    /// of renamed rows.
    void restart_rollup() {
        if (sql::has_table(database(), "session_buddy_state")) {
            run("UPDATE session_buddy_state SET value = max(min(value - 1, ?1), 0)"
                " WHERE key = 'time_series_watermark'",
                first_id_ - 1);
        }
    }

    std::optional<InvocationEraser> eraser_;
    Connection connection_;
    const CorrectionOptions& options_;
    CorrectionResult result_;
    WriteBatches batches_{kCorrectionTimeForRows, 1};
    std::int64_t rows_ = 0;
    std::int64_t first_id_ = INT64_MAX;  // smallest id of the renamed rows
};

}  // namespace

CorrectionResult forget_skill(const std::string& path, std::string_view skill_name, const CorrectionOptions& options) {
    return Corrector(path, options).forget_skill(skill_name);
}

CorrectionResult forget_invocation(const std::string& path, std::int64_t id, const CorrectionOptions& options) {
    return Corrector(path, options).forget_invocation(id);
}

CorrectionResult rename_skill(const std::string& path, std::string_view from, std::string_view to,
                              const CorrectionOptions& options) {
    return Corrector(path, options).rename_skill(from, to);
}

}  // namespace session_buddy::storage
