// Classifies a database file by the decision table of docs/storage/V4_SCHEMA.md, only by reading it.
#include "inspection.hpp"

#include <SQLiteCpp/Database.h>
#include <spdlog/fmt/fmt.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <utility>

#include "file_state.hpp"
#include "migrator.hpp"
#include "session_buddy/core/ascii.hpp"
#include "session_buddy/storage/error.hpp"
#include "sql.hpp"

namespace session_buddy::storage {
namespace {

using sql::Statement;

/// Files up to this size get a full page check, whose time grows with the file; of larger ones, one row per table is
/// read.
constexpr std::int64_t kWholeCheckBytes = std::int64_t{4} * 1024 * 1024;
constexpr int kInspectionAttempts = 5;
constexpr std::int64_t kSmallestDatabase = 512;

/// Tables of SQLite, of our full-text index, and our side tables are ignored.
bool is_neutral_table(std::string_view name) {
    return name.starts_with("sqlite_") || name.starts_with("session_buddy_") ||
           name.starts_with("skill_invocation_fts_");
}

std::set<std::string> table_names(SQLite::Database& database) {
    std::set<std::string> names;
    Statement tables(database, "SELECT lower(name) FROM sqlite_master WHERE type = 'table'");
    while (tables.step()) {
        if (!is_neutral_table(tables.text(0))) {
            names.emplace(tables.text(0));
        }
    }
    return names;
}

Schema read_finished_schema() {
    SQLite::Database memory(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    for (const Migration* migration : kMigrations) {
        apply_script(memory, *migration);
    }
    Schema schema;
    Statement tables(
        memory, "SELECT name, sql LIKE 'CREATE VIRTUAL%', sql FROM sqlite_master WHERE type = 'table' ORDER BY rowid");
    while (tables.step()) {
        SchemaTable table{std::string(tables.text(0)), tables.integer(1) != 0, {}, std::string(tables.text(2))};
        if (is_neutral_table(table.name)) {
            continue;
        }
        Statement columns(memory, "SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info(?1)");
        columns.with(table.name);
        while (columns.step()) {
            table.columns.push_back({std::string(columns.text(0)), std::string(columns.text(1)),
                                     columns.integer(2) != 0, std::string(columns.text(3)), columns.integer(4) != 0});
        }
        schema.tables.push_back(std::move(table));
    }
    Statement triggers(memory, "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'");
    while (triggers.step()) {
        schema.triggers.emplace_back(triggers.text(0), triggers.text(1));
    }
    return schema;
}

[[noreturn]] void cannot_use(StorageErrc code, const std::string& path, std::string_view reason) {
    throw StorageError(code, path, fmt::format("cannot use database \"{}\": {}", path, reason));
}

std::string joined(const std::set<std::string>& names) {
    constexpr std::size_t kShown = 3;
    std::string text;
    std::size_t shown = 0;
    for (const std::string& name : names) {
        if (shown == kShown) {
            return text + ", …";
        }
        text += (shown++ == 0 ? "" : ", ") + name;
    }
    return text;
}

/// The recorded migrations. Throws newer_version for an unknown one.
std::set<std::string> recorded_migrations(SQLite::Database& database, const std::string& path) {
    const std::vector<std::string> columns = column_names(database, "skill_migrations");
    if (std::ranges::find(columns, "version") == columns.end()) {
        cannot_use(StorageErrc::incompatible, path, "its table skill_migrations has no column version");
    }
    const bool has_success = std::ranges::find(columns, "success") != columns.end();
    std::set<std::string> recorded;
    Statement versions(database, has_success ? "SELECT version, coalesce(success, 1) FROM skill_migrations"
                                             : "SELECT version, 1 FROM skill_migrations");
    while (versions.step()) {
        const std::string version(versions.text(0));
        const bool known = std::ranges::any_of(kMigrations, [&](const Migration* m) { return version == m->version; });
        if (!known) {
            cannot_use(StorageErrc::newer_version, path,
                       fmt::format("it has the migration \"{}\", which this version does not know (newest known: {}); "
                                   "upgrade session-buddy",
                                   version, kMigrations.back()->version));
        }
        if (versions.integer(1) != 0) {
            recorded.insert(version);
        }
    }
    return recorded;
}

/// Throws foreign_database if a database without skill_migrations is not a manually created one of ours.
void require_own_tables(SQLite::Database& database, const std::string& path, const std::set<std::string>& tables) {
    std::set<std::string> foreign;
    bool has_core = false;
    for (const std::string& name : tables) {
        const bool own =
            std::ranges::any_of(finished_schema().tables, [&](const SchemaTable& table) { return table.name == name; });
        if (!own) {
            foreign.insert(name);
        }
        has_core = has_core || name == "skill_invocation" || name == "skill_metrics" || name == "skill_metrics_cache";
    }
    const std::int64_t application = sql::query_integer(database, "PRAGMA application_id");
    if (!foreign.empty() && !has_core) {
        cannot_use(StorageErrc::foreign_database, path,
                   fmt::format("it belongs to another program (it has the tables: {})", joined(foreign)));
    }
    if (application != 0 && !has_core) {
        cannot_use(StorageErrc::foreign_database, path,
                   fmt::format("it belongs to another program (application id {:#010x})",
                               static_cast<std::uint32_t>(application)));
    }
}

/// Whether anything of V4 is missing. Throws incompatible for a missing column that cannot be added.
bool lacks_something(SQLite::Database& database, const std::string& path, const std::set<std::string>& tables) {
    bool lacks = false;
    for (const SchemaTable& table : finished_schema().tables) {
        if (!tables.contains(table.name)) {
            if (!column_names(database, table.name).empty()) {
                cannot_use(StorageErrc::incompatible, path, fmt::format("its {} is a view, not a table", table.name));
            }
            lacks = true;
            continue;
        }
        if (table.is_virtual) {
            continue;
        }
        const std::vector<std::string> present = column_names(database, table.name);
        for (const SchemaColumn& column : table.columns) {
            if (std::ranges::find(present, column.name) != present.end()) {
                continue;
            }
            if (column.primary_key || (column.not_null && column.default_value.empty())) {
                cannot_use(StorageErrc::incompatible, path,
                           fmt::format("its table {} has no column {}, which cannot be added to existing rows",
                                       table.name, column.name));
            }
            lacks = true;
        }
    }
    return lacks;
}

Inspection inspect_connection(SQLite::Database& database, const std::string& path) {
    database.exec("BEGIN");  // one consistent state; the connection is closed afterwards
    // Reads the header first, so that a file that is no database is reported as such.
    static_cast<void>(sql::query_integer(database, "PRAGMA schema_version"));
    Inspection inspection = inspect_schema(database, path);
    check_pages(database, path);
    return inspection;
}

Inspection inspect_once(const std::string& path, bool immutable, std::chrono::milliseconds busy_timeout) {
    return sql::translated(path, "cannot open", [&] {
        const auto database = open_for_reading(path, immutable, busy_timeout);
        return inspect_connection(*database, path);
    });
}

/// Recovers an unfinished transaction of a killed process (hot journal), which needs write access. Inspects the file
/// without recovery first, to leave the journal of another program's database unchanged.
Inspection inspect_after_recovery(const std::string& path, std::chrono::milliseconds busy_timeout) {
    try {
        static_cast<void>(inspect_once(path, true, busy_timeout));
    } catch (const StorageError& error) {
        if (error.code() == StorageErrc::foreign_database || error.code() == StorageErrc::newer_version) {
            throw;
        }
    }
    return sql::translated(path, "cannot recover", [&] {
        SQLite::Database database(path, SQLite::OPEN_READWRITE, static_cast<int>(busy_timeout.count()));
        return inspect_connection(database, path);
    });
}

bool needs_recovery(const std::string& path, const StorageError& error) {
    return (error.code() == StorageErrc::read_only || error.code() == StorageErrc::io) &&
           file_state(resolve_links(path) + "-journal").has_value();
}

}  // namespace

const Schema& finished_schema() {
    static const Schema schema = read_finished_schema();
    return schema;
}

std::vector<std::string> column_names(SQLite::Database& database, const std::string& table) {
    std::vector<std::string> names;
    Statement columns(database, "SELECT name FROM pragma_table_xinfo(?1)");
    columns.with(table);
    while (columns.step()) {
        names.push_back(ascii::lower(columns.text(0)));
    }
    return names;
}

Inspection inspect_schema(SQLite::Database& database, const std::string& path) {
    Inspection inspection;
    const std::set<std::string> tables = table_names(database);
    std::set<std::string> recorded;
    if (tables.contains("skill_migrations")) {
        recorded = recorded_migrations(database, path);
    } else {
        require_own_tables(database, path, tables);
    }
    for (const Migration* migration : kMigrations) {
        if (!recorded.contains(migration->version)) {
            inspection.pending.push_back(migration);
        }
    }
    inspection.incomplete = lacks_something(database, path, tables);
    for (const auto& [name, text] : finished_schema().triggers) {
        Statement trigger(database, "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?1");
        trigger.with(name);
        inspection.foreign_triggers = inspection.foreign_triggers || !trigger.step() || trigger.text(0) != text;
    }
    return inspection;
}

void check_pages(SQLite::Database& database, const std::string& path) {
    const std::int64_t page_size = sql::query_integer(database, "PRAGMA page_size");
    const std::int64_t pages = sql::query_integer(database, "PRAGMA page_count");
    // In this order: if the log is empty here, its checkpoint ended before the file size is read.
    const bool has_log = has_wal(path);
    const auto state = file_state(path);
    if (!state.has_value()) {
        return;
    }
    if (!has_log && pages * page_size > state->size) {
        cannot_use(StorageErrc::damaged, path,
                   fmt::format("it is damaged (truncated): it has {} of {} bytes", state->size, pages * page_size));
    }
    if (pages * page_size <= kWholeCheckBytes) {
        Statement check(database, "PRAGMA quick_check(20)");
        while (check.step()) {
            const std::string_view finding = check.text(0);
            // Ignores values that violate constraints; only corrupt pages matter.
            if (finding != "ok" && !finding.starts_with("NULL value in") && !finding.starts_with("CHECK constraint") &&
                finding.find(" value in ") == std::string_view::npos) {
                cannot_use(StorageErrc::damaged, path, fmt::format("it is damaged: {}", finding));
            }
        }
        return;
    }
    for (const std::string& table : table_names(database)) {
        std::string quoted;
        for (const char c : table) {
            quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
        }
        Statement(database, fmt::format("SELECT 1 FROM \"{}\" LIMIT 1", quoted)).run();
    }
    if (table_names(database).contains("skill_invocation")) {
        Statement(database, "SELECT * FROM skill_invocation ORDER BY rowid DESC LIMIT 1").run();
    }
}

// Reads the header through SQLite's file handle: closing a file descriptor opened here would drop the POSIX locks that
// this process holds on the file.
bool header_says_wal(const std::string& path) {
    const auto database = open_for_reading(path, true, std::chrono::milliseconds{0});
    sqlite3_file* file = nullptr;
    // NOLINTNEXTLINE(bugprone-multi-level-implicit-pointer-conversion): SQLite returns the pointer like this
    const int found = sqlite3_file_control(database->getHandle(), "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (found != SQLITE_OK || file == nullptr || file->pMethods == nullptr) {
        return false;
    }
    std::array<unsigned char, 20> header{};
    const int result = file->pMethods->xRead(file, header.data(), static_cast<int>(header.size()), 0);
    return result == SQLITE_OK && header[18] == 2;
}

bool has_wal(const std::string& path) {
    const auto log = file_state(resolve_links(path) + "-wal");
    return log.has_value() && log->size > 0;
}

std::unique_ptr<SQLite::Database> open_for_reading(const std::string& path, bool immutable,
                                                   std::chrono::milliseconds busy_timeout) {
    const int timeout = static_cast<int>(busy_timeout.count());
    if (!immutable) {
        return std::make_unique<SQLite::Database>(path, SQLite::OPEN_READONLY, timeout);
    }
    std::string uri = "file:";
    for (const char c : path) {
        if (ascii::is_alphanumeric_or("/.-_", c)) {
            uri += c;
        } else {
            uri += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return std::make_unique<SQLite::Database>(uri + "?immutable=1", SQLite::OPEN_READONLY | SQLite::OPEN_URI, timeout);
}

Inspection inspect_file(const std::string& path, std::chrono::milliseconds busy_timeout) {
    for (int attempt = 1;; ++attempt) {
        const auto before = file_state(path);
        if (before.has_value() && before->size > 0 && before->size < kSmallestDatabase) {
            cannot_use(StorageErrc::not_a_database, path,
                       "it is not an SQLite database");  // SQLite treats a one-byte file as empty
        }
        // Opening a database in WAL mode creates files next to it. If there is no log, no process is writing, and the
        // file can be opened as immutable. If a process starts to write meanwhile, the inspection is repeated.
        const bool immutable =
            sql::translated(path, "cannot open", [&] { return !has_wal(path) && header_says_wal(path); });
        try {
            return inspect_once(path, immutable && attempt < kInspectionAttempts, busy_timeout);
        } catch (const StorageError& error) {
            if (immutable && attempt < kInspectionAttempts && (has_wal(path) || file_state(path) != before)) {
                continue;
            }
            if (!immutable && needs_recovery(path, error)) {
                return inspect_after_recovery(path, busy_timeout);
            }
            throw;
        }
    }
}

std::string fts_delete_sql(SQLite::Database& database) {
    if (sql::query_integer(database,
                           "SELECT count(*) FROM sqlite_master"
                           " WHERE name IN ('skill_invocation_fts', 'skill_invocation_fts_docsize')") != 2) {
        return {};
    }
    std::string columns;
    sql::Statement names(database, "SELECT name FROM pragma_table_info('skill_invocation_fts')");
    while (names.step()) {
        columns += fmt::format(", \"{}\"", names.text(0));
    }
    return fmt::format(
        "INSERT INTO skill_invocation_fts (skill_invocation_fts, rowid{0}) SELECT 'delete', id{0} FROM skill_invocation"
        " WHERE id = ?1 AND EXISTS (SELECT 1 FROM skill_invocation_fts_docsize WHERE id = ?1)",
        columns);
}

}  // namespace session_buddy::storage
