// A thin wrapper of prepared statements of the SQLite C API, and the conversion of SQLite errors to StorageError.
#pragma once

#include <SQLiteCpp/Exception.h>
#include <sqlite3.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "session_buddy/storage/error.hpp"

namespace SQLite {
class Database;
}

namespace session_buddy::storage::sql {

/// A prepared statement. Must not outlive its connection. All members may throw SQLite::Exception.
class Statement {
  public:
    Statement(SQLite::Database& database, std::string_view text);
    ~Statement();
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;
    Statement(Statement&& other) noexcept;
    Statement& operator=(Statement&&) = delete;

    // Parameters count from 1; text and blobs are copied.
    void bind(int index, std::int64_t value);
    void bind(int index, double value);
    void bind(int index, std::string_view text);
    void bind_blob(int index, std::span<const std::uint8_t> bytes);
    void bind_null(int index);
    template <typename T>
    void bind(int index, const std::optional<T>& value) {
        if (value.has_value()) {
            bind(index, *value);
        } else {
            bind_null(index);
        }
    }
    template <typename... Values>
    Statement& with(const Values&... values) {
        reset();
        int index = 0;
        (bind(++index, values), ...);
        return *this;
    }

    /// Returns true if there is a row; else the statement is reset.
    bool step();
    /// Runs a statement whose rows are not needed.
    void run();
    void reset() noexcept;

    // Columns count from 0.
    [[nodiscard]] int type(int column) const { return sqlite3_column_type(statement_, column); }
    [[nodiscard]] bool is_null(int column) const { return type(column) == SQLITE_NULL; }
    [[nodiscard]] std::int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
    [[nodiscard]] double real(int column) const { return sqlite3_column_double(statement_, column); }
    /// Valid until the next step or reset.
    [[nodiscard]] std::string_view text(int column) const;

  private:
    void check(int result) const;

    sqlite3* database_ = nullptr;
    sqlite3_stmt* statement_ = nullptr;
};

/// The first column of the first row; 0 if it is NULL or there is no row.
[[nodiscard]] std::int64_t query_integer(SQLite::Database& database, std::string_view text);
[[nodiscard]] std::string query_text(SQLite::Database& database, std::string_view text);

/// Registers parse_timestamp on this connection as session_buddy_micros(text), which is NULL for an invalid timestamp.
/// Must not be used in a trigger or view: other programs do not have it.
void register_functions(SQLite::Database& database);

/// Converts `error`: its code, the file, and a message that starts with `action` ("cannot read").
[[nodiscard]] StorageError to_storage_error(const SQLite::Exception& error, const std::string& path,
                                            std::string_view action);

/// Runs `work` and converts SQLite::Exception to StorageError.
template <typename Work>
decltype(auto) translated(const std::string& path, std::string_view action, Work&& work) {
    try {
        return std::forward<Work>(work)();
    } catch (const SQLite::Exception& error) {
        throw to_storage_error(error, path, action);
    }
}

}  // namespace session_buddy::storage::sql
