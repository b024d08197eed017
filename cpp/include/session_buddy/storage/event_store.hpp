// Turns what hooks, requests and transcripts tell of skills into rows, each invocation once, whoever told of it.
// It keeps side tables of its own (session_buddy_*); the V4 tables stay as they are.
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

/// By how much the times may differ that two sources give one typed command, which has no id in common.
inline constexpr std::chrono::seconds kCommandTolerance{10};

/// How long a batch may hold the write lock of the database before other programs get their turn.
inline constexpr std::chrono::milliseconds kMaxWriteLock{50};
/// How long that turn is. SQLite does not queue those who wait for the lock: they look again after up to 25 ms at
/// first.
inline constexpr std::chrono::milliseconds kLockPause{20};

/// Who tells; bits of `session_buddy_source.seen_by`.
enum class Source : std::uint8_t {
    hook = 1,  ///< a hook's process
    http = 2,  ///< another tool, by request
    transcript = 4,
    hook_request = 8,  ///< a hook, by request
};
using Sources = std::uint8_t;  ///< any of them, or none
[[nodiscard]] constexpr bool has(Sources sources, Source one) {
    return (sources & static_cast<Sources>(one)) != 0;
}
[[nodiscard]] constexpr bool has_hook(Sources sources) {
    return has(sources, Source::hook) || has(sources, Source::hook_request);
}

struct SkillEvent {
    enum class Kind : std::uint8_t {
        invocation,   ///< a whole run
        command,      ///< a whole run that the user typed: known again by session, name and time
        started,      ///< a run began; kept until it is finished or times out
        finished,     ///< it is over; one that was never seen to start is a row all the same
        session_end,  ///< what is still open in the session will not be finished
    };
    Kind kind = Kind::invocation;
    /// The same for every source that sees the same run (a tool_use_id), as is_valid_event_key says.
    /// Of a command: the same whenever this source tells of it again. May be empty for an invocation, which then is
    /// always a new one, and is not looked at for session_end.
    std::string key;
    /// When it happened. Of invocations and commands only where `record.invoked_at` is empty.
    TimePoint at{};
    /// started: skill_name and session_id. finished: these, completed, error_type, and duration_seconds where it was
    /// measured; else it is the time since the start. session_end: session_id.
    InvocationRecord record;
};

/// How far a transcript was read.
struct TranscriptOffset {
    std::string file;  ///< tells the file, and is not its path, which is private
    std::int64_t offset = 0;
};

/// Safe to share between threads (one lock around the connection). Every call may throw StorageError.
class EventStore {
  public:
    /// One of `ingest`, in the order of the events.
    struct Result {
        std::int64_t id = 0;      ///< of the row; 0 where there is none (yet)
        bool is_new = false;      ///< the row was written now
        Sources seen_before = 0;  ///< who had told of this run before
    };

    EventStore(const std::string& path, const OpenOptions& options);
    ~EventStore();
    EventStore(const EventStore&) = delete;
    EventStore& operator=(const EventStore&) = delete;

    /// All of it in one transaction, or nothing: for few events, as it holds the write lock until it is done. Throws
    /// StorageErrc::invalid_argument, naming the index and the field, for what cannot be stored.
    std::vector<Result> ingest(std::span<const SkillEvent> events, Source source,
                               std::span<const TranscriptOffset> offsets = {});

    /// As many of the first events as fit into `max_lock` of the write lock, at least one, in one transaction. Returns
    /// the results of those, which are stored for good; the others are for the next call. Throws as ingest() does.
    std::vector<Result> ingest_some(std::span<const SkillEvent> events, Source source,
                                    std::chrono::steady_clock::duration max_lock = kMaxWriteLock);

    /// For the commits from here on.
    void set_durability(Durability durability);

    /// Stores what was started before `before` and never finished as not completed (`tool_error`, as that is what hooks
    /// are silent about), at most kMaxExpired a call. Returns how many there were.
    std::size_t expire(TimePoint before);
    static constexpr std::size_t kMaxExpired = 250;

    /// As saved by ingest(); file → offset.
    [[nodiscard]] std::map<std::string, std::int64_t> transcript_offsets();

    /// Later calls throw StorageErrc::invalid_argument ("closed"). Can be called twice.
    void close() noexcept;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace session_buddy::storage
