// Queries the recorded invocations: single rows, and aggregates by session, hour and workflow phase.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/evidence.hpp"
#include "session_buddy/storage/error.hpp"
#include "session_buddy/storage/invocation_record.hpp"

namespace session_buddy::storage {

/// A row of skill_invocation: the record as it was stored, and its id. Text of any column type is returned as text, an
/// invalid value (a negative duration, one that is not a number) as nullopt.
struct StoredInvocation {
    std::int64_t id = 0;
    InvocationRecord record;
    Outcome outcome = Outcome::completed;  ///< unknown only if record.completed, as other programs count it
    bool duration_is_bound = false;        ///< see core/invocation.hpp
};

/// Matches rows that satisfy every field that is set.
struct InvocationFilter {
    std::optional<std::string> skill_name{};
    std::optional<std::string> session_id{};
    std::optional<std::string> workflow_phase{};
    std::optional<std::string> workflow_step_id{};
    std::optional<std::string> error_type{};
    std::optional<bool> completed{};
    std::optional<TimePoint> since{};  ///< inclusive; rows without a readable time do not match
    std::optional<TimePoint> until{};  ///< exclusive
};

enum class TimeOrder : std::uint8_t { oldest_first, newest_first };

/// One session, aggregated from its rows. Fields are named after the columns of v_session_skill_summary.
struct SessionSummary {
    std::string session_id;
    std::int64_t unique_skills = 0;
    std::int64_t total_invocations = 0;
    std::int64_t completed_count = 0;  ///< those with an unknown outcome included
    std::int64_t unknown_count = 0;    ///< of completed_count
    std::int64_t abandoned_count = 0;
    double total_duration_seconds = 0.0;
    std::optional<TimePoint> first_skill_at{};  ///< nullopt if no row has a readable time
    std::optional<TimePoint> last_skill_at{};
    std::map<std::string, std::int64_t> skills{};  ///< name → invocations
};

/// One skill in one hour, as in skill_time_series, but aggregated from the rows, and so available for the current hour,
/// too. Unlike the table, the rate leaves unknown outcomes out, and the mean prefers durations that are no upper
/// bounds.
struct HourlyAggregate {
    std::string skill_name;
    TimePoint hour;  ///< start of the hour, UTC
    std::int64_t invocation_count = 0;
    std::int64_t completed_count = 0;              ///< those with an unknown outcome included
    std::int64_t unknown_count = 0;                ///< of completed_count
    std::optional<double> completion_rate{};       ///< of the known outcomes, 0 to 1; nullopt if there are none
    std::optional<double> avg_duration_seconds{};  ///< of completed invocations with a duration
    std::int64_t unique_sessions = 0;
};

/// One skill in one workflow phase, as in v_skill_effectiveness_by_phase. Unlike the view, the rate leaves unknown
/// outcomes out, and the means prefer durations that are no upper bounds.
struct PhaseEffectiveness {
    std::string skill_name;
    std::string workflow_phase;
    std::int64_t total_invocations = 0;
    std::int64_t completed_count = 0;  ///< those with an unknown outcome included
    std::int64_t unknown_count = 0;    ///< of completed_count
    std::int64_t abandoned_count = 0;
    std::int64_t timed_count = 0;  ///< invocations with a duration
    double total_duration_seconds = 0.0;
    std::optional<double> avg_duration_seconds{};  ///< of all invocations with a duration
    std::optional<double> avg_completion_time{};   ///< of completed invocations with a duration
    std::optional<double> completion_rate{};       ///< of the known outcomes, 0 to 100; nullopt if there are none
};

struct ErrorCount {
    std::string error_type;
    std::int64_t count = 0;
};

/// Has its own read-only connection, opened by the first call, so that a long query does not block a writer.
/// Thread-safe (one mutex around the connection). Every call may throw StorageError; invalid_argument for a negative
/// limit. Limits count result rows.
class SkillsQueries {
  public:
    /// `before_open` is called before each opening: see Connection::Hooks.
    SkillsQueries(std::string path, std::chrono::milliseconds busy_timeout, std::function<void()> before_open = {});
    ~SkillsQueries();
    SkillsQueries(const SkillsQueries&) = delete;
    SkillsQueries& operator=(const SkillsQueries&) = delete;

    [[nodiscard]] std::optional<StoredInvocation> invocation(std::int64_t id);
    /// Ordered by the time of invoked_at, then by id. Rows without a readable time sort as the oldest. Reads every
    /// matching row, independent of the limit.
    [[nodiscard]] std::vector<StoredInvocation> invocations(const InvocationFilter& filter, TimeOrder order,
                                                            std::int64_t limit);
    /// nullopt for a session without rows.
    [[nodiscard]] std::optional<SessionSummary> session_summary(std::string_view session_id);
    /// Hours with invocations, ordered by time, then by name; the newest ones if there are more than `limit`.
    [[nodiscard]] std::vector<HourlyAggregate> hourly_aggregates(const InvocationFilter& filter, std::int64_t limit);
    /// Rows with a phase, ordered by phase, invocations descending, name.
    [[nodiscard]] std::vector<PhaseEffectiveness> phase_effectiveness(const InvocationFilter& filter,
                                                                      std::int64_t limit);
    /// Error types of rows that were not completed, most frequent first.
    [[nodiscard]] std::vector<ErrorCount> error_counts(const InvocationFilter& filter, std::int64_t limit);

    /// Closes the connection if its file or write-ahead log was removed or replaced and no call uses it; the next call
    /// reconnects.
    void close_if_stale();
    /// Later calls throw StorageErrc::invalid_argument ("closed"). Idempotent.
    void close() noexcept;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace session_buddy::storage
