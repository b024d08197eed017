// An alert ends when its skill has recovered, and not by chance while the change lasts.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <random>
#include <utility>

#include "session_buddy/anomaly/alert_engine.hpp"

namespace session_buddy::anomaly {
namespace {

using std::chrono::hours;

/// A skill with 300 invocations an hour.
class BusySkill {
  public:
    /// Returns the number of alerts that started, and of those that ended.
    std::pair<int, int> use(hours duration, double rate) {
        std::pair<int, int> counts{0, 0};
        for (const TimePoint end = at_ + duration; at_ < end; at_ += std::chrono::seconds(12)) {
            ++invocation_.id;
            invocation_.invoked_at = at_;
            invocation_.completed = uniform_(random_) < rate;
            engine_.add(invocation_, at_);
            for (const AlertChange& change : engine_.take_changes()) {
                counts.first += change.kind == AlertChange::Kind::started ? 1 : 0;
                counts.second += change.kind == AlertChange::Kind::ended ? 1 : 0;
            }
        }
        return counts;
    }

  private:
    AlertEngine engine_{AlertOptions{}};
    std::mt19937_64 random_{1};
    std::uniform_real_distribution<double> uniform_{0.0, 1.0};
    TimePoint at_{std::chrono::sys_days{std::chrono::year{2026} / 2 / 10}};
    Invocation invocation_{.skill_name = "pytest-run", .invoked_at = {}, .session_id = {}};
};

using Counts = std::pair<int, int>;

TEST(AlertRecovery, does_not_happen_by_chance_while_a_change_lasts) {
    BusySkill skill;
    EXPECT_EQ(skill.use(hours(72), 0.9), Counts(0, 0));
    EXPECT_EQ(skill.use(hours(72), 0.5), Counts(1, 0));
}

TEST(AlertRecovery, is_found_within_hours_after_a_long_change) {
    BusySkill skill;
    skill.use(hours(72), 0.9);
    EXPECT_EQ(skill.use(hours(72), 0.8), Counts(1, 0));
    EXPECT_EQ(skill.use(hours(3), 0.9), Counts(0, 1));
}

TEST(AlertRecovery, is_found_soon_after_a_short_change) {
    BusySkill skill;
    skill.use(hours(72), 0.9);
    EXPECT_EQ(skill.use(hours(1), 0.5), Counts(1, 0));
    EXPECT_EQ(skill.use(hours(1), 0.9), Counts(0, 1));
}

}  // namespace
}  // namespace session_buddy::anomaly
