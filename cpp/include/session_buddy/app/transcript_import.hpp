// Finds transcripts, reads them and stores what they tell: `session-buddy import` as a whole, and what replay plays.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "session_buddy/ingest/transcript.hpp"

namespace session_buddy::storage {
class EventStore;
}

namespace session_buddy::app {

/// Something that could not be read, and why.
struct ImportProblem {
    std::string path;
    std::string reason;
};

struct TranscriptFile {
    std::filesystem::path path;
    std::uint64_t bytes = 0;
    bool is_named = false;  ///< was given itself, not a folder that it lies in
};

struct TranscriptFiles {
    std::vector<TranscriptFile> files;    ///< each once, a session before its subagents
    std::vector<ImportProblem> problems;  ///< paths that are missing or cannot be listed
    /// Those that were looked into, and of files that were named, those that they lie in ("" for the working
    /// directory).
    std::vector<std::filesystem::path> folders;
};

/// The `projects` folders in the config folders of Claude Code: of CLAUDE_CONFIG_DIR (commas between several), else
/// ~/.claude and ~/.config/claude. Those that exist, or with `include_missing` all.
[[nodiscard]] std::vector<std::filesystem::path> default_transcript_roots(bool include_missing = false);

/// Files are taken as they are, folders with every *.jsonl in them at any depth; links to folders are not followed.
[[nodiscard]] TranscriptFiles find_transcripts(const std::vector<std::filesystem::path>& paths);

struct ImportProgress {
    std::uint64_t bytes_done = 0;
    std::uint64_t bytes_total = 0;  ///< as large as the files were at the start
    std::size_t files_done = 0;
    std::size_t files_total = 0;
};
/// Called now and then; false stops, and what was found so far stays.
using ImportProgressCallback = std::function<bool(const ImportProgress&)>;

/// At most this many unreadable lines are told one by one.
inline constexpr std::size_t kMaxReportedLines = 20;

struct ImportSummary {
    std::size_t files = 0;  ///< read to their end
    std::uint64_t bytes = 0;
    ingest::TranscriptCounts counts;
    std::int64_t recorded = 0;       ///< of counts.found: stored now
    std::int64_t already_known = 0;  ///< of counts.found: stored earlier, by whoever told of it
    std::map<std::string, std::int64_t> found_by_skill;
    std::map<std::string, std::int64_t> recorded_by_skill;
    std::vector<ImportProblem> problems;          ///< files and folders
    std::size_t foreign_files = 0;                ///< of `files`: those without a line of Claude Code
    std::vector<ImportProblem> unreadable_lines;  ///< "path:line", the first kMaxReportedLines
    bool stopped = false;
};

/// Stores each invocation whose key was never stored before, in batches of one transaction each, so that an import that
/// was stopped can simply be run again. `open` is called once, when there is something to store: where nothing was
/// found, no database is created. Throws StorageError.
[[nodiscard]] ImportSummary import_transcripts(const std::vector<std::filesystem::path>& paths,
                                               const std::function<storage::EventStore&()>& open,
                                               const ingest::SkillNamer& namer,
                                               const ImportProgressCallback& progress = {});

/// Everything in memory, in the order of time: for replays. `summary.recorded` stays 0.
[[nodiscard]] std::vector<ingest::TranscriptInvocation> load_transcripts(
    const std::vector<std::filesystem::path>& paths, ImportSummary& summary,
    const ImportProgressCallback& progress = {});

}  // namespace session_buddy::app
