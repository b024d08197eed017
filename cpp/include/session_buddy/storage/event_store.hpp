// Stores the events of hooks, HTTP requests and transcripts as invocations, each once, even if several sources report
// it. Dedup keys and open invocations are in side tables (session_buddy_*); the V4 tables are unchanged.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/storage/database.hpp"
#include "session_buddy/storage/invocation_record.hpp"

namespace session_buddy::storage {

/// Maximum difference between the times that two sources report for one slash command, for which they share no id.
inline constexpr std::chrono::seconds kCommandTolerance{10};

/// How long a batch may hold the write lock before other programs can write.
inline constexpr std::chrono::milliseconds kMaxWriteLock{50};
/// Pause between two batches. SQLite does not queue writers: one that waits for the lock polls it, at first every 25 ms
/// or less.
inline constexpr std::chrono::milliseconds kLockPause{20};

/// Where an event came from; bits of `session_buddy_source.seen_by`.
enum class Source : std::uint8_t {
    hook = 1,  ///< a hook process
    http = 2,  ///< an HTTP request of another tool
    transcript = 4,
    hook_request = 8,  ///< an HTTP request of a hook
};
using Sources = std::uint8_t;  ///< a set of sources
[[nodiscard]] constexpr bool has(Sources sources, Source one) {
    return (sources & static_cast<Sources>(one)) != 0;
}
[[nodiscard]] constexpr bool has_hook(Sources sources) {
    return has(sources, Source::hook) || has(sources, Source::hook_request);
}

struct SkillEvent {
    enum class Kind : std::uint8_t {
        invocation,   ///< a complete invocation
        command,      ///< a complete invocation of a slash command: deduplicated by session, name and time
        started,      ///< an invocation started; kept until it finishes or times out
        finished,     ///< an invocation ended; stored even if its start was never reported
        session_end,  ///< the session ended; its open invocations are stored as failed
    };
    Kind kind = Kind::invocation;
    /// The dedup key (is_valid_event_key): the same from every source that reports this invocation (a tool_use_id). For
    /// a command: the same each time this source reports it. An invocation without a key is always new; session_end
    /// ignores the key.
    std::string key;
    /// Time of the event. Invocations and commands use it only if `record.invoked_at` is empty.
    TimePoint at{};
    /// started: skill_name and session_id. finished: also completed, error_type, and duration_seconds if it was
    /// measured; the default is the time since the start. session_end: session_id.
    InvocationRecord record;
};

/// How far a transcript file was read.
struct TranscriptOffset {
    std::string file;  ///< identifies the file without its path, which is private
    std::int64_t offset = 0;
};

/// Thread-safe (one mutex around the connection). Every call may throw StorageError.
class EventStore {
  public:
    /// What became of one event.
    struct Result {
        std::int64_t id = 0;      ///< of the row; 0 if there is none (yet)
        bool is_new = false;      ///< this call inserted the row
        Sources seen_before = 0;  ///< sources that reported this invocation earlier
    };

    EventStore(const std::string& path, const OpenOptions& options);
    ~EventStore();
    EventStore(const EventStore&) = delete;
    EventStore& operator=(const EventStore&) = delete;

    /// Stores all events, or none, in one transaction, which holds the write lock until it is done: for a few events.
    /// Returns a result per event. Throws StorageErrc::invalid_argument with the index and the field of an event that
    /// cannot be stored.
    std::vector<Result> ingest(std::span<const SkillEvent> events, Source source,
                               std::span<const TranscriptOffset> offsets = {});

    /// Stores as many of the first events as it can while holding the write lock for `max_lock`, at least one, and
    /// commits them. Returns their results; pass the remaining events to the next call. Throws as ingest() does.
    std::vector<Result> ingest_some(std::span<const SkillEvent> events, Source source,
                                    std::chrono::steady_clock::duration max_lock = kMaxWriteLock);

    /// Applies to later commits.
    void set_durability(Durability durability);

    /// Stores invocations that started before `before` and never finished as failed (`tool_error`, because hooks do not
    /// report tool errors), at most kMaxExpired per call. Returns their number.
    std::size_t expire(TimePoint before);
    static constexpr std::size_t kMaxExpired = 250;

    /// The offsets that ingest() has saved, by file.
    [[nodiscard]] std::map<std::string, std::int64_t> transcript_offsets();

    /// Later calls throw StorageErrc::invalid_argument ("closed"). Idempotent.
    void close() noexcept;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace session_buddy::storage
