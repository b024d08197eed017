// SQLite::Statement with the binds and reads that this layer repeats, and the conversion of SQLite errors to
// StorageError.
#pragma once

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Exception.h>
#include <SQLiteCpp/Statement.h>
#include <sqlite3.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/storage/error.hpp"

namespace SQLite {
class Database;
}

namespace session_buddy::storage {

/// Times are stored in microseconds since 1970 in side tables.
[[nodiscard]] inline std::int64_t micros_of(TimePoint at) {
    return at.time_since_epoch().count();
}
[[nodiscard]] inline std::optional<std::int64_t> micros_of(const std::optional<TimePoint>& at) {
    return at ? std::optional(micros_of(*at)) : std::nullopt;
}

}  // namespace session_buddy::storage

namespace session_buddy::storage::sql {

/// Must not outlive its connection. All members may throw SQLite::Exception.
class Statement : public SQLite::Statement {
  public:
    Statement(SQLite::Database& database, std::string_view text);

    // Parameters count from 1; text and blobs are copied.
    using SQLite::Statement::bind;
    void bind(int index, std::string_view text) { bind(index, std::string(text)); }
    template <typename T>
    void bind(int index, const std::optional<T>& value) {
        if (value.has_value()) {
            bind(index, *value);
        } else {
            bind(index);
        }
    }
    void bind_blob(int index, std::span<const std::uint8_t> bytes);
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
    /// The first column of the first row as an integer; 0 if it is NULL or there is no row.
    std::int64_t first_integer();
    void reset() noexcept { tryReset(); }

    // Columns count from 0.
    [[nodiscard]] int type(int column) const { return at(column).getType(); }
    [[nodiscard]] bool is_null(int column) const { return type(column) == SQLITE_NULL; }
    [[nodiscard]] std::int64_t integer(int column) const { return at(column).getInt64(); }
    [[nodiscard]] double real(int column) const { return at(column).getDouble(); }
    /// Valid until the next step or reset.
    [[nodiscard]] std::string_view text(int column) const {
        const char* const data = at(column).getText();
        return {data, static_cast<std::size_t>(at(column).getBytes())};
    }
    // NULL becomes nullopt.
    [[nodiscard]] std::optional<double> optional_real(int column) const {
        return is_null(column) ? std::nullopt : std::optional(real(column));
    }
    [[nodiscard]] std::optional<std::string> optional_text(int column) const {
        return is_null(column) ? std::nullopt : std::optional<std::string>(text(column));
    }

  private:
    [[nodiscard]] const SQLite::Column& at(int column) const { return columns_[static_cast<std::size_t>(column)]; }

    // Created at the first row and valid for all later ones: getColumn() would copy a shared_ptr for each value.
    std::vector<SQLite::Column> columns_;
};

/// A statement that is prepared on first use, because its table may be missing, or it is seldom needed.
class DeferredStatement {
  public:
    DeferredStatement(SQLite::Database& database, std::string text) : database_(database), text_(std::move(text)) {}

    Statement& get() { return statement_ ? *statement_ : statement_.emplace(database_, text_); }
    template <typename... Values>
    Statement& with(const Values&... values) {
        return get().with(values...);
    }
    /// Makes the next use prepare it again.
    void forget() noexcept { statement_.reset(); }

  private:
    SQLite::Database& database_;
    std::string text_;
    std::optional<Statement> statement_;
};

/// The first column of the first row; 0 if it is NULL or there is no row.
[[nodiscard]] std::int64_t query_integer(SQLite::Database& database, std::string_view text);
[[nodiscard]] std::string query_text(SQLite::Database& database, std::string_view text);
[[nodiscard]] bool has_table(SQLite::Database& database, std::string_view name);
/// False if the table or the column is missing.
[[nodiscard]] bool has_column(SQLite::Database& database, const std::string& table, const std::string& column);
/// The same without a query, for a side table on a frequent path: as of the last statement of this connection.
[[nodiscard]] bool has_known_table(SQLite::Database& database, const char* name);

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
