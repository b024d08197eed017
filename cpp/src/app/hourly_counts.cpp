// Reads the rows after the cursor and counts them by hour.
#include "hourly_counts.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>

namespace session_buddy::app {

const protocol::Sparklines& HourlyCounts::update(storage::HistoryQueries& history, TimePoint now) {
    using std::chrono::hours;
    constexpr std::size_t kHours = protocol::Sparklines::kHours;
    const TimePoint from = std::chrono::floor<hours>(now) - hours{kHours - 1};
    if (from != counts_.from) {
        cursor_.reset();
        counts_.from = from;
    }
    history.read_recent(
        cursor_, from, [this] { counts_.by_skill.clear(); },
        [this, now](const storage::InvocationView& run) {
            // A row from the future counts as now.
            const auto hour = static_cast<std::size_t>((std::min(run.at, now) - counts_.from) / hours{1});
            auto& count = counts_.by_skill[std::string(run.skill_name)].at(hour);
            ++count.invocation_count;
            count.completed_count += run.completed ? 1 : 0;
            count.unknown_count += run.outcome_is_unknown ? 1 : 0;
        });
    return counts_;
}

}  // namespace session_buddy::app
