// Follows transcript folders as they grow and stores what hooks missed: `session-buddy watch` without its output.
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

/// Of the runs that transcripts told of for the first time since the watch began.
struct Coverage {
    std::int64_t runs = 0;
    std::int64_t hooks_saw = 0;  ///< hooks had told of them before
    std::int64_t recovered = 0;  ///< nobody had: they are stored now
    bool operator==(const Coverage&) const = default;
};

struct WatchReport {
    enum class Kind : std::uint8_t {
        caught_up,          ///< all that lay there at the start is read and stored
        coverage,           ///< the figures changed; at most once a second
        problem,            ///< a file or folder cannot be read: path and reason, once for as long as it lasts
        database_waits,     ///< the database cannot be written: reason, once. It is tried again every second
        database_back,      ///< it can be written again
        database_replaced,  ///< another file took its place: all is read anew, and the figures begin anew
        ended,
    };
    Kind kind = Kind::coverage;
    Coverage coverage;
    std::size_t files = 0;              ///< that are followed
    std::uint64_t bytes = 0;            ///< read since the watch began
    std::int64_t unreadable_lines = 0;  ///< since then
    std::int64_t unfinished = 0;        ///< uses without a result so far
    std::string path;
    std::string reason;
};

struct WatchCallbacks {
    std::function<void(const WatchReport&)> report;
    /// While catching up; bytes as ImportProgress says. May be empty.
    std::function<void(const ImportProgress&)> progress;
    /// False ends the watch. Asked several times a second, and at once when a signal comes.
    std::function<bool()> should_continue;
};

struct WatchOptions {
    std::string db_path;
    std::uint32_t max_spool_events = 10000;
    bool once = false;  ///< end when all that is there is read and stored
    /// How long a run must be over before it is stored, so that hooks have the first word.
    std::chrono::milliseconds settling_time{5000};
};

/// Runs that are read and not stored yet; beyond that, reading waits.
inline constexpr std::size_t kMaxPendingInvocations = 10000;

class TranscriptWatch {
  public:
    /// `namer` and `clock` outlive it.
    TranscriptWatch(std::vector<std::filesystem::path> paths, WatchOptions options, const ingest::SkillNamer& namer,
                    const Clock& clock, WatchCallbacks callbacks);
    ~TranscriptWatch();
    TranscriptWatch(const TranscriptWatch&) = delete;
    TranscriptWatch& operator=(const TranscriptWatch&) = delete;

    /// Returns once should_continue() says so, or with `once` after catching up. However the process ends, the next
    /// run() goes on where nothing is lost. Throws StorageError where the database cannot be used at the start for
    /// another reason than a lock, and what callbacks throw.
    void run();

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace session_buddy::app
