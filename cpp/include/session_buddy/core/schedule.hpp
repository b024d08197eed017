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

/// Holds one moment for each number. Numbers are small: places in a vector.
class Schedule {
  public:
    /// Has `number` come up at `at`, or earlier where that is planned already: whoever comes too early plans again.
    /// TimePoint::max() plans nothing.
    void plan(std::uint32_t number, TimePoint at) {
        if (number >= planned_.size()) {
            planned_.resize(number + std::size_t{1}, TimePoint::max());
        }
        if (at < planned_[number]) {
            planned_[number] = at;
            queue_.emplace(at, number);
        }
    }

    /// The next number that is due at `now`, the earliest first; it is planned no more. Nothing where none is.
    [[nodiscard]] std::optional<std::uint32_t> pop_due(TimePoint now) {
        while (!queue_.empty() && queue_.top().first <= now) {
            const auto [at, number] = queue_.top();
            queue_.pop();
            if (planned_[number] == at) {  // else an earlier moment was planned later on, and has come up
                planned_[number] = TimePoint::max();
                return number;
            }
        }
        return std::nullopt;
    }

  private:
    using Entry = std::pair<TimePoint, std::uint32_t>;

    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue_;
    std::vector<TimePoint> planned_;
};

}  // namespace session_buddy
