// Which rows read_history returns, in which order, and what it does when the file changes meanwhile.
#include "session_buddy/storage/history_reader.hpp"

#include <SQLiteCpp/Database.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "session_buddy/storage/database.hpp"
#include "support/manual_clock.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::storage {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using test::at;

class HistoryReader : public testing::Test {
  protected:
    HistoryReader() { static_cast<void>(open_database(path, {})); }

    /// Names of the skills read. `on_row` runs after each row.
    std::vector<std::string> read(const HistoryQuery& query, const std::function<void()>& on_row = [] {}) {
        std::vector<std::string> names;
        starts = 0;
        counts = read_history(path, query,
                              {.on_start =
                                   [&] {
                                       ++starts;
                                       names.clear();
                                   },
                               .on_row =
                                   [&](const Invocation& row) {
                                       names.push_back(row.skill_name);
                                       on_row();
                                   }});
        return names;
    }

    test::TempDir folder;
    std::string path = folder.file("skills.db");
    int starts = 0;
    HistoryCounts counts;
};

TEST_F(HistoryReader, orders_by_time_or_by_id) {
    test::execute(path, test::insertion("third", "2026-02-10T23:30:00-01:00") +
                            test::insertion("second", "2026-02-11 00:10:00Z") +
                            test::insertion("first", "2026-02-11T13:00:00+14:00") +
                            test::insertion("also-second", "2026-02-11T00:10:00Z"));
    const HistoryQuery query{.to = at("2026-03-01")};
    EXPECT_THAT(read(query), ElementsAre("third", "second", "first", "also-second"));
    EXPECT_THAT(read({.to = query.to, .order = HistoryQuery::Order::time}),
                ElementsAre("first", "second", "also-second", "third"));
    EXPECT_EQ(counts.rows, 4);
}

TEST_F(HistoryReader, includes_both_ends) {
    // The last moment of the tenth and the first of the twelfth in UTC, though their texts differ.
    test::execute(path, test::insertion("before", "2026-02-11T13:59:59+14:00") +
                            test::insertion("at-start", "2026-02-11T14:00:00+14:00") +
                            test::insertion("at-end", "2026-02-11T12:00:00-12:00") +
                            test::insertion("after", "2026-02-11T12:00:00.000001-12:00"));
    for (const auto order : {HistoryQuery::Order::id, HistoryQuery::Order::time}) {
        EXPECT_THAT(read({.from = at("2026-02-11"), .to = at("2026-02-12"), .order = order}),
                    ElementsAre("at-start", "at-end"));
    }
    EXPECT_THAT(read({.from = at("0001-01-01"), .to = at("9999-12-31")}),
                ElementsAre("before", "at-start", "at-end", "after"));
    EXPECT_THAT(read({.to = at("9999-12-31"), .skill_name = "after"}), ElementsAre("after"));
}

TEST_F(HistoryReader, counts_unreadable_rows) {
    test::execute(path, test::insertion("good", "2026-02-11") + test::insertion("good", "soon") +
                            test::insertion("bad\nname", "2026-02-11") + test::insertion("bad\nname", "2026-02-01"));
    EXPECT_THAT(read({.from = at("2026-02-10"), .to = at("2026-02-12")}), ElementsAre("good"));
    EXPECT_EQ(counts.rows, 1);
    EXPECT_EQ(counts.skipped_rows, 2);
}

TEST_F(HistoryReader, leaves_no_file_behind) {
    test::execute(path, test::insertion("good", "2026-02-11"));
    const auto before = folder.contents();
    read({.to = at("2026-02-12")});
    EXPECT_EQ(starts, 1);
    EXPECT_EQ(folder.contents(), before);
}

TEST_F(HistoryReader, restarts_when_another_connection_starts_to_write) {
    test::execute(path, test::insertion("first", "2026-02-11") + test::insertion("second", "2026-02-11"));
    std::unique_ptr<SQLite::Database> writer;
    const auto names = read({.to = at("2026-02-12")}, [&] {
        if (!writer) {
            writer = std::make_unique<SQLite::Database>(path, SQLite::OPEN_READWRITE, 5000);
            writer->exec(test::insertion("third", "2026-02-11"));
        }
    });
    EXPECT_EQ(starts, 2);
    EXPECT_THAT(names, ElementsAre("first", "second", "third"));
}

TEST_F(HistoryReader, restarts_when_another_connection_wrote_and_closed) {
    test::execute(path, test::insertion("first", "2026-02-11") + test::insertion("second", "2026-02-11"));
    bool written = false;
    const auto names = read({.to = at("2026-02-12")}, [&] {
        if (!written) {
            written = true;
            test::execute(path, "UPDATE skill_invocation SET skill_name = 'other'");
        }
    });
    EXPECT_EQ(starts, 2);
    EXPECT_THAT(names, ElementsAre("other", "other"));
}

TEST_F(HistoryReader, sees_one_state_of_a_database_that_is_open) {
    test::execute(path, test::insertion("first", "2026-02-11") + test::insertion("second", "2026-02-11"));
    SQLite::Database writer(path, SQLite::OPEN_READWRITE, 5000);
    writer.exec(test::insertion("third", "2026-02-11"));
    const auto names = read({.to = at("2026-02-12")}, [&] { writer.exec("DELETE FROM skill_invocation"); });
    EXPECT_EQ(starts, 1);
    EXPECT_THAT(names, ElementsAre("first", "second", "third"));
    EXPECT_THAT(read({.to = at("2026-02-12")}), IsEmpty());
}

TEST_F(HistoryReader, rejects_other_databases) {
    const auto code_of = [](const std::string& file) {
        try {
            read_history(file, {.to = at("2026-02-12")}, {.on_start = [] {}, .on_row = [](const Invocation&) {}});
        } catch (const StorageError& error) {
            EXPECT_NE(std::string(error.what()).find(file), std::string::npos);
            return error.code();
        }
        ADD_FAILURE() << file << " was read";
        return StorageErrc::invalid_argument;
    };
    EXPECT_EQ(code_of(folder.file("missing.db")), StorageErrc::missing);
    EXPECT_EQ(code_of(folder.path().string()), StorageErrc::io);
    test::execute(folder.file("foreign.db"), "CREATE TABLE moz_bookmarks (id INTEGER)");
    EXPECT_EQ(code_of(folder.file("foreign.db")), StorageErrc::foreign_database);
    test::execute(folder.file("newer.db"),
                  "CREATE TABLE skill_migrations (version TEXT PRIMARY KEY);"
                  "INSERT INTO skill_migrations VALUES ('V99__later')");
    EXPECT_EQ(code_of(folder.file("newer.db")), StorageErrc::newer_version);
}

}  // namespace
}  // namespace session_buddy::storage
