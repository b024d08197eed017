// Character classes and case of ASCII text.
#include "session_buddy/core/ascii.hpp"

#include <gtest/gtest.h>

#include <string>

namespace session_buddy::ascii {
namespace {

std::string bytes_where(bool (*holds)(char)) {
    std::string found;
    for (int byte = 0; byte < 256; ++byte) {
        if (holds(static_cast<char>(byte))) {
            found += static_cast<char>(byte);
        }
    }
    return found;
}

TEST(Ascii, classes_contain_exactly_the_ascii_characters) {
    const std::string digits = "0123456789";
    const std::string letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    EXPECT_EQ(bytes_where(is_digit), digits);
    EXPECT_EQ(bytes_where(is_alphanumeric), digits + letters);
    EXPECT_EQ(bytes_where([](char c) { return is_alphanumeric_or("_-", c); }),
              "-" + digits + letters.substr(0, 26) + "_" + letters.substr(26));
    EXPECT_EQ(bytes_where([](char c) { return hex_digit(c) >= 0; }), digits + "ABCDEFabcdef");
}

TEST(Ascii, hex_digits_have_their_value_in_either_case) {
    EXPECT_EQ(hex_digit('9'), 9);
    EXPECT_EQ(hex_digit('a'), 10);
    EXPECT_EQ(hex_digit('F'), 15);
    EXPECT_EQ(hex_digit('g'), -1);
}

TEST(Ascii, case_changes_of_letters_only) {
    EXPECT_EQ(lower("Ab-Z9@[\xc3\x84"), "ab-z9@[\xc3\x84");
    EXPECT_EQ(upper("aB_z9`{\xc3\xa4"), "AB_Z9`{\xc3\xa4");
}

TEST(Ascii, text_with_another_byte_is_not_ascii) {
    EXPECT_TRUE(is_ascii(""));
    EXPECT_TRUE(is_ascii("a\x7f"));
    EXPECT_FALSE(is_ascii("a\x80"));
}

}  // namespace
}  // namespace session_buddy::ascii
