// Validation of skill names.
#include "session_buddy/core/invocation.hpp"

#include <gtest/gtest.h>

#include <string>

namespace session_buddy {
namespace {

struct NameCase {
    const char* what;
    std::string name;
    bool valid;
};

class SkillName : public testing::TestWithParam<NameCase> {};

TEST_P(SkillName, is_validated) {
    EXPECT_EQ(is_valid_skill_name(GetParam().name), GetParam().valid) << GetParam().what;
}

INSTANTIATE_TEST_SUITE_P(
    Table, SkillName,
    testing::Values(
        NameCase{"plain", "pytest-run", true}, NameCase{"one byte", "a", true},
        NameCase{"blank inside", "git commit", true}, NameCase{"colon", "elixir:hex-docs-search", true},
        NameCase{"quotes and dots", "a.\"b\"['c']", true},
        NameCase{"two-byte",
                 "pr\xC3\xBC"
                 "fen",
                 true},
        NameCase{"three-byte", "\xE6\xB5\x8B\xE8\xAF\x95", true}, NameCase{"four-byte", "\xF0\x9F\x9A\x80", true},
        NameCase{"last code point", "\xF4\x8F\xBF\xBF", true}, NameCase{"256 bytes", std::string(256, 'x'), true},
        NameCase{"first after C1", "\xC2\xA0", true}, NameCase{"empty", "", false},
        NameCase{"257 bytes", std::string(257, 'x'), false}, NameCase{"NUL", std::string("a\0b", 3), false},
        NameCase{"newline", "a\nb", false}, NameCase{"unit separator", "\x1F", false}, NameCase{"DEL", "a\x7F", false},
        NameCase{"first C1", "\xC2\x80", false}, NameCase{"last C1", "\xC2\x9F", false},
        NameCase{"lone continuation", "\x80", false}, NameCase{"overlong two", "\xC0\xAF", false},
        NameCase{"overlong three", "\xE0\x80\xAF", false}, NameCase{"overlong four", "\xF0\x80\x80\xAF", false},
        NameCase{"surrogate", "\xED\xA0\x80", false}, NameCase{"above the last", "\xF4\x90\x80\x80", false},
        NameCase{"cut short", "a\xE6\xB5", false}, NameCase{"wrong continuation", "\xC3(", false},
        NameCase{"five-byte lead", "\xF8\x88\x80\x80\x80", false}, NameCase{"0xFF", "\xFF", false}));

}  // namespace
}  // namespace session_buddy
