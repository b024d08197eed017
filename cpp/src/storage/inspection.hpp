// Inspects a database file before anything is written to it, and determines what must be migrated.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "file_state.hpp"
#include "migrations.hpp"
#include "session_buddy/storage/error.hpp"
#include "sql.hpp"

namespace SQLite {
class Database;
}

namespace session_buddy::storage {

/// What a database lacks to be V4.
struct Inspection {
    std::vector<const Migration*> pending;  ///< not recorded in skill_migrations
    bool incomplete = false;                ///< a table or column of V4 is missing, even if its migration is recorded
    bool foreign_triggers = false;          ///< a trigger with one of our names has a different text

    [[nodiscard]] bool needs_migration() const { return incomplete || !pending.empty(); }
};

/// A column of the finished schema, as PRAGMA table_info returns it.
struct SchemaColumn {
    std::string name;
    std::string type;
    bool not_null = false;
    std::string default_value;  ///< SQL text; empty for none
    bool primary_key = false;
};

struct SchemaTable {
    std::string name;
    bool is_virtual = false;
    std::vector<SchemaColumn> columns;
    std::string sql;
};

/// The finished schema, read from an in-memory database that the migrations created, so that there is no second list to
/// maintain.
struct Schema {
    std::vector<SchemaTable> tables;
    std::vector<std::pair<std::string, std::string>> triggers;  ///< name, SQL
};
[[nodiscard]] const Schema& finished_schema();

/// Columns of `table`, in lower case; empty if there is no such table.
[[nodiscard]] std::vector<std::string> column_names(SQLite::Database& database, const std::string& table);

/// SQL that deletes row ?1 from the full-text index if it is indexed; empty if there is no index. May throw
/// SQLite::Exception.
[[nodiscard]] std::string fts_delete_sql(SQLite::Database& database);

/// Reads only the schema. Throws StorageError: foreign_database, newer_version, incompatible. May throw
/// SQLite::Exception.
[[nodiscard]] Inspection inspect_schema(SQLite::Database& database, const std::string& path);

/// Inspects an existing file without changing it or creating another one. Throws StorageError.
[[nodiscard]] Inspection inspect_file(const std::string& path, std::chrono::milliseconds busy_timeout);

/// Throws `damaged` if the file is truncated or, as far as a quick check finds, its pages are corrupt. The connection
/// must be in a transaction that has read. May throw SQLite::Exception.
void check_pages(SQLite::Database& database, const std::string& path);

/// Opens the file read-only. `immutable`: takes no locks and creates no files; the database must not change meanwhile.
[[nodiscard]] std::unique_ptr<SQLite::Database> open_for_reading(const std::string& path, bool immutable,
                                                                 std::chrono::milliseconds busy_timeout);

/// Whether the database has a write-ahead log that is not empty.
[[nodiscard]] bool has_wal(const std::string& path);

/// Whether the file's header says WAL mode. May throw SQLite::Exception.
[[nodiscard]] bool header_says_wal(const std::string& path);

/// Runs `read(immutable)` on an existing file. A normal read-only open would create a log next to a file that no
/// process has open, and could not remove it again: such a file is read as immutable, and again if a process opens it
/// meanwhile. Throws StorageError, whose message starts with `action` if there is no such file.
template <typename Read>
auto read_without_traces(const std::string& path, std::string_view action, const Read& read) {
    const auto before = require_regular_file(path, action);
    const auto has_no_wal = [real = resolve_links(path)] {
        return !file_state(real + "-wal") && !file_state(real + "-shm");
    };
    if (has_no_wal() && sql::translated(path, "cannot read", [&] { return header_says_wal(path); })) {
        const auto is_undisturbed = [&] { return has_no_wal() && file_state(path) == before; };
        try {
            auto found = read(true);
            if (is_undisturbed()) {
                return found;
            }
        } catch (const StorageError&) {
            if (is_undisturbed()) {
                throw;
            }
        }
    }
    return read(false);
}

}  // namespace session_buddy::storage
