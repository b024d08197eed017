// Lifetime metrics per skill: from skill_metrics, or counted from the rows if a skill has no entry there, or a trigger
// of another program maintains the entry.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "session_buddy/core/snapshot.hpp"
#include "sql.hpp"

namespace session_buddy::storage {

using SkillNames = std::set<std::string, std::less<>>;

/// Whether this sum in skill_metrics certainly has valid durations only. If not, the rows must be checked, because the
/// triggers add every duration that other programs write.
[[nodiscard]] bool is_certain_sum(const sql::Statement& row, int column);

/// Whether a sum and mean in skill_metrics are wrong, given the number of rows with a duration that is too long.
[[nodiscard]] bool is_wrong_sum(std::int64_t too_long, double sum, std::optional<double> mean);

/// For one connection. All members may throw SQLite::Exception.
class LifetimeReader {
  public:
    using Metrics = std::vector<std::pair<std::string, LifetimeMetrics>>;

    explicit LifetimeReader(SQLite::Database& database);

    /// All skills; counts everything that comes from rows again.
    [[nodiscard]] Metrics read_all();
    [[nodiscard]] Metrics read(const SkillNames& skills);

  private:
    /// What was counted for a skill; the next count reads newer rows only.
    struct Counted {
        LifetimeMetrics metrics;
        double seconds = 0.0;
        std::int64_t timed = 0;
        std::int64_t too_long = 0;
        std::int64_t last_id = 0;
    };
    static void add_rows(Counted& known, const sql::Statement& row);
    /// Sets the number of unknown outcomes from session_buddy_unknown.
    void add_unknown(const std::string& skill, LifetimeMetrics& metrics);
    void add_unknown(Metrics& metrics);
    [[nodiscard]] const Counted& count(const std::string& skill);
    [[nodiscard]] LifetimeMetrics checked(const sql::Statement& entry, const std::string& skill);

    SQLite::Database& database_;
    bool entries_are_ours_;  // our own trigger maintains skill_metrics
    sql::Statement entries_;
    sql::Statement entry_;
    sql::Statement next_name_;
    sql::Statement rows_;
    sql::Statement all_rows_;
    // Their table may be missing.
    sql::DeferredStatement unknown_;
    sql::DeferredStatement all_unknown_;
    std::map<std::string, Counted> counted_;
};

}  // namespace session_buddy::storage
