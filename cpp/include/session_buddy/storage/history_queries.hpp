// Looks back into the database of a running server: runs over time, figures of one skill, episodes of anomalies.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/skill_history.hpp"
#include "session_buddy/storage/error.hpp"

namespace session_buddy::storage {

/// One invocation, as much of it as a series needs.
struct InvocationView {
    std::string_view skill_name;
    TimePoint at;
    bool completed = false;
    std::optional<double> duration_seconds{};  ///< as is_valid_duration says
};

/// One row of skill_time_series.
struct RollupRow {
    TimePoint hour;  ///< its beginning
    std::int64_t invocation_count = 0;
    std::int64_t completed_count = 0;
    std::optional<double> avg_duration_seconds{};  ///< of completed runs
};

/// What is not set leaves it open.
struct EpisodeFilter {
    std::optional<bool> open{};
    std::optional<std::string> skill_name{};
    std::optional<std::string> anomaly_type{};
    std::optional<TimePoint> from{};  ///< those that lasted until then, or later
    std::optional<TimePoint> to{};    ///< those that began before
};

/// Has a connection of its own that writes nothing, opened when it is needed and opened anew where the file was
/// replaced. It makes no file and migrates none that is empty. Not safe to share between threads. Every call but
/// close() may throw StorageError, and does where `is_cancelled` turned true meanwhile, which is asked again and again.
class HistoryQueries {
  public:
    HistoryQueries(std::string path, std::chrono::milliseconds busy_timeout, std::function<bool()> is_cancelled);
    ~HistoryQueries();
    HistoryQueries(const HistoryQueries&) = delete;
    HistoryQueries& operator=(const HistoryQueries&) = delete;

    /// Rows of the time before it were deleted, what they counted is in skill_time_series alone. TimePoint::min() where
    /// none were.
    [[nodiscard]] TimePoint pruned_before();

    struct SeriesConsumer {
        std::function<bool(const InvocationView&)> invocation;  ///< false ends the reading
        std::function<void(const RollupRow&)> hour;
    };
    /// What ran from `from` on and before `to`, of one skill or of all, in any order: hours before pruned_before() from
    /// skill_time_series, the rest invocation by invocation.
    void read_series(const std::optional<std::string>& skill_name, TimePoint from, TimePoint to,
                     const SeriesConsumer& consumer);

    /// How far read_recent() came.
    struct Cursor {
        std::uint64_t device = 0;  ///< with inode: of the file
        std::uint64_t inode = 0;
        std::int64_t id = 0;
        std::string row;                      ///< what the row of that id looks like
        std::optional<std::int64_t> changes;  ///< of the change counter
    };
    /// Hands out the runs after `cursor`, and moves it. Where there is none, the file is another one or an older copy
    /// of it, or rows were changed by hand, it calls `restart` and then hands out all runs from `from` on.
    void read_recent(std::optional<Cursor>& cursor, TimePoint from, const std::function<void()>& restart,
                     const std::function<void(const InvocationView&)>& on_row);

    /// Errors and phases of the runs after `since`; at most `max_errors` and `max_phases` of them.
    [[nodiscard]] SkillHistory skill_history(const std::string& skill_name, TimePoint since, std::int64_t max_errors,
                                             std::int64_t max_phases);

    /// The newest first; of more than 100000 the newest ones.
    [[nodiscard]] std::vector<StoredEpisode> episodes(const EpisodeFilter& filter);

    /// The next call opens the database again.
    void close() noexcept;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace session_buddy::storage
