// Writes the results of one cycle in one transaction.
#include "session_buddy/storage/cycle_writer.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>
#include <spdlog/fmt/fmt.h>
#include <sqlite3.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <system_error>

#include "alert_rows.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "side_tables.hpp"
#include "sql.hpp"

namespace session_buddy::storage {
namespace {

// The keys of the entries are [kStatePrefix, kStateEnd): '0' follows '/'.
constexpr std::string_view kStatePrefix = "anomaly_detector/";
constexpr std::string_view kOldStateKey = "anomaly_detector";  // the whole state, as earlier versions wrote it
constexpr std::string_view kStateEnd = "anomaly_detector0";

// Likewise of the alert detectors. The key without the slash has the row and the log time up to which they have read.
constexpr std::string_view kAlertStatePrefix = "alert_detector/";
constexpr std::string_view kAlertPositionKey = "alert_detector";
constexpr std::string_view kAlertStateEnd = "alert_detector0";

using AlertPosition = std::pair<std::int64_t, std::int64_t>;  // row, log time in microseconds: both only grow

AlertPosition position_of(const AlertState& state) {
    return {state.last_id, state.until.time_since_epoch().count()};
}

std::string to_text(const AlertPosition& position) {
    return fmt::format("{} {}", position.first, position.second);
}

std::optional<AlertPosition> parse_position(std::string_view text) {
    AlertPosition position;
    const char* const end = text.data() + text.size();
    const auto row = std::from_chars(text.data(), end, position.first);
    if (row.ec != std::errc{} || row.ptr == end || *row.ptr != ' ') {
        return std::nullopt;
    }
    const auto time = std::from_chars(row.ptr + 1, end, position.second);
    return time.ec == std::errc{} && time.ptr == end ? std::optional(position) : std::nullopt;
}

std::optional<AlertPosition> read_position(SQLite::Database& database) {
    sql::Statement row(database, "SELECT value FROM session_buddy_state WHERE key = ?1");
    return row.with(kAlertPositionKey).step() ? parse_position(row.text(0)) : std::nullopt;
}

/// Ids are not used again, unless the table was created again, or without AUTOINCREMENT.
std::int64_t last_used_id(SQLite::Database& database) {
    std::int64_t last = sql::query_integer(database, "SELECT max(id) FROM skill_invocation");
    if (sql::has_table(database, "sqlite_sequence")) {
        last = std::max(
            last, sql::query_integer(database, "SELECT seq FROM sqlite_sequence WHERE name = 'skill_invocation'"));
    }
    return last;
}

std::span<const std::uint8_t> bytes_of(std::string_view text) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes of a blob
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

/// Prepared on first use: a database that never has an episode may lack the table.
struct CycleWriter::Statements {
    explicit Statements(SQLite::Database& its_database)
        : database(its_database),
          // Two statements instead of an upsert, which needs a key that a manually created table may lack.
          update_cache(database,
                       "UPDATE skill_metrics_cache SET last_invocation_at = ?2, invocation_count_1h = ?3,"
                       " invocation_count_24h = ?4, avg_completion_rate_24h = ?5, is_anomalous = ?6,"
                       " anomaly_score = ?7, updated_at = ?8 WHERE skill_name = ?1"),
          insert_cache(database,
                       "INSERT INTO skill_metrics_cache (skill_name, last_invocation_at, invocation_count_1h,"
                       " invocation_count_24h, avg_completion_rate_24h, is_anomalous, anomaly_score, updated_at)"
                       " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8"
                       " WHERE EXISTS (SELECT 1 FROM skill_metrics WHERE skill_name = ?1)"),
          start_episode(database,
                        "INSERT INTO skill_anomalies (skill_name, anomaly_type, detected_at, baseline_value,"
                        " observed_value, deviation_score) SELECT ?1, ?2, ?3, ?4, ?5, ?6"
                        " WHERE EXISTS (SELECT 1 FROM skill_metrics WHERE skill_name = ?1)"
                        " AND NOT EXISTS (SELECT 1 FROM skill_anomalies WHERE skill_name = ?1 AND anomaly_type = ?2"
                        " AND (resolved_at IS NULL OR (detected_at = ?3 AND resolved_at > detected_at)))"),
          end_episode(database,
                      "UPDATE skill_anomalies SET resolved_at = ?3 WHERE skill_name = ?1 AND anomaly_type = ?2"
                      " AND resolved_at IS NULL AND (?4 IS NULL OR detected_at = ?4)"),
          head(database,
               "SELECT value, CASE WHEN json_valid(value) THEN json_extract(value, '$.until') END,"
               " CASE WHEN json_valid(value) THEN json_extract(value, '$.last_id') END"
               " FROM session_buddy_state WHERE key = ?1"),
          remove_state(database, "DELETE FROM session_buddy_state WHERE key = ?1"),
          has_skill(database, "SELECT EXISTS (SELECT 1 FROM skill_metrics WHERE skill_name = ?1)") {}

    void write_cache(std::span<const CacheRow> rows, TimePoint now);
    void write_episodes(std::span<const EpisodeChange> episodes, const std::optional<LogPosition>& written);
    void write_state(std::span<const StateEntry> entries, bool replaces);
    void write_alerts(std::span<const Alert> alerts);
    void write_alert_state(const AlertState& state);

    struct StoredHead {
        std::string text;
        std::optional<LogPosition> position;  ///< nullopt if it cannot be read
    };
    [[nodiscard]] StoredHead read_head();

  private:
    SQLite::Database& database;
    sql::DeferredStatement update_cache;
    sql::DeferredStatement insert_cache;
    sql::DeferredStatement start_episode;
    sql::DeferredStatement end_episode;
    sql::DeferredStatement head;
    std::optional<sql::Statement> put_state;
    sql::DeferredStatement remove_state;
    std::optional<AlertRowWriter> alert_rows;
    sql::DeferredStatement has_skill;
};

void CycleWriter::Statements::write_cache(std::span<const CacheRow> rows, TimePoint now) {
    const std::string updated_at = format_timestamp(now);
    for (const CacheRow& row : rows) {
        const auto fill = [&](sql::Statement& statement) {
            statement
                .with(row.skill_name, format_timestamp(row.last_invocation_at), row.invocation_count_1h,
                      row.invocation_count_24h, row.avg_completion_rate_24h, std::int64_t{row.is_anomalous ? 1 : 0},
                      row.anomaly_score, updated_at)
                .run();
        };
        fill(update_cache.get());
        if (sqlite3_changes(database.getHandle()) == 0) {
            fill(insert_cache.get());
        }
    }
}

CycleWriter::Statements::StoredHead CycleWriter::Statements::read_head() {
    StoredHead stored;
    if (!sql::has_known_table(database, "session_buddy_state")) {
        return stored;
    }
    sql::Statement& row = head.with(std::string(kStatePrefix) + kStateHead);
    if (row.step()) {
        stored.text = row.text(0);
        if (!row.is_null(1) && !row.is_null(2)) {
            stored.position =
                LogPosition{.at = TimePoint{std::chrono::microseconds{row.integer(1)}}, .last_row = row.integer(2)};
        }
        row.reset();
    }
    return stored;
}

/// Up to position `written`, another server has written all.
void CycleWriter::Statements::write_episodes(std::span<const EpisodeChange> episodes,
                                             const std::optional<LogPosition>& written) {
    for (const EpisodeChange& change : episodes) {
        if (written && change.position <= *written) {
            continue;
        }
        const std::string at = format_timestamp(change.at);
        if (change.started) {
            start_episode
                .with(change.skill_name, change.anomaly_type, at, change.baseline_value, change.observed_value,
                      change.deviation_score)
                .run();
        } else {
            const auto started_at =
                change.started_at ? std::optional(format_timestamp(*change.started_at)) : std::nullopt;
            end_episode.with(change.skill_name, change.anomaly_type, at, started_at).run();
        }
    }
}

void CycleWriter::Statements::write_state(std::span<const StateEntry> entries, bool replaces) {
    if (entries.empty() && !replaces) {
        return;
    }
    if (!put_state) {
        create_side_tables(database, SideTable::Group::state);
        put_state.emplace(database, kPutState);
    }
    if (replaces) {
        sql::Statement(database, "DELETE FROM session_buddy_state WHERE key >= ?1 AND key < ?2")
            .with(kOldStateKey, kStateEnd)
            .run();
    }
    for (const StateEntry& entry : entries) {
        const std::string key = std::string(kStatePrefix) + entry.name;
        if (entry.text) {
            put_state->with(key, *entry.text).run();
        } else {
            remove_state.with(key).run();
        }
    }
}

void CycleWriter::Statements::write_alerts(std::span<const Alert> alerts) {
    if (alerts.empty()) {
        return;
    }
    if (!alert_rows) {
        create_side_tables(database, SideTable::Group::state);
        create_side_tables(database, SideTable::Group::alerts);
        alert_rows.emplace(database);
    }
    alert_rows->write(alerts);
}

/// Several servers may write: the entries of all detectors must be those of one position. A server that is behind
/// writes nothing; what it leaves out, the one that is ahead has written.
void CycleWriter::Statements::write_alert_state(const AlertState& state) {
    if (!put_state) {
        create_side_tables(database, SideTable::Group::state);
        put_state.emplace(database, kPutState);
    }
    if (state.replaces) {
        sql::Statement(database, "DELETE FROM session_buddy_state WHERE key >= ?1 AND key < ?2")
            .with(kAlertStatePrefix, kAlertStateEnd)
            .run();
    } else if (const auto stored = read_position(database); stored && *stored >= position_of(state)) {
        return;
    }
    for (const AlertStateEntry& entry : state.entries) {
        const std::string key = std::string(kAlertStatePrefix) + entry.key;
        if (entry.bytes.empty()) {
            remove_state.with(key).run();
            continue;
        }
        // Not a condition of the insertion: for INSERT … SELECT, SQLite copies each changed page to a statement
        // journal.
        if (!entry.key.empty() && has_skill.with(entry.key).first_integer() == 0) {
            continue;
        }
        put_state->reset();
        put_state->bind(1, key);
        put_state->bind_blob(2, bytes_of(entry.bytes));
        put_state->run();
    }
    put_state->with(kAlertPositionKey, to_text(position_of(state))).run();
}

CycleWriter::CycleWriter(SQLite::Database& database) : database_(database) {}

CycleWriter::~CycleWriter() = default;

CycleWriter::Result CycleWriter::write(const CycleWrites& writes, TimePoint now) {
    const bool has_totals = writes.totals != nullptr && !writes.totals->empty();
    if (writes.cache.empty() && writes.episodes.empty() && writes.detector_state.empty() && !writes.replaces_state &&
        writes.alerts.empty() && writes.alert_state == nullptr && !has_totals) {
        return {};
    }
    if (!statements_) {
        statements_ = std::make_unique<Statements>(database_);
    }
    try {
        return sql::translated(database_.getFilename(), "cannot write the metrics cache and anomalies of", [&] {
            SQLite::Transaction transaction(database_, SQLite::TransactionBehavior::IMMEDIATE);
            statements_->write_cache(writes.cache, now);
            Result result;
            std::optional<LogPosition> written;  // by another server
            bool must_write_state = true;
            if (writes.owner) {
                const auto head = statements_->read_head();
                if (head.text != writes.owner->stored_head) {
                    written = head.position;
                    must_write_state = writes.replaces_state && (!written || *written < writes.owner->position);
                    result.state = must_write_state || written == writes.owner->position;
                }
            }
            statements_->write_episodes(writes.episodes, written);
            if (must_write_state) {
                statements_->write_state(writes.detector_state, writes.replaces_state);
            }
            statements_->write_alerts(writes.alerts);
            if (writes.alert_state != nullptr) {
                statements_->write_alert_state(*writes.alert_state);
            }
            result.totals = !has_totals || writes.store->write(*writes.totals);
            transaction.commit();
            return result;
        });
    } catch (...) {
        statements_.reset();
        if (writes.store != nullptr) {
            writes.store->rolled_back();
        }
        throw;
    }
}

StoredAlertState read_alert_state(SQLite::Database& database, TimePoint ended_since) {
    return sql::translated(database.getFilename(), "cannot read", [&] {
        const SQLite::Transaction transaction(database, SQLite::TransactionBehavior::DEFERRED);
        StoredAlertState stored{.detectors = std::nullopt, .alerts = select_current_alerts(database, ended_since)};
        if (!sql::has_table(database, "session_buddy_state")) {
            return stored;
        }
        const auto position = read_position(database);
        if (!position || position->first > last_used_id(database)) {
            return stored;
        }
        AlertState& state = stored.detectors.emplace();
        state.last_id = position->first;
        state.until = TimePoint{std::chrono::microseconds{position->second}};
        sql::Statement entries(database, "SELECT key, value FROM session_buddy_state WHERE key >= ?1 AND key < ?2");
        entries.with(kAlertStatePrefix, kAlertStateEnd);
        while (entries.step()) {
            state.entries.push_back(
                {std::string(entries.text(0).substr(kAlertStatePrefix.size())), std::string(entries.text(1))});
        }
        return stored;
    });
}

std::vector<StateEntry> read_detector_state(SQLite::Database& database) {
    return sql::translated(database.getFilename(), "cannot read", [&] {
        std::vector<StateEntry> entries;
        if (sql::has_table(database, "session_buddy_state")) {
            sql::Statement state(database, "SELECT key, value FROM session_buddy_state WHERE key >= ?1 AND key < ?2");
            state.with(kStatePrefix, kStateEnd);
            while (state.step()) {
                entries.push_back({std::string(state.text(0).substr(kStatePrefix.size())), std::string(state.text(1))});
            }
        }
        return entries;
    });
}

std::vector<std::pair<std::string, std::string>> open_anomalies(SQLite::Database& database) {
    return sql::translated(database.getFilename(), "cannot read", [&] {
        std::vector<std::pair<std::string, std::string>> open;
        sql::Statement rows(database, "SELECT skill_name, anomaly_type FROM skill_anomalies WHERE resolved_at IS NULL");
        while (rows.step()) {
            open.emplace_back(rows.text(0), rows.text(1));
        }
        return open;
    });
}

}  // namespace session_buddy::storage
