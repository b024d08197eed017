// The bounded map, compared with a list of its entries in the order in which they were added.
#include "session_buddy/ingest/bounded_keys.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <random>
#include <string>
#include <utility>

namespace session_buddy::ingest {
namespace {

TEST(BoundedMap, removes_the_oldest_entry_that_is_left_when_it_is_full) {
    constexpr std::size_t kLimit = 8;
    BoundedMap<int> map(kLimit);
    std::list<std::pair<std::string, int>> expected;  // oldest first
    std::size_t evicted = 0;
    std::mt19937 random(1);
    const auto pick = [&](int bound) { return std::uniform_int_distribution<int>(0, bound)(random); };
    for (int round = 0; round < 5000; ++round) {
        const std::string key = std::to_string(pick(20));
        const auto entry = std::ranges::find(expected, key, &std::pair<std::string, int>::first);
        if (pick(40) == 0) {
            const int remainder = pick(2);
            const auto is_unwanted = [&](int value) { return value % 3 == remainder; };
            map.erase_if(is_unwanted);
            std::erase_if(expected, [&](const auto& held) { return is_unwanted(held.second); });
        } else if (entry == expected.end()) {
            EXPECT_FALSE(map.contains(key));
            EXPECT_FALSE(map.take(key));
            if (expected.size() == kLimit) {
                expected.pop_front();
                ++evicted;
            }
            map.add(key, round);
            expected.emplace_back(key, round);
        } else if (pick(2) == 0) {
            EXPECT_EQ(map.take(key), entry->second);
            expected.erase(entry);
        }
        ASSERT_EQ(map.size(), expected.size());
        ASSERT_EQ(map.evicted(), evicted);
        for (const auto& [held, value] : expected) {
            const int* const found = map.find(held);
            ASSERT_TRUE(found != nullptr);
            ASSERT_EQ(*found, value);
        }
    }
    EXPECT_GT(evicted, 100U);
}

}  // namespace
}  // namespace session_buddy::ingest
