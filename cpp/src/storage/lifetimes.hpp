// Lifetime figures per skill: from skill_metrics, or counted from the rows themselves where a skill has no entry there.
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
    using Figures = std::vector<std::pair<std::string, LifetimeFigures>>;

    explicit LifetimeReader(SQLite::Database& database);

    /// All skills, counting rows up to `last_id` for those without an entry.
    [[nodiscard]] Figures all(std::int64_t last_id);
    [[nodiscard]] Figures of(const SkillNames& skills, std::int64_t last_id);

  private:
    /// What was counted so far of a skill without an entry; only newer rows are read the next time.
    struct Counted {
        LifetimeFigures figures;
        double seconds = 0.0;
        std::int64_t timed = 0;
        std::int64_t too_long = 0;
        std::int64_t last_id = 0;
    };
    [[nodiscard]] LifetimeFigures checked(const sql::Statement& entry, const std::string& skill, std::int64_t last_id);
    [[nodiscard]] LifetimeFigures count(const std::string& skill, std::int64_t last_id);

    sql::Statement entries_;
    sql::Statement entry_;
    sql::Statement next_name_;
    sql::Statement rows_;
    std::map<std::string, Counted> counted_;
};

}  // namespace session_buddy::storage
