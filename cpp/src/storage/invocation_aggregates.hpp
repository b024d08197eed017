// What the tables of the schema and the side tables count about single invocations, and how a row that is deleted or
// corrected changes these counts.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "session_buddy/core/clock.hpp"
#include "side_tables.hpp"
#include "sql.hpp"

namespace session_buddy::storage {

/// The values of an invocation that are counted.
struct CountedRow {
    std::string skill_name;
    std::string session_id;
    std::string invoked_at;
    std::optional<std::int64_t> at{};  ///< microseconds; nullopt if invoked_at is no timestamp
    bool completed = false;
    bool outcome_is_unknown = false;
    std::optional<double> seconds{};                    ///< as the triggers add it to skill_metrics
    std::array<std::optional<std::string>, 3> names{};  ///< workflow path, error type, first follow-up action
    std::string workflow_phase{};                       ///< may be empty
};

/// For one connection. All members must be called in a write transaction, and may throw SQLite::Exception.
class InvocationAggregates {
  public:
    explicit InvocationAggregates(SQLite::Database& database) : database_(database) {}

    [[nodiscard]] std::optional<CountedRow> read(std::int64_t id);
    /// Subtracts a row that was deleted.
    void subtract(const CountedRow& row);
    /// Moves the counts of a row that was changed. A skill that has no other row is forgotten; its totals stay.
    void move(std::int64_t id, const CountedRow& before, const CountedRow& after);
    /// Must be called once before the commit: counts the affected hours again.
    void finish();

    /// Deletes the skill from all tables but skill_invocation.
    void forget_skill(std::string_view name, KeptRows kept);
    /// Adds to the number of invocations of a skill whose outcome is unknown.
    void add_unknown(std::string_view skill_name, std::int64_t count);
    /// Makes the hourly rollup restart, so that it does not write hours that it has counted before, and counts the
    /// hours of rows from `first_id` again.
    void restart_rollup(std::int64_t first_id = INT64_MAX);

    [[nodiscard]] std::int64_t rows_of(std::string_view skill_name);
    /// total_invocations of skill_metrics, which also counts deleted rows; 0 if there is no such skill.
    [[nodiscard]] std::int64_t total_of(std::string_view skill_name);

  private:
    using Hour = std::chrono::sys_time<std::chrono::hours>;

    template <typename... Values>
    void run(std::string_view text, const Values&... values) {
        sql::Statement(database_, text).with(values...).run();
    }
    template <typename... Values>
    std::int64_t integer(std::string_view text, const Values&... values) {
        sql::Statement statement(database_, text);
        statement.with(values...);
        return statement.step() ? statement.integer(0) : 0;
    }

    void subtract_counts(std::int64_t id, const CountedRow& row);
    void add_counts(const CountedRow& row);
    void find_first_and_last(const CountedRow& row);
    void add_to_first_and_last(const CountedRow& row);
    void subtract_from_session(const CountedRow& row);
    void add_to_session(const CountedRow& row);
    void subtract_from_cache(const CountedRow& row);
    void add_to_cache(const CountedRow& row);
    std::optional<Hour> note_hour(const CountedRow& row);
    void recount_hour(const std::string& skill_name, Hour hour);

    SQLite::Database& database_;
    std::set<std::pair<std::string, Hour>> hours_;  // to be counted again
    std::int64_t first_moved_ = INT64_MAX;          // smallest id of a row that is in another hour or skill now
};

/// Tables in which a skill has one row, or one per key, that cannot be added up on a rename.
inline constexpr std::array kUniqueTables{"skill_community_baselines", "skill_cluster_membership",
                                          "skill_category_mapping", "skill_modalities"};
inline constexpr std::array kSummedTables{"session_skills", "skill_metrics_cache", "mv_daily_skills",
                                          "skill_time_series"};
inline constexpr std::array kOtherTables{"skill_anomalies", "skill_user_interactions", "ab_test_outcomes"};

/// SQL: the JSON object in a column of skill_metrics; an empty object for anything else.
[[nodiscard]] std::string json_object_of(std::string_view column);

/// The columns of skill_metrics that count names in JSON objects, in the order of CountedRow::names.
inline constexpr std::array kNameCountColumns{"workflow_paths", "common_errors", "follow_up_actions"};

}  // namespace session_buddy::storage
