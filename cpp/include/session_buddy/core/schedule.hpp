// Which of many numbered things is due next: so that time can pass for ten thousand of them at the cost of the few
// whose time has come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <utility>
#include <vector>

#include "session_buddy/core/clock.hpp"

namespace session_buddy {

/// Holds one moment for each id. Numbers are small: places in a vector.
class Schedule {
  public:
    /// Has `id` come up at `at`, or earlier where that is planned already: whoever comes too early plans again.
    /// TimePoint::max() plans nothing.
    void schedule(std::uint32_t id, TimePoint at) {
        if (id >= due_.size()) {
            due_.resize(id + std::size_t{1}, TimePoint::max());
        }
        if (at < due_[id]) {
            due_[id] = at;
            queue_.emplace(at, id);
        }
    }

    /// The next id that is due at `now`, the earliest first; it is planned no more. Nothing where none is.
    [[nodiscard]] std::optional<std::uint32_t> pop_due(TimePoint now) {
        while (!queue_.empty() && queue_.top().first <= now) {
            const auto [at, id] = queue_.top();
            queue_.pop();
            if (due_[id] == at) {  // else an earlier moment was planned later on, and has come up
                due_[id] = TimePoint::max();
                return id;
            }
        }
        return std::nullopt;
    }

  private:
    using Entry = std::pair<TimePoint, std::uint32_t>;

    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue_;
    std::vector<TimePoint> due_;
};

}  // namespace session_buddy
