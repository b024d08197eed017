// All metrics in memory: sliding windows of every skill, lifetime metrics, active sessions, and what of them changed.
// Fed with new rows alone; knows neither clock nor database. One thread uses it.
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
    std::size_t max_sessions = 1000;  ///< listed at a time
    std::size_t max_tracked_skills = 10'000;
    std::size_t max_tracked_sessions = 10'000;
};

/// Analytics of the last hour and the last 24 hours, whatever the configured window is.
struct RecentMetrics {
    std::int64_t count_1h = 0;
    std::int64_t count_24h = 0;
    std::int64_t completed_24h = 0;
    std::optional<TimePoint> last_invocation_at;

    bool operator==(const RecentMetrics&) const = default;
};

class MetricsEngine {
  public:
    explicit MetricsEngine(const EngineOptions& options);
    MetricsEngine(MetricsEngine&&) = delete;

    /// How long an invocation can matter: rows older than this need not be fed.
    [[nodiscard]] std::chrono::microseconds retention() const;

    /// Counts a row that was read at `now`; one from the future counts as now. Rows may come in any order of time.
    void add(const Invocation& invocation, TimePoint now);
    /// Ignored for a skill that is not tracked, where max_tracked_skills are.
    void set_lifetime(std::string_view skill_name, const LifetimeMetrics& metrics);

    /// Moves all windows to `now`. A small step back of the clock is ignored; for a large one build a new engine.
    void advance(TimePoint now);

    /// The figures as of the last advance(); the same object as before where nothing changed.
    [[nodiscard]] std::shared_ptr<const SkillTable> table();
    /// The active sessions as of the last advance(); the same object where they did not change.
    [[nodiscard]] std::shared_ptr<const std::vector<SessionMetrics>> sessions();
    /// How many are active, listed or not.
    [[nodiscard]] std::size_t active_sessions() const { return activity_.active_count(); }

    /// Skills and sessions that are tracked, and the rows whose skill or session was not and is summed as `other`.
    [[nodiscard]] TrackedNames skills_tracked() const { return {index_.size(), skill_rows_in_other_}; }
    [[nodiscard]] TrackedNames sessions_tracked() const { return activity_.tracked(); }

    /// The recent figures of one skill as of the last advance(); nothing for one that was never seen.
    [[nodiscard]] std::optional<RecentMetrics> recent_metrics(std::string_view skill_name) const;

    struct RecentChange {
        std::uint32_t index = 0;  ///< the engine's own number of the skill
        std::string skill_name;
        RecentMetrics metrics;
    };
    /// The skills whose recent figures differ from those last confirmed; they stay in the answer until
    /// confirm_recent().
    [[nodiscard]] std::vector<RecentChange> changed_recent() const;
    /// Marks these as known to the receiver.
    void confirm_recent(const std::vector<RecentChange>& changes);

  private:
    struct Skill {
        Skill(std::string skill_name, const SkillWindow::Lengths& lengths)
            : name(std::move(skill_name)), window(lengths) {}
        std::string name;
        SkillWindow window;
        LifetimeMetrics lifetime;
        std::optional<TimePoint> newest;  // that was ever added, be it out of the window by now
        std::optional<RecentMetrics> confirmed;
        bool dirty = true;         // differs from the entry in the last table
        bool recent_dirty = true;  // may differ from `confirmed`
        bool idle = false;         // listed in idle_
        bool is_other = false;     // `other`, with rows of skills that are not tracked
    };

    /// Where there is no room for another skill, that of `other`.
    std::uint32_t index_of(std::string_view skill_name);
    std::optional<std::uint32_t> admit(std::string_view skill_name);
    /// That of a skill which has left all windows; only where all are taken.
    std::optional<std::uint32_t> evict_idle();
    void mark_dirty(std::uint32_t index);
    [[nodiscard]] SkillTable::Entry make_entry(const Skill& skill) const;
    [[nodiscard]] std::vector<std::uint32_t> rank(const std::vector<SkillTable::Entry>& entries) const;
    [[nodiscard]] static RecentMetrics recent(const Skill& skill);

    SkillWindow::Lengths lengths_;
    std::uint32_t top_skills_;
    std::size_t max_skills_;
    std::deque<Skill> skills_;  // in pieces: it grows without a copy of all
    SkillTable::Index index_;
    bool index_changed_ = false;
    std::deque<std::uint32_t> idle_;  // skills that had left all windows when they were listed here
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
