// Copies rows of a removed write-ahead log into memory, and merges them into the database later.
#include "saved_rows.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>
#include <spdlog/fmt/fmt.h>
#include <sqlite3.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "inspection.hpp"
#include "invocation_aggregates.hpp"
#include "session_buddy/core/log.hpp"
#include "side_tables.hpp"
#include "sql.hpp"
#include "wal_files.hpp"
#include "wal_rescue.hpp"

namespace session_buddy::storage {
namespace {

/// Limit of ids per log; a log of SQLite's usual size has a tenth of it.
constexpr std::size_t kMaxIds = 500'000;

using Blob = std::vector<std::uint8_t>;
using Value = std::variant<std::monostate, std::int64_t, double, std::string, Blob>;
using Row = std::vector<Value>;

struct SavedTable {
    std::string name;
    std::vector<std::string> columns;
    std::vector<Row> rows;
};

struct SavedRows {
    std::vector<std::string> columns;     ///< of skill_invocation, without id
    std::map<std::int64_t, Row> rows;     ///< by id
    std::vector<SavedTable> side_tables;  ///< those that are replayed
};

struct PendingRows {
    std::mutex mutex;
    std::multimap<std::string, SavedRows> saved;
};

PendingRows& pending_rows() {
    static PendingRows& instance =
        *new PendingRows;  // never destroyed, because connections may be closed during static destruction
    return instance;
}

Value value_of(const sql::Statement& row, int column) {
    switch (row.type(column)) {
        case SQLITE_INTEGER:
            return row.integer(column);
        case SQLITE_FLOAT:
            return row.real(column);
        case SQLITE_TEXT:
            return std::string(row.text(column));
        case SQLITE_BLOB: {
            const std::string_view bytes = row.text(column);
            return Blob(bytes.begin(), bytes.end());
        }
        default:
            return {};
    }
}

Row values_of(const sql::Statement& row) {
    Row values;
    for (int column = 0; column < row.getColumnCount(); ++column) {
        values.push_back(value_of(row, column));
    }
    return values;
}

void bind_value(sql::Statement& statement, int index, const Value& value) {
    std::visit(
        [&](const auto& held) {
            using Held = std::decay_t<decltype(held)>;
            if constexpr (std::is_same_v<Held, std::monostate>) {
                statement.bind(index);
            } else if constexpr (std::is_same_v<Held, Blob>) {
                statement.bind_blob(index, held);
            } else {
                statement.bind(index, held);
            }
        },
        value);
}

sql::Statement& with_row(sql::Statement& statement, const Row& row) {
    statement.reset();
    for (std::size_t column = 0; column < row.size(); ++column) {
        bind_value(statement, static_cast<int>(column) + 1, row[column]);
    }
    return statement;
}

std::int64_t integer_of(const Value& value) {
    const auto* const number = std::get_if<std::int64_t>(&value);
    return number != nullptr ? *number : 0;
}

std::string joined(const std::vector<std::string>& columns) {
    return fmt::format("\"{}\"", fmt::join(columns, "\", \""));
}

/// `format` for each column, with its name and the number of its parameter.
std::string for_each(const std::vector<std::string>& columns, std::string_view separator, const char* format) {
    std::string text;
    for (std::size_t column = 0; column < columns.size(); ++column) {
        text += text.empty() ? std::string_view() : separator;
        text += fmt::format(fmt::runtime(format), columns[column], column + 1);
    }
    return text;
}

std::string insertion(std::string_view verb, std::string_view table, const std::vector<std::string>& columns) {
    return fmt::format("{} INTO {} ({}) VALUES ({})", verb, table, joined(columns), for_each(columns, ", ", "?{1}"));
}

/// The position of a column; that of no column for an empty name.
std::size_t index_of(const std::vector<std::string>& columns, std::string_view name) {
    return static_cast<std::size_t>(std::ranges::find(columns, name) - columns.begin());
}

SavedRows read_rows(SQLite::Database& database, const std::vector<std::int64_t>& ids) {
    const SQLite::Transaction transaction(database, SQLite::TransactionBehavior::DEFERRED);
    SavedRows saved;
    saved.columns = column_names(database, "skill_invocation");
    std::erase(saved.columns, "id");
    sql::Statement by_id(database, fmt::format("SELECT {} FROM skill_invocation WHERE id = ?1", joined(saved.columns)));
    for (const std::int64_t id : ids) {
        if (by_id.with(id).step()) {
            saved.rows.emplace(id, values_of(by_id));
        }
    }
    for (const SideTable& table : side_tables()) {
        if (!table.replayed_with || !sql::has_table(database, table.name)) {
            continue;
        }
        SavedTable found{.name = table.name, .columns = column_names(database, table.name), .rows = {}};
        const std::size_t owner = index_of(found.columns, *table.replayed_with);
        sql::Statement all(database, fmt::format("SELECT {} FROM {}", joined(found.columns), table.name));
        while (all.step()) {
            if (owner == found.columns.size() || saved.rows.contains(all.integer(static_cast<int>(owner)))) {
                found.rows.push_back(values_of(all));
            }
        }
        saved.side_tables.push_back(std::move(found));
    }
    return saved;
}

/// Inserts the rows of one log that are missing in the database.
class Merge {
  public:
    Merge(SQLite::Database& database, const SavedRows& saved)
        : saved_(saved),
          known_key_(database, "SELECT invocation_id FROM session_buddy_source WHERE key = ?1"),
          same_id_(database,
                   "SELECT 1 FROM skill_invocation WHERE id = ?1 AND skill_name IS ?2 AND invoked_at IS ?3"
                   " AND session_id IS ?4"),
          same_content_(database, fmt::format("SELECT id FROM skill_invocation WHERE {}",
                                              for_each(saved.columns, " AND ", "\"{0}\" IS ?{1}"))),
          insert_(database, insertion("INSERT", "skill_invocation", saved.columns)),
          database_(database) {}

    std::size_t run() {
        find_keys();
        for (const auto& [id, row] : saved_.rows) {
            if (!ids_.contains(id)) {
                ids_.emplace(id, find(id, row));
            }
        }
        std::size_t added = 0;
        for (const auto& [id, row] : saved_.rows) {
            std::int64_t& new_id = ids_.at(id);
            if (new_id == 0) {
                with_row(insert_, row).run();
                new_id = database_.getLastInsertRowid();
                inserted_.insert(new_id);
                ++added;
            }
        }
        for (const SavedTable& table : saved_.side_tables) {
            insert_all(table);
        }
        count_unknown();
        database_.exec("DELETE FROM session_buddy_open_use WHERE key IN (SELECT key FROM session_buddy_source)");
        return added;
    }

  private:
    /// Inserts the rows that the table lacks, with the new ids of their invocations.
    void insert_all(const SavedTable& table) {
        const auto rule = std::ranges::find(side_tables(), table.name, &SideTable::name);
        const std::size_t owner = index_of(table.columns, *rule->replayed_with);
        const bool is_mark = table.name == "session_buddy_mark";
        sql::Statement insert(database_,
                              insertion("INSERT OR IGNORE", table.name, table.columns) + " " + rule->on_replay);
        for (const Row& row : table.rows) {
            with_row(insert, row);
            if (owner < row.size()) {
                const std::int64_t id = ids_.at(integer_of(row[owner]));
                if (is_mark && !inserted_.contains(id)) {
                    continue;  // the marks of a row that was not lost are those of its values
                }
                insert.bind(static_cast<int>(owner) + 1, id);
            }
            insert.run();
        }
    }

    /// Counts the inserted rows with an unknown outcome.
    void count_unknown() {
        InvocationAggregates aggregates(database_);
        for (const std::int64_t id : inserted_) {
            if (const auto row = aggregates.read(id); row && row->outcome_is_unknown) {
                aggregates.add_unknown(row->skill_name, 1);
            }
        }
    }

    [[nodiscard]] const Value& column(const Row& row, std::string_view name) const {
        return row[index_of(saved_.columns, name)];
    }

    /// Matches rows by dedup key: sources that reported the invocation again used the same key.
    void find_keys() {
        const auto keys = std::ranges::find(saved_.side_tables, "session_buddy_source", &SavedTable::name);
        if (keys == saved_.side_tables.end()) {
            return;
        }
        const std::size_t key = index_of(keys->columns, "key");
        const std::size_t id = index_of(keys->columns, "invocation_id");
        for (const Row& row : keys->rows) {
            known_key_.reset();
            bind_value(known_key_, 1, row[key]);
            if (known_key_.step()) {
                match(integer_of(row[id]), known_key_.integer(0));
            }
        }
        known_key_.reset();
    }

    void match(std::int64_t old_id, std::int64_t new_id) {
        ids_.emplace(old_id, new_id);
        matched_.insert(new_id);
    }

    /// The id of the same row, each matched once; 0 if there is none.
    std::int64_t find(std::int64_t id, const Row& row) {
        same_id_.with(id);
        bind_value(same_id_, 2, column(row, "skill_name"));
        bind_value(same_id_, 3, column(row, "invoked_at"));
        bind_value(same_id_, 4, column(row, "session_id"));
        const bool is_same = same_id_.step();
        same_id_.reset();
        if (is_same && !matched_.contains(id)) {
            matched_.insert(id);
            return id;
        }
        std::int64_t found = 0;
        with_row(same_content_, row);
        while (found == 0 && same_content_.step()) {
            if (!matched_.contains(same_content_.integer(0))) {
                found = same_content_.integer(0);
                matched_.insert(found);
            }
        }
        same_content_.reset();
        return found;
    }

    const SavedRows& saved_;
    std::map<std::int64_t, std::int64_t> ids_;  // from saved ids to current ones
    std::set<std::int64_t> matched_;
    std::set<std::int64_t> inserted_;  // current ids
    sql::Statement known_key_;
    sql::Statement same_id_;
    sql::Statement same_content_;
    sql::Statement insert_;
    SQLite::Database& database_;
};

}  // namespace

void save_rows(SQLite::Database& database, const WalFiles& files) {
    std::vector<std::int64_t> ids = row_ids_in_wal(files.wal());
    if (ids.size() > kMaxIds) {
        log::kStorage.error(
            "the removed write-ahead log of database \"{}\" has more than {} rows: the oldest ones are lost",
            files.path(), kMaxIds);
        ids.erase(ids.begin(), ids.end() - static_cast<std::ptrdiff_t>(kMaxIds));
    }
    try {
        SavedRows saved = read_rows(database, ids);
        PendingRows& all = pending_rows();
        const std::lock_guard lock(all.mutex);
        all.saved.emplace(files.path(), std::move(saved));
    } catch (const SQLite::Exception& error) {
        log::kStorage.error(
            "cannot save the rows of the removed write-ahead log of database \"{}\", they may be lost: {}",
            files.path(), error.what());
    }
}

bool has_saved_rows(const std::string& path) {
    PendingRows& all = pending_rows();
    const std::lock_guard lock(all.mutex);
    return all.saved.contains(path);
}

void store_saved_rows(SQLite::Database& database, const std::string& path) {
    PendingRows& all = pending_rows();
    const std::lock_guard lock(all.mutex);
    for (auto saved = all.saved.find(path); saved != all.saved.end(); saved = all.saved.find(path)) {
        SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
        create_side_tables(database, SideTable::Group::events);
        create_side_tables(database, SideTable::Group::alerts);
        const std::size_t added = Merge(database, saved->second).run();
        transaction.commit();
        log::kStorage.warning("inserted {} rows of the removed write-ahead log of database \"{}\" again", added, path);
        all.saved.erase(saved);
    }
}

}  // namespace session_buddy::storage
