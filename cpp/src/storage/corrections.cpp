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

#include "change_counter.hpp"
#include "connection.hpp"
#include "inspection.hpp"
#include "invocation_aggregates.hpp"
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
            in_batches(
                name, [&](std::int64_t id) { erase(id); },
                [&] { InvocationAggregates(database()).forget_skill(name, KeptRows::none); });
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
            InvocationAggregates counts(database());
            const auto row = counts.read(id);
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
            if (counts.rows_of(row->skill_name) == 0 && counts.total_of(row->skill_name) <= 1) {
                counts.forget_skill(row->skill_name, KeptRows::none);
            } else {
                counts.subtract(*row);
                counts.finish();
            }
            transaction.commit();
            result_.longest_lock = std::chrono::ceil<microseconds>(steady_clock::now() - start);
        });
        return result_;
    }

  private:
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

    std::int64_t rows_of(std::string_view name) { return InvocationAggregates(database()).rows_of(name); }
    std::int64_t total_of(std::string_view name) { return InvocationAggregates(database()).total_of(name); }

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
                    InvocationAggregates(database()).restart_rollup(first_id_);
                    const bool all =
                        integer("SELECT EXISTS (SELECT 1 FROM skill_invocation WHERE skill_name = ?1)", name) == 0;
                    if (all) {
                        finish();
                        count_change(database());  // the skill may have had no rows
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
        for (const char* column : kNameCountColumns) {
            run(fmt::format("UPDATE skill_metrics AS kept SET {0} = (SELECT json_group_object(key, n) FROM ("
                            "SELECT key, sum(value) AS n FROM ("
                            "SELECT key, type, value FROM json_each({1}) UNION ALL"
                            " SELECT key, type, value FROM skill_metrics AS gone, json_each({2})"
                            " WHERE gone.skill_name = ?1) WHERE type IN ('integer', 'real') GROUP BY key))"
                            " WHERE skill_name = ?2 AND EXISTS (SELECT 1 FROM skill_metrics WHERE skill_name = ?1)",
                            column, json_object_of(fmt::format("kept.{}", column)),
                            json_object_of(fmt::format("gone.{}", column))),
                from, to);
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
