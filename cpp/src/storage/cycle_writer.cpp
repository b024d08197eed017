// Writes the results of one cycle in one transaction.
#include "session_buddy/storage/cycle_writer.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>
#include <sqlite3.h>

#include <string_view>

#include "session_buddy/core/timestamp.hpp"
#include "side_tables.hpp"
#include "sql.hpp"

namespace session_buddy::storage {
namespace {

// The keys of the entries are [kStatePrefix, kStateEnd): '0' follows '/'.
constexpr std::string_view kStatePrefix = "anomaly_detector/";
constexpr std::string_view kOldStateKey = "anomaly_detector";  // the whole state, as earlier versions wrote it
constexpr std::string_view kStateEnd = "anomaly_detector0";

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
                        " AND resolved_at IS NULL)"),
          end_episode(database,
                      "UPDATE skill_anomalies SET resolved_at = ?3"
                      " WHERE skill_name = ?1 AND anomaly_type = ?2 AND resolved_at IS NULL"),
          remove_state(database, "DELETE FROM session_buddy_state WHERE key = ?1") {}

    void write_cache(std::span<const CacheRow> rows, TimePoint now);
    void write_episodes(std::span<const EpisodeChange> episodes);
    void write_state(std::span<const StateEntry> entries, bool replaces);

  private:
    SQLite::Database& database;
    sql::DeferredStatement update_cache;
    sql::DeferredStatement insert_cache;
    sql::DeferredStatement start_episode;
    sql::DeferredStatement end_episode;
    std::optional<sql::Statement> put_state;
    sql::DeferredStatement remove_state;
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

void CycleWriter::Statements::write_episodes(std::span<const EpisodeChange> episodes) {
    for (const EpisodeChange& change : episodes) {
        const std::string at = format_timestamp(change.at);
        if (change.started) {
            start_episode
                .with(change.skill_name, change.anomaly_type, at, change.baseline_value, change.observed_value,
                      change.deviation_score)
                .run();
        } else {
            end_episode.with(change.skill_name, change.anomaly_type, at).run();
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

CycleWriter::CycleWriter(SQLite::Database& database) : database_(database) {}

CycleWriter::~CycleWriter() = default;

bool CycleWriter::write(const CycleWrites& writes, TimePoint now) {
    const bool has_totals = writes.totals != nullptr && !writes.totals->empty();
    if (writes.cache.empty() && writes.episodes.empty() && writes.detector_state.empty() && !writes.replaces_state &&
        !has_totals) {
        return true;
    }
    if (!statements_) {
        statements_ = std::make_unique<Statements>(database_);
    }
    try {
        return sql::translated(database_.getFilename(), "cannot write the metrics cache and anomalies of", [&] {
            SQLite::Transaction transaction(database_, SQLite::TransactionBehavior::IMMEDIATE);
            statements_->write_cache(writes.cache, now);
            statements_->write_episodes(writes.episodes);
            statements_->write_state(writes.detector_state, writes.replaces_state);
            const bool wrote_totals = !has_totals || writes.store->write(*writes.totals);
            transaction.commit();
            return wrote_totals;
        });
    } catch (...) {
        statements_.reset();
        if (writes.store != nullptr) {
            writes.store->rolled_back();
        }
        throw;
    }
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
