// The tables of the names of enumerations.
#include "session_buddy/core/enum_names.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace session_buddy {
namespace {

enum class Color : std::uint8_t { red, green, blue9 };
enum class Flag : std::uint8_t { first = 1, second = 2, last = 8 };

constexpr EnumNames kColors{
    std::array{EnumName{Color::green, "verde"}, EnumName{Color::red, "rosso"}, EnumName{Color::blue9, "blu"}}};
constexpr EnumNames kFlags{
    std::array{EnumName{Flag::first, "1st"}, EnumName{Flag::second, "2nd"}, EnumName{Flag::last, "last"}}};

TEST(EnumNames, finds_the_name_of_a_value_and_the_value_of_a_name) {
    static_assert(kColors[Color::red] == "rosso" && kFlags[Flag::last] == "last");
    static_assert(kColors.find("verde") == Color::green && kFlags.find("2nd") == Flag::second);
    EXPECT_FALSE(kColors.find("Verde"));
    EXPECT_FALSE(kColors.find(""));
    EXPECT_EQ(kColors[static_cast<Color>(3)], "");
}

TEST(EnumNames, iterates_in_the_order_of_the_table) {
    std::string text;
    for (const auto& [color, name] : kColors) {
        text += std::to_string(static_cast<int>(color)) + std::string(name) + ' ';
    }
    EXPECT_EQ(text, "1verde 0rosso 2blu ");
    EXPECT_EQ(kColors.size(), 3U);
}

// What makes a table with a missing value fail to compile.
TEST(EnumNames, counts_the_values_of_an_enumeration) {
    enum class Nested : std::uint8_t { zero, beyond = 15, unchecked = 16 };
    constexpr auto kAll = std::make_index_sequence<detail::kEnumLimit>();
    static_assert(detail::count_enumerators<Color>(kAll) == 3);
    static_assert(detail::count_enumerators<Flag>(kAll) == 3);
    static_assert(detail::count_enumerators<Nested>(kAll) == 2);
    SUCCEED();
}

}  // namespace
}  // namespace session_buddy
