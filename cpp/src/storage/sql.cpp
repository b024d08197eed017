// Statements, the SQL function session_buddy_micros, and the mapping of SQLite's result codes to StorageErrc.
#include "sql.hpp"

#include <SQLiteCpp/Database.h>
#include <spdlog/fmt/fmt.h>

#include "session_buddy/core/timestamp.hpp"

namespace session_buddy::storage::sql {
namespace {

void micros_function(sqlite3_context* context, int /*count*/, sqlite3_value** arguments) {
    if (sqlite3_value_type(arguments[0]) != SQLITE_TEXT) {
        return;  // a function that sets no result returns NULL
    }
    const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(arguments[0]));
    const auto size = static_cast<std::size_t>(sqlite3_value_bytes(arguments[0]));
    if (text == nullptr) {
        return;
    }
    if (const auto moment = parse_timestamp({text, size})) {
        sqlite3_result_int64(context, moment->time_since_epoch().count());
    }
}

struct Meaning {
    StorageErrc code;
    const char* reason;
};

Meaning meaning_of(int result) {
    if (result == SQLITE_CONSTRAINT_COMMITHOOK) {
        return {StorageErrc::busy, "the file or its write-ahead log was removed or replaced"};
    }
    switch (result & 0xFF) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return {StorageErrc::busy, "another process keeps it locked"};
        case SQLITE_NOTADB:
            return {StorageErrc::not_a_database, "it is not an SQLite database"};
        case SQLITE_CORRUPT:
            return {StorageErrc::damaged, "the database is damaged"};
        case SQLITE_READONLY:
            return {StorageErrc::read_only, "it is write-protected"};
        case SQLITE_FULL:
            return {StorageErrc::io, "the disk is full"};
        case SQLITE_CANTOPEN:
            return {StorageErrc::io, "it cannot be opened"};
        case SQLITE_IOERR:
            return {StorageErrc::io, "input/output error"};
        case SQLITE_PERM:
        case SQLITE_AUTH:
            return {StorageErrc::io, "permission denied"};
        case SQLITE_ERROR:
        case SQLITE_SCHEMA:
        case SQLITE_CONSTRAINT:
        case SQLITE_MISMATCH:
            return {StorageErrc::incompatible, "its schema does not match"};
        case SQLITE_TOOBIG:
        case SQLITE_RANGE:
            return {StorageErrc::invalid_argument, "a value is too large"};
        default:
            return {StorageErrc::io, "SQLite failed"};
    }
}

}  // namespace

Statement::Statement(SQLite::Database& database, std::string_view text)
    : SQLite::Statement(database, std::string(text)) {}

void Statement::bind_blob(int index, std::span<const std::uint8_t> bytes) {
    // A null pointer would bind NULL instead of an empty blob.
    bind(index, bytes.empty() ? static_cast<const void*>("") : bytes.data(), static_cast<int>(bytes.size()));
}

bool Statement::step() {
    try {
        if (executeStep()) {
            if (columns_.empty()) {
                columns_.reserve(static_cast<std::size_t>(getColumnCount()));
                for (int column = 0; column < getColumnCount(); ++column) {
                    columns_.push_back(getColumn(column));
                }
            }
            return true;
        }
    } catch (...) {
        reset();  // the exception has a copy of the message, which this clears
        throw;
    }
    reset();
    return false;
}

void Statement::run() {
    while (step()) {
    }
}

std::int64_t Statement::first_integer() {
    reset();
    const std::int64_t value = step() ? integer(0) : 0;
    reset();
    return value;
}

std::int64_t query_integer(SQLite::Database& database, std::string_view text) {
    return Statement(database, text).first_integer();
}

std::string query_text(SQLite::Database& database, std::string_view text) {
    Statement statement(database, text);
    return statement.step() ? std::string(statement.text(0)) : std::string();
}

bool has_table(SQLite::Database& database, std::string_view name) {
    return Statement(database, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1").with(name).step();
}

bool has_column(SQLite::Database& database, const std::string& table, const std::string& column) {
    return sqlite3_table_column_metadata(database.getHandle(), "main", table.c_str(), column.c_str(), nullptr, nullptr,
                                         nullptr, nullptr, nullptr) == SQLITE_OK;
}

bool has_known_table(SQLite::Database& database, const char* name) {
    return sqlite3_table_column_metadata(database.getHandle(), "main", name, nullptr, nullptr, nullptr, nullptr,
                                         nullptr, nullptr) == SQLITE_OK;
}

void register_functions(SQLite::Database& database) {
    const int result = sqlite3_create_function_v2(database.getHandle(), "session_buddy_micros", 1,
                                                  SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, nullptr,
                                                  &micros_function, nullptr, nullptr, nullptr);
    if (result != SQLITE_OK) {
        throw SQLite::Exception(database.getHandle(), result);
    }
}

StorageError to_storage_error(const SQLite::Exception& error, const std::string& path, std::string_view action) {
    const Meaning meaning = meaning_of(error.getExtendedErrorCode());
    return {meaning.code, path, fmt::format("{} database \"{}\": {} ({})", action, path, meaning.reason, error.what())};
}

}  // namespace session_buddy::storage::sql
