// The in-memory metrics: sliding windows of all skills, lifetime metrics, active sessions, and change tracking.
// Fed with new rows; reads neither the clock nor the database. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/schedule.hpp"
#include "session_buddy/core/snapshot.hpp"
#include "session_buddy/metrics/session_activity.hpp"
#include "session_buddy/metrics/skill_window.hpp"

namespace session_buddy::metrics {

struct EngineOptions {
    std::chrono::microseconds window = std::chrono::hours(24);
    std::uint32_t top_skills = 10;
    std::chrono::microseconds session_window = std::chrono::minutes(30);
    std::size_t max_sessions = 1000;  ///< maximum listed sessions
    std::size_t max_tracked_skills = 10'000;
    std::size_t max_tracked_sessions = 10'000;
};

/// Metrics of the last hour and the last 24 hours, independent of the configured window.
struct RecentMetrics {
    std::int64_t count_1h = 0;
    std::int64_t count_24h = 0;
    std::int64_t completed_24h = 0;  ///< those with an unknown outcome included
    std::optional<TimePoint> last_invocation_at;
    std::int64_t unknown_24h = 0;  ///< of completed_24h

    bool operator==(const RecentMetrics&) const = default;
};

class MetricsEngine {
  public:
    explicit MetricsEngine(const EngineOptions& options);
    MetricsEngine(MetricsEngine&&) = delete;

    /// How long an invocation affects the metrics: older rows need not be added.
    [[nodiscard]] std::chrono::microseconds retention() const;

    /// Adds a row read at `now`; a row from the future counts as now. Rows may arrive out of order.
    void add(const Invocation& invocation, TimePoint now);
    /// Ignored for an untracked skill if max_tracked_skills is reached.
    void set_lifetime(std::string_view skill_name, const LifetimeMetrics& metrics);

    /// Advances all windows to `now`. A small backward step of the clock is ignored; after a large one build a new
    /// engine.
    void advance(TimePoint now);

    /// The metrics as of the last advance(); the same object as before if nothing changed.
    [[nodiscard]] std::shared_ptr<const SkillTable> table();
    /// The active sessions as of the last advance(); the same object as before if they did not change.
    [[nodiscard]] std::shared_ptr<const std::vector<SessionMetrics>> sessions();
    /// Number of active sessions, listed or not.
    [[nodiscard]] std::size_t active_sessions() const { return activity_.active_count(); }

    /// Tracked skills and sessions, and the rows summed as `other` because theirs was not tracked.
    [[nodiscard]] TrackedNames skills_tracked() const { return {index_.size(), skill_rows_in_other_}; }
    [[nodiscard]] TrackedNames sessions_tracked() const { return activity_.tracked(); }

    /// The recent metrics of one skill as of the last advance(); nullopt for an unknown skill.
    [[nodiscard]] std::optional<RecentMetrics> recent_metrics(std::string_view skill_name) const;

    struct RecentChange {
        std::uint32_t index = 0;  ///< index of the skill in the engine
        std::string skill_name;
        RecentMetrics metrics;
    };
    /// The skills whose recent metrics differ from the last confirmed ones; returned until confirm_recent() is called.
    [[nodiscard]] std::vector<RecentChange> changed_recent() const;
    /// Marks these changes as written.
    void confirm_recent(const std::vector<RecentChange>& changes);

  private:
    struct Skill {
        Skill(std::string skill_name, const SkillWindow::Lengths& lengths)
            : name(std::move(skill_name)), window(lengths) {}
        std::string name;
        SkillWindow window;
        LifetimeMetrics lifetime;
        std::optional<TimePoint> newest;  // ever added, even if it has left the window
        std::optional<RecentMetrics> confirmed;
        bool dirty = true;         // differs from the entry in the last table
        bool recent_dirty = true;  // may differ from `confirmed`
        bool idle = false;         // in idle_
        bool is_other = false;     // `other`: holds rows of untracked skills
    };

    /// Index of the skill, or of `other` if max_tracked_skills is reached.
    std::uint32_t index_of(std::string_view skill_name);
    std::optional<std::uint32_t> admit(std::string_view skill_name);
    /// If max_tracked_skills is reached: the index of a skill that has left all windows, for reuse.
    std::optional<std::uint32_t> evict_idle();
    void mark_dirty(std::uint32_t index);
    [[nodiscard]] SkillTable::Entry make_entry(const Skill& skill) const;
    [[nodiscard]] std::vector<std::uint32_t> rank(const std::vector<SkillTable::Entry>& entries) const;
    [[nodiscard]] static RecentMetrics recent(const Skill& skill);

    SkillWindow::Lengths lengths_;
    std::uint32_t top_skills_;
    std::size_t max_skills_;
    std::deque<Skill> skills_;  // a deque: grows without moving all elements
    SkillTable::Index index_;
    bool index_changed_ = false;
    std::deque<std::uint32_t> idle_;  // skills that had left all windows when added here; checked again before reuse
    std::uint64_t skill_rows_in_other_ = 0;
    std::shared_ptr<const SkillTable::Index> published_index_;
    std::vector<SkillTable::Entry> entries_;
    std::vector<std::uint32_t> dirty_;
    std::vector<std::uint32_t> recent_dirty_;
    std::shared_ptr<const SkillTable> table_ = std::make_shared<SkillTable>();
    SessionActivity activity_;
    std::shared_ptr<const std::vector<SessionMetrics>> sessions_ = std::make_shared<std::vector<SessionMetrics>>();
    TimePoint now_ = TimePoint::min();
    Schedule expiries_;
};

}  // namespace session_buddy::metrics
