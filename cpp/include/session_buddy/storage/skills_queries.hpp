// Looks at the recorded invocations one by one, and summed up by session, hour and workflow phase.
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
#include "session_buddy/storage/error.hpp"

namespace session_buddy::storage {

/// A row of skill_invocation, read leniently: whatever type a column holds, text is given as text, and a value that
/// makes no sense (a duration that is negative or no number) as none.
struct StoredInvocation {
    std::int64_t id = 0;
    std::string skill_name;
    std::string invoked_at;  ///< as stored
    std::string session_id;
    std::optional<std::string> workflow_path{};
    bool completed = false;
    std::optional<double> duration_seconds{};  ///< finite and not negative
    std::optional<std::string> user_query{};
    std::optional<std::string> alternatives_considered{};  ///< JSON array text
    std::optional<std::int64_t> selection_rank{};
    std::optional<std::string> follow_up_actions{};  ///< JSON array text
    std::optional<std::string> error_type{};
    std::optional<std::vector<std::uint8_t>> embedding{};
    std::optional<std::string> workflow_phase{};
    std::optional<std::string> workflow_step_id{};
};

/// Rows that have all of these. What is not set leaves them open.
struct InvocationFilter {
    std::optional<std::string> skill_name{};
    std::optional<std::string> session_id{};
    std::optional<std::string> workflow_phase{};
    std::optional<std::string> workflow_step_id{};
    std::optional<std::string> error_type{};
    std::optional<bool> completed{};
    std::optional<TimePoint> since{};  ///< of this moment and later; rows without a readable time then fit none
    std::optional<TimePoint> until{};  ///< before this moment
};

enum class TimeOrder : std::uint8_t { oldest_first, newest_first };

/// One session, counted from its rows. Named after the columns of v_session_skill_summary.
struct SessionSummary {
    std::string session_id;
    std::int64_t unique_skills = 0;
    std::int64_t total_invocations = 0;
    std::int64_t completed_count = 0;
    std::int64_t abandoned_count = 0;
    double total_duration_seconds = 0.0;
    std::optional<TimePoint> first_skill_at{};  ///< nothing where no row has a readable time
    std::optional<TimePoint> last_skill_at{};
    std::map<std::string, std::int64_t> skills{};  ///< name → invocations
};

/// One skill in one hour, as in skill_time_series, counted from the rows and so there for the present hour too.
struct HourlyAggregate {
    std::string skill_name;
    TimePoint hour;  ///< its beginning, UTC
    std::int64_t invocation_count = 0;
    std::int64_t completed_count = 0;
    double completion_rate = 0.0;                  ///< 0 to 1, as in that table
    std::optional<double> avg_duration_seconds{};  ///< of completed invocations that have one
    std::int64_t unique_sessions = 0;
};

/// One skill in one workflow phase, as in v_skill_effectiveness_by_phase.
struct PhaseEffectiveness {
    std::string skill_name;
    std::string workflow_phase;
    std::int64_t total_invocations = 0;
    std::int64_t completed_count = 0;
    std::int64_t abandoned_count = 0;
    std::int64_t timed_count = 0;  ///< invocations that have a duration
    double total_duration_seconds = 0.0;
    std::optional<double> avg_duration_seconds{};  ///< of all invocations that have one
    std::optional<double> avg_completion_time{};   ///< of the completed ones
    double completion_rate = 0.0;                  ///< 0 to 100
};

struct ErrorCount {
    std::string error_type;
    std::int64_t count = 0;
};

/// Has a connection of its own that writes nothing, opened by the first call, so that a long look keeps no writer
/// waiting. Safe to share between threads (one lock around the connection). Every call may throw StorageError;
/// invalid_argument for a negative limit. Limits count rows of the result.
class SkillsQueries {
  public:
    /// `before_connect` as for whoever else has the file open (see SkillsStore).
    SkillsQueries(std::string path, std::chrono::milliseconds busy_timeout, std::function<void()> before_connect = {});
    ~SkillsQueries();
    SkillsQueries(const SkillsQueries&) = delete;
    SkillsQueries& operator=(const SkillsQueries&) = delete;

    [[nodiscard]] std::optional<StoredInvocation> invocation(std::int64_t id);
    /// By the moment of invoked_at, then the id. Rows without a readable time count as the oldest. Every row that fits
    /// is looked at, whatever the limit.
    [[nodiscard]] std::vector<StoredInvocation> invocations(const InvocationFilter& filter, TimeOrder order,
                                                            std::int64_t limit);
    /// Nothing for a session without rows.
    [[nodiscard]] std::optional<SessionSummary> session_summary(std::string_view session_id);
    /// Hours in which something ran, by time and then by name; the newest ones where there are more than `limit`.
    [[nodiscard]] std::vector<HourlyAggregate> hourly_aggregates(const InvocationFilter& filter, std::int64_t limit);
    /// Rows that have a phase, by phase and then by invocations, descending, then by name.
    [[nodiscard]] std::vector<PhaseEffectiveness> phase_effectiveness(const InvocationFilter& filter,
                                                                      std::int64_t limit);
    /// Of rows that were not completed and have an error type, the most frequent first.
    [[nodiscard]] std::vector<ErrorCount> error_counts(const InvocationFilter& filter, std::int64_t limit);

    /// Closes the connection where its file or log is no longer what it was and no call uses it; the next call opens
    /// another.
    void close_if_stale();
    /// Later calls throw StorageErrc::invalid_argument ("closed"). Can be called twice.
    void close() noexcept;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace session_buddy::storage
