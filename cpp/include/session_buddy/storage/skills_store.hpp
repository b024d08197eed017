// The writing and querying side for programs: what SkillsStorage in Python and `session-buddy record` are made of.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/storage/error.hpp"

namespace session_buddy::storage {

/// A row to be written, fields named after the columns of skill_invocation.
struct InvocationRecord {
    std::string skill_name;
    std::string invoked_at;  ///< any form that parse_timestamp reads; stored as given
    std::string session_id;
    bool completed = false;
    std::optional<double> duration_seconds{};
    std::optional<std::string> workflow_path{};
    std::optional<std::string> user_query{};
    std::optional<std::string> alternatives_considered{};  ///< JSON array text
    std::optional<std::int64_t> selection_rank{};
    std::optional<std::string> follow_up_actions{};  ///< JSON array text
    std::optional<std::string> error_type{};
    std::optional<std::vector<std::uint8_t>> embedding{};
    std::optional<std::string> workflow_phase{};
    std::optional<std::string> workflow_step_id{};
};

/// A row of skill_metrics. Timestamps are as stored.
struct SkillMetricsRow {
    std::string skill_name;
    std::int64_t total_invocations = 0;
    std::int64_t completed_invocations = 0;
    std::int64_t abandoned_invocations = 0;
    double total_duration_seconds = 0.0;
    std::string workflow_paths;     ///< JSON object text, name → count
    std::string common_errors;      ///< JSON object text, name → count
    std::string follow_up_actions;  ///< JSON object text, name → count
    std::optional<double> avg_selection_rank{};
    std::optional<double> recommendation_success_rate{};
    std::optional<std::string> first_invoked{};
    std::optional<std::string> last_invoked{};
    double completion_rate = 0.0;  ///< 0 to 100
    std::optional<double> avg_duration_seconds{};
    std::string updated_at;
};

/// One skill over a sliding window, as in data.top_skills of the API.
struct RealTimeRow {
    std::string skill_name;
    std::int64_t invocation_count = 0;
    std::int64_t completed_count = 0;
    double avg_duration = 0.0;
    TimePoint last_invocation_at;
};

/// Safe to share between threads (one lock around the connection). Every call may throw StorageError.
class SkillsStore {
  public:
    SkillsStore(const std::string& path, std::chrono::milliseconds busy_timeout);
    ~SkillsStore();
    SkillsStore(const SkillsStore&) = delete;
    SkillsStore& operator=(const SkillsStore&) = delete;

    /// Returns the id. Throws StorageErrc::invalid_argument, naming the field, for a bad value.
    std::int64_t store(const InvocationRecord& record);

    /// One transaction, all or nothing; the error names the index of the bad record. Returns the ids in order.
    std::vector<std::int64_t> store_many(std::span<const InvocationRecord> records);

    /// A record together with the key of the event it was made from (a tool_use_id).
    struct KeyedRecord {
        std::string key;
        InvocationRecord record;
    };
    /// Stores those whose key was never stored before, in one transaction; the keys are kept in the side table
    /// `session_buddy_source`. Returns for each whether it was stored now.
    std::vector<bool> store_new(std::span<const KeyedRecord> records);

    [[nodiscard]] std::optional<SkillMetricsRow> metrics(std::string_view skill_name);
    /// By total_invocations descending, then name. limit ≥ 0.
    [[nodiscard]] std::vector<SkillMetricsRow> all_metrics(std::int64_t limit);
    /// The contract's order, over (now − window, now]; rows from the future count as now.
    [[nodiscard]] std::vector<RealTimeRow> real_time_metrics(std::int64_t limit, std::chrono::microseconds window,
                                                             TimePoint now);

    /// Later calls throw StorageErrc::invalid_argument ("closed"). Can be called twice.
    void close() noexcept;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace session_buddy::storage
