// Following transcripts: what is stored and when, saved offsets, and changes to files and database meanwhile.
#include "session_buddy/app/transcript_watch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <optional>
#include <utility>

#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/storage/event_store.hpp"
#include "support/manual_clock.hpp"
#include "support/no_descriptors_left.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::app {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr auto kDeadline = std::chrono::seconds(40);
constexpr const char* kLongAgo = "2026-02-12T14:00:00Z";

std::string use_line(const std::string& id, const std::string& tool = "Read", const std::string& at = kLongAgo) {
    return R"({"type":"assistant","timestamp":")" + at +
           R"(","sessionId":"s","cwd":"/private/folder/of/mine","message":)" +
           R"({"content":[{"type":"tool_use","id":")" + id + R"(","name":")" + tool + R"(","input":{}}]}})" + "\n";
}

std::string result_line(const std::string& id, const std::string& at = kLongAgo) {
    return R"({"type":"user","timestamp":")" + at + R"(","sessionId":"s","message":)" +
           R"({"content":[{"type":"tool_result","tool_use_id":")" + id + R"(","content":"fine"}]}})" + "\n";
}

std::string run_lines(const std::string& id) {
    return use_line(id) + result_line(id);
}

class TranscriptWatchTest : public testing::Test {
  protected:
    void append(const std::string& name, const std::string& text) const {
        fs::create_directories((root / name).parent_path());
        std::ofstream(root / name, std::ios::binary | std::ios::app) << text;
    }

    /// Watches until `step` returns true; it is called several times a second.
    void watch(const std::function<bool()>& step, WatchOptions options = {}) {
        options.db_path = database;
        reports.clear();
        const auto end = steady_clock::now() + kDeadline;
        TranscriptWatch(paths, options, namer, clock,
                        {.report = [this](const WatchReport& report) { reports.push_back(report); },
                         .progress = [this](const ImportProgress& state) { progress.push_back(state); },
                         .should_continue =
                             [&] {
                                 if (steady_clock::now() >= end) {
                                     ADD_FAILURE() << "the expected state was not reached in time";
                                     return false;
                                 }
                                 return !step();
                             }})
            .run();
    }

    /// Catches up and ends. Returns the last report.
    WatchReport watch_once() {
        WatchOptions options;
        options.once = true;
        watch([] { return false; }, options);
        return reports.back();
    }

    [[nodiscard]] std::vector<std::string> keys() const {
        return test::query(database, "SELECT key FROM session_buddy_source ORDER BY key");
    }
    [[nodiscard]] std::string rows() const {
        return test::query_one(database, "SELECT count(*) FROM skill_invocation");
    }
    [[nodiscard]] std::string row_count_or_none() const { return fs::exists(database) ? rows() : "none"; }
    [[nodiscard]] std::vector<std::string> saved_offsets() const {
        return test::query(database, "SELECT offset FROM session_buddy_transcript ORDER BY offset");
    }
    [[nodiscard]] bool was_reported(WatchReport::Kind kind) const {
        return std::ranges::any_of(reports, [kind](const WatchReport& report) { return report.kind == kind; });
    }
    [[nodiscard]] std::size_t times_reported(WatchReport::Kind kind) const {
        return static_cast<std::size_t>(
            std::ranges::count_if(reports, [kind](const WatchReport& report) { return report.kind == kind; }));
    }
    void store_hook_event(const std::string& key) const {
        storage::EventStore store(database, {});
        storage::SkillEvent event;
        event.kind = storage::SkillEvent::Kind::finished;
        event.key = key;
        event.at = *parse_timestamp(kLongAgo);
        event.record.skill_name = "Read";
        event.record.session_id = "s";
        event.record.completed = true;
        store.ingest({&event, 1}, storage::Source::hook);
    }

    test::TempDir dir;
    test::TempDir projects;
    fs::path root = projects.path();
    std::string database = dir.file("skills.db");
    std::vector<fs::path> paths{root};
    ingest::SkillNamer namer;
    test::ManualClock clock{*parse_timestamp("2026-02-12T15:00:00Z")};
    std::vector<WatchReport> reports;
    std::vector<ImportProgress> progress;
};

TEST_F(TranscriptWatchTest, catching_up_stores_everything_and_the_next_watch_reads_nothing_twice) {
    append("p/a.jsonl", run_lines("a1") + run_lines("a2"));
    append("p/a/subagents/b.jsonl", use_line("a1", "a copy") + run_lines("b1"));
    const WatchReport first = watch_once();
    EXPECT_EQ(first.coverage, (Coverage{.runs = 3, .hooks_saw = 0, .recovered = 3}));
    EXPECT_EQ(first.files, 2U);
    EXPECT_EQ(first.bytes, fs::file_size(root / "p/a.jsonl") + fs::file_size(root / "p/a/subagents/b.jsonl"));
    EXPECT_THAT(keys(), ElementsAre("a1", "a2", "b1"));
    EXPECT_THAT(test::query(database, "SELECT DISTINCT skill_name FROM skill_invocation"), ElementsAre("Read"));
    ASSERT_FALSE(progress.empty());
    EXPECT_EQ(progress.back().bytes_done, progress.back().bytes_total);

    const WatchReport second = watch_once();
    EXPECT_EQ(second.coverage, Coverage{});
    EXPECT_EQ(second.bytes, 0U);
    EXPECT_EQ(rows(), "3");
}

TEST_F(TranscriptWatchTest, invocations_known_from_hooks_are_counted_as_seen_and_have_one_row) {
    append("a.jsonl", run_lines("a1") + run_lines("a2") + run_lines("a3"));
    store_hook_event("a1");
    store_hook_event("a3");
    EXPECT_EQ(watch_once().coverage, (Coverage{.runs = 3, .hooks_saw = 2, .recovered = 1}));
    EXPECT_EQ(rows(), "3");
}

TEST_F(TranscriptWatchTest, a_recent_invocation_is_stored_after_settling) {
    append("a.jsonl", use_line("new", "Read", "2026-02-12T14:59:58Z") + result_line("new", "2026-02-12T14:59:59.9Z"));
    WatchOptions options;
    options.settling_time = std::chrono::milliseconds(700);
    std::optional<steady_clock::time_point> stored;
    const auto begin = steady_clock::now();
    watch(
        [&] {
            if (!stored && row_count_or_none() == "1") {
                stored = steady_clock::now();
            }
            return stored.has_value();
        },
        options);
    EXPECT_GE(*stored - begin, std::chrono::milliseconds(600));
}

TEST_F(TranscriptWatchTest, a_hook_event_that_arrives_while_settling_counts_as_seen) {
    append("a.jsonl", use_line("new", "Read", "2026-02-12T14:59:58Z") + result_line("new", "2026-02-12T14:59:59.9Z"));
    WatchOptions options;
    options.settling_time = std::chrono::milliseconds(700);
    bool stored = false;
    watch(
        [&] {
            if (!std::exchange(stored, true)) {
                store_hook_event("new");
            }
            return !reports.empty() && reports.back().coverage.runs == 1;
        },
        options);
    EXPECT_EQ(reports.back().coverage, (Coverage{.runs = 1, .hooks_saw = 1, .recovered = 0}));
    EXPECT_EQ(rows(), "1");
}

TEST_F(TranscriptWatchTest, an_invocation_that_had_no_time_to_settle_is_left_to_the_next_watch) {
    append("a.jsonl", run_lines("old") + use_line("new", "Read", "2026-02-12T14:59:58Z") +
                          result_line("new", "2026-02-12T14:59:59Z"));
    WatchOptions options;
    options.settling_time = std::chrono::hours(1);
    watch([&] { return was_reported(WatchReport::Kind::caught_up); }, options);
    EXPECT_THAT(keys(), ElementsAre("old"));
    EXPECT_THAT(saved_offsets(), IsEmpty());
    clock.advance(std::chrono::hours(1));
    EXPECT_EQ(watch_once().coverage, (Coverage{.runs = 1, .hooks_saw = 0, .recovered = 1}));
    EXPECT_THAT(keys(), ElementsAre("new", "old"));
}

TEST_F(TranscriptWatchTest, a_saved_offset_does_not_separate_a_use_from_its_result) {
    const std::string whole = run_lines("a1");
    append("a.jsonl", whole + use_line("open") + use_line("a2") + result_line("a2"));
    EXPECT_EQ(watch_once().unfinished, 1);
    EXPECT_THAT(saved_offsets(), ElementsAre(std::to_string(whole.size())));
    append("a.jsonl", result_line("open"));
    EXPECT_EQ(watch_once().coverage, (Coverage{.runs = 1, .hooks_saw = 0, .recovered = 1}));
    EXPECT_THAT(keys(), ElementsAre("a1", "a2", "open"));
    EXPECT_THAT(saved_offsets(), ElementsAre(std::to_string(fs::file_size(root / "a.jsonl"))));
}

TEST_F(TranscriptWatchTest, files_folders_and_lines_that_come_later_are_found) {
    append("p/a.jsonl", run_lines("a1"));
    int step = 0;
    watch([&] {
        if (step == 0 && was_reported(WatchReport::Kind::caught_up)) {
            append("p/a.jsonl", use_line("a2"));
            append("q/new/b.jsonl", run_lines("b1"));
            ++step;
        } else if (step == 1 && rows() == "2") {
            const std::string line = result_line("a2");
            append("p/a.jsonl", line.substr(0, line.size() / 2));
            append("q/new/b.jsonl", run_lines("b2"));
            ++step;
        } else if (step == 2 && rows() == "3") {
            const std::string line = result_line("a2");
            append("p/a.jsonl", line.substr(line.size() / 2));
            ++step;
        }
        return step == 3 && rows() == "4";
    });
    EXPECT_THAT(keys(), ElementsAre("a1", "a2", "b1", "b2"));
    EXPECT_EQ(reports.back().kind, WatchReport::Kind::ended);
    EXPECT_EQ(reports.back().unreadable_lines, 0);
}

TEST_F(TranscriptWatchTest, without_change_notifications_folders_are_polled) {
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "the sanitizers open files to inspect objects, and report errors if they cannot";
#endif
    append("a.jsonl", run_lines("a1"));
    int step = 0;
    const auto end = steady_clock::now() + kDeadline;
    std::optional<test::NoDescriptorsLeft> none(std::in_place);  // nor one for inotify
    TranscriptWatch watch(paths, {.db_path = database}, namer, clock,
                          {.report = [this](const WatchReport& report) { reports.push_back(report); },
                           .progress = {},
                           .should_continue =
                               [&] {
                                   if (step == 0 && was_reported(WatchReport::Kind::caught_up)) {
                                       append("a.jsonl", run_lines("a2"));
                                       append("new/b.jsonl", run_lines("b1"));
                                       ++step;
                                   }
                                   return !(step == 1 && rows() == "3") && steady_clock::now() < end;
                               }});
    none.reset();
    watch.run();
    EXPECT_THAT(keys(), ElementsAre("a1", "a2", "b1"));
}

TEST_F(TranscriptWatchTest, a_renamed_file_is_not_read_again) {
    append("a.jsonl", run_lines("a1") + run_lines("a2"));
    watch_once();
    fs::rename(root / "a.jsonl", root / "z.jsonl");
    append("z.jsonl", run_lines("a3"));
    const WatchReport report = watch_once();
    EXPECT_EQ(report.bytes, run_lines("a3").size());
    EXPECT_EQ(report.coverage.recovered, 1);
}

TEST_F(TranscriptWatchTest, a_renamed_file_with_an_open_use_loses_nothing) {
    append("a.jsonl", run_lines("a1") + use_line("open"));
    int step = 0;
    watch([&] {
        if (step == 0 && was_reported(WatchReport::Kind::caught_up)) {
            fs::rename(root / "a.jsonl", root / "z.jsonl");
            append("new.jsonl", run_lines("n1"));
            ++step;
        }
        return step == 1 && rows() == "2";
    });
    append("z.jsonl", result_line("open"));
    watch_once();
    EXPECT_THAT(keys(), ElementsAre("a1", "n1", "open"));
}

TEST_F(TranscriptWatchTest, a_truncated_or_replaced_file_is_read_again) {
    append("a.jsonl", run_lines("a1") + run_lines("a2"));
    append("b.jsonl", run_lines("b1") + run_lines("b2"));
    int step = 0;
    watch([&] {
        if (step == 0 && was_reported(WatchReport::Kind::caught_up)) {
            fs::resize_file(root / "a.jsonl", 0);
            append("a.jsonl", run_lines("a3"));
            append("other", run_lines("b3") + run_lines("b4") + run_lines("b5"));
            fs::rename(root / "other", root / "b.jsonl");
            ++step;
        }
        return step == 1 && rows() == "8";
    });
    EXPECT_THAT(keys(), ElementsAre("a1", "a2", "a3", "b1", "b2", "b3", "b4", "b5"));
    // The same between two watches.
    fs::resize_file(root / "a.jsonl", 0);
    append("a.jsonl", run_lines("a4") + run_lines("a5") + run_lines("a6"));
    EXPECT_EQ(watch_once().coverage.recovered, 3);
}

TEST_F(TranscriptWatchTest, a_file_too_short_for_a_fingerprint_is_read_but_its_offset_is_not_saved) {
    append(
        "a.jsonl",
        R"({"type":"user","uuid":"u","timestamp":"2026-02-12T14:00:00Z","message":{"content":"<command-name>/x</command-name>"}})");
    ASSERT_LT(fs::file_size(root / "a.jsonl"), 256U);
    EXPECT_EQ(watch_once().coverage.recovered, 1);
    EXPECT_THAT(saved_offsets(), IsEmpty());
    EXPECT_EQ(watch_once().coverage, Coverage{});
    EXPECT_EQ(rows(), "1");
}

TEST_F(TranscriptWatchTest, bad_lines_and_files_stop_nothing) {
    append("a.jsonl", "no json\n" + run_lines("a1") + std::string(300, '\0') + "\n");
    fs::create_directories(root / "folder.jsonl");
    paths.push_back(dir.path() / "missing");
    append("folder.jsonl/b.jsonl", run_lines("b1"));
    const WatchReport report = watch_once();
    EXPECT_EQ(report.coverage.recovered, 2);
    EXPECT_EQ(report.unreadable_lines, 1);  // a line of zero bytes holds no record
    EXPECT_EQ(times_reported(WatchReport::Kind::problem), 1U);
}

TEST_F(TranscriptWatchTest, a_missing_path_is_reported_once_and_followed_when_it_appears) {
    const fs::path later = dir.path() / "later";
    paths = {later};
    bool made = false;
    watch([&] {
        if (!made && was_reported(WatchReport::Kind::caught_up)) {
            fs::create_directories(later);
            std::ofstream(later / "a.jsonl") << run_lines("a1");
            made = true;
        }
        return made && rows() == "1";
    });
    EXPECT_EQ(times_reported(WatchReport::Kind::problem), 1U);
}

TEST_F(TranscriptWatchTest, a_locked_database_is_retried_and_reported_once) {
    watch_once();
    append("a.jsonl", run_lines("a1"));
    std::optional<SQLite::Database> other(std::in_place, database, SQLite::OPEN_READWRITE);
    other->exec("BEGIN IMMEDIATE");
    std::optional<steady_clock::time_point> waits_since;
    watch([&] {
        if (!waits_since && was_reported(WatchReport::Kind::database_waits)) {
            waits_since = steady_clock::now();
        }
        if (other && waits_since && steady_clock::now() > *waits_since + std::chrono::milliseconds(2500)) {
            other.reset();  // it was retried by then
        }
        return !other && rows() == "1";
    });
    EXPECT_EQ(times_reported(WatchReport::Kind::database_waits), 1U);
    EXPECT_EQ(times_reported(WatchReport::Kind::database_back), 1U);
    EXPECT_EQ(reports.back().coverage.recovered, 1);
}

TEST_F(TranscriptWatchTest, backpressure_stops_reading_while_nothing_can_be_stored) {
    watch_once();
    constexpr std::size_t kRuns = 3 * kMaxPendingInvocations;
    std::string text;
    for (std::size_t i = 0; i < kRuns; ++i) {
        text += run_lines("id" + std::to_string(i));
    }
    append("a.jsonl", text);
    std::optional<SQLite::Database> other(std::in_place, database, SQLite::OPEN_READWRITE);
    other->exec("BEGIN IMMEDIATE");
    std::uint64_t bytes_meanwhile = 0;
    int asked = 0;
    watch([&] {
        if (other && was_reported(WatchReport::Kind::database_waits) && ++asked > 5) {
            bytes_meanwhile = progress.back().bytes_done;
            other.reset();
        }
        return !other && rows() == std::to_string(kRuns);
    });
    EXPECT_GT(bytes_meanwhile, 0U);
    EXPECT_LT(bytes_meanwhile, text.size() * 2 / 3);
}

TEST_F(TranscriptWatchTest, after_the_database_is_replaced_everything_is_read_again) {
    append("a.jsonl", run_lines("a1") + run_lines("a2"));
    int step = 0;
    watch([&] {
        if (step == 0 && was_reported(WatchReport::Kind::caught_up)) {
            for (const char* end : {"-wal", "-shm"}) {
                fs::remove(database + end);
            }
            storage::EventStore(dir.file("new.db"), {}).close();
            fs::rename(dir.file("new.db"), database);
            ++step;
        } else if (step == 1 && was_reported(WatchReport::Kind::database_replaced)) {
            append("a.jsonl", run_lines("a3"));
            ++step;
        }
        return step == 2 && rows() == "3" && reports.back().coverage.runs == 3;
    });
    EXPECT_THAT(keys(), ElementsAre("a1", "a2", "a3"));
    EXPECT_EQ(times_reported(WatchReport::Kind::database_replaced), 1U);
    EXPECT_EQ(watch_once().bytes, 0U);
}

TEST_F(TranscriptWatchTest, a_missing_database_is_waited_for_and_not_created) {
    append("a.jsonl", run_lines("a1"));
    int step = 0;
    watch([&] {
        if (step == 0 && was_reported(WatchReport::Kind::caught_up)) {
            fs::rename(database, dir.file("kept.db"));
            ++step;
        } else if (step == 1 && was_reported(WatchReport::Kind::database_waits)) {
            EXPECT_FALSE(fs::exists(database));
            fs::rename(dir.file("kept.db"), database);
            append("a.jsonl", run_lines("a2"));
            ++step;
        }
        return step == 2 && rows() == "2";
    });
    EXPECT_EQ(times_reported(WatchReport::Kind::database_back), 1U);
}

TEST_F(TranscriptWatchTest, an_unusable_database_is_an_error_at_the_start) {
    std::ofstream(database) << std::string(5000, 'x');
    EXPECT_THROW(watch_once(), storage::StorageError);
}

TEST_F(TranscriptWatchTest, nothing_private_is_stored) {
    append("the-project/a.jsonl", run_lines("a1"));
    watch_once();
    for (const auto& [name, bytes] : dir.contents()) {
        for (const char* secret : {"private", "the-project", "jsonl"}) {
            EXPECT_EQ(bytes.find(secret), std::string::npos) << secret << " in " << name;
        }
    }
}

TEST_F(TranscriptWatchTest, a_named_file_is_followed) {
    append("export.txt", run_lines("a1"));
    append("other.jsonl", run_lines("no"));
    paths = {root / "export.txt"};
    bool appended = false;
    watch([&] {
        if (!appended && was_reported(WatchReport::Kind::caught_up)) {
            append("export.txt", run_lines("a2"));
            appended = true;
        }
        return appended && rows() == "2";
    });
    EXPECT_THAT(keys(), ElementsAre("a1", "a2"));
}

TEST_F(TranscriptWatchTest, custom_rules_name_the_stored_invocations) {
    const std::vector<ToolRule> rules{{.command = "just check", .skill = "just-check"}};
    namer = ingest::SkillNamer(rules);
    append("a.jsonl", R"({"type":"assistant","timestamp":"2026-02-12T14:00:00Z","message":{"content":[)"
                      R"({"type":"tool_use","id":"a1","name":"Bash","input":{"command":"just check"}}]}})"
                      "\n" +
                          result_line("a1"));
    watch_once();
    EXPECT_EQ(test::query_one(database, "SELECT skill_name FROM skill_invocation"), "just-check");
}

}  // namespace
}  // namespace session_buddy::app
