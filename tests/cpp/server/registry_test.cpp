// Adding, moving and removing members, also while they are visited.
#include "server/registry.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace session_buddy::server {
namespace {

using testing::IsEmpty;
using testing::UnorderedElementsAre;
using Numbers = Registry<int>;

std::vector<int> members(Numbers& registry) {
    std::vector<int> found;
    registry.for_each([&](int member) { found.push_back(member); });
    return found;
}

TEST(Registry, contains_the_objects_with_a_handle) {
    Numbers registry;
    std::vector<int> numbers{1, 2, 3, 4};
    std::vector<Numbers::Handle> handles;
    for (int& number : numbers) {
        handles.push_back(registry.add(number));  // reallocation moves the existing handles
    }
    EXPECT_THAT(members(registry), UnorderedElementsAre(1, 2, 3, 4));
    handles[1].reset();
    handles[1].reset();
    EXPECT_THAT(members(registry), UnorderedElementsAre(1, 3, 4));
    handles[0] = std::move(handles[3]);
    EXPECT_THAT(members(registry), UnorderedElementsAre(3, 4));
    EXPECT_FALSE(handles[3]);
    handles.clear();
    EXPECT_TRUE(registry.empty());
    EXPECT_THAT(members(registry), IsEmpty());
}

TEST(Registry, visits_each_member_once_even_if_all_leave_during_their_visit) {
    Numbers registry;
    std::vector<int> numbers{0, 1, 2, 3, 4};
    std::vector<std::optional<Numbers::Handle>> handles;
    for (int& number : numbers) {
        handles.emplace_back(registry.add(number));
    }
    std::vector<int> visited;
    registry.for_each([&](int member) {
        visited.push_back(member);
        handles[static_cast<std::size_t>(member)].reset();
    });
    EXPECT_THAT(visited, UnorderedElementsAre(0, 1, 2, 3, 4));
    EXPECT_TRUE(registry.empty());
}

}  // namespace
}  // namespace session_buddy::server
