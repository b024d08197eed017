// Finding transcripts and importing them into a database.
#include "session_buddy/app/transcript_import.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <random>

#include "session_buddy/storage/error.hpp"
#include "session_buddy/storage/event_store.hpp"
#include "session_buddy/storage/skills_store.hpp"

namespace session_buddy::app {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::EndsWith;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;
using testing::UnorderedElementsAre;

class TranscriptImport : public testing::Test {
  protected:
    void SetUp() override { fs::create_directories(root); }
    void TearDown() override { fs::remove_all(root); }

    /// A transcript with a finished use of each tool; ids start with the file name.
    fs::path write(const fs::path& name, const std::vector<std::string>& tools) const {
        const fs::path path = root / name;
        fs::create_directories(path.parent_path());
        std::ofstream file(path);
        for (std::size_t i = 0; i < tools.size(); ++i) {
            const std::string id = name.string() + std::to_string(i);
            file << R"({"type":"assistant","timestamp":"2026-02-12T14:00:0)" << i
                 << R"(Z","sessionId":"s","message":{"content":[{"type":"tool_use","id":")" << id << R"(","name":")"
                 << tools[i] << R"(","input":{}}]}})" << '\n'
                 << R"({"type":"user","timestamp":"2026-02-12T14:00:0)" << i
                 << R"(.5Z","sessionId":"s","message":{"content":[{"type":"tool_result","tool_use_id":")" << id
                 << R"("}]}})" << '\n';
        }
        return path;
    }

    [[nodiscard]] std::vector<fs::path> found(const std::vector<fs::path>& paths) const {
        std::vector<fs::path> names;
        for (const TranscriptFile& file : find_transcripts(paths).files) {
            names.push_back(fs::relative(file.path, root));
        }
        return names;
    }

    [[nodiscard]] std::int64_t total(const std::string& skill) const {
        storage::SkillsStore store((root / "skills.db").string(), std::chrono::milliseconds(1000));
        return store.metrics(skill)->total_invocations;
    }

    static std::function<storage::EventStore&()> opened(storage::EventStore& store) {
        return [&store]() -> storage::EventStore& { return store; };
    }

    ingest::SkillNamer namer;
    fs::path root = fs::path(testing::TempDir()) / ("import_" + std::to_string(std::random_device{}()));
};

TEST_F(TranscriptImport, a_session_is_read_before_its_subagents_and_other_files_are_ignored) {
    write("p/x/subagents/agent-1.jsonl", {"Read"});
    write("p/x.jsonl", {"Read"});
    write("p/a.jsonl", {"Read"});
    write("p/notes.txt", {"Read"});
    EXPECT_THAT(found({root / "p"}), ElementsAre("p/a.jsonl", "p/x.jsonl", "p/x/subagents/agent-1.jsonl"));
}

TEST_F(TranscriptImport, a_named_file_needs_no_extension_and_is_found_once) {
    const fs::path file = write("p/export.txt", {"Read"});
    EXPECT_THAT(found({file, file, root / "p" / "." / "export.txt"}), ElementsAre("p/export.txt"));
}

TEST_F(TranscriptImport, a_link_to_a_folder_is_followed_and_no_folder_is_searched_twice) {
    write("elsewhere/s.jsonl", {"Read"});
    write("elsewhere/s/subagents/agent-1.jsonl", {"Read"});
    write("projects/own/a.jsonl", {"Read"});
    fs::create_directory_symlink("../elsewhere", root / "projects" / "linked");
    fs::create_directory_symlink("../elsewhere", root / "projects" / "again");
    fs::create_directory_symlink("own", root / "projects" / "a-link-that-sorts-first");
    EXPECT_THAT(found({root / "projects"}), UnorderedElementsAre("projects/own/a.jsonl", EndsWith("/s.jsonl"),
                                                                 EndsWith("/s/subagents/agent-1.jsonl")));
}

TEST_F(TranscriptImport, links_that_lead_back_are_not_followed) {
    write("home/notes.jsonl", {"Read"});
    write("home/projects/own/a.jsonl", {"Read"});
    fs::create_directory_symlink(".", root / "home" / "projects" / "self");
    fs::create_directory_symlink("../..", root / "home" / "projects" / "own" / "home");
    fs::create_directory_symlink("loop", root / "home" / "projects" / "loop");
    fs::create_directory_symlink("missing", root / "home" / "projects" / "dangling");
    const TranscriptFiles files = find_transcripts({root / "home" / "projects"});
    ASSERT_EQ(files.files.size(), 1U);
    EXPECT_THAT(files.problems, IsEmpty());
}

TEST_F(TranscriptImport, files_of_other_agents_are_named) {
    write("a.jsonl", {"Read"});
    std::ofstream(root / "codex.jsonl") << R"({"type":"session_meta","payload":{}})" << '\n';
    std::ofstream(root / "text.jsonl") << "Dear diary";
    std::ofstream(root / "begun.jsonl") << R"({"type":"user","mess)";
    ImportSummary summary;
    EXPECT_THAT(load_transcripts({root}, summary), SizeIs(1));
    EXPECT_EQ(summary.foreign_files, 2U);
    EXPECT_THAT(summary.foreign_by_agent, ElementsAre(Pair("Codex", 1)));
    EXPECT_THAT(summary.problems, IsEmpty()) << "there are transcripts, too";

    summary = {};
    EXPECT_THAT(load_transcripts({root / "codex.jsonl", root / "text.jsonl", root / "begun.jsonl"}, summary),
                IsEmpty());
    ASSERT_EQ(summary.problems.size(), 2U);
    EXPECT_EQ(summary.problems[0].reason,
              "not a Claude Code transcript but a session of Codex (only Claude Code sessions can be imported)");
    EXPECT_EQ(summary.problems[1].reason, "not a Claude Code transcript (only Claude Code sessions can be imported)");

    fs::create_directory(root / "empty");
    summary = {};
    EXPECT_THAT(load_transcripts({root / "empty"}, summary), IsEmpty());
    ASSERT_EQ(summary.problems.size(), 1U);
    EXPECT_EQ(summary.problems[0].reason, "no transcript (*.jsonl) of Claude Code in it");
}

TEST_F(TranscriptImport, a_missing_path_is_a_problem_and_the_others_are_found) {
    const fs::path file = write("a.jsonl", {"Read"});
    const TranscriptFiles files = find_transcripts({root / "missing", file});
    ASSERT_EQ(files.problems.size(), 1U);
    EXPECT_EQ(files.problems[0].path, (root / "missing").string());
    EXPECT_NE(files.problems[0].reason, "");
    ASSERT_EQ(files.files.size(), 1U);
    EXPECT_EQ(files.files[0].bytes, fs::file_size(file));
}

TEST_F(TranscriptImport, a_second_import_stores_nothing) {
    write("a.jsonl", {"Read", "Edit", "Read"});
    storage::EventStore store((root / "skills.db").string(), {.busy_timeout = std::chrono::milliseconds(1000)});
    const ImportSummary first = import_transcripts({root}, opened(store), namer);
    EXPECT_EQ(first.recorded, 3);
    EXPECT_EQ(first.files, 1U);
    EXPECT_THAT(first.recorded_by_skill, ElementsAre(Pair("Edit", 1), Pair("Read", 2)));
    EXPECT_EQ(total("Read"), 2);

    const ImportSummary second = import_transcripts({root}, opened(store), namer);
    EXPECT_EQ(second.recorded, 0);
    EXPECT_EQ(second.already_known, 3);
    EXPECT_THAT(second.recorded_by_skill, IsEmpty());
    EXPECT_THAT(second.found_by_skill, first.found_by_skill);
    EXPECT_EQ(total("Read"), 2);
}

TEST_F(TranscriptImport, a_store_that_fails_ends_the_import) {
    write("a.jsonl", {"Read"});
    storage::EventStore store((root / "skills.db").string(), {.busy_timeout = std::chrono::milliseconds(1000)});
    store.close();
    EXPECT_THROW((void)import_transcripts({root}, opened(store), namer), storage::StorageError);
}

TEST_F(TranscriptImport, stopping_keeps_what_was_stored) {
    write("a.jsonl", {"Read"});
    write("b.jsonl", {"Read"});
    storage::EventStore store((root / "skills.db").string(), {.busy_timeout = std::chrono::milliseconds(1000)});
    int calls = 0;
    const ImportSummary summary = import_transcripts({root}, opened(store), namer, [&](const ImportProgress& progress) {
        EXPECT_EQ(progress.files_total, 2U);
        EXPECT_LE(progress.bytes_done, progress.bytes_total);
        return ++calls < 2;
    });
    EXPECT_TRUE(summary.stopped);
    EXPECT_EQ(summary.files, 1U);
    EXPECT_EQ(total("Read"), summary.recorded);
    EXPECT_GE(summary.recorded, 1);
}

TEST_F(TranscriptImport, loading_sorts_by_time_across_files) {
    write("b.jsonl", {"first", "third"});
    std::ofstream(root / "a.jsonl")
        << R"({"type":"user","uuid":"u","timestamp":"2026-02-12T14:00:00.7Z","message":{"content":"<command-name>/second</command-name>"}})";
    ImportSummary summary;
    std::vector<std::string> names;
    for (const Invocation& invocation : load_transcripts({root}, summary)) {
        names.push_back(invocation.skill_name);
    }
    EXPECT_THAT(names, ElementsAre("first", "second", "third"));
    EXPECT_EQ(summary.counts.found, 3);
    EXPECT_EQ(summary.recorded, 0);
}

TEST_F(TranscriptImport, only_the_first_unreadable_lines_are_listed) {
    std::ofstream file(root / "a.jsonl");
    for (std::size_t i = 0; i < kMaxReportedLines + 5; ++i) {
        file << "no json\n";
    }
    file.close();
    ImportSummary summary;
    EXPECT_THAT(load_transcripts({root}, summary), IsEmpty());
    EXPECT_EQ(summary.counts.unreadable_lines, static_cast<std::int64_t>(kMaxReportedLines + 5));
    ASSERT_EQ(summary.unreadable_lines.size(), kMaxReportedLines);
    EXPECT_EQ(summary.unreadable_lines[1].path, (root / "a.jsonl").string() + ":2");
}

}  // namespace
}  // namespace session_buddy::app
