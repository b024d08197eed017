// Copies rows of a removed write-ahead log into memory, and merges them into the database later.
#include "saved_rows.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>
#include <spdlog/fmt/fmt.h>
#include <sqlite3.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "event_tables.hpp"
#include "inspection.hpp"
#include "session_buddy/core/log.hpp"
#include "sql.hpp"
#include "wal_files.hpp"
#include "wal_rescue.hpp"

namespace session_buddy::storage {
namespace {

constexpr log::Logger kLogger{"session_buddy.storage"};

/// Limit of ids per log; a log of SQLite's usual size has a tenth of it.
constexpr std::size_t kMaxIds = 500'000;

struct FreeValue {
    void operator()(sqlite3_value* value) const { sqlite3_value_free(value); }
};
using Value = std::unique_ptr<sqlite3_value, FreeValue>;
using Row = std::vector<Value>;

struct SavedRows {
    std::vector<std::string> columns;   ///< of skill_invocation, without id
    std::map<std::int64_t, Row> rows;   ///< by id
    std::vector<Row> keys;              ///< key, invocation_id, seen_by
    std::vector<Row> commands;          ///< session_id, skill_name, at_us, source, invocation_id
    std::vector<Row> open_invocations;  ///< key, skill_name, session_id, started_us
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

/// A statement with access to its handle, which sql::Statement lacks, to copy values of any type.
class RawStatement {
  public:
    RawStatement(SQLite::Database& database, const std::string& text) : database_(database.getHandle()) {
        check(sqlite3_prepare_v2(database_, text.c_str(), -1, &statement_, nullptr));
    }
    ~RawStatement() { sqlite3_finalize(statement_); }
    RawStatement(const RawStatement&) = delete;
    RawStatement& operator=(const RawStatement&) = delete;

    RawStatement& bind(int index, const Value& value) {
        check(sqlite3_bind_value(statement_, index, value.get()));
        return *this;
    }
    RawStatement& bind(int index, std::int64_t value) {
        check(sqlite3_bind_int64(statement_, index, value));
        return *this;
    }
    RawStatement& bind_all(const Row& row) {
        for (std::size_t column = 0; column < row.size(); ++column) {
            bind(static_cast<int>(column) + 1, row[column]);
        }
        return *this;
    }
    bool step() {
        const int result = sqlite3_step(statement_);
        if (result != SQLITE_ROW && result != SQLITE_DONE) {
            SQLite::Exception error(database_, result);
            sqlite3_reset(statement_);
            throw error;
        }
        return result == SQLITE_ROW;
    }
    /// Runs the statement and resets it. Returns whether there was a row.
    bool step_once() {
        const bool found = step();
        sqlite3_reset(statement_);
        return found;
    }
    [[nodiscard]] std::int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
    [[nodiscard]] Row row() const {
        Row row;
        for (int column = 0; column < sqlite3_column_count(statement_); ++column) {
            row.emplace_back(sqlite3_value_dup(sqlite3_column_value(statement_, column)));
        }
        return row;
    }
    void reset() { sqlite3_reset(statement_); }

  private:
    void check(int result) const {
        if (result != SQLITE_OK) {
            throw SQLite::Exception(database_, result);
        }
    }

    sqlite3* database_;
    sqlite3_stmt* statement_ = nullptr;
};

bool has_table(SQLite::Database& database, const std::string& name) {
    return !column_names(database, name).empty();
}

SavedRows read_rows(SQLite::Database& database, const std::vector<std::int64_t>& ids) {
    const SQLite::Transaction transaction(database, SQLite::TransactionBehavior::DEFERRED);
    SavedRows saved;
    std::string names;
    for (const std::string& name : column_names(database, "skill_invocation")) {
        if (name != "id") {
            saved.columns.push_back(name);
            names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", name);
        }
    }
    RawStatement by_id(database, fmt::format("SELECT {} FROM skill_invocation WHERE id = ?1", names));
    for (const std::int64_t id : ids) {
        if (by_id.bind(1, id).step()) {
            saved.rows.emplace(id, by_id.row());
        }
        by_id.reset();
    }
    const auto read_all = [&](const char* table, const std::string& text, int id_column, std::vector<Row>& found) {
        if (!has_table(database, table)) {
            return;
        }
        RawStatement all(database, text);
        while (all.step()) {
            if (id_column < 0 || saved.rows.contains(all.integer(id_column))) {
                found.push_back(all.row());
            }
        }
    };
    const bool knows_sources =
        std::ranges::count(column_names(database, "session_buddy_source"), std::string("seen_by")) > 0;
    read_all("session_buddy_source",
             fmt::format("SELECT key, invocation_id, {} FROM session_buddy_source", knows_sources ? "seen_by" : "4"), 1,
             saved.keys);
    read_all("session_buddy_command",
             "SELECT session_id, skill_name, at_us, source, invocation_id FROM session_buddy_command", 4,
             saved.commands);
    read_all("session_buddy_open_use", "SELECT key, skill_name, session_id, started_us FROM session_buddy_open_use", -1,
             saved.open_invocations);
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
          same_content_(database, fmt::format("SELECT id FROM skill_invocation WHERE {}", equal_columns(saved))),
          insert_(database, insertion(saved)),
          insert_key_(database,
                      "INSERT OR IGNORE INTO session_buddy_source (key, invocation_id, seen_by) VALUES (?1, ?2, ?3)"),
          close_use_(database, "DELETE FROM session_buddy_open_use WHERE key = ?1"),
          insert_command_(database,
                          "INSERT OR IGNORE INTO session_buddy_command"
                          " (session_id, skill_name, at_us, source, invocation_id) VALUES (?1, ?2, ?3, ?4, ?5)"),
          insert_use_(database,
                      "INSERT OR IGNORE INTO session_buddy_open_use (key, skill_name, session_id, started_us)"
                      " SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (SELECT 1 FROM session_buddy_source WHERE key = ?1)"),
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
                insert_.bind_all(row).step_once();
                new_id = sqlite3_last_insert_rowid(database_.getHandle());
                ++added;
            }
        }
        for (const Row& key : saved_.keys) {
            insert_key_.bind(1, key[0]).bind(2, ids_.at(sqlite3_value_int64(key[1].get()))).bind(3, key[2]).step_once();
            close_use_.bind(1, key[0]).step_once();
        }
        for (const Row& command : saved_.commands) {
            insert_command_.bind_all(command).bind(5, ids_.at(sqlite3_value_int64(command[4].get()))).step_once();
        }
        for (const Row& invocation : saved_.open_invocations) {
            insert_use_.bind_all(invocation).step_once();
        }
        return added;
    }

  private:
    static std::string equal_columns(const SavedRows& saved) {
        std::string text;
        for (std::size_t column = 0; column < saved.columns.size(); ++column) {
            text += fmt::format("{}\"{}\" IS ?{}", text.empty() ? "" : " AND ", saved.columns[column], column + 1);
        }
        return text;
    }
    static std::string insertion(const SavedRows& saved) {
        std::string names;
        std::string values;
        for (std::size_t column = 0; column < saved.columns.size(); ++column) {
            names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", saved.columns[column]);
            values += fmt::format("{}?{}", values.empty() ? "" : ", ", column + 1);
        }
        return fmt::format("INSERT INTO skill_invocation ({}) VALUES ({})", names, values);
    }

    [[nodiscard]] const Value& column(const Row& row, std::string_view name) const {
        const auto found = std::ranges::find(saved_.columns, name);
        return row[static_cast<std::size_t>(found - saved_.columns.begin())];
    }

    /// Matches rows by dedup key: sources that reported the invocation again used the same key.
    void find_keys() {
        for (const Row& key : saved_.keys) {
            known_key_.bind(1, key[0]);
            if (known_key_.step()) {
                match(sqlite3_value_int64(key[1].get()), known_key_.integer(0));
            }
            known_key_.reset();
        }
    }

    void match(std::int64_t old_id, std::int64_t new_id) {
        ids_.emplace(old_id, new_id);
        matched_.insert(new_id);
    }

    /// The id of the same row, each matched once; 0 if there is none.
    std::int64_t find(std::int64_t id, const Row& row) {
        same_id_.bind(1, id)
            .bind(2, column(row, "skill_name"))
            .bind(3, column(row, "invoked_at"))
            .bind(4, column(row, "session_id"));
        if (!matched_.contains(id) && same_id_.step_once()) {
            matched_.insert(id);
            return id;
        }
        std::int64_t found = 0;
        same_content_.bind_all(row);
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
    RawStatement known_key_;
    RawStatement same_id_;
    RawStatement same_content_;
    RawStatement insert_;
    RawStatement insert_key_;
    RawStatement close_use_;
    RawStatement insert_command_;
    RawStatement insert_use_;
    SQLite::Database& database_;
};

}  // namespace

void save_rows(SQLite::Database& database, const WalFiles& files) {
    std::vector<std::int64_t> ids = row_ids_in_wal(files.wal());
    if (ids.size() > kMaxIds) {
        kLogger.error("the removed write-ahead log of database \"{}\" has more than {} rows: the oldest ones are lost",
                      files.path(), kMaxIds);
        ids.erase(ids.begin(), ids.end() - static_cast<std::ptrdiff_t>(kMaxIds));
    }
    try {
        SavedRows saved = read_rows(database, ids);
        PendingRows& all = pending_rows();
        const std::lock_guard lock(all.mutex);
        all.saved.emplace(files.path(), std::move(saved));
    } catch (const SQLite::Exception& error) {
        kLogger.error("cannot save the rows of the removed write-ahead log of database \"{}\", they may be lost: {}",
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
        create_event_tables(database);
        const std::size_t added = Merge(database, saved->second).run();
        transaction.commit();
        kLogger.warning("inserted {} rows of the removed write-ahead log of database \"{}\" again", added, path);
        all.saved.erase(saved);
    }
}

}  // namespace session_buddy::storage
