// Spooled events: none is lost, duplicated or blocked, even with other files in the folder.
#include "session_buddy/app/spool.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <thread>

#include "session_buddy/core/duration.hpp"
#include "session_buddy/core/log.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/storage/error.hpp"
#include "support/privileges.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::app {
namespace {

/// No time limit, for slow machines.
constexpr std::chrono::minutes kNoHurry{1};

namespace fs = std::filesystem;
using storage::EventStore;
using storage::SkillEvent;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using Kind = SkillEvent::Kind;

SkillEvent event(Kind kind, const std::string& key, const std::string& time = "12:00:00") {
    SkillEvent made;
    made.kind = kind;
    made.key = key;
    made.at = parse_timestamp("2026-02-10T" + time + "Z").value();
    made.record.skill_name = "a";
    made.record.session_id = "s1";
    made.record.completed = true;
    return made;
}

/// Captures log lines while in scope.
class LogLines {
  public:
    LogLines() {
        log::set_sink([this](const log::Record& record) { text_ += std::string(record.message) + '\n'; });
    }
    ~LogLines() { log::reset_sink(); }
    LogLines(const LogLines&) = delete;
    LogLines& operator=(const LogLines&) = delete;
    [[nodiscard]] const std::string& text() const { return text_; }

  private:
    std::string text_;
};

class SpoolTest : public testing::Test {
  protected:
    static constexpr std::uint32_t kMost = 100;
    static constexpr storage::OpenOptions kOptions{.busy_timeout = std::chrono::milliseconds{100}};

    void put(const SkillEvent& one) const { spool.put(one, storage::Source::hook, storage::Durability::process); }
    void put_file(const std::string& name, const std::string& text) const {
        fs::create_directory(spool.folder());
        std::ofstream(spool.folder() / name, std::ios::binary) << text;
    }
    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> found;
        for (const auto& entry : fs::directory_iterator(spool.folder())) {
            found.push_back(entry.path().filename());
        }
        std::ranges::sort(found);
        return found;
    }
    /// An event file as put() writes it, with `field` replaced.
    [[nodiscard]] static std::string text_of(const std::string& key, const std::string& field = "",
                                             const std::string& value = "") {
        std::string text = "{";
        for (const auto& [name, usual] : {std::pair<std::string, std::string>{"kind", "\"finished\""},
                                          {"source", "1"},
                                          {"key", '"' + key + '"'},
                                          {"at", "\"2026-02-10T12:00:00.000Z\""},
                                          {"skill_name", "\"a\""},
                                          {"session_id", "\"s1\""},
                                          {"completed", "true"}}) {
            if (name != field || !value.empty()) {
                text += (text.size() > 1 ? ",\"" : "\"") + name + "\":" + (name == field ? value : usual);
            }
        }
        return text + "}";
    }
    /// Files that wait to be drained.
    [[nodiscard]] std::size_t waiting() const {
        const auto found = fs::is_directory(spool.folder()) ? names() : std::vector<std::string>{};
        return static_cast<std::size_t>(
            std::ranges::count_if(found, [](const std::string& name) { return name.ends_with(".json"); }));
    }
    /// Number of files that the call removed.
    std::size_t drain(std::size_t limit) {
        const std::size_t before = waiting();
        static_cast<void>(spool.drain(store, limit, kNoHurry));
        return before - waiting();
    }
    [[nodiscard]] std::vector<std::string> keys() const {
        return test::query(path, "SELECT key FROM session_buddy_source ORDER BY invocation_id");
    }

    test::TempDir dir;
    std::string path = dir.file("skills.db");
    Spool spool{path, kMost};
    EventStore store{path, kOptions};
};

TEST_F(SpoolTest, is_next_to_the_database_and_private_to_its_owner) {
    EXPECT_EQ(spool.folder(), fs::path(path + "-spool"));
    EXPECT_FALSE(fs::exists(spool.folder())) << "created on first use";
    EXPECT_EQ(drain(10), 0U);
    const auto mask = ::umask(0);
    put(event(Kind::finished, "t1"));
    ::umask(mask);
    EXPECT_EQ(fs::status(spool.folder()).permissions(), fs::perms::owner_all);
    const auto files = names();
    ASSERT_EQ(files.size(), 1U);
    EXPECT_THAT(files[0], testing::EndsWith(".json"));
    EXPECT_EQ(fs::status(spool.folder() / files[0]).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(SpoolTest, round_trips_every_field) {
    SkillEvent failed = event(Kind::finished, "t \"1\" \\ ü", "12:00:05.123456");
    failed.record.skill_name = "größe \"x\"";
    failed.record.session_id = "sitzung 😀";
    failed.record.completed = false;
    failed.record.duration_seconds = 0.123456;
    failed.record.error_type = "exit_code";
    SkillEvent whole = event(Kind::invocation, "i1", "12:00:06.5");
    whole.record.duration_seconds = kMaxDurationSeconds;
    for (const SkillEvent& one : {failed, whole, event(Kind::started, "t2", "12:00:07.000001"),
                                  event(Kind::finished, "t2", "12:00:09"), event(Kind::command, "c1", "12:00:10"),
                                  event(Kind::started, "t3", "12:00:11"), event(Kind::session_end, "", "12:00:12")}) {
        put(one);
    }
    EXPECT_EQ(drain(100), 7U);
    EXPECT_THAT(names(), IsEmpty());
    EXPECT_THAT(
        test::query(path, "SELECT skill_name, session_id, invoked_at, completed, error_type FROM skill_invocation"),
        ElementsAre("größe \"x\"|sitzung 😀|2026-02-10T12:00:05.000Z|0|exit_code",
                    "a|s1|2026-02-10T12:00:06.500Z|1|NULL", "a|s1|2026-02-10T12:00:07.000001Z|1|NULL",
                    "a|s1|2026-02-10T12:00:10.000Z|1|NULL", "a|s1|2026-02-10T12:00:11.000Z|1|NULL"));
    EXPECT_THAT(
        test::query(path, "SELECT id FROM skill_invocation WHERE duration_seconds IN (0.123456, 1e8, 1.999999)"),
        ElementsAre("1", "2", "3"));
    EXPECT_THAT(keys(), ElementsAre("t \"1\" \\ ü", "i1", "t2", "c1", "t3"));
}

TEST_F(SpoolTest, keeps_the_source_of_an_event) {
    spool.put(event(Kind::command, "c1", "12:00:00"), storage::Source::hook, storage::Durability::process);
    spool.put(event(Kind::command, "c2", "12:00:01"), storage::Source::hook_request, storage::Durability::process);
    EXPECT_EQ(drain(10), 2U);
    EXPECT_THAT(test::query(path, "SELECT key, seen_by FROM session_buddy_source ORDER BY key"),
                ElementsAre("c1|1", "c2|8"));
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_invocation"), "1") << "one command, reported by both";
}

TEST_F(SpoolTest, returns_whether_more_events_wait) {
    for (int i = 0; i < 5; ++i) {
        put(event(Kind::finished, "t" + std::to_string(i)));
    }
    EXPECT_TRUE(spool.drain(store, 2, kNoHurry));
    EXPECT_TRUE(spool.drain(store, 2, kNoHurry));
    EXPECT_FALSE(spool.drain(store, 2, kNoHurry));
    EXPECT_EQ(waiting(), 0U);
}

TEST_F(SpoolTest, keeps_the_same_format_with_power_durability) {
    spool.put(event(Kind::finished, "t1"), storage::Source::hook, storage::Durability::power);
    spool.put(event(Kind::finished, "t2"), storage::Source::hook, storage::Durability::power);
    EXPECT_EQ(drain(10), 2U);
    EXPECT_THAT(keys(), ElementsAre("t1", "t2"));
}

TEST_F(SpoolTest, drains_the_oldest_first_up_to_the_limit) {
    for (int i = 0; i < 30; ++i) {
        put(event(Kind::finished, "t" + std::to_string(i)));
    }
    put_file("00000000000000000001-9-9.json", text_of("oldest"));
    put_file("00000000000000000002-1-1.json", text_of("older"));
    put_file("99999999999999999999-0-0.json", text_of("newest"));
    EXPECT_EQ(drain(3), 3U);
    EXPECT_THAT(keys(), ElementsAre("oldest", "older", "t0"));
    EXPECT_EQ(drain(0), 0U);
    EXPECT_EQ(drain(29), 29U);
    EXPECT_EQ(keys().back(), "t29");
    EXPECT_EQ(drain(29), 1U);
    EXPECT_EQ(keys().back(), "newest");
    EXPECT_EQ(drain(29), 0U);
}

TEST_F(SpoolTest, stores_a_start_before_its_end) {
    for (int i = 0; i < 50; ++i) {
        put(event(Kind::started, "t" + std::to_string(i), "12:00:00"));
        put(event(Kind::finished, "t" + std::to_string(i), "12:00:02"));
    }
    while (spool.drain(store, 7, kNoHurry)) {
    }
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_invocation WHERE duration_seconds = 2.0"), "50");
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM session_buddy_open_use"), "0");
}

TEST_F(SpoolTest, may_be_filled_and_drained_concurrently) {
    constexpr int kWriters = 2;
    constexpr int kEach = 100;
    const Spool large(path, 10'000);
    std::atomic<int> writing = kWriters;
    std::vector<std::thread> threads;
    for (int writer = 0; writer < kWriters; ++writer) {
        threads.emplace_back([&, writer] {
            for (int i = 0; i < kEach; ++i) {
                const std::string key = std::to_string(writer) + "-" + std::to_string(i);
                SkillEvent one = event(i % 3 == 0 ? Kind::command : Kind::finished, key);
                one.record.skill_name = key;  // one command that is reported twice at the same time is one row
                large.put(one, storage::Source::hook, storage::Durability::process);
            }
            --writing;
        });
    }
    for (int taker = 0; taker < 2; ++taker) {
        threads.emplace_back([&] {
            EventStore own(path, {.busy_timeout = std::chrono::seconds{20}});
            while (writing > 0 || !fs::is_empty(large.folder())) {
                static_cast<void>(large.drain(own, 20, kNoHurry));
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_THAT(names(), IsEmpty());
    EXPECT_EQ(test::query_one(path, "SELECT count(*), count(DISTINCT key) FROM session_buddy_source"), "200|200");
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_invocation"), "200");
}

TEST_F(SpoolTest, quarantines_invalid_files_and_stores_the_rest) {
    const std::string marker = "private-9f3b";
    std::vector<std::string> bad{"",
                                 "half",
                                 "{",
                                 "[]",
                                 "null",
                                 "{}",
                                 "\"" + marker + "\"",
                                 text_of("t") + "x",
                                 std::string(100'000, '['),
                                 std::string(100, '\0'),
                                 "{\"kind\":\"\xff\"}",
                                 text_of("t", "kind", "\"" + marker + "\""),
                                 text_of("t", "at", "\"yesterday\""),
                                 text_of("t", "at", "\"\""),
                                 text_of("t", "completed", "1"),
                                 text_of("t").substr(0, 40)};
    for (const char* field : {"kind", "source", "key", "at", "skill_name", "session_id", "completed"}) {
        bad.push_back(text_of("t", field));
        bad.push_back(text_of("t", field, "null"));
        bad.push_back(text_of("t", field, "7"));
        bad.push_back(text_of("t", field, "{\"" + marker + "\":1}"));
    }
    for (const char* more : {"\"duration_seconds\":\"2\"", "\"duration_seconds\":null", "\"error_type\":7"}) {
        bad.push_back(text_of("t").insert(1, std::string(more) + ","));
    }
    // Well-formed, but rejected by the store.
    for (const auto& [field, value] :
         {std::pair{"skill_name", "\"bad\\nname\""}, std::pair{"skill_name", "\"\""}, std::pair{"session_id", "\"\""},
          std::pair{"key", "\"\""}, std::pair{"key", "\"a\\u0000\""}}) {
        bad.push_back(text_of("t", field, value));
    }
    bad.push_back(text_of("t").insert(1, "\"duration_seconds\":-1,"));
    for (std::size_t i = 0; i < bad.size(); ++i) {
        put_file(std::to_string(1000 + i) + "-b.json", bad[i]);
    }
    put_file("0-first.json", text_of("first"));
    put_file("9-last.json", text_of("last"));
    put_file("9-more.json", text_of("more").insert(1, "\"later_field\":[1,{}],"));
    const LogLines lines;
    EXPECT_EQ(drain(1000), bad.size() + 3);
    EXPECT_THAT(keys(), ElementsAre("first", "last", "more"));
    const auto left = names();
    EXPECT_EQ(left.size(), bad.size());
    EXPECT_THAT(left, testing::Each(testing::EndsWith(".bad")));
    EXPECT_THAT(lines.text(), HasSubstr("1000-b.json\" is not a valid event; renamed to *.bad"));
    EXPECT_THAT(lines.text(), Not(HasSubstr(marker)));
    EXPECT_EQ(drain(1000), 0U) << "quarantined files are not read again";
}

TEST_F(SpoolTest, is_not_blocked_by_unreadable_files) {
    fs::create_directories(spool.folder() / "0-a.json");
    fs::create_directories(spool.folder() / "0-b.json");
    put(event(Kind::finished, "t1"));
    put(event(Kind::finished, "t2"));
    EXPECT_EQ(drain(2), 2U);
    EXPECT_THAT(keys(), ElementsAre("t1", "t2"));
    EXPECT_EQ(drain(2), 0U) << "a loop that drains everything terminates";
}

TEST_F(SpoolTest, whose_files_cannot_be_removed_is_stored_once_and_returns_false) {
    put(event(Kind::finished, "t1"));
    put(event(Kind::finished, "t2"));
    put_file("9-bad.json", "half");
    for (const auto& entry : fs::directory_iterator(spool.folder())) {
        fs::permissions(entry.path(), fs::perms::others_read, fs::perm_options::add);
    }
    const LogLines lines;
    {
        const test::WriteProtected outer(dir.path());
        const test::WriteProtected inner(spool.folder());
        EXPECT_EQ(drain(3), 0U);
        EXPECT_EQ(drain(3), 0U);
        EXPECT_THROW(put(event(Kind::finished, "t3")), SpoolError);
    }
    EXPECT_THAT(lines.text(), HasSubstr("rename it to *.bad manually"));
    EXPECT_EQ(names().size(), 3U);
    EXPECT_EQ(drain(3), 3U);
    EXPECT_THAT(keys(), ElementsAre("t1", "t2"));
}

TEST_F(SpoolTest, rejects_more_events_than_its_limit) {
    fs::create_directory(spool.folder());
    for (std::uint32_t i = 0; i < kMost - 1; ++i) {
        put_file(std::to_string(i) + ".json", text_of("t" + std::to_string(i)));
    }
    put_file("x.bad", "half");
    put_file("y.part", "half");
    put(event(Kind::finished, "last"));
    for (const auto durability : {storage::Durability::process, storage::Durability::power}) {
        try {
            spool.put(event(Kind::finished, "one more"), storage::Source::hook, durability);
            FAIL() << "accepted one more than the limit";
        } catch (const SpoolError& error) {
            EXPECT_EQ(error.what(),
                      "spool \"" + spool.folder().string() + "\" is full: max_spool_events (100) reached");
        }
    }
    EXPECT_EQ(names().size(), kMost + 2) << "a rejected event leaves no file";
    EXPECT_EQ(drain(1), 1U);
    put(event(Kind::finished, "one more"));
    EXPECT_EQ(drain(1000), kMost);
}

TEST_F(SpoolTest, removes_abandoned_half_written_files_but_no_recent_ones) {
    put(event(Kind::finished, "t1"));
    const auto now = fs::file_time_type::clock::now();
    for (const auto& [name, age] : {std::pair{"old.part", 61}, std::pair{"young.part", 59}, std::pair{"old.bad", 6000},
                                    std::pair{"old.txt", 6000}}) {
        put_file(name, "{");
        fs::last_write_time(spool.folder() / name, now - std::chrono::minutes(age));
    }
    EXPECT_EQ(drain(10), 1U);
    EXPECT_THAT(names(), ElementsAre("old.bad", "old.txt", "young.part"));
    put_file("old.part", "{");
    fs::last_write_time(spool.folder() / "old.part", now - std::chrono::hours(2));
    put(event(Kind::finished, "t2"));
    EXPECT_FALSE(fs::exists(spool.folder() / "old.part")) << "put() removes it too";
}

TEST_F(SpoolTest, keeps_its_files_while_the_database_is_locked) {
    put(event(Kind::finished, "t1"));
    put(event(Kind::finished, "t2"));
    put_file("9-rejected.json", text_of("t3", "skill_name", "\"\""));
    const auto before = names();
    {
        SQLite::Database other(path, SQLite::OPEN_READWRITE, 100);
        other.exec("BEGIN IMMEDIATE");
        put_file("9-rejected.json", text_of("t3"));
        try {
            drain(10);
            FAIL() << "stored in a locked database";
        } catch (const storage::StorageError& error) {
            EXPECT_EQ(error.code(), storage::StorageErrc::busy);
        }
        put_file("9-rejected.json", text_of("t3", "skill_name", "\"\""));
        EXPECT_THROW(drain(10), storage::StorageError) << "also one by one";
        EXPECT_EQ(names(), before);
    }
    EXPECT_EQ(drain(10), 3U);
    EXPECT_THAT(keys(), ElementsAre("t1", "t2"));
    EXPECT_THAT(names(), ElementsAre("9-rejected.bad"));
}

TEST_F(SpoolTest, reports_why_it_cannot_be_written) {
    std::ofstream(spool.folder()) << "a file";
    try {
        put(event(Kind::finished, "t1"));
        FAIL() << "wrote into a file as if it were a folder";
    } catch (const SpoolError& error) {
        EXPECT_THAT(error.what(), HasSubstr("cannot write to \"" + spool.folder().string()));
        EXPECT_THAT(error.what(), HasSubstr("Not a directory"));
    }
    EXPECT_EQ(drain(10), 0U);
    const Spool nowhere(dir.file("no/folder/skills.db"), kMost);
    EXPECT_THROW(nowhere.put(event(Kind::finished, "t1"), storage::Source::hook, storage::Durability::power),
                 SpoolError);
}

}  // namespace
}  // namespace session_buddy::app
