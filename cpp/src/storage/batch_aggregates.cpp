// Repeats the triggers of schema_v1.cpp and schema_v4.cpp for many rows at a time. Times and JSON elements are still
// parsed by SQLite, with the SQL of the triggers.
#include "batch_aggregates.hpp"

#include <SQLiteCpp/Database.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "change_counter.hpp"
#include "inspection.hpp"
#include "schema_fragments.hpp"
#include "sql.hpp"

namespace session_buddy::storage {
namespace {

constexpr std::array<const char*, 4> kTables{"skill_invocation", "skill_metrics", "session_skills",
                                             "skill_metrics_cache"};

/// Whether the tables and all triggers have the SQL of our migrations. The triggers of the change counter are ignored,
/// as they do not fire for new rows.
bool is_our_schema(SQLite::Database& database) {
    std::set<std::pair<std::string, std::string>> wanted;
    for (const auto& [name, text] : finished_schema().triggers) {
        wanted.emplace(name, text);
    }
    for (const SchemaTable& table : finished_schema().tables) {
        if (std::ranges::find(kTables, table.name) != kTables.end()) {
            wanted.emplace(table.name, table.sql);
        }
    }
    std::set<std::pair<std::string, std::string>> found;
    sql::Statement objects(database,
                           "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' OR (type = 'table' AND name IN"
                           " ('skill_invocation', 'skill_metrics', 'session_skills', 'skill_metrics_cache'))");
    while (objects.step()) {
        if (!is_change_trigger(objects.text(0), objects.text(1))) {
            found.emplace(objects.text(0), objects.text(1));
        }
    }
    return found == wanted && sql::query_text(database, "PRAGMA encoding") == "UTF-8";
}

/// Like SQL's round(): larger numbers have no fraction.
double rounded(double number) {
    constexpr double kWhole = 4503599627370496.0;
    return number < kWhole ? std::floor(number + 0.5) : number;
}

void count(std::vector<std::pair<std::string, std::int64_t>>& counts, std::string_view name) {
    const auto known = std::ranges::find(counts, name, &std::pair<std::string, std::int64_t>::first);
    if (known != counts.end()) {
        ++known->second;
    } else {
        counts.emplace_back(name, 1);
    }
}

// Small integers, for which adding 1 n times equals adding n.
// NOLINTBEGIN(cppcoreguidelines-macro-usage): as in schema_fragments.hpp
#define SESSION_BUDDY_IS_COUNT(x) "typeof(" x ") = 'integer' AND " x " BETWEEN 0 AND 1000000000000000"
#define SESSION_BUDDY_IS_OBJECT_OF_COUNTS(x)                                   \
    "typeof(" x ") = 'text' AND CASE WHEN json_valid(" x ") THEN json_type(" x \
    ") = 'object'"                                                             \
    " AND NOT EXISTS (SELECT 1 FROM json_each(" x                              \
    ") WHERE type <> 'integer' OR value NOT BETWEEN 0 AND"                     \
    " 1000000000000000) ELSE 0 END"
// The format in which the triggers write an object.
#define SESSION_BUDDY_REWRITTEN "(SELECT json_group_object(key, value) FROM json_each(?2))"
// NOLINTEND(cppcoreguidelines-macro-usage)

}  // namespace

struct BatchAggregates::Reader {
    explicit Reader(SQLite::Database& database)
        : metrics(database,
                  "SELECT total_invocations, completed_invocations, abandoned_invocations, completion_rate,"
                  " total_duration_seconds, avg_duration_seconds, first_invoked, last_invoked, " SESSION_BUDDY_MOMENT(
                      "first_invoked") ", " SESSION_BUDDY_MOMENT("last_invoked")
                      ", " SESSION_BUDDY_IS_COUNT("total_invocations")
                      " AND " SESSION_BUDDY_IS_COUNT("completed_invocations")
                      " AND " SESSION_BUDDY_IS_COUNT("abandoned_invocations")
                      " AND typeof(total_duration_seconds) = 'real' AND total_duration_seconds >= 0"
                      " AND typeof(avg_duration_seconds) IN ('real', 'null')"
                      " AND typeof(first_invoked) IN ('text', 'null') AND typeof(last_invoked) IN ('text', 'null')"
                      " AND " SESSION_BUDDY_IS_OBJECT_OF_COUNTS("workflow_paths")
                      " AND " SESSION_BUDDY_IS_OBJECT_OF_COUNTS("common_errors")
                      " AND " SESSION_BUDDY_IS_OBJECT_OF_COUNTS("follow_up_actions")
                      " FROM skill_metrics WHERE skill_name = ?1"),
          cache(database,
                "SELECT last_invocation_at, " SESSION_BUDDY_MOMENT("last_invocation_at")
                ", typeof(last_invocation_at) = 'text'"
                " AND (invocation_count_1h IS NULL OR " SESSION_BUDDY_IS_COUNT("invocation_count_1h") ")"
                " AND (invocation_count_24h IS NULL OR " SESSION_BUDDY_IS_COUNT("invocation_count_24h") ")"
                " FROM skill_metrics_cache WHERE skill_name = ?1"),
          moment(database, "SELECT " SESSION_BUDDY_MOMENT("?1")),
          first_element(database, "SELECT " SESSION_BUDDY_FIRST_ELEMENT("?1")) {}

    [[nodiscard]] Moment moment_of(const std::string& text) {
        if (text != last_text) {
            moment.with(text).step();
            last_moment = moment.optional_real(0);
            moment.reset();
            last_text = text;
        }
        return last_moment;
    }

    sql::Statement metrics;
    sql::Statement cache;
    sql::Statement moment;
    sql::Statement first_element;
    std::string last_text;
    Moment last_moment;
};

std::unique_ptr<BatchAggregates> BatchAggregates::prepare(SQLite::Database& database,
                                                          std::span<const InvocationRecord* const> records) {
    if (!is_our_schema(database)) {
        return nullptr;
    }
    std::unique_ptr<BatchAggregates> aggregates(new BatchAggregates(database));
    if (!aggregates->read(records)) {
        return nullptr;
    }
    sqlite3_db_config(database.getHandle(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
    aggregates->triggers_are_off_ = true;
    return aggregates;
}

BatchAggregates::~BatchAggregates() {
    if (triggers_are_off_) {
        sqlite3_db_config(database_.getHandle(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, nullptr);
    }
}

bool BatchAggregates::read(std::span<const InvocationRecord* const> records) {
    sql::Statement now(database_, "SELECT julianday('now', '-1 hour'), julianday('now', '-1 day')");
    now.step();
    hour_ago_ = now.real(0);
    day_ago_ = now.real(1);
    now.reset();

    Reader reader(database_);
    std::unordered_map<std::string_view, std::size_t> skill_indexes;
    std::map<std::pair<std::string_view, std::size_t>, std::size_t> session_indexes;
    for (const InvocationRecord* record : records) {
        const auto [known, is_new] = skill_indexes.try_emplace(record->skill_name, skills_.size());
        if (is_new) {
            Skill skill{.name = record->skill_name};
            if (reader.metrics.with(skill.name).step()) {
                if (reader.metrics.integer(10) != 1) {
                    return false;
                }
                skill.total = reader.metrics.integer(0);
                skill.completed = reader.metrics.integer(1);
                skill.abandoned = reader.metrics.integer(2);
                skill.completion_rate = reader.metrics.real(3);
                skill.total_seconds = reader.metrics.real(4);
                skill.mean_seconds = reader.metrics.optional_real(5);
                skill.first_invoked = reader.metrics.optional_text(6);
                skill.last_invoked = reader.metrics.optional_text(7);
                skill.first_moment = reader.metrics.optional_real(8);
                skill.last_moment = reader.metrics.optional_real(9);
                reader.metrics.reset();
            }
            if (reader.cache.with(skill.name).step()) {
                if (reader.cache.integer(2) != 1) {
                    return false;
                }
                skill.cached_invoked = reader.cache.optional_text(0);
                skill.cached_moment = reader.cache.optional_real(1);
                reader.cache.reset();
            }
            skills_.push_back(std::move(skill));
        }
        Skill& skill = skills_[known->second];
        add(*record, skill, reader);
        if (!std::isfinite(skill.total_seconds) || !std::isfinite(skill.mean_seconds.value_or(0.0))) {
            return false;  // how SQLite stores that is not certain
        }
        const auto [session_index, is_new_pair] =
            session_indexes.try_emplace({record->session_id, known->second}, sessions_.size());
        if (is_new_pair) {
            sessions_.push_back({record->session_id, known->second, 0});
        }
        ++sessions_[session_index->second].count;
    }
    return true;
}

void BatchAggregates::add(const InvocationRecord& record, Skill& skill, Reader& reader) const {
    const std::string& at = record.invoked_at;
    const Moment moment = reader.moment_of(at);
    ++skill.total;
    ++(record.completed ? skill.completed : skill.abandoned);
    skill.completion_rate = 100.0 * static_cast<double>(skill.completed) / static_cast<double>(skill.total);
    // Like SQL, where a comparison with NULL is never true.
    const auto is_less = [](const Moment& a, const Moment& b) { return a && b && *a < *b; };
    const auto is_later = [&](const Moment& known_moment, const std::string& known) {
        return is_less(known_moment, moment) || (!known_moment && moment) ||
               (moment && known_moment && *moment == *known_moment && at > known);
    };
    if (!skill.first_invoked || is_less(moment, skill.first_moment) || (!skill.first_moment && moment)) {
        skill.first_invoked = at;
        skill.first_moment = moment;
    }
    if (!skill.last_invoked || is_later(skill.last_moment, *skill.last_invoked)) {
        skill.last_invoked = at;
        skill.last_moment = moment;
    }
    if (record.completed && record.duration_seconds) {
        const double seconds = *record.duration_seconds;
        const double sum = skill.total_seconds + seconds;
        if (skill.mean_seconds && *skill.mean_seconds > 0.0) {
            skill.mean_seconds = sum / (rounded(skill.total_seconds / *skill.mean_seconds) + 1.0);
        } else if (!skill.mean_seconds) {
            skill.mean_seconds = seconds;
        } else {
            skill.mean_seconds = seconds / static_cast<double>(skill.completed);
        }
        skill.total_seconds = sum;
    }
    if (record.workflow_path && !record.workflow_path->empty()) {
        count(skill.workflow_paths, *record.workflow_path);
    }
    if (record.error_type && !record.error_type->empty()) {
        count(skill.errors, *record.error_type);
    }
    if (record.follow_up_actions) {
        reader.first_element.with(*record.follow_up_actions).step();
        if (!reader.first_element.is_null(0)) {
            count(skill.follow_ups, reader.first_element.text(0));
        }
        reader.first_element.reset();
    }
    if (!skill.cached_invoked || is_later(skill.cached_moment, *skill.cached_invoked)) {
        skill.cached_invoked = at;
        skill.cached_moment = moment;
    }
    skill.in_last_hour += moment && *moment > hour_ago_ ? 1 : 0;
    skill.in_last_day += moment && *moment > day_ago_ ? 1 : 0;
}

void BatchAggregates::write() {
    write_metrics();
    write_counts("SELECT key, value FROM skill_metrics, json_each(workflow_paths) WHERE skill_name = ?1",
                 "UPDATE skill_metrics SET workflow_paths = " SESSION_BUDDY_REWRITTEN " WHERE skill_name = ?1",
                 &Skill::workflow_paths);
    write_counts("SELECT key, value FROM skill_metrics, json_each(common_errors) WHERE skill_name = ?1",
                 "UPDATE skill_metrics SET common_errors = " SESSION_BUDDY_REWRITTEN " WHERE skill_name = ?1",
                 &Skill::errors);
    write_counts("SELECT key, value FROM skill_metrics, json_each(follow_up_actions) WHERE skill_name = ?1",
                 "UPDATE skill_metrics SET follow_up_actions = " SESSION_BUDDY_REWRITTEN " WHERE skill_name = ?1",
                 &Skill::follow_ups);
    write_sessions();
    write_cache();
}

void BatchAggregates::write_metrics() {
    sql::Statement insert(database_,
                          "INSERT INTO skill_metrics (skill_name, updated_at) SELECT ?1, datetime('now')"
                          " WHERE NOT EXISTS (SELECT 1 FROM skill_metrics WHERE skill_name = ?1)");
    sql::Statement update(database_,
                          "UPDATE skill_metrics SET total_invocations = ?2, completed_invocations = ?3,"
                          " abandoned_invocations = ?4, completion_rate = ?5, total_duration_seconds = ?6,"
                          " avg_duration_seconds = ?7, first_invoked = ?8, last_invoked = ?9,"
                          " updated_at = datetime('now') WHERE skill_name = ?1");
    for (const Skill& skill : skills_) {
        insert.with(skill.name).run();
        update
            .with(skill.name, skill.total, skill.completed, skill.abandoned, skill.completion_rate, skill.total_seconds,
                  skill.mean_seconds, skill.first_invoked, skill.last_invoked)
            .run();
    }
}

/// Writes all names of a skill at the same time, because the object is read and written as a whole.
void BatchAggregates::write_counts(const char* select, const char* update, Counts Skill::*counts) {
    sql::Statement known(database_, select);
    sql::Statement write(database_, update);
    for (const Skill& skill : skills_) {
        if ((skill.*counts).empty()) {
            continue;
        }
        std::unordered_map<std::string_view, std::int64_t> added((skill.*counts).begin(), (skill.*counts).end());
        std::unordered_set<std::string_view> found;
        std::string object;
        const auto append = [&object](std::string_view name, std::int64_t times) {
            object += object.empty() ? '{' : ',';
            object += nlohmann::json(name).dump(-1, ' ', false, nlohmann::json::error_handler_t::ignore);
            object += ':' + std::to_string(times);
        };
        known.with(skill.name);
        while (known.step()) {
            const auto more = added.find(known.text(0));
            append(known.text(0), known.integer(1) + (more != added.end() ? more->second : 0));
            if (more != added.end()) {
                found.insert(more->first);
            }
        }
        for (const auto& [name, times] : skill.*counts) {
            if (!found.contains(name)) {
                append(name, times);
            }
        }
        write.with(skill.name, object + '}').run();
    }
}

void BatchAggregates::write_sessions() {
    sql::Statement update(database_,
                          "UPDATE session_skills SET invocation_count = invocation_count + ?3"
                          " WHERE session_id = ?1 AND skill_name = ?2");
    sql::Statement insert(database_,
                          "INSERT INTO session_skills (session_id, skill_name, invocation_count) VALUES (?1, ?2, ?3)");
    for (const SessionCount& session : sessions_) {
        const std::string_view skill_name = skills_[session.skill].name;
        update.with(session.session_id, skill_name, session.count).run();
        if (sqlite3_changes(database_.getHandle()) == 0) {
            insert.with(session.session_id, skill_name, session.count).run();
        }
    }
}

void BatchAggregates::write_cache() {
    sql::Statement insert(database_,
                          "INSERT INTO skill_metrics_cache (skill_name, last_invocation_at, invocation_count_1h,"
                          " invocation_count_24h, is_anomalous, updated_at) SELECT ?1, ?2, 0, 0, 0, datetime('now')"
                          " WHERE NOT EXISTS (SELECT 1 FROM skill_metrics_cache WHERE skill_name = ?1)");
    sql::Statement update(database_,
                          "UPDATE skill_metrics_cache SET updated_at = datetime('now'), last_invocation_at = ?2,"
                          " invocation_count_1h = coalesce(invocation_count_1h, 0) + ?3,"
                          " invocation_count_24h = coalesce(invocation_count_24h, 0) + ?4 WHERE skill_name = ?1");
    for (const Skill& skill : skills_) {
        const std::string_view name = skill.name;
        insert.with(name, skill.cached_invoked).run();
        update.with(name, skill.cached_invoked, skill.in_last_hour, skill.in_last_day).run();
    }
}

}  // namespace session_buddy::storage
