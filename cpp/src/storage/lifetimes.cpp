// Reads skill_metrics defensively, and stands in for it where triggers are missing.
#include "lifetimes.hpp"

#include <algorithm>
#include <cmath>

#include "row_reader.hpp"
#include "schema_fragments.hpp"
#include "session_buddy/core/duration.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/timestamp.hpp"

namespace session_buddy::storage {
namespace {

LifetimeFigures read_entry(const sql::Statement& row) {
    LifetimeFigures figures;
    figures.total_invocations = std::max<std::int64_t>(row.integer(1), 0);
    figures.completed_invocations = std::clamp<std::int64_t>(row.integer(2), 0, figures.total_invocations);
    figures.avg_duration_seconds = read_duration(row, 3).value_or(0.0);
    figures.last_invocation_at = parse_timestamp(row.text(4));
    return figures;
}

}  // namespace

bool is_certain_sum(const sql::Statement& row, int column) {
    return read_duration(row, column).has_value();  // no single duration in it is longer
}

bool is_wrong_sum(std::int64_t too_long, double sum, std::optional<double> mean) {
    return too_long > 0 || !std::isfinite(sum) || !is_valid_duration(mean.value_or(0.0));
}

LifetimeReader::LifetimeReader(SQLite::Database& database)
    : entries_(database,
               "SELECT skill_name, total_invocations, completed_invocations, avg_duration_seconds, last_invoked,"
               " total_duration_seconds FROM skill_metrics"),
      entry_(database,
             "SELECT skill_name, total_invocations, completed_invocations, avg_duration_seconds, last_invoked,"
             " total_duration_seconds FROM skill_metrics WHERE skill_name = ?1"),
      // One step along the index for each name, where DISTINCT would read every row.
      next_name_(database, "SELECT min(skill_name) FROM skill_invocation WHERE skill_name > ?1"),
      rows_(database,
            "SELECT count(*), total(CASE WHEN completed THEN 1 ELSE 0 END), max(session_buddy_micros(invoked_at)),"
            " " SESSION_BUDDY_TIMED_SUMS " FROM skill_invocation WHERE skill_name = ?1 AND id > ?2 AND id <= ?3") {}

LifetimeReader::Figures LifetimeReader::all(std::int64_t last_id) {
    counted_.clear();
    Figures figures;
    SkillNames known;
    entries_.reset();
    while (entries_.step()) {
        if (is_valid_skill_name(entries_.text(0))) {
            known.emplace(entries_.text(0));
            const std::string name(entries_.text(0));
            figures.emplace_back(name, checked(entries_, name, last_id));
        }
    }
    std::string name;
    while (next_name_.with(std::string_view(name)).step() && next_name_.type(0) == SQLITE_TEXT) {
        name = next_name_.text(0);
        if (is_valid_skill_name(name) && !known.contains(name)) {
            figures.emplace_back(name, count(name, last_id));
        }
    }
    next_name_.reset();
    return figures;
}

LifetimeReader::Figures LifetimeReader::of(const SkillNames& skills, std::int64_t last_id) {
    Figures figures;
    figures.reserve(skills.size());
    for (const std::string& skill : skills) {
        if (entry_.with(std::string_view(skill)).step()) {
            figures.emplace_back(skill, checked(entry_, skill, last_id));
        } else {
            figures.emplace_back(skill, count(skill, last_id));
        }
        entry_.reset();
    }
    return figures;
}

LifetimeFigures LifetimeReader::checked(const sql::Statement& entry, const std::string& skill, std::int64_t last_id) {
    LifetimeFigures figures = read_entry(entry);
    if (is_certain_sum(entry, 5)) {
        counted_.erase(skill);
        return figures;
    }
    const LifetimeFigures of_rows = count(skill, last_id);
    const auto mean = entry.is_null(3) ? std::nullopt : std::optional(entry.real(3));
    if (is_wrong_sum(counted_[skill].too_long, entry.real(5), mean)) {
        figures.avg_duration_seconds = of_rows.avg_duration_seconds;
    }
    return figures;
}

LifetimeFigures LifetimeReader::count(const std::string& skill, std::int64_t last_id) {
    Counted& known = counted_[skill];
    rows_.with(std::string_view(skill), known.last_id, last_id);
    if (rows_.step()) {
        known.figures.total_invocations += rows_.integer(0);
        known.figures.completed_invocations += rows_.integer(1);
        known.seconds += rows_.real(3);
        known.timed += rows_.integer(4);
        known.too_long += rows_.integer(5);
        if (!rows_.is_null(2)) {
            const TimePoint last{TimePoint::duration{rows_.integer(2)}};
            known.figures.last_invocation_at = std::max(known.figures.last_invocation_at.value_or(last), last);
        }
        known.last_id = last_id;
        known.figures.avg_duration_seconds = known.timed > 0 ? known.seconds / static_cast<double>(known.timed) : 0.0;
    }
    rows_.reset();
    return known.figures;
}

}  // namespace session_buddy::storage
