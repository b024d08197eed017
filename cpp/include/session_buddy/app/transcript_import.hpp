// Finds transcripts, reads them and stores their invocations: the core of `session-buddy import`, and the input of
// replay.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/ingest/transcript.hpp"

namespace session_buddy::storage {
class EventStore;
}

namespace session_buddy::app {

/// A path that could not be read, and why.
struct ImportProblem {
    std::string path;
    std::string reason;
};

struct TranscriptFile {
    std::filesystem::path path;
    std::uint64_t bytes = 0;
    bool is_named = false;  ///< given by name, not found in a folder
};

struct TranscriptFiles {
    std::vector<TranscriptFile> files;    ///< without duplicates, a session before its subagents
    std::vector<ImportProblem> problems;  ///< paths that are missing or cannot be listed
    /// The folders that were searched, and the parent folders of named files ("" for the working directory).
    std::vector<std::filesystem::path> folders;
};

/// The folders in which agents store transcripts (ingest::session_folders). Only existing ones, or with
/// `include_missing` all.
[[nodiscard]] std::vector<std::filesystem::path> default_transcript_roots(bool include_missing = false);

/// A file is used as given; a folder is searched recursively for *.jsonl. Symbolic links are
/// followed, but no folder is searched twice.
[[nodiscard]] TranscriptFiles find_transcripts(const std::vector<std::filesystem::path>& paths);

struct ImportProgress {
    std::uint64_t bytes_done = 0;
    std::uint64_t bytes_total = 0;  ///< size of the files at the start
    std::size_t files_done = 0;
    std::size_t files_total = 0;
};
/// Called regularly; false stops. Invocations found until then are kept.
using ImportProgressCallback = std::function<bool(const ImportProgress&)>;

/// At most this many unreadable lines are listed.
inline constexpr std::size_t kMaxReportedLines = 20;

/// How rows of one skill changed that were in the database before. Each counts once, under the skill that it had.
struct SkillCorrections {
    std::string skill_name;
    std::int64_t rows = 0;
    std::map<std::string, std::int64_t> outcomes;  ///< of rows: such as "completed → failed"
    std::int64_t renamed = 0;                      ///< of rows: those with another skill now
    std::int64_t error_types = 0;                  ///< of rows: those that failed before and after, for another reason
    std::int64_t durations = 0;                    ///< of rows: those with another duration, or an upper bound now
};

struct ImportSummary {
    std::size_t files = 0;  ///< read completely
    std::uint64_t bytes = 0;
    ingest::TranscriptCounts counts;
    std::int64_t recorded = 0;  ///< of counts.found: new to the database
    /// of counts.found: in the database before, from any source. The others still run in the background.
    std::int64_t already_known = 0;
    std::map<std::string, std::int64_t> found_by_skill;
    std::map<std::string, std::int64_t> recorded_by_skill;
    std::int64_t corrected = 0;         ///< rows that changed
    std::int64_t expired = 0;           ///< recorded without an end, beyond `recorded`; from any source
    std::int64_t unknown_outcomes = 0;  ///< of `recorded` and `expired`
    std::map<std::string, SkillCorrections> corrections;  ///< by skill name
    std::vector<ImportProblem> problems;                  ///< files and folders
    std::size_t foreign_files = 0;  ///< of `files`: those without any line written by a known agent
    std::map<std::string, std::int64_t> foreign_by_agent;  ///< of `foreign_files`: those of other agents, by agent
    std::vector<ImportProblem> unreadable_lines;           ///< "path:line", the first kMaxReportedLines
    bool stopped = false;
};

struct ImportOptions {
    bool builtin_commands = false;  ///< record slash commands that the agent itself provides, too
    /// Rows that an earlier version recorded get name, outcome and duration from the transcripts (see
    /// storage::EventStore::IngestOptions). All events are held in memory.
    bool reclassify = false;
    bool dry_run = false;  ///< count what would happen, and store nothing
    /// Invocations that started before and have no end afterwards are recorded with an unknown outcome.
    std::optional<TimePoint> expire_before{};
};

/// Stores what is new in the transcripts, in batches of one transaction each. The import is idempotent: after an
/// interruption, run it again. `open` is called once, when there is something to store, so that no database is created
/// for an empty import. Throws StorageError.
[[nodiscard]] ImportSummary import_transcripts(const std::vector<std::filesystem::path>& paths,
                                               const std::function<storage::EventStore&()>& open,
                                               const ingest::SkillNamer& namer,
                                               const ImportProgressCallback& progress = {},
                                               const ImportOptions& options = {});

/// Loads all invocations into memory, sorted by time, for replay, without ids. An invocation that still runs in the
/// background has an unknown outcome. `summary.recorded` stays 0.
[[nodiscard]] std::vector<Invocation> load_transcripts(const std::vector<std::filesystem::path>& paths,
                                                       ImportSummary& summary,
                                                       const ImportProgressCallback& progress = {});

}  // namespace session_buddy::app
