// Looks at a database file before anything is written to it, and says what would have to be done.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "migrations.hpp"

namespace SQLite {
class Database;
}

namespace session_buddy::storage {

/// What stands between a database and V4.
struct Inspection {
    std::vector<const Migration*> pending;  ///< not recorded in skill_migrations
    bool incomplete = false;                ///< a table or column of V4 is missing, whatever is recorded
    bool foreign_triggers = false;          ///< a trigger under one of our names has another text than ours

    [[nodiscard]] bool needs_migration() const { return incomplete || !pending.empty(); }
};

/// A column of the finished schema, as PRAGMA table_info tells it.
struct SchemaColumn {
    std::string name;
    std::string type;
    bool not_null = false;
    std::string default_value;  ///< SQL text; empty where there is none
    bool primary_key = false;
};

struct SchemaTable {
    std::string name;
    bool is_virtual = false;
    std::vector<SchemaColumn> columns;
    std::string sql;
};

/// The finished schema, read back from a database in memory that the migrations made: there is no second list to keep
/// up.
struct Schema {
    std::vector<SchemaTable> tables;
    std::vector<std::pair<std::string, std::string>> triggers;  ///< name, SQL
};
[[nodiscard]] const Schema& finished_schema();

/// Columns of `table` in `database`, lower case; empty where there is no such table.
[[nodiscard]] std::vector<std::string> column_names(SQLite::Database& database, const std::string& table);

/// Removes the row ?1 from the full-text index where it is in it; empty where there is no index. May throw
/// SQLite::Exception.
[[nodiscard]] std::string fts_delete_sql(SQLite::Database& database);

/// Reads the schema only. Throws StorageError: foreign_database, newer_version, incompatible. May throw
/// SQLite::Exception.
[[nodiscard]] Inspection inspect_schema(SQLite::Database& database, const std::string& path);

/// Looks into an existing file without changing it, or leaving a file beside it. Throws StorageError.
[[nodiscard]] Inspection inspect_file(const std::string& path, std::chrono::milliseconds busy_timeout);

/// Throws `damaged` where pages are missing from the end or, within reason, where they do not hang together. The
/// connection must be in a transaction that has read something. May throw SQLite::Exception.
void check_pages(SQLite::Database& database, const std::string& path);

/// The file opened for reading alone. `immutable`: takes no lock and creates nothing, and must not be changed
/// meanwhile.
[[nodiscard]] std::unique_ptr<SQLite::Database> open_for_reading(const std::string& path, bool immutable,
                                                                 std::chrono::milliseconds busy_timeout);

/// Whether a write-ahead log with something in it lies beside the file.
[[nodiscard]] bool has_wal(const std::string& path);

/// Whether the header of the file says that it is kept with a write-ahead log. May throw SQLite::Exception.
[[nodiscard]] bool header_says_wal(const std::string& path);

}  // namespace session_buddy::storage
