// Stores the events of hooks, HTTP requests and transcripts as invocations, each once, even if several sources report
// it. Dedup keys, evidence and open invocations are in side tables (session_buddy_*); the V4 tables are unchanged.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/evidence.hpp"
#include "session_buddy/storage/database.hpp"
#include "session_buddy/storage/invocation_record.hpp"

namespace session_buddy::storage {

/// Maximum difference between the times that two sources report for one slash command, for which they share no id.
inline constexpr std::chrono::seconds kCommandTolerance{10};

/// Maximum difference between two reports of the same hook that are about one command: it may be set up twice, and no
/// user types a command twice in this time.
inline constexpr std::chrono::seconds kRepeatedCommandTolerance{1};

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
        use,          ///< claims about an invocation: its start, its end, or both
        command,      ///< the same for a slash command that the user typed: deduplicated by session, name and time
        session_end,  ///< the session ended: its open invocations are abandoned
        // Events without evidence, as an earlier version spooled them. `completed`, `duration_seconds` and `error_type`
        // of the record are what they claim.
        invocation,  ///< a complete invocation; `invoked_at` of the record, or `at`, is its start
        started,     ///< an invocation started
        finished,    ///< an invocation ended
    };
    Kind kind = Kind::use;
    /// The dedup key (is_valid_event_key): the same from every source that reports this invocation (a tool_use_id). For
    /// a command: the same each time this source reports it. A use without a key is always a new row, and counts as
    /// settled; session_end ignores the key.
    std::string key;
    /// Time of the event. It is the time of the invocation only if the evidence has none.
    TimePoint at{};
    /// Names, session, and the fields that only some sources have, such as workflow_phase. `invoked_at`, `completed`,
    /// `duration_seconds` and `error_type` follow from the evidence. session_end: session_id.
    InvocationRecord record;
    /// What this event claims. It is merged with what was claimed under this key before, in any order and any number of
    /// times with the same result: see core/evidence.hpp. An invocation that is not settled stays open.
    Evidence evidence{};
};

/// How far a transcript file was read.
struct TranscriptOffset {
    std::string file;  ///< identifies the file without its path, which is private
    std::int64_t offset = 0;
};

/// Thread-safe (one mutex around the connection). Every call may throw StorageError.
class EventStore {
  public:
    /// A row as it is stored.
    struct Values {
        std::string skill_name;
        std::string session_id;
        std::string invoked_at;
        Outcome outcome = Outcome::unknown;
        std::string error_type;  ///< may be empty
        std::optional<double> duration_seconds{};
        bool is_upper_bound = false;  ///< of the duration

        bool operator==(const Values&) const = default;
    };
    struct Correction {
        Values before;
        Values after;
    };

    /// What became of one event.
    struct Result {
        std::int64_t id = 0;      ///< of the row; 0 if there is none (yet)
        bool is_new = false;      ///< this call inserted the row
        Sources seen_before = 0;  ///< sources that reported this invocation earlier
        /// How the event changed a row that existed before; null if it did not.
        std::shared_ptr<const Correction> correction{};
    };

    struct IngestOptions {
        /// Rows that an earlier version recorded, without evidence, get name, outcome and duration from these events. A
        /// duration stays if a hook measured it, an outcome if an HTTP request reported it. Otherwise such rows stay as
        /// they are.
        bool reclassify = false;
        /// Returns what would happen, and stores nothing.
        bool dry_run = false;
    };

    EventStore(const std::string& path, const OpenOptions& options);
    ~EventStore();
    EventStore(const EventStore&) = delete;
    EventStore& operator=(const EventStore&) = delete;

    /// Stores all events, or none, in one transaction, which holds the write lock until it is done: for a few events.
    /// Returns a result per event. Throws StorageErrc::invalid_argument with the index and the field of an event that
    /// cannot be stored.
    std::vector<Result> ingest(std::span<const SkillEvent> events, Source source,
                               std::span<const TranscriptOffset> offsets, const IngestOptions& options);
    std::vector<Result> ingest(std::span<const SkillEvent> events, Source source,
                               std::span<const TranscriptOffset> offsets = {}) {
        return ingest(events, source, offsets, {});
    }

    /// Stores as many of the first events as it can while holding the write lock for `max_lock`, at least one, and
    /// commits them. Returns their results; pass the remaining events to the next call. Throws as ingest() does.
    std::vector<Result> ingest_some(std::span<const SkillEvent> events, Source source,
                                    std::chrono::steady_clock::duration max_lock, const IngestOptions& options);
    std::vector<Result> ingest_some(std::span<const SkillEvent> events, Source source,
                                    std::chrono::steady_clock::duration max_lock = kMaxWriteLock) {
        return ingest_some(events, source, max_lock, {});
    }

    /// Applies to later commits.
    void set_durability(Durability durability);

    /// Stores invocations that started before `before` and are still open, with an unknown outcome, at most kMaxExpired
    /// per call. Later evidence replaces that. Returns their number.
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
