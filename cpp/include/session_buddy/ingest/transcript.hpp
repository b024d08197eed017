// Reads Claude Code transcripts (JSON Lines) and tells which skills ran: uses paired with their results, each once.
// Prompts, arguments, outputs and error texts are looked at where a name or a class depends on them, and never kept.
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

#include "session_buddy/core/clock.hpp"
#include "session_buddy/ingest/bounded_keys.hpp"
#include "session_buddy/ingest/skill_name.hpp"

namespace session_buddy::ingest {

/// A longer line is passed over and counted as unreadable; memory stays bounded by it whatever the file holds.
inline constexpr std::size_t kMaxTranscriptLineBytes = std::size_t{64} * 1024 * 1024;

/// A run of a skill that is over.
struct TranscriptInvocation {
    std::string key;          ///< the tool_use id; for a typed command "command:" and the uuid of its line
    bool is_command = false;  ///< typed by the user as /name
    std::string skill_name;   ///< valid as core/invocation.hpp says
    std::string invoked_at;   ///< as in the transcript; parse_timestamp reads it
    TimePoint at;             ///< invoked_at, parsed
    std::string session_id;
    bool completed = false;
    std::optional<double> duration_seconds;  ///< as measured by the tool, else result minus use; never negative
    std::string error_type;                  ///< of error_class.hpp; empty where completed
};

/// What was read and what became of it. Each tool use counts once under found, unfinished, without_time or replayed.
struct TranscriptCounts {
    std::int64_t lines = 0;                ///< read, blank ones left out
    std::int64_t unreadable_lines = 0;     ///< not JSON, or too long
    std::int64_t incomplete_lines = 0;     ///< half-written last lines, left for a later run
    std::int64_t found = 0;                ///< invocations handed on
    std::int64_t found_commands = 0;       ///< of these, typed by the user
    std::int64_t replayed = 0;             ///< repeats of something that was met before
    std::int64_t without_time = 0;         ///< uses whose timestamp is missing or cannot be read
    std::int64_t bad_durations = 0;        ///< invocations handed on whose durationMs does not count, as such
    std::int64_t results_without_use = 0;  ///< results whose use stands in no file that was read
    std::int64_t unfinished = 0;           ///< uses without a result so far
    std::int64_t progress_lines = 0;       ///< they repeat what stands elsewhere
    std::int64_t other_lines = 0;          ///< lines of kinds that hold no use, result or command
    std::int64_t foreign_lines = 0;        ///< of other_lines: JSON that Claude Code does not write
};

/// Of how many the reader keeps what it met. Of more than that, the oldest go:
struct ReaderLimits {
    /// finished runs, to pass over what repeats them. A repeat of one that went is handed on again, with the same key.
    std::size_t remembered_keys = 65536;
    /// uses without a result, and as many results without a use. Those that went are not paired any more; they still
    /// count as waiting, so that reading again from where nothing waited finds them.
    std::size_t waiting = 65536;
};

/// Takes lines of any number of files, in any order of files, with memory that does not grow with them. One thread uses
/// it.
class TranscriptReader {
  public:
    using Sink = std::function<void(TranscriptInvocation&&)>;
    TranscriptReader(const SkillNamer& namer, Sink sink, const ReaderLimits& limits = {});
    ~TranscriptReader();
    TranscriptReader(const TranscriptReader&) = delete;
    TranscriptReader& operator=(const TranscriptReader&) = delete;

    /// One line without its newline. False where it is not JSON (nothing is counted then). `fallback_session` names the
    /// session where the line does not. `file`: any number, for has_pending().
    [[nodiscard]] bool read_line(std::string_view line, std::string_view fallback_session, std::uint32_t file = 0);

    /// Whether a use or a result of this file still waits for the other one.
    [[nodiscard]] bool has_pending(std::uint32_t file) const { return pending_in_.contains(file); }

    /// What waits in this file waits no more: it is gone, or is read anew under another number.
    void forget(std::uint32_t file);

    /// For whoever reads the lines: those that never came to read_line or that it refused.
    void count_unreadable() {
        ++counts_.lines;
        ++counts_.unreadable_lines;
    }
    void count_incomplete() { ++counts_.incomplete_lines; }

    /// `unfinished` and `results_without_use` are as of now.
    [[nodiscard]] TranscriptCounts counts() const;

  private:
    struct Use {
        std::uint32_t file = 0;
        std::string skill_name;
        std::string invoked_at;
        TimePoint at;
        std::string session_id;
    };
    struct Result {
        std::uint32_t file = 0;
        std::optional<TimePoint> at;
        bool is_error = false;
        std::string_view error_class;  // points to a constant
        std::optional<double> duration_seconds;
        bool bad_duration = false;
    };
    class LineParser;
    struct Line;  // the few fields that matter
    struct Block;

    void read_use(const Line& line, const Block& block);
    void read_result(const Line& line, const Block& block, bool is_only_result);
    void read_command(const Line& line, std::string_view text);
    void finish(std::string key, Use use, const Result& result);
    void decrement_pending(std::uint32_t file);

    const SkillNamer& namer_;
    Sink sink_;
    TranscriptCounts counts_;
    std::unique_ptr<LineParser> parser_;
    BoundedMap<Use> open_uses_;
    BoundedMap<Result> early_results_;
    BoundedKeys finished_;
    std::unordered_map<std::uint32_t, std::uint32_t> pending_in_;  // by file, those that were let go included
};

/// Where and why a line could not be read; never what it holds.
struct UnreadableLine {
    std::int64_t line_number = 0;  ///< from 1, counted from the offset that reading began at
    std::string reason;
};

struct ReadOptions {
    std::uint64_t offset = 0;  ///< bytes to pass over: what an earlier reading returned
    /// To read at least; more than that is left for the next time.
    std::uint64_t max_bytes = std::numeric_limits<std::uint64_t>::max();
    std::uint32_t file = 0;  ///< as for TranscriptReader::read_line
    std::size_t max_line_bytes = kMaxTranscriptLineBytes;
    std::function<bool(std::uint64_t)> on_bytes;               ///< bytes read so far; false stops reading. May be empty
    std::function<void(const UnreadableLine&)> on_unreadable;  ///< may be empty
};

struct ReadOutcome {
    std::uint64_t next_offset =
        0;  ///< behind the last line that is done with; a half-written line is read again from there
    /// The last end of a line, or the offset that reading began at, where nothing of this file waited: whoever reads
    /// again from there finds every use together with its result.
    std::optional<std::uint64_t> resume_offset;
    std::string error;     ///< why the file could not be read (to its end); empty where it could
    bool stopped = false;  ///< on_bytes said so
    bool at_end = false;   ///< there was no more to read
};

/// Reads one file in pieces, never more than a line at a time in memory. Ordinary trouble is in the outcome; only what
/// the sink throws passes through.
[[nodiscard]] ReadOutcome read_transcript_file(const std::filesystem::path& path, TranscriptReader& reader,
                                               const ReadOptions& options);

}  // namespace session_buddy::ingest
