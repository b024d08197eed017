// Stores and queries invocations; the base of SkillsStorage in Python and of `session-buddy record`.
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
#include "session_buddy/core/snapshot.hpp"
#include "session_buddy/storage/error.hpp"
#include "session_buddy/storage/invocation_record.hpp"
#include "session_buddy/storage/skills_queries.hpp"

namespace session_buddy::storage {

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

/// Thread-safe (one mutex around the connection). Every call may throw StorageError.
class SkillsStore {
  public:
    SkillsStore(const std::string& path, std::chrono::milliseconds busy_timeout);
    ~SkillsStore();
    SkillsStore(const SkillsStore&) = delete;
    SkillsStore& operator=(const SkillsStore&) = delete;

    /// Returns the id. Throws StorageErrc::invalid_argument with the field that is invalid.
    std::int64_t store(const InvocationRecord& record);

    /// Stores all records, or none, in one transaction; the error has the index of the invalid record. Returns the ids
    /// in the order of the records.
    std::vector<std::int64_t> store_many(std::span<const InvocationRecord> records);

    [[nodiscard]] std::optional<SkillMetricsRow> metrics(std::string_view skill_name);
    /// Ordered by total_invocations descending, then name. limit ≥ 0.
    [[nodiscard]] std::vector<SkillMetricsRow> all_metrics(std::int64_t limit);
    /// Metrics over (now − window, now], without those of the lifetime and without quantiles, in the order of
    /// data.top_skills; rows from the future count as now.
    [[nodiscard]] std::vector<SkillMetrics> real_time_metrics(std::int64_t limit, std::chrono::microseconds window,
                                                              TimePoint now);

    /// Further queries, with their own connection; valid as long as the store.
    [[nodiscard]] SkillsQueries& queries() noexcept;

    /// Later calls throw StorageErrc::invalid_argument ("closed"), also those of queries(). Idempotent.
    void close() noexcept;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace session_buddy::storage
