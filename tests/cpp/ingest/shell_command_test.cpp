// The simple commands of a command line, in order.
#include "session_buddy/ingest/shell_command.hpp"

#include <gtest/gtest.h>

namespace session_buddy::ingest {
namespace {

struct Case {
    const char* name;
    const char* text;
    std::vector<ShellWords> expected;
};

const Case kCases[] = {
    {"nothing", "", {}},
    {"blanks", " \t\n ", {}},
    {"words", "a  b\tc", {{"a", "b", "c"}}},
    {"lists", "a; b && c || d & e", {{"a"}, {"b"}, {"c"}, {"d"}, {"e"}}},
    {"pipes", "a 2>&1 | b |& c", {{"a"}, {"b"}, {"c"}}},
    {"lines", "a\nb\n\nc", {{"a"}, {"b"}, {"c"}}},
    {"continued_line", "a \\\n  b", {{"a", "b"}}},
    {"quotes_hide_separators", R"(a 'b; c' "d && e" f\;g)", {{"a", "b; c", "d && e", "f;g"}}},
    {"quotes_join_words", R"(a'b'"c"d)", {{"abcd"}}},
    {"empty_word", "a '' b", {{"a", "", "b"}}},
    {"double_quote_escapes", R"(a "b\"c\d")", {{"a", "b\"c\\d"}}},
    {"ansi_quotes", R"(a $'b\'c')", {{"a", "b'c"}}},
    {"comment", "a # b; c\nd", {{"a"}, {"d"}}},
    {"hash_inside_a_word", "a b#c", {{"a", "b#c"}}},
    {"redirections", "a > f 2>/dev/null < g &> h >>i b", {{"a", "b"}}},
    {"number_that_is_no_descriptor", "a 2 > f", {{"a", "2"}}},
    {"here_string", "a <<< 'b; c' d", {{"a", "d"}}},
    {"here_document", "a <<EOF > f\nb; c\nEOF\nd", {{"a"}, {"d"}}},
    {"here_document_quoted", "a <<'X Y'\ndon't $(b\nX Y\nd", {{"a"}, {"d"}}},
    {"here_document_tabs", "a <<-EOF\n\tb\n\tEOF\nd", {{"a"}, {"d"}}},
    {"here_document_unfinished", "a <<EOF\nb", {{"a"}}},
    {"subshell", "(a; b) && c", {{"a"}, {"b"}, {"c"}}},
    {"substitution_after_its_command", "a $(b c) d; e", {{"a", "$", "d"}, {"b", "c"}, {"e"}}},
    {"substitution_in_double_quotes", R"sh(a "x $(b "y)") z")sh", {{"a", "x $ z"}, {"b", "y)"}}},
    {"substitution_not_in_single_quotes", "a '$(b)'", {{"a", "$(b)"}}},
    {"backticks", "a `b \\`c\\`` d", {{"a", "$", "d"}, {"b", "$"}, {"c"}}},
    {"process_substitution", "a <(b) >(c)", {{"a", "$", "$"}, {"b"}, {"c"}}},
    {"here_document_in_substitution",
     "a -m \"$(cat <<'EOF'\nit's (done; b\nEOF\n)\" c",
     {{"a", "-m", "$", "c"}, {"cat"}}},
    {"assignment", "A=1 B='x y' a", {{"A=1", "B=x y", "a"}}},
    {"array", "A=(b c) && d", {{"A="}, {"d"}}},
    {"arithmetic", "a $((1 + (2))) b", {{"a", "$", "b"}}},
    {"parameter", "a ${b:-c d} $e", {{"a", "$", "$e"}}},
    {"case_pattern", "case x in y) b ;; esac", {{"case", "x", "in", "y"}, {"b"}, {"esac"}}},
    {"unfinished_quote", "a 'b; c", {{"a", "b; c"}}},
    {"unfinished_substitution", "a $(b", {{"a", "$"}, {"b"}}},
    {"backslash_at_the_end", "a \\", {{"a", ""}}},
};

class SplitShellCommand : public testing::TestWithParam<Case> {};

TEST_P(SplitShellCommand, gives_the_words_of_each_command) {
    EXPECT_EQ(split_shell_command(GetParam().text), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(Grammar, SplitShellCommand, testing::ValuesIn(kCases),
                         [](const auto& entry) { return std::string(entry.param.name); });

TEST(SplitShellCommandLimits, deep_nesting_is_skipped) {
    std::string text;
    for (int i = 0; i < 100000; ++i) {
        text += "$(a ";
    }
    const auto commands = split_shell_command(text);
    EXPECT_LE(commands.size(), static_cast<std::size_t>(kMaxShellNesting) + 2);
}

TEST(SplitShellCommandLimits, a_command_after_the_limit_is_ignored) {
    const std::string filler(kMaxShellBytes, ' ');
    EXPECT_TRUE(split_shell_command(filler + "a").empty());
}

TEST(SplitShellCommandLimits, any_truncated_command_line_is_parsed_to_its_end) {
    const std::string text =
        "A=(x) sudo 'b c' \"d $(e `f \\`g\\`` ${h} $((1+2)) <<'X'\nz\nX\n)\" $'i\\'' <(j) 2>&1 | k # l\n(m)";
    for (std::size_t length = 0; length <= text.size(); ++length) {
        for (const ShellWords& words : split_shell_command(text.substr(0, length))) {
            EXPECT_FALSE(words.empty());
        }
    }
}

}  // namespace
}  // namespace session_buddy::ingest
