// Prepared statements, the SQL function session_buddy_micros, and the mapping of SQLite's result codes to StorageErrc.
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

Statement::Statement(SQLite::Database& database, std::string_view text) : database_(database.getHandle()) {
    check(sqlite3_prepare_v2(database_, text.data(), static_cast<int>(text.size()), &statement_, nullptr));
}

Statement::~Statement() {
    sqlite3_finalize(statement_);
}

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_), statement_(std::exchange(other.statement_, nullptr)) {}

void Statement::check(int result) const {
    if (result != SQLITE_OK) {
        throw SQLite::Exception(database_, result);
    }
}

void Statement::bind(int index, std::int64_t value) {
    check(sqlite3_bind_int64(statement_, index, value));
}

void Statement::bind(int index, double value) {
    check(sqlite3_bind_double(statement_, index, value));
}

void Statement::bind(int index, std::string_view text) {
    // A null pointer would bind NULL instead of an empty string.
    const char* data = text.data() != nullptr ? text.data() : "";
    check(sqlite3_bind_text64(statement_, index, data, text.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}

void Statement::bind_blob(int index, std::span<const std::uint8_t> bytes) {
    if (bytes.empty()) {
        check(sqlite3_bind_zeroblob(statement_, index, 0));
    } else {
        check(sqlite3_bind_blob64(statement_, index, bytes.data(), bytes.size(), SQLITE_TRANSIENT));
    }
}

void Statement::bind_null(int index) {
    check(sqlite3_bind_null(statement_, index));
}

bool Statement::step() {
    const int result = sqlite3_step(statement_);
    if (result == SQLITE_ROW) {
        return true;
    }
    if (result == SQLITE_DONE) {
        reset();
        return false;
    }
    // The exception copies the message from the connection, which a reset would clear.
    SQLite::Exception error(database_, result);
    reset();
    throw error;
}

void Statement::run() {
    while (step()) {
    }
}

void Statement::reset() noexcept {
    sqlite3_reset(statement_);
}

std::string_view Statement::text(int column) const {
    const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    if (data == nullptr) {
        return {};
    }
    return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

std::int64_t query_integer(SQLite::Database& database, std::string_view text) {
    Statement statement(database, text);
    return statement.step() ? statement.integer(0) : 0;
}

std::string query_text(SQLite::Database& database, std::string_view text) {
    Statement statement(database, text);
    return statement.step() ? std::string(statement.text(0)) : std::string();
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
