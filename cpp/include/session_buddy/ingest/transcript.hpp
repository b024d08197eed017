// Parses transcripts, the session files of agents (JSON Lines), into invocations: each tool use is paired with its
// result and returned once. Prompts, arguments, outputs and error texts are used only to derive the skill name and the
// error type, and never stored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/ingest/agent_event.hpp"
#include "session_buddy/ingest/bounded_keys.hpp"
#include "session_buddy/ingest/skill_name.hpp"

namespace session_buddy::options {
struct Environment;
}

namespace session_buddy::ingest {

struct BackgroundEnd;

/// A longer line is skipped and counted as unreadable. Bounds the memory for any file.
inline constexpr std::size_t kMaxTranscriptLineBytes = std::size_t{64} * 1024 * 1024;

/// What all events of a line have in common.
struct LineOrigin {
    std::string_view fallback_session;  ///< the session if the line names none
    std::uint32_t file = 0;
};
struct EventLine {
    EventLine(const LineOrigin& origin, std::string_view session, std::string_view time);

    std::uint32_t file;
    std::string session_id;
    std::string_view timestamp;
    std::optional<TimePoint> at;  ///< timestamp, parsed
    bool is_copy = false;         ///< of a line of another session: session_id may not be where it was written first
};

/// The end of a tool call.
struct ToolResult {
    bool is_error = false;
    std::string_view error_class;              ///< a constant of error_class.hpp; empty unless is_error
    bool may_lack_exit_code = false;           ///< kToolError, but of a shell command it is kExitCode
    std::optional<double> duration_seconds{};  ///< as measured by the tool; satisfies is_valid_duration
    bool bad_duration = false;                 ///< there was a duration, but an invalid one
    bool in_background = false;                ///< the call started something that still runs
    std::string_view task_id{};                ///< of what still runs; may be empty
};

/// Counts of what was read. Each tool use counts once, under found, unfinished, without_time or replayed, whether it is
/// in the background or not.
struct TranscriptCounts {
    std::int64_t lines = 0;                ///< non-blank lines read
    std::int64_t unreadable_lines = 0;     ///< not JSON, or too long
    std::int64_t incomplete_lines = 0;     ///< half-written last lines, left for the next read
    std::int64_t found = 0;                ///< invocations passed to the sink, in one or more events
    std::int64_t found_commands = 0;       ///< of `found`: typed by the user
    std::int64_t replayed = 0;             ///< duplicates of uses that were seen before
    std::int64_t without_time = 0;         ///< uses with a missing or invalid timestamp
    std::int64_t bad_durations = 0;        ///< of `found`: with an invalid durationMs, which is ignored
    std::int64_t results_without_use = 0;  ///< results whose use is in none of the files
    std::int64_t unfinished = 0;           ///< uses without a result yet
    std::int64_t progress_lines = 0;       ///< progress lines, which repeat other lines
    std::int64_t other_lines = 0;          ///< lines of other kinds, without a use, result or command
    std::int64_t foreign_lines = 0;        ///< of `other_lines`: JSON not written by a known agent
};

struct ReaderOptions {
    /// Pass on slash commands that the agent itself provides, too.
    bool builtin_commands = false;
    // Memory limits. Beyond them the oldest entries are evicted:
    /// keys of finished invocations, to skip duplicates. A duplicate of an evicted one is passed on again, with the
    /// same key.
    std::size_t remembered_keys = 65536;
    /// uses without a result, and as many results without a use. Evicted ones are not paired any more. They still count
    /// as pending, so that a second read from a resume offset finds them.
    std::size_t waiting = 65536;
    /// tasks in the background. Of an evicted one, only an end that names its tool use is found.
    std::size_t remembered_tasks = 4096;
};

/// Parses the lines of any number of files, in any order of files, with bounded memory. Not thread-safe.
class TranscriptReader {
  public:
    /// Called with an event per tool use that has a result, and per typed command; again for a tool use if its end in
    /// the background is found, or the session in which it ran.
    using Sink = std::function<void(AgentEvent&&)>;
    TranscriptReader(const SkillNamer& namer, Sink sink, const ReaderOptions& options = {});
    ~TranscriptReader();
    TranscriptReader(const TranscriptReader&) = delete;
    TranscriptReader& operator=(const TranscriptReader&) = delete;

    /// Parses one line, without its newline. False if it is not JSON (then nothing is counted). `fallback_session` is
    /// the session if the line names none. `file`: any number, for has_pending().
    [[nodiscard]] bool read_line(std::string_view line, std::string_view fallback_session, std::uint32_t file = 0);

    struct Recovery {
        std::size_t records = 0;
        bool is_complete = false;  ///< nothing but blanks and NUL bytes was left out
    };
    /// For a line that is not JSON: reads the whole records that stand behind a torn one or among NUL bytes, as a crash
    /// leaves them. Limited in time; what follows the last whole record is not searched.
    Recovery recover_records(std::string_view line, std::string_view fallback_session, std::uint32_t file = 0);

    /// Whether this file has a use without its result, or the reverse.
    [[nodiscard]] bool has_pending(std::uint32_t file) const {
        const auto state = files_.find(file);
        return state != files_.end() && state->second.pending > 0;
    }

    /// The next line under this number is the first of a file: the times of the lines before it say nothing about it.
    /// Pending uses and results stay, so that files with the same number are paired, too.
    void begin_file(std::uint32_t file);

    /// Discards the pending uses and results of a file that is gone or is read again under another number.
    void forget(std::uint32_t file);

    // For the source of a line (source.hpp): an event of it. Invalid ids and duplicates are skipped.

    /// `id`: the dedup key. `read` is called unless the use is skipped.
    void add_use(const EventLine& line, std::string_view id, bool is_shell_command,
                 const std::function<ToolReading(const SkillNamer&)>& read);
    /// `output` is called if it is needed: returns the end of what the tool printed, which is only looked at.
    void add_result(const EventLine& line, std::string_view use_id, const ToolResult& result,
                    const std::function<std::string()>& output);
    /// What ran in the background has ended. `end` names the tool use or the task; if neither is known, it is skipped.
    void add_background_end(const EventLine& line, const BackgroundEnd& end,
                            const std::function<std::string()>& output);
    /// `id` may be empty.
    void add_command(const EventLine& line, std::string_view id, std::string skill_name);
    /// The time of a line without an event.
    void note_time(std::uint32_t file, TimePoint at);
    /// The agent began to shut down, in which it kills the tools that run, or goes on.
    void set_shutting_down(std::uint32_t file, bool is_shutting_down);
    [[nodiscard]] bool is_shutting_down(std::uint32_t file) const;
    [[nodiscard]] bool passes_builtin_commands() const { return options_.builtin_commands; }

    /// For the caller: counts lines that were not passed to read_line or that it rejected.
    void count_unreadable() {
        ++counts_.lines;
        ++counts_.unreadable_lines;
    }
    void count_incomplete() { ++counts_.incomplete_lines; }

    /// `unfinished` and `results_without_use` are current values.
    [[nodiscard]] TranscriptCounts counts() const;

  private:
    struct Use {
        std::uint32_t file = 0;
        ToolReading reading;
        TimePoint at;
        std::string session_id;
        bool is_copy = false;
        bool is_shell_command = false;
    };
    struct Result {
        std::uint32_t file = 0;
        std::optional<TimePoint> at;
        ToolResult result;
    };
    struct FileState {
        std::uint32_t pending = 0;  // uses without a result, and the reverse; evicted ones included
        TimePoint latest = TimePoint::min();
        bool is_shutting_down = false;
    };
    class LineParser;

    [[nodiscard]] bool read_whole(std::string_view text, const LineOrigin& origin);
    void finish(std::string key, Use use, const Result& end, std::string_view output);
    void add_pending(std::uint32_t file) { ++files_[file].pending; }
    void decrement_pending(std::uint32_t file) { --files_[file].pending; }
    void read_again(const EventLine& line, std::string_view id, bool is_copy,
                    const std::function<ToolReading(const SkillNamer&)>& read);

    const SkillNamer& namer_;
    Sink sink_;
    ReaderOptions options_;
    TranscriptCounts counts_;
    std::unique_ptr<LineParser> parser_;
    BoundedMap<Use> open_uses_;
    BoundedMap<Result> early_results_;
    BoundedMap<bool> finished_;         // whether only copies of the use were read
    BoundedMap<ToolReading> launches_;  // uses that left something running in the background
    BoundedMap<std::string> tasks_;     // their dedup keys, by task id
    BoundedKeys ended_;                 // dedup keys of those that have ended
    std::unordered_map<std::uint32_t, FileState> files_;
};

/// Where and why a line could not be read; never its content.
struct UnreadableLine {
    std::int64_t line_number = 0;  ///< from 1, counted from the start offset
    std::string reason;
};

struct ReadOptions {
    std::uint64_t offset = 0;  ///< where to start, in bytes: next_offset of an earlier read
    /// Minimum number of bytes to read; the rest is left for the next call.
    std::uint64_t max_bytes = std::numeric_limits<std::uint64_t>::max();
    std::uint32_t file = 0;  ///< see TranscriptReader::read_line
    std::size_t max_line_bytes = kMaxTranscriptLineBytes;
    std::function<bool(std::uint64_t)> on_bytes;  ///< called with the bytes read; false stops. May be empty
    std::function<void(const UnreadableLine&)> on_unreadable;  ///< may be empty
};

struct ReadOutcome {
    std::uint64_t next_offset = 0;  ///< after the last complete line; a half-written line is read again from there
    /// The last end of a line (or the start offset) at which nothing of this file was pending: a read that starts there
    /// finds every use together with its result. nullopt if there was none.
    std::optional<std::uint64_t> resume_offset;
    std::string error;     ///< why the file could not be read completely; empty on success
    bool stopped = false;  ///< on_bytes returned false
    bool at_end = false;   ///< the end of the file was reached
};

/// Reads one file in chunks, with at most one line in memory; from offset 0, it begins the file. I/O errors are in the
/// outcome; only exceptions of the sink propagate.
[[nodiscard]] ReadOutcome read_transcript_file(const std::filesystem::path& path, TranscriptReader& reader,
                                               const ReadOptions& options);

/// The agents whose transcripts can be read, for messages: "Claude Code".
[[nodiscard]] std::string transcript_agents();

/// The folders in which these agents store transcripts: in words, and as paths, existing or not.
[[nodiscard]] std::string default_session_folders();
[[nodiscard]] std::vector<std::filesystem::path> session_folders(const options::Environment& environment);

}  // namespace session_buddy::ingest
