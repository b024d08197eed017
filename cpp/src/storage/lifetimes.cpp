// Reads skill_metrics, and counts from the rows instead if triggers are missing or have known bugs.
#include "lifetimes.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "inspection.hpp"
#include "migrations.hpp"
#include "row_reader.hpp"
#include "schema_fragments.hpp"
#include "session_buddy/core/duration.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/timestamp.hpp"

namespace session_buddy::storage {
namespace {

// NOLINTBEGIN(cppcoreguidelines-macro-usage): literals can be joined only by the preprocessor
#define SESSION_BUDDY_ENTRY                                                                            \
    "SELECT skill_name, total_invocations, completed_invocations, avg_duration_seconds, last_invoked," \
    " total_duration_seconds FROM skill_metrics"
#define SESSION_BUDDY_SUMS                                                                                  \
    "SELECT count(*), total(CASE WHEN completed THEN 1 ELSE 0 END), max(session_buddy_micros(invoked_at))," \
    " " SESSION_BUDDY_TIMED_SUMS ", max(id), skill_name FROM skill_invocation"
// NOLINTEND(cppcoreguidelines-macro-usage)

LifetimeMetrics read_entry(const sql::Statement& row) {
    LifetimeMetrics metrics;
    metrics.total_invocations = std::max<std::int64_t>(row.integer(1), 0);
    metrics.completed_invocations = std::clamp<std::int64_t>(row.integer(2), 0, metrics.total_invocations);
    metrics.avg_duration_seconds = read_duration(row, 3).value_or(0.0);
    metrics.last_invocation_at = parse_timestamp(row.text(4));
    return metrics;
}

constexpr const char* kUnknownTable = "session_buddy_unknown";

void set_unknown(LifetimeMetrics& metrics, std::int64_t count) {
    // Another program may have deleted rows without the side table.
    metrics.unknown_invocations = std::clamp<std::int64_t>(count, 0, metrics.completed_invocations);
}

bool has_own_trigger(SQLite::Database& database) {
    const std::string_view name = kTriggerNames.front();
    const auto& triggers = finished_schema().triggers;
    const auto ours = std::ranges::find(triggers, name, [](const auto& each) { return std::string_view(each.first); });
    sql::Statement trigger(database, "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?1");
    return trigger.with(name).step() && trigger.text(0) == ours->second;
}

}  // namespace

bool is_certain_sum(const sql::Statement& row, int column) {
    return read_duration(row, column).has_value();  // so no single duration is too long
}

bool is_wrong_sum(std::int64_t too_long, double sum, std::optional<double> mean) {
    return too_long > 0 || !std::isfinite(sum) || !is_valid_duration(mean.value_or(0.0));
}

LifetimeReader::LifetimeReader(SQLite::Database& database)
    : database_(database),
      entries_are_ours_(has_own_trigger(database)),
      entries_(database, SESSION_BUDDY_ENTRY),
      entry_(database, SESSION_BUDDY_ENTRY " WHERE skill_name = ?1"),
      // One index lookup per name; DISTINCT would read every row.
      next_name_(database, "SELECT min(skill_name) FROM skill_invocation WHERE skill_name > ?1"),
      rows_(database, SESSION_BUDDY_SUMS " WHERE skill_name = ?1 AND id > ?2"),
      all_rows_(database, SESSION_BUDDY_SUMS " GROUP BY skill_name"),
      unknown_(database, "SELECT invocations FROM session_buddy_unknown WHERE skill_name = ?1"),
      all_unknown_(database, "SELECT skill_name, invocations FROM session_buddy_unknown") {}

LifetimeReader::Metrics LifetimeReader::read_all() {
    constexpr int kNameColumn = 7;
    counted_.clear();
    if (!entries_are_ours_) {
        all_rows_.reset();
        while (all_rows_.step()) {
            if (all_rows_.type(kNameColumn) == SQLITE_TEXT && is_valid_skill_name(all_rows_.text(kNameColumn))) {
                add_rows(counted_[std::string(all_rows_.text(kNameColumn))], all_rows_);
            }
        }
    }
    Metrics metrics;
    SkillNames known;
    entries_.reset();
    while (entries_.step()) {
        if (is_valid_skill_name(entries_.text(0))) {
            const std::string name(entries_.text(0));
            known.insert(name);
            metrics.emplace_back(name, checked(entries_, name));
        }
    }
    std::string name;
    while (next_name_.with(name).step() && next_name_.type(0) == SQLITE_TEXT) {
        name = next_name_.text(0);
        if (is_valid_skill_name(name) && !known.contains(name)) {
            metrics.emplace_back(name, count(name).metrics);
        }
    }
    next_name_.reset();
    add_unknown(metrics);
    return metrics;
}

LifetimeReader::Metrics LifetimeReader::read(const SkillNames& skills) {
    Metrics metrics;
    metrics.reserve(skills.size());
    for (const std::string& skill : skills) {
        if (entry_.with(skill).step()) {
            metrics.emplace_back(skill, checked(entry_, skill));
        } else {
            metrics.emplace_back(skill, count(skill).metrics);
        }
        entry_.reset();
        add_unknown(skill, metrics.back().second);
    }
    return metrics;
}

void LifetimeReader::add_unknown(const std::string& skill, LifetimeMetrics& metrics) {
    if (!sql::has_known_table(database_, kUnknownTable)) {
        unknown_.forget();
        return;
    }
    set_unknown(metrics, unknown_.with(skill).first_integer());
}

void LifetimeReader::add_unknown(Metrics& metrics) {
    if (!sql::has_known_table(database_, kUnknownTable)) {
        all_unknown_.forget();
        return;
    }
    std::unordered_map<std::string, std::int64_t> counts;
    sql::Statement& rows = all_unknown_.with();
    while (rows.step()) {
        counts.emplace(rows.text(0), rows.integer(1));
    }
    for (auto& [skill, lifetime] : metrics) {
        if (const auto found = counts.find(skill); found != counts.end()) {
            set_unknown(lifetime, found->second);
        }
    }
}

LifetimeMetrics LifetimeReader::checked(const sql::Statement& entry, const std::string& skill) {
    constexpr int kMean = 3;
    constexpr int kSum = 5;
    LifetimeMetrics metrics = read_entry(entry);
    const bool is_certain = is_certain_sum(entry, kSum);
    if (entries_are_ours_ && is_certain) {
        counted_.erase(skill);
        return metrics;
    }
    const Counted& from_rows = count(skill);
    if (entries_are_ours_) {
        if (is_wrong_sum(from_rows.too_long, entry.real(kSum), entry.optional_real(kMean))) {
            metrics.avg_duration_seconds = from_rows.metrics.avg_duration_seconds;
        }
        return metrics;
    }
    // The triggers of older tools divide the duration by all completed rows, with or without one, and take the row
    // inserted last for the latest one. Deleted rows are counted only in the entry.
    if (from_rows.metrics.total_invocations >= metrics.total_invocations) {
        return from_rows.metrics;
    }
    metrics.last_invocation_at = std::max(metrics.last_invocation_at, from_rows.metrics.last_invocation_at);
    if (!is_certain || from_rows.too_long > 0) {
        metrics.avg_duration_seconds = from_rows.metrics.avg_duration_seconds;
    } else if (from_rows.timed > 0 && metrics.completed_invocations > 0) {
        const double timed_share =
            static_cast<double>(from_rows.timed) / static_cast<double>(from_rows.metrics.completed_invocations);
        metrics.avg_duration_seconds =
            entry.real(kSum) / (static_cast<double>(metrics.completed_invocations) * timed_share);
    }
    return metrics;
}

void LifetimeReader::add_rows(Counted& known, const sql::Statement& row) {
    known.metrics.total_invocations += row.integer(0);
    known.metrics.completed_invocations += row.integer(1);
    if (!row.is_null(2)) {
        const TimePoint last{TimePoint::duration{row.integer(2)}};
        known.metrics.last_invocation_at = std::max(known.metrics.last_invocation_at.value_or(last), last);
    }
    known.seconds += row.real(3);
    known.timed += row.integer(4);
    known.too_long += row.integer(5);
    known.last_id = std::max(known.last_id, row.integer(6));
    known.metrics.avg_duration_seconds = known.timed > 0 ? known.seconds / static_cast<double>(known.timed) : 0.0;
}

const LifetimeReader::Counted& LifetimeReader::count(const std::string& skill) {
    Counted& known = counted_[skill];
    if (rows_.with(skill, known.last_id).step()) {
        add_rows(known, rows_);
    }
    rows_.reset();
    return known;
}

}  // namespace session_buddy::storage
