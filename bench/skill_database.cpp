// Inserts rows without indexes and triggers, then builds the indexes and aggregates in bulk, which is faster.
#include "skill_database.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>
#include <spdlog/fmt/fmt.h>
#include <sqlite3.h>

#include <cmath>
#include <filesystem>
#include <random>
#include <stdexcept>

#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/storage/database.hpp"

namespace session_buddy::bench {
namespace {

using std::chrono::microseconds;

constexpr std::chrono::hours kDay{24};
constexpr std::chrono::minutes kMargin{10};
constexpr std::int64_t kRowsPerSession = 200;

/// Generates the columns of a row except its time, in the same sequence for every database.
class RowSource {
  public:
    explicit RowSource(std::int64_t skills) : skill_(0, skills - 1) {}

    struct Row {
        std::string skill_name;
        std::string session_id;
        bool completed;
        double seconds;
        const char* error;
    };
    Row next() {
        static constexpr const char* kErrors[] = {"TimeoutError", "AssertionError", "ExitCode", "PermissionError"};
        const std::int64_t number = number_++;
        const bool completed = chance_(random_) < 0.9;
        return {fmt::format("plugin:skill-{:05}", skill_(random_)),
                fmt::format("session-{:08}", number / kRowsPerSession), completed, seconds_(random_),
                completed ? nullptr : kErrors[number % 4]};
    }

  private:
    std::mt19937_64 random_{20260210};
    std::uniform_int_distribution<std::int64_t> skill_;
    std::uniform_real_distribution<double> chance_{0.0, 1.0};
    std::lognormal_distribution<double> seconds_{std::log(2.0), 0.7};
    std::int64_t number_ = 0;
};

void fill(SQLite::Database& database, const std::function<void(const RowSink&)>& produce) {
    SQLite::Statement insert(database,
                             "INSERT INTO skill_invocation (skill_name, invoked_at, session_id, completed,"
                             " duration_seconds, error_type, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)");
    produce([&](const DatabaseRow& row) {
        const std::string time = format_timestamp(row.at);
        insert.bindNoCopy(1, row.skill_name);
        insert.bindNoCopy(2, time);
        insert.bindNoCopy(3, row.session_id);
        insert.bind(4, row.completed ? 1 : 0);
        insert.bind(5, row.seconds);
        if (row.error != nullptr) {
            insert.bindNoCopy(6, row.error);
        } else {
            insert.bind(6);
        }
        insert.bindNoCopy(7, time);
        insert.exec();
        insert.reset();
    });
}

/// Fills the aggregates that the triggers would have written and the server reads, and marks the rollups as up to date.
void fill_aggregates(SQLite::Database& database) {
    database.exec(
        "INSERT INTO skill_metrics (skill_name, total_invocations, completed_invocations, abandoned_invocations,"
        " total_duration_seconds, first_invoked, last_invoked, completion_rate, avg_duration_seconds)"
        " SELECT skill_name, count(*), sum(completed), sum(1 - completed), total(iif(completed, duration_seconds, 0)),"
        " min(invoked_at), max(invoked_at), 100.0 * avg(completed), avg(iif(completed, duration_seconds, NULL))"
        " FROM skill_invocation GROUP BY skill_name;"
        "CREATE TABLE session_buddy_state (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
        "INSERT INTO session_buddy_state VALUES ('time_series_watermark', (SELECT max(id) FROM skill_invocation))");
}

}  // namespace

void make_database(const std::string& path, const DatabasePlan& plan, TimePoint now) {
    write_database(path, [&](const RowSink& sink) {
        const std::int64_t older = plan.rows - plan.recent;
        const TimePoint year_ago = now - std::chrono::days{365};
        const microseconds old_span = std::chrono::days{365} - kDay - std::chrono::hours{1};
        const microseconds recent_span = kDay - kMargin;
        RowSource source(plan.skills);
        for (std::int64_t i = 0; i < plan.rows; ++i) {
            // In whole seconds, as microseconds times a million rows overflow 64 bits.
            const TimePoint at = i < older ? year_ago + std::chrono::floor<std::chrono::seconds>(old_span) * i / older
                                           : now - recent_span + recent_span * (i - older + 1) / plan.recent;
            const RowSource::Row row = source.next();
            sink({row.skill_name, row.session_id, at, row.completed, row.seconds, row.error});
        }
    });
}

void write_database(const std::string& path, const std::function<void(const RowSink&)>& produce) {
    if (std::filesystem::exists(path)) {
        return;
    }
    const std::string unfinished = path + ".unfinished";
    std::filesystem::remove(unfinished);
    static_cast<void>(storage::open_database(unfinished, {}));
    {
        SQLite::Database database(unfinished, SQLite::OPEN_READWRITE);
        database.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -262144");
        sqlite3_db_config(database.getHandle(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
        std::vector<std::pair<std::string, std::string>> indexes;
        SQLite::Statement index(database,
                                "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
                                " AND tbl_name = 'skill_invocation'");
        while (index.executeStep()) {
            indexes.emplace_back(index.getColumn(0).getString(), index.getColumn(1).getString());
        }
        index.reset();
        for (const auto& [name, sql] : indexes) {
            database.exec("DROP INDEX " + name);
        }
        database.exec("BEGIN");
        fill(database, produce);
        for (const auto& [name, sql] : indexes) {
            database.exec(sql);
        }
        fill_aggregates(database);
        database.exec("COMMIT; PRAGMA journal_mode = WAL");
    }
    std::filesystem::rename(unfinished, path);
}

void reset_rollups(const std::string& path) {
    SQLite::Database(path, SQLite::OPEN_READWRITE).exec("DROP TABLE session_buddy_state");
}

TimePoint newest_row(const std::string& path) {
    SQLite::Database database(path, SQLite::OPEN_READONLY);
    const auto newest = parse_timestamp(
        database.execAndGet("SELECT invoked_at FROM skill_invocation ORDER BY id DESC LIMIT 1").getString());
    if (!newest) {
        throw std::runtime_error(path + " has no rows");
    }
    return *newest;
}

void move_recent_rows(const std::string& path, const DatabasePlan& plan, TimePoint now) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now - newest_row(path)).count();
    SQLite::Database database(path, SQLite::OPEN_READWRITE);
    database.exec("PRAGMA synchronous = OFF; PRAGMA cache_size = -262144");
    database.exec(fmt::format(
        "UPDATE skill_invocation SET invoked_at = strftime('%Y-%m-%dT%H:%M:%SZ', invoked_at, '{:+} seconds')"
        " WHERE id > {}",
        seconds, plan.rows - plan.recent));
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
}

std::vector<storage::InvocationRecord> make_records(std::int64_t count, std::int64_t skills, TimePoint at) {
    RowSource source(skills);
    const std::string time = format_timestamp(at);
    std::vector<storage::InvocationRecord> records;
    for (std::int64_t i = 0; i < count; ++i) {
        const RowSource::Row row = source.next();
        storage::InvocationRecord record{.skill_name = row.skill_name,
                                         .invoked_at = time,
                                         .session_id = row.session_id,
                                         .completed = row.completed,
                                         .duration_seconds = row.seconds};
        if (row.error != nullptr) {
            record.error_type = row.error;
        }
        if (i % 4 == 0) {
            record.workflow_path = "plan/build/verify";
        }
        records.push_back(std::move(record));
    }
    return records;
}

}  // namespace session_buddy::bench
