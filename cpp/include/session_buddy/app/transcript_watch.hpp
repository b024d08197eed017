// Follows transcript folders as they grow and stores the invocations that hooks missed: the core of `session-buddy
// watch`.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "session_buddy/app/transcript_import.hpp"
#include "session_buddy/core/clock.hpp"
#include "session_buddy/ingest/skill_name.hpp"

namespace session_buddy::app {

/// Hook coverage of the invocations that were first seen in transcripts since the watch started.
struct Coverage {
    std::int64_t runs = 0;
    std::int64_t hooks_saw = 0;  ///< of `runs`: hooks had reported them before
    std::int64_t recovered = 0;  ///< of `runs`: no source had reported them; stored now
    bool operator==(const Coverage&) const = default;
};

struct WatchReport {
    enum class Kind : std::uint8_t {
        caught_up,          ///< everything that existed at the start is read and stored
        coverage,           ///< the counts changed; at most once a second
        problem,            ///< a file or folder cannot be read (path, reason); once per failure
        database_waits,     ///< the database cannot be written (reason); retried every second, reported once
        database_back,      ///< the database can be written again
        database_replaced,  ///< the database is another file: all transcripts are read again, counts restart at 0
        ended,
    };
    Kind kind = Kind::coverage;
    Coverage coverage;
    std::size_t files = 0;              ///< number of files followed
    std::uint64_t bytes = 0;            ///< read since the watch began
    std::int64_t unreadable_lines = 0;  ///< since the watch began
    std::int64_t unfinished = 0;        ///< tool uses without a result yet
    std::string path;
    std::string reason;
};

struct WatchCallbacks {
    std::function<void(const WatchReport&)> report;
    /// Called while catching up. May be empty.
    std::function<void(const ImportProgress&)> progress;
    /// False ends the watch. Polled several times a second, and immediately after a signal.
    std::function<bool()> should_continue;
};

struct WatchOptions {
    std::string db_path;
    std::uint32_t max_spool_events = 10000;
    bool once = false;              ///< end when everything that exists is read and stored
    bool builtin_commands = false;  ///< record slash commands that the agent itself provides, too
    /// When an invocation without an end is recorded with an unknown outcome.
    std::chrono::duration<double> hook_timeout{3600.0};
    /// How long ago an invocation must have ended before it is stored, so that its hook is stored first.
    std::chrono::milliseconds settling_time{5000};
};

/// Backpressure: reading pauses while this many invocations are not stored yet.
inline constexpr std::size_t kMaxPendingInvocations = 10000;

class TranscriptWatch {
  public:
    /// `namer` and `clock` must outlive it.
    TranscriptWatch(std::vector<std::filesystem::path> paths, WatchOptions options, const ingest::SkillNamer& namer,
                    const Clock& clock, WatchCallbacks callbacks);
    ~TranscriptWatch();
    TranscriptWatch(const TranscriptWatch&) = delete;
    TranscriptWatch& operator=(const TranscriptWatch&) = delete;

    /// Returns when should_continue() is false, or with `once` after catching up. The next run() resumes without losing
    /// anything, even after a crash. Throws StorageError if the database cannot be opened at the start (a lock is
    /// retried), and what callbacks throw.
    void run();

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace session_buddy::app
