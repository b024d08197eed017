// History queries on the database of a running server: invocations over time, history of one skill, anomaly episodes,
// alerts.
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
#include "session_buddy/storage/alert_store.hpp"
#include "session_buddy/storage/error.hpp"

namespace session_buddy::storage {

/// An invocation as a series needs it: a view of a row, valid during the callback only.
struct InvocationView {
    std::string_view skill_name;
    TimePoint at;
    bool completed = false;
    std::optional<double> duration_seconds{};  ///< satisfies is_valid_duration
    bool outcome_is_unknown = false;           ///< see core/invocation.hpp, as duration_is_bound
    bool duration_is_bound = false;
};

/// A row of skill_time_series: the hourly rollup of one skill.
struct RollupRow {
    TimePoint hour;  ///< start of the hour
    std::int64_t invocation_count = 0;
    std::int64_t completed_count = 0;  ///< those with an unknown outcome included
    std::optional<double>
        avg_duration_seconds{};  ///< of completed invocations, without upper bounds if there are others
    // Of pruned rows, counted at their deletion.
    std::int64_t unknown_count = 0;  ///< of completed_count
    std::int64_t bound_count = 0;    ///< completed invocations whose duration is an upper bound
};

/// Fields that are not set match every episode.
struct EpisodeFilter {
    std::optional<bool> open{};
    std::optional<std::string> skill_name{};
    std::optional<std::string> anomaly_type{};
    std::optional<TimePoint> from{};  ///< episodes that are open or ended at or after this time
    std::optional<TimePoint> to{};    ///< episodes that started before this time
};

/// Has its own read-only connection, opened on first use and reopened when the file was replaced. Creates no file and
/// does not migrate an empty one. Not thread-safe. Every call but close() may throw StorageError, and does when
/// `is_cancelled`, which is polled during a query, returns true.
class HistoryQueries {
  public:
    HistoryQueries(const std::string& path, std::chrono::milliseconds busy_timeout, std::function<bool()> is_cancelled);
    ~HistoryQueries();
    HistoryQueries(const HistoryQueries&) = delete;
    HistoryQueries& operator=(const HistoryQueries&) = delete;

    /// Invocations before this time were pruned, and only skill_time_series counts them. TimePoint::min() if none were.
    [[nodiscard]] TimePoint pruned_before();

    struct SeriesConsumer {
        std::function<bool(const InvocationView&)> invocation;  ///< false stops reading
        std::function<void(const RollupRow&)> hour;
    };
    /// Reads the invocations in [from, to), of one skill or of all, in any order: hours before pruned_before() from
    /// skill_time_series, later ones row by row. A row from the future counts as `now`.
    void read_series(const std::optional<std::string>& skill_name, TimePoint from, TimePoint to, TimePoint now,
                     const SeriesConsumer& consumer);

    /// How far read_recent() has read.
    struct Cursor {
        std::uint64_t device = 0;  ///< with inode: identifies the file
        std::uint64_t inode = 0;
        std::int64_t id = 0;
        std::string row;                      ///< signature of the row with that id
        std::optional<std::int64_t> changes;  ///< value of the change counter
    };
    /// Passes the invocations after `cursor` to `on_row`, and advances the cursor. If there is no cursor, the file was
    /// replaced or restored, or rows were changed manually, it calls `restart` and then passes all invocations since
    /// `from`.
    void read_recent(std::optional<Cursor>& cursor, TimePoint from, const std::function<void()>& restart,
                     const std::function<void(const InvocationView&)>& on_row);

    /// Errors and workflow phases of the invocations after `since`, at most `max_errors` and `max_phases`.
    [[nodiscard]] SkillHistory skill_history(const std::string& skill_name, TimePoint since, std::int64_t max_errors,
                                             std::int64_t max_phases);

    /// Newest first, at most the newest 100000.
    [[nodiscard]] std::vector<StoredEpisode> episodes(const EpisodeFilter& filter);

    /// `now` decides which mutes are in effect.
    [[nodiscard]] AlertPage alerts(const AlertFilter& filter, TimePoint now);

    /// The next call reopens the database.
    void close() noexcept;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace session_buddy::storage
