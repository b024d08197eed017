// Writes the cache rows of one cycle.
#include "session_buddy/storage/cache_writer.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>
#include <sqlite3.h>

#include "session_buddy/core/timestamp.hpp"
#include "sql.hpp"

namespace session_buddy::storage {

void write_cache_rows(SQLite::Database& database, std::span<const CacheRow> rows, TimePoint now) {
    if (rows.empty()) {
        return;
    }
    sql::translated(database.getFilename(), "cannot write the metrics cache of", [&] {
        SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
        // Two statements in place of an upsert: a table made by hand need not have the key that an upsert asks for.
        sql::Statement update(database,
                              "UPDATE skill_metrics_cache SET last_invocation_at = ?2, invocation_count_1h = ?3,"
                              " invocation_count_24h = ?4, avg_completion_rate_24h = ?5, is_anomalous = ?6,"
                              " anomaly_score = ?7, updated_at = ?8 WHERE skill_name = ?1");
        sql::Statement insert(database,
                              "INSERT INTO skill_metrics_cache (skill_name, last_invocation_at, invocation_count_1h,"
                              " invocation_count_24h, avg_completion_rate_24h, is_anomalous, anomaly_score, updated_at)"
                              " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8"
                              " WHERE EXISTS (SELECT 1 FROM skill_metrics WHERE skill_name = ?1)");
        const std::string updated_at = format_timestamp(now);
        for (const CacheRow& row : rows) {
            const auto fill = [&](sql::Statement& statement) {
                statement
                    .with(std::string_view(row.skill_name), std::string_view(format_timestamp(row.last_invocation_at)),
                          row.invocation_count_1h, row.invocation_count_24h, row.avg_completion_rate_24h,
                          std::int64_t{row.is_anomalous ? 1 : 0}, row.anomaly_score, std::string_view(updated_at))
                    .run();
            };
            fill(update);
            if (sqlite3_changes(database.getHandle()) == 0) {
                fill(insert);
            }
        }
        transaction.commit();
    });
}

}  // namespace session_buddy::storage
