// One row per alert: what is searched is in columns, what explains it is a JSON object.
#include "alert_rows.hpp"

#include <SQLiteCpp/Database.h>
#include <spdlog/fmt/fmt.h>
#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "side_tables.hpp"

namespace session_buddy::storage {
namespace {

using nlohmann::json;

constexpr const char* kAlertTable = "session_buddy_alert";
constexpr const char* kMuteTable = "session_buddy_mute";
constexpr const char* kAlertColumns =
    "id, skill_name, kind, detected_us, ended_us, \"end\", explanation, acknowledged_us, note";

TimePoint time_of(std::int64_t micros) {
    return TimePoint{std::chrono::microseconds{micros}};
}

std::optional<TimePoint> optional_time(const sql::Statement& row, int column) {
    return row.is_null(column) ? std::nullopt : std::optional(time_of(row.integer(column)));
}

/// JSON has no infinity.
double finite(double number) {
    return std::isfinite(number) ? number : 0.0;
}

json to_json(const AlertLevel& level) {
    return {{"value", finite(level.value)},
            {"low", finite(level.low)},
            {"high", finite(level.high)},
            {"samples", level.samples}};
}

AlertLevel to_level(const json& from) {
    return {.value = from.at("value").get<double>(),
            .low = from.at("low").get<double>(),
            .high = from.at("high").get<double>(),
            .samples = from.at("samples").get<std::int64_t>()};
}

std::string explanation_of(const Alert& alert) {
    json errors = json::array();
    for (const GrownError& error : alert.errors) {
        errors.push_back({{"error_type", error.error_type},
                          {"before", finite(error.before)},
                          {"after", finite(error.after)},
                          {"count", error.count}});
    }
    return json{{"since_us", micros_of(alert.since)},
                {"since_low_us", micros_of(alert.since_low)},
                {"since_high_us", micros_of(alert.since_high)},
                {"before", to_json(alert.before)},
                {"after", to_json(alert.after)},
                {"once_in_seconds", finite(alert.once_in_seconds)},
                {"failures_in_a_row", alert.failures_in_a_row},
                {"errors", std::move(errors)},
                {"session_id", alert.session_id},
                {"session_share", finite(alert.session_share)},
                {"sessions", alert.sessions}}
        .dump(-1, ' ', false, json::error_handler_t::replace);
}

/// Throws json::exception if another program has changed it.
void read_explanation(std::string_view text, Alert& alert) {
    const json from = json::parse(text);
    alert.since = time_of(from.at("since_us").get<std::int64_t>());
    alert.since_low = time_of(from.at("since_low_us").get<std::int64_t>());
    alert.since_high = time_of(from.at("since_high_us").get<std::int64_t>());
    alert.before = to_level(from.at("before"));
    alert.after = to_level(from.at("after"));
    from.at("once_in_seconds").get_to(alert.once_in_seconds);
    from.at("failures_in_a_row").get_to(alert.failures_in_a_row);
    for (const json& error : from.at("errors")) {
        alert.errors.push_back({.error_type = error.at("error_type").get<std::string>(),
                                .before = error.at("before").get<double>(),
                                .after = error.at("after").get<double>(),
                                .count = error.at("count").get<std::int64_t>()});
    }
    from.at("session_id").get_to(alert.session_id);
    from.at("session_share").get_to(alert.session_share);
    from.at("sessions").get_to(alert.sessions);
}

/// Of a row with kAlertColumns. nullopt for a kind or an explanation of another version.
std::optional<Alert> read_alert(const sql::Statement& row) {
    const auto kind = kAlertKinds.find(row.text(2));
    if (!kind) {
        return std::nullopt;
    }
    Alert alert;
    alert.id = row.integer(0);
    alert.skill_name = std::string(row.text(1));
    alert.kind = *kind;
    alert.detected_at = time_of(row.integer(3));
    alert.ended_at = optional_time(row, 4);
    if (alert.ended_at) {
        alert.end = kAlertEnds.find(row.text(5)).value_or(AlertEnd::accepted);
    }
    alert.acknowledged_at = optional_time(row, 7);
    alert.note = std::string(row.text(8));
    try {
        read_explanation(row.text(6), alert);
    } catch (const json::exception&) {
        return std::nullopt;
    }
    return alert;
}

std::vector<Mute> select_mutes(SQLite::Database& database) {
    std::vector<Mute> mutes;
    sql::Statement rows(
        database, fmt::format("SELECT skill_name, muted_us, until_us, reason FROM {} ORDER BY skill_name", kMuteTable));
    while (rows.step()) {
        mutes.push_back({.skill_name = std::string(rows.text(0)),
                         .muted_at = time_of(rows.integer(1)),
                         .until = optional_time(rows, 2),
                         .reason = std::string(rows.text(3))});
    }
    return mutes;
}

bool has_tables(SQLite::Database& database) {
    return sql::has_table(database, kAlertTable) && sql::has_table(database, kMuteTable);
}

bool is_muted(SQLite::Database& database, std::string_view skill_name, TimePoint now) {
    sql::Statement row(database, fmt::format("SELECT EXISTS (SELECT 1 FROM {} WHERE skill_name = ?1"
                                             " AND (until_us IS NULL OR until_us > ?2))",
                                             kMuteTable));
    return row.with(skill_name, micros_of(now)).first_integer() != 0;
}

}  // namespace

AlertPage select_alerts(SQLite::Database& database, const AlertFilter& filter, TimePoint now) {
    AlertPage page;
    if (!has_tables(database)) {
        return page;
    }
    page.mutes = select_mutes(database);
    std::erase_if(page.mutes, [now](const Mute& mute) { return mute.until && *mute.until <= now; });

    // Kinds of a later version are left out, so that the total is that of the alerts on all pages.
    std::string where = fmt::format("WHERE kind IN ('{}')", fmt::join(kAlertKinds.names(), "', '"));
    if (filter.open) {
        where += *filter.open ? " AND ended_us IS NULL" : " AND ended_us IS NOT NULL";
    }
    where +=
        " AND (?1 IS NULL OR skill_name = ?1) AND (?2 IS NULL OR kind = ?2)"
        " AND (?3 IS NULL OR ended_us IS NULL OR ended_us >= ?3) AND (?4 IS NULL OR detected_us < ?4)";
    const auto bound = [&](sql::Statement& statement) -> sql::Statement& {
        return statement.with(filter.skill_name,
                              filter.kind ? std::optional(std::string(to_string(*filter.kind))) : std::nullopt,
                              micros_of(filter.from), micros_of(filter.to));
    };
    sql::Statement total(database, fmt::format("SELECT count(*) FROM {} {}", kAlertTable, where));
    page.total = bound(total).first_integer();
    sql::Statement rows(database,
                        fmt::format("SELECT {} FROM {} {} ORDER BY detected_us DESC, id DESC LIMIT {} OFFSET {}",
                                    kAlertColumns, kAlertTable, where, filter.limit, filter.offset));
    bound(rows);
    while (rows.step()) {
        if (auto alert = read_alert(rows)) {
            alert->muted = std::ranges::find(page.mutes, alert->skill_name, &Mute::skill_name) != page.mutes.end();
            page.alerts.push_back(std::move(*alert));
        }
    }
    return page;
}

std::optional<Alert> select_alert(SQLite::Database& database, std::int64_t id, TimePoint now) {
    sql::Statement rows(database, fmt::format("SELECT {} FROM {} WHERE id = ?1", kAlertColumns, kAlertTable));
    std::optional<Alert> alert;
    if (rows.with(id).step()) {
        alert = read_alert(rows);
        if (alert) {
            alert->muted = is_muted(database, alert->skill_name, now);
        }
    }
    return alert;
}

StoredAlerts select_current_alerts(SQLite::Database& database, TimePoint since) {
    StoredAlerts stored;
    if (!has_tables(database)) {
        return stored;
    }
    stored.mutes = select_mutes(database);
    sql::Statement rows(database, fmt::format("SELECT {} FROM {} WHERE ended_us IS NULL OR ended_us >= ?1"
                                              " ORDER BY detected_us DESC, id DESC",
                                              kAlertColumns, kAlertTable));
    rows.with(micros_of(since));
    while (rows.step()) {
        if (auto alert = read_alert(rows)) {
            stored.alerts.push_back(std::move(*alert));
        }
    }
    return stored;
}

void count_alert_change(SQLite::Database& database) {
    sql::Statement(database,
                   "INSERT INTO session_buddy_state (key, value) VALUES (?1, 1)"
                   " ON CONFLICT (key) DO UPDATE SET value = value + 1")
        .with(kAlertChangesKey)
        .run();
}

AlertRowWriter::AlertRowWriter(SQLite::Database& database)
    : database_(database),
      take_over_(database,
                 "UPDATE OR IGNORE session_buddy_alert SET detected_us = ?3"
                 " WHERE skill_name = ?1 AND kind = ?2 AND detected_us <> ?3 AND ended_us IS NULL"),
      put_(database,
           "INSERT INTO session_buddy_alert (skill_name, kind, detected_us, ended_us, \"end\", explanation)"
           " SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM skill_metrics WHERE skill_name = ?1)"
           " ON CONFLICT (skill_name, kind, detected_us) DO UPDATE"
           " SET ended_us = excluded.ended_us, \"end\" = excluded.\"end\", explanation = excluded.explanation"
           " WHERE ended_us IS NULL AND (excluded.ended_us IS NOT NULL OR excluded.explanation <> explanation)") {}

void AlertRowWriter::write(std::span<const Alert> alerts) {
    const int before = sqlite3_total_changes(database_.getHandle());
    for (const Alert& alert : alerts) {
        const std::string kind(to_string(alert.kind));
        if (!alert.ended_at) {
            take_over_.with(alert.skill_name, kind, micros_of(alert.detected_at)).run();
        }
        put_.with(alert.skill_name, kind, micros_of(alert.detected_at), micros_of(alert.ended_at),
                  alert.end ? std::optional(std::string(kAlertEnds[*alert.end])) : std::nullopt, explanation_of(alert))
            .run();
    }
    if (sqlite3_total_changes(database_.getHandle()) != before) {
        count_alert_change(database_);
    }
}

}  // namespace session_buddy::storage
