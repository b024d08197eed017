// The simple commands of a command line, and how they are joined.
#include "session_buddy/ingest/shell_command.hpp"

#include <gtest/gtest.h>

namespace session_buddy::ingest {
namespace {

using Kind = ShellNode::Kind;

void add_commands(const ShellNode& node, std::vector<ShellWords>& commands) {
    if (node.kind == Kind::command && !node.words.empty()) {
        commands.push_back(node.words);
    }
    for (const auto* nodes : {&node.parts, &node.substitutions}) {
        for (const ShellNode& part : *nodes) {
            add_commands(part, commands);
        }
    }
}

/// The commands inside `$(…)`, backticks and `<(…)` follow the command that contains them.
std::vector<ShellWords> split_shell_command(std::string_view text) {
    std::vector<ShellWords> commands;
    add_commands(parse_shell_command(text), commands);
    return commands;
}

/// "a; b && c" → "list(a and_or(b c))"
std::string structure(const ShellNode& node) {
    static constexpr const char* kNames[] = {"command",  "pipeline",  "not",  "and_or", "list",    "background",
                                             "subshell", "condition", "loop", "choice", "function"};
    std::string text = node.is_alternative ? "||" : "";
    if (node.kind == Kind::command || node.kind == Kind::function) {
        text += node.words.empty() ? "" : node.words[0];
    }
    if (node.kind == Kind::command && node.substitutions.empty()) {
        return text;
    }
    text += node.kind == Kind::command ? "" : kNames[static_cast<std::size_t>(node.kind)];
    text += '(';
    for (const auto* nodes : {&node.parts, &node.substitutions}) {
        for (const ShellNode& part : *nodes) {
            text += (text.back() == '(' ? "" : " ") + structure(part);
        }
    }
    return text + ')';
}

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
    {"case_pattern", "case x in y) b ;; z|w) c;; esac; d", {{"b"}, {"c"}, {"d"}}},
    {"keywords", "if a; then b; elif c; then d; else e; fi", {{"a"}, {"b"}, {"c"}, {"d"}, {"e"}}},
    {"quoted_keywords_are_words", "'if' a; echo fi; \\{ b", {{"if", "a"}, {"echo", "fi"}, {"{", "b"}}},
    {"loops", "for x in $(a); do b; done; while c; do d; done", {{"b"}, {"a"}, {"c"}, {"d"}}},
    {"arithmetic_for", "for ((i=0; i<3; i++)); do b; done", {{"b"}}},
    {"functions", "t() { a; }; function u { b; }; t", {{"a"}, {"b"}, {"t"}}},
    {"test_with_operators", "[[ -f a && -n b ]] && c", {{"[[", "-f", "a", "-n", "b"}, {"c"}}},
    {"simple_parameters", "a $? ${x} ${PIPESTATUS[0]} \"$y\"", {{"a", "$?", "$x", "$PIPESTATUS[0]", "$y"}}},
    {"redirection_into_a_command", "a > >(b) c", {{"a", "c"}, {"b"}}},
    {"stray_keywords", "fi; a; done; b }", {{"a"}, {"b", "}"}}},
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

TEST(ParseShellCommand, shows_how_commands_are_joined) {
    const struct {
        const char* text;
        const char* expected;
    } cases[] = {
        {"a; b\nc", "list(a b c)"},
        {"a && b || c", "list(and_or(a b ||c))"},
        {"a &&\n  b |\n c", "list(and_or(a pipeline(b c)))"},
        {"a | b |& c; d", "list(pipeline(a b c) d)"},
        {"! a | b", "list(not(pipeline(a b)))"},
        {"a & b", "list(background(a) b)"},
        {"a && b & c", "list(background(and_or(a b)) c)"},
        {"(a; b) | c", "list(pipeline(subshell(list(a b)) c))"},
        {"{ a; b; } && c", "list(and_or(list(a b) c))"},
        {"if a; then b; else c; fi | d", "list(pipeline(condition(list(a) list(b) list(c)) d))"},
        {"while a; do b; done && c", "list(and_or(loop(list(a) list(b)) c))"},
        {"for x in y; do b; done", "list(loop(list(b)))"},
        {"case x in a) b;; *) c; d ;; esac || e", "list(and_or(choice(list(b) list(c d)) ||e))"},
        {"t() { a; }; t", "list(tfunction(list(a)) t)"},
        {"x=$(a | b)", "list(x=$(list(pipeline(a b))))"},
        {"a && ", "list(and_or(a))"},
        {"&& a", "list(a)"},
        {"if a; then b", "list(condition(list(a) list(b)))"},
        {"{ a; b", "list(list(a b))"},
        {"a ) b", "list(a b)"},
    };
    for (const auto& c : cases) {
        EXPECT_EQ(structure(parse_shell_command(c.text)), c.expected) << c.text;
    }
}

TEST(SplitShellCommandLimits, deep_nesting_is_skipped) {
    for (const char* opening :
         {"$(a ", "(a; ", "{ a; ", "if a; then ", "while a; do ", "case a in b) ", "t() { a; ", "! ", "> >(a "}) {
        std::string text;
        for (int i = 0; i < 20000; ++i) {
            text += opening;
        }
        EXPECT_LE(split_shell_command(text).size(), static_cast<std::size_t>(kMaxShellNesting) + 2) << opening;
    }
}

TEST(SplitShellCommandLimits, a_command_after_the_limit_is_ignored) {
    const std::string filler(kMaxShellBytes, ' ');
    EXPECT_TRUE(split_shell_command(filler + "a").empty());
}

TEST(SplitShellCommandLimits, any_truncated_command_line_is_parsed_to_its_end) {
    const std::string text =
        "A=(x) sudo 'b c' \"d $(e `f \\`g\\`` ${h} $((1+2)) <<'X'\nz\nX\n)\" $'i\\'' <(j) 2>&1 | k # l\n(m)\n"
        "if ! a; then b; elif c; then { d; }; fi; case x in y) e;; esac; t() { for f in g; do h; done; }; [[ i && j ]] "
        "|| k &";
    for (std::size_t length = 0; length <= text.size(); ++length) {
        for (const ShellWords& words : split_shell_command(text.substr(0, length))) {
            EXPECT_FALSE(words.empty());
        }
    }
}

}  // namespace
}  // namespace session_buddy::ingest
