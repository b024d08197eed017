// Compares FlatQueue with std::deque.
#include "session_buddy/core/flat_queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>

namespace session_buddy {
namespace {

TEST(FlatQueue, matches_std_deque_under_random_operations) {
    for (unsigned seed = 0; seed < 20; ++seed) {
        std::mt19937_64 random{seed};
        const auto pick = [&](std::size_t high) { return std::uniform_int_distribution<std::size_t>{0, high}(random); };
        std::deque<int> expected;
        FlatQueue<int> queue;
        for (int step = 0; step < 3000; ++step) {
            const bool grows = step / 500 % 2 == 0;
            if (pick(9) < (grows ? 6U : 3U)) {
                queue.push_back(step);
                expected.push_back(step);
            } else if (pick(3) == 0) {
                const std::size_t index = pick(expected.size());
                queue.insert(index, step);
                expected.insert(expected.begin() + static_cast<std::ptrdiff_t>(index), step);
            } else if (!expected.empty()) {
                const std::size_t count = std::min(expected.size(), 1 + pick(3));
                queue.pop_front(count);
                expected.erase(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(count));
            }
            ASSERT_EQ(queue.size(), expected.size());
            ASSERT_TRUE(std::ranges::equal(queue, expected)) << "seed " << seed << ", step " << step;
        }
    }
}

}  // namespace
}  // namespace session_buddy
