// Error texts as Claude Code writes them, and their error types.
#include "session_buddy/ingest/error_class.hpp"

#include <gtest/gtest.h>

#include <string>

namespace session_buddy::ingest {
namespace {

TEST(ClassifyToolError, matches_the_beginning_of_the_text) {
    const struct {
        std::string_view text;
        std::string_view expected;
    } cases[] = {
        {"Exit code 1\nsome output", kExitCode},
        {"Error: Exit code 127", kExitCode},
        {"Exit code 2\nthe request timed out\n", kExitCode},
        {"Exit code 1\nwas interrupted by user", kExitCode},
        {"Command failed with exit code 3", kExitCode},
        {"Exit code 143\nCommand timed out after 2m 0.0s", kTimeout},
        {"Exit code 124\n\n  Command timed out after 30s", kTimeout},
        {"Command timed out after 2m 0.0s", kTimeout},
        {"timeout of 60000ms exceeded", kTimeout},
        {"Error: Request timed out.", kTimeout},
        {"The user doesn't want to proceed with this tool use. The tool use was rejected (…)", kRejected},
        {"Claude requested permissions to use WebFetch, but you haven't granted it yet.", kRejected},
        {"Permission to use Bash with command x has been denied.", kRejected},
        {"This command requires approval", kRejected},
        {"User rejected tool use", kRejected},
        {"Exit code 137\n[Request interrupted by user for tool use]", kInterrupted},
        {"[Request interrupted by user for tool use]", kInterrupted},
        {"<tool_use_error>Cancelled: parallel tool call Read(x) errored</tool_use_error>", kInterrupted},
        {"<tool_use_error>Sibling tool call errored</tool_use_error>", kInterrupted},
        {"<tool_use_error>File does not exist.</tool_use_error>", kToolError},
        {"File not found\nRequest timed out", kToolError},
        {"", kToolError},
        {"\n \n", kToolError},
    };
    for (const auto& c : cases) {
        EXPECT_EQ(classify_tool_error(c.text, false), c.expected) << c.text;
    }
}

TEST(ClassifyToolError, an_interrupt_flag_takes_precedence) {
    EXPECT_EQ(classify_tool_error("Exit code 137", true), kInterrupted);
}

TEST(ClassifyToolError, a_huge_line_is_classified_by_its_beginning) {
    EXPECT_EQ(classify_tool_error(std::string(1000, 'x') + " timed out", false), kToolError);
}

}  // namespace
}  // namespace session_buddy::ingest
