// A timer queue (min-heap) over many ids, so that advancing time for ten thousand of them costs only as much as the few
// that are due.
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

/// Holds at most one due time per id. Ids must be small: they index a vector.
class Schedule {
  public:
    /// Makes `id` due at `at`, or keeps its due time if that is earlier: a caller that wakes up too early schedules the
    /// id again. TimePoint::max() schedules nothing.
    void schedule(std::uint32_t id, TimePoint at) {
        if (id >= due_.size()) {
            due_.resize(id + std::size_t{1}, TimePoint::max());
        }
        if (at < due_[id]) {
            due_[id] = at;
            queue_.emplace(at, id);
        }
    }

    /// Removes and returns an id that is due at `now`, the earliest first; nullopt if none is.
    [[nodiscard]] std::optional<std::uint32_t> pop_due(TimePoint now) {
        while (!queue_.empty() && queue_.top().first <= now) {
            const auto [at, id] = queue_.top();
            queue_.pop();
            if (due_[id] == at) {  // otherwise the entry is stale: an earlier time was scheduled afterwards
                due_[id] = TimePoint::max();
                return id;
            }
        }
        return std::nullopt;
    }

    /// The earliest due time; TimePoint::max() if nothing is scheduled.
    [[nodiscard]] TimePoint next_due() {
        while (!queue_.empty() && due_[queue_.top().second] != queue_.top().first) {
            queue_.pop();
        }
        return queue_.empty() ? TimePoint::max() : queue_.top().first;
    }

  private:
    using Entry = std::pair<TimePoint, std::uint32_t>;

    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue_;
    std::vector<TimePoint> due_;
};

}  // namespace session_buddy
