// A thin statement over the SQLite C API (one connection, no shared ownership per row), and the way from SQLite's
// errors to ours.
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

/// A prepared statement. Must not outlive its connection. Every failure is a SQLite::Exception.
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

    /// True where there is a row. After false the statement is reset.
    bool step();
    /// For statements without rows of interest.
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

/// The first column of the only row; 0 where it is NULL or there is no row.
[[nodiscard]] std::int64_t query_integer(SQLite::Database& database, std::string_view text);
[[nodiscard]] std::string query_text(SQLite::Database& database, std::string_view text);

/// Makes parse_timestamp known to this connection's own statements as session_buddy_micros(text), NULL for what is no
/// timestamp. It must never stand in a trigger or view: other programs do not have it.
void register_functions(SQLite::Database& database);

/// What `error` means to a caller: its kind, the file, and a sentence that begins with `action` ("cannot read").
[[nodiscard]] StorageError to_storage_error(const SQLite::Exception& error, const std::string& path,
                                            std::string_view action);

/// Runs `work` and turns SQLite's exceptions into StorageError.
template <typename Work>
decltype(auto) translated(const std::string& path, std::string_view action, Work&& work) {
    try {
        return std::forward<Work>(work)();
    } catch (const SQLite::Exception& error) {
        throw to_storage_error(error, path, action);
    }
}

}  // namespace session_buddy::storage::sql
