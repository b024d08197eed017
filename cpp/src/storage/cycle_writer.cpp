// Writes the results of one cycle in one transaction.
#include "session_buddy/storage/cycle_writer.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>
#include <sqlite3.h>

#include <string_view>

#include "session_buddy/core/timestamp.hpp"
#include "sql.hpp"

namespace session_buddy::storage {
namespace {

// The keys of the entries are [kStatePrefix, kStateEnd): '0' follows '/'.
constexpr std::string_view kStatePrefix = "anomaly_detector/";
constexpr std::string_view kOldStateKey = "anomaly_detector";  // the whole state, as earlier versions wrote it
constexpr std::string_view kStateEnd = "anomaly_detector0";

bool has_state_table(SQLite::Database& database) {
    return sql::query_integer(database, "SELECT count(*) FROM sqlite_master WHERE name = 'session_buddy_state'") != 0;
}

}  // namespace

/// Prepared on first use: a database that never has an episode may lack the table.
struct CycleWriter::Statements {
    explicit Statements(SQLite::Database& its_database) : database(its_database) {}

    void write_cache(std::span<const CacheRow> rows, TimePoint now);
    void write_episodes(std::span<const EpisodeChange> episodes);
    void write_state(std::span<const StateEntry> entries, bool replaces);

  private:
    sql::Statement& prepared(std::optional<sql::Statement>& statement, std::string_view text) const {
        return statement ? *statement : statement.emplace(database, text);
    }

    SQLite::Database& database;
    std::optional<sql::Statement> update_cache;
    std::optional<sql::Statement> insert_cache;
    std::optional<sql::Statement> start_episode;
    std::optional<sql::Statement> end_episode;
    std::optional<sql::Statement> put_state;
    std::optional<sql::Statement> remove_state;
};

void CycleWriter::Statements::write_cache(std::span<const CacheRow> rows, TimePoint now) {
    const std::string updated_at = format_timestamp(now);
    for (const CacheRow& row : rows) {
        const auto fill = [&](sql::Statement& statement) {
            statement
                .with(std::string_view(row.skill_name), std::string_view(format_timestamp(row.last_invocation_at)),
                      row.invocation_count_1h, row.invocation_count_24h, row.avg_completion_rate_24h,
                      std::int64_t{row.is_anomalous ? 1 : 0}, row.anomaly_score, std::string_view(updated_at))
                .run();
        };
        // Two statements instead of an upsert, which needs a key that a manually created table may lack.
        fill(prepared(update_cache,
                      "UPDATE skill_metrics_cache SET last_invocation_at = ?2, invocation_count_1h = ?3,"
                      " invocation_count_24h = ?4, avg_completion_rate_24h = ?5, is_anomalous = ?6,"
                      " anomaly_score = ?7, updated_at = ?8 WHERE skill_name = ?1"));
        if (sqlite3_changes(database.getHandle()) == 0) {
            fill(prepared(insert_cache,
                          "INSERT INTO skill_metrics_cache (skill_name, last_invocation_at, invocation_count_1h,"
                          " invocation_count_24h, avg_completion_rate_24h, is_anomalous, anomaly_score, updated_at)"
                          " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8"
                          " WHERE EXISTS (SELECT 1 FROM skill_metrics WHERE skill_name = ?1)"));
        }
    }
}

void CycleWriter::Statements::write_episodes(std::span<const EpisodeChange> episodes) {
    for (const EpisodeChange& change : episodes) {
        const std::string at = format_timestamp(change.at);
        if (change.started) {
            prepared(start_episode,
                     "INSERT INTO skill_anomalies (skill_name, anomaly_type, detected_at, baseline_value,"
                     " observed_value, deviation_score) SELECT ?1, ?2, ?3, ?4, ?5, ?6"
                     " WHERE EXISTS (SELECT 1 FROM skill_metrics WHERE skill_name = ?1)"
                     " AND NOT EXISTS (SELECT 1 FROM skill_anomalies WHERE skill_name = ?1 AND anomaly_type = ?2"
                     " AND resolved_at IS NULL)")
                .with(std::string_view(change.skill_name), std::string_view(change.anomaly_type), std::string_view(at),
                      change.baseline_value, change.observed_value, change.deviation_score)
                .run();
        } else {
            prepared(end_episode,
                     "UPDATE skill_anomalies SET resolved_at = ?3"
                     " WHERE skill_name = ?1 AND anomaly_type = ?2 AND resolved_at IS NULL")
                .with(std::string_view(change.skill_name), std::string_view(change.anomaly_type), std::string_view(at))
                .run();
        }
    }
}

void CycleWriter::Statements::write_state(std::span<const StateEntry> entries, bool replaces) {
    if (entries.empty() && !replaces) {
        return;
    }
    if (!put_state) {
        database.exec("CREATE TABLE IF NOT EXISTS session_buddy_state (key TEXT PRIMARY KEY, value) WITHOUT ROWID");
    }
    if (replaces) {
        sql::Statement(database, "DELETE FROM session_buddy_state WHERE key >= ?1 AND key < ?2")
            .with(kOldStateKey, kStateEnd)
            .run();
    }
    for (const StateEntry& entry : entries) {
        const std::string key = std::string(kStatePrefix) + entry.name;
        if (entry.text) {
            prepared(put_state, "INSERT OR REPLACE INTO session_buddy_state (key, value) VALUES (?1, ?2)")
                .with(std::string_view(key), std::string_view(*entry.text))
                .run();
        } else {
            prepared(remove_state, "DELETE FROM session_buddy_state WHERE key = ?1").with(std::string_view(key)).run();
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
        if (has_state_table(database)) {
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
