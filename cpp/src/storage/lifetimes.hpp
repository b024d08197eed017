// Lifetime metrics per skill: from skill_metrics, or counted from the rows themselves where a skill has no entry there,
// or the entry is kept by a trigger of another program.
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

/// Whether durations that count can have this sum in skill_metrics. Where they cannot, or at least need not, the rows
/// tell: the triggers add up whatever other programs write for a duration.
[[nodiscard]] bool is_certain_sum(const sql::Statement& row, int column);

/// Whether a sum and mean in skill_metrics are wrong, where so many durations that do not count are among the rows.
[[nodiscard]] bool is_wrong_sum(std::int64_t too_long, double sum, std::optional<double> mean);

/// Belongs to one connection. Every failure is a SQLite::Exception.
class LifetimeReader {
  public:
    using Metrics = std::vector<std::pair<std::string, LifetimeMetrics>>;

    explicit LifetimeReader(SQLite::Database& database);

    /// All skills, with everything that is counted from rows counted again.
    [[nodiscard]] Metrics read_all();
    [[nodiscard]] Metrics read(const SkillNames& skills);

  private:
    /// What was counted so far of a skill; only newer rows are read the next time.
    struct Counted {
        LifetimeMetrics metrics;
        double seconds = 0.0;
        std::int64_t timed = 0;
        std::int64_t too_long = 0;
        std::int64_t last_id = 0;
    };
    static void add_rows(Counted& known, const sql::Statement& row);
    [[nodiscard]] const Counted& count(const std::string& skill);
    [[nodiscard]] LifetimeMetrics checked(const sql::Statement& entry, const std::string& skill);

    bool entries_are_ours_;  // the trigger that keeps them is
    sql::Statement entries_;
    sql::Statement entry_;
    sql::Statement next_name_;
    sql::Statement rows_;
    sql::Statement all_rows_;
    std::map<std::string, Counted> counted_;
};

}  // namespace session_buddy::storage
