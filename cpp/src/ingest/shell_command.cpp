// A recursive-descent parser for the part of the shell grammar that decides which words are commands and how their exit
// statuses are joined.
#include "session_buddy/ingest/shell_command.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "session_buddy/core/ascii.hpp"

namespace session_buddy::ingest {
namespace {

using Kind = ShellNode::Kind;

[[nodiscard]] bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

[[nodiscard]] bool is_digits(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, ascii::is_digit);
}

/// These end a list of commands that is part of a compound command.
constexpr std::array<std::string_view, 8> kListEnds = {"then", "elif", "else", "fi", "do", "done", "esac", "}"};

/// `name` or `name[0]`: a parameter without operators.
[[nodiscard]] bool is_simple_parameter(std::string_view text) {
    if (text == "?") {
        return true;
    }
    const std::string_view name = text.substr(0, text.find('['));
    const std::string_view index = text.substr(name.size());
    return !name.empty() && std::ranges::all_of(name, [](char c) { return ascii::is_alphanumeric_or("_", c); }) &&
           (index.empty() || (index.size() > 2 && index.back() == ']' && is_digits(index.substr(1, index.size() - 2))));
}

enum class Token : std::uint8_t {
    end,
    word,
    separator,
    double_semicolon,
    background,
    pipe,
    and_if,
    or_if,
    open,
    close
};

/// Parses from `pos` on. Each substitution has its own parser over the same text.
class Parser {
  public:
    Parser(std::string_view text, std::size_t& pos, int depth) : text_(text), pos_(pos), depth_(depth) {}

    /// Parses to the end or, for a substitution, past its closing parenthesis.
    [[nodiscard]] ShellNode parse(bool is_substitution) {
        ShellNode all;
        if (depth_ > kMaxShellNesting) {
            pos_ = text_.size();
            return all;
        }
        advance();
        while (token_ != Token::end && !(is_substitution && token_ == Token::close)) {
            parse_list(all);
            if (token_ == Token::word || (token_ == Token::close && !is_substitution) ||
                token_ == Token::double_semicolon) {
                advance();  // the grammar does not allow it here
            }
        }
        return all;
    }

  private:
    struct HereDocument {
        std::string delimiter;
        bool strip_tabs;
    };

    // --- Grammar. token_ is the next token; advance() reads the one after it.

    [[nodiscard]] bool is_keyword(std::string_view keyword) const {
        return token_ == Token::word && !is_quoted_ && word_ == keyword;
    }

    [[nodiscard]] bool is_list_end() const {
        return token_ == Token::word && !is_quoted_ && std::ranges::find(kListEnds, word_) != kListEnds.end();
    }

    /// Skips the keyword if it stands here.
    bool skip_keyword(std::string_view keyword) {
        const bool found = is_keyword(keyword);
        if (found) {
            advance();
        }
        return found;
    }

    void skip_separators() {
        while (token_ == Token::separator || token_ == Token::background) {
            advance();
        }
    }

    void parse_list(ShellNode& list) {
        list.kind = Kind::list;
        while (true) {
            skip_separators();
            const bool is_join = token_ == Token::pipe || token_ == Token::and_if || token_ == Token::or_if;
            if (is_join) {
                advance();  // nothing stands before it
                continue;
            }
            if ((token_ != Token::word && token_ != Token::open) || is_list_end()) {
                return;
            }
            ShellNode node = parse_and_or();
            if (token_ == Token::background) {
                advance();
                list.parts.push_back({.kind = Kind::background});
                list.parts.back().parts.push_back(std::move(node));
            } else {
                list.parts.push_back(std::move(node));
            }
        }
    }

    [[nodiscard]] ShellNode parse_nested_list() {
        ShellNode list;
        if (++depth_ > kMaxShellNesting) {
            pos_ = text_.size();
            token_ = Token::end;
        } else {
            parse_list(list);
        }
        --depth_;
        return list;
    }

    [[nodiscard]] ShellNode parse_and_or() {
        ShellNode first = parse_pipeline();
        if (token_ != Token::and_if && token_ != Token::or_if) {
            return first;
        }
        ShellNode all{.kind = Kind::and_or};
        all.parts.push_back(std::move(first));
        while (token_ == Token::and_if || token_ == Token::or_if) {
            const bool is_alternative = token_ == Token::or_if;
            advance();
            if (starts_command()) {
                all.parts.push_back(parse_pipeline());
                all.parts.back().is_alternative = is_alternative;
            }
        }
        return all;
    }

    /// Skips line ends before the command.
    [[nodiscard]] bool starts_command() {
        while (token_ == Token::separator) {
            advance();
        }
        return (token_ == Token::word || token_ == Token::open) && !is_list_end();
    }

    [[nodiscard]] ShellNode parse_pipeline() {
        bool is_negated = false;
        while (is_keyword("!")) {
            is_negated = !is_negated;
            advance();
        }
        ShellNode node = parse_command();
        if (token_ == Token::pipe) {
            ShellNode all{.kind = Kind::pipeline};
            all.parts.push_back(std::move(node));
            while (token_ == Token::pipe) {
                advance();
                if (starts_command()) {
                    all.parts.push_back(parse_command());
                }
            }
            node = std::move(all);
        }
        if (is_negated) {
            ShellNode negation{.kind = Kind::negation};
            negation.parts.push_back(std::move(node));
            return negation;
        }
        return node;
    }

    [[nodiscard]] ShellNode parse_command() {
        if (token_ == Token::open) {
            advance();
            ShellNode subshell{.kind = Kind::subshell};
            subshell.parts.push_back(parse_nested_list());
            while (token_ != Token::close && token_ != Token::end) {
                advance();  // the grammar does not allow it here
                subshell.parts.push_back(parse_nested_list());
            }
            if (token_ == Token::close) {
                advance();
            }
            return subshell;
        }
        ShellNode node;
        if (is_quoted_ || !parse_compound(node)) {
            node = parse_simple_command();
        }
        return node;
    }

    /// False if no compound command starts here.
    [[nodiscard]] bool parse_compound(ShellNode& node) {
        if (skip_keyword("{")) {
            node = parse_nested_list();
            skip_keyword("}");
        } else if (skip_keyword("if")) {
            node = parse_if();
        } else if (is_keyword("while") || is_keyword("until")) {
            advance();
            node.kind = Kind::loop;
            node.parts.push_back(parse_nested_list());
            node.parts.push_back(parse_loop_body());
        } else if (is_keyword("for") || is_keyword("select")) {
            // The words before the body, also those of "for ((;;))", are no commands.
            node.kind = Kind::loop;
            while (token_ != Token::end && !is_keyword("do")) {
                advance();
            }
            node.substitutions = std::exchange(substitutions_, {});
            node.parts.push_back(parse_loop_body());
        } else if (is_keyword("case")) {
            node = parse_case();
        } else if (is_keyword("[[")) {
            node = parse_test();
        } else if (skip_keyword("function")) {
            node = parse_function(take_word());
        } else {
            return false;
        }
        return true;
    }

    [[nodiscard]] ShellNode parse_loop_body() {
        skip_keyword("do");
        ShellNode body = parse_nested_list();
        skip_keyword("done");
        return body;
    }

    [[nodiscard]] ShellNode parse_if() {
        ShellNode node{.kind = Kind::condition};
        do {
            node.parts.push_back(parse_nested_list());
            skip_keyword("then");
            node.parts.push_back(parse_nested_list());
        } while (skip_keyword("elif"));
        if (skip_keyword("else")) {
            node.parts.push_back(parse_nested_list());
        }
        skip_keyword("fi");
        return node;
    }

    [[nodiscard]] ShellNode parse_case() {
        ShellNode node{.kind = Kind::choice};
        while (token_ != Token::end && !is_keyword("in")) {
            advance();
        }
        skip_keyword("in");
        node.substitutions = std::exchange(substitutions_, {});
        while (true) {
            skip_separators();
            if (token_ == Token::end || skip_keyword("esac")) {
                return node;
            }
            while (token_ != Token::end && token_ != Token::close) {
                advance();  // the pattern
            }
            if (token_ == Token::close) {
                advance();
            }
            node.parts.push_back(parse_nested_list());
            if (token_ == Token::double_semicolon) {
                advance();
            } else if (!skip_keyword("esac")) {
                skip_separators();
                if (token_ == Token::end || token_ == Token::close) {
                    return node;
                }
            } else {
                return node;
            }
        }
    }

    /// "[[ a && b ]]": operators are part of it.
    [[nodiscard]] ShellNode parse_test() {
        ShellNode node{.kind = Kind::command};
        while (token_ != Token::end && !is_keyword("]]")) {
            if (token_ == Token::word) {
                node.words.push_back(take_word());
            } else {
                advance();
            }
        }
        skip_keyword("]]");
        node.substitutions = std::exchange(substitutions_, {});
        return node;
    }

    [[nodiscard]] ShellNode parse_function(std::string name) {
        ShellNode node{.kind = Kind::function};
        node.words.push_back(std::move(name));
        while (token_ == Token::open || token_ == Token::close || token_ == Token::separator) {
            advance();
        }
        if (++depth_ <= kMaxShellNesting && starts_command()) {
            node.parts.push_back(parse_command());
        }
        --depth_;
        return node;
    }

    [[nodiscard]] ShellNode parse_simple_command() {
        ShellNode node{.kind = Kind::command};
        is_redirected_ = false;  // what stands before the first word may belong to another command
        while (token_ == Token::word) {
            const bool is_plain = !is_quoted_;
            node.words.push_back(take_word());
            if (token_ == Token::open) {
                if (node.words.size() == 1 && is_plain && peek() == ')') {
                    return parse_function(std::move(node.words[0]));
                }
                break;
            }
            if (node.words.size() == 1 && is_plain && node.words[0] == "time" &&
                (is_keyword("{") || is_keyword("if") || is_keyword("while") || is_keyword("for"))) {
                break;
            }
        }
        node.substitutions = std::exchange(substitutions_, {});
        node.is_redirected = is_redirected_;
        return node;
    }

    [[nodiscard]] std::string take_word() {
        std::string word = std::move(word_);
        word_.clear();
        if (token_ == Token::word) {
            advance();
        }
        return word;
    }

    // --- Tokens.

    [[nodiscard]] char peek(std::size_t ahead = 0) const {
        return pos_ + ahead < text_.size() ? text_[pos_ + ahead] : '\0';
    }

    void advance() { token_ = read_token(); }

    [[nodiscard]] Token read_token() {
        while (pos_ < text_.size()) {
            const char c = peek();
            if (is_blank(c)) {
                ++pos_;
            } else if (c == '\\' && peek(1) == '\n') {
                pos_ += 2;
            } else if (c == '#') {
                pos_ = std::min(text_.find('\n', pos_), text_.size());
            } else if (c == '<' || c == '>' || (c == '&' && peek(1) == '>')) {
                if (redirection()) {
                    return Token::word;
                }
            } else if (std::string_view("\n;&|()").find(c) != std::string_view::npos) {
                return read_operator(c);
            } else if (read_word()) {
                return Token::word;
            }
        }
        return Token::end;
    }

    [[nodiscard]] Token read_operator(char c) {
        ++pos_;
        switch (c) {
            case '\n':
                skip_here_documents();
                return Token::separator;
            case ';':
                if (peek() == ';' || peek() == '&') {
                    pos_ += peek() == ';' && peek(1) == '&' ? 2U : 1U;
                    return Token::double_semicolon;
                }
                return Token::separator;
            case '&':
                return skip('&') ? Token::and_if : Token::background;
            case '|':
                if (skip('|')) {
                    return Token::or_if;
                }
                skip('&');
                return Token::pipe;
            case '(':
                return Token::open;
            default:
                return Token::close;
        }
    }

    bool skip(char c) {
        const bool found = peek() == c;
        pos_ += found ? 1U : 0U;
        return found;
    }

    /// False if it was no word but the file descriptor of a redirection.
    bool read_word() {
        word_.clear();
        is_quoted_ = false;
        read_word_rest();
        return !((peek() == '<' || peek() == '>') && !is_quoted_ && is_digits(word_));
    }

    void read_word_rest() {
        while (pos_ < text_.size()) {
            const char c = peek();
            if (c == '(' && !word_.empty() && word_.back() == '=') {
                skip_balanced('(', ')');  // an array
            } else if (is_blank(c) || std::string_view("\n;&|()<>").find(c) != std::string_view::npos) {
                return;
            } else if (c == '\\') {
                is_quoted_ = true;
                backslash();
            } else if (c == '\'') {
                is_quoted_ = true;
                single_quotes();
            } else if (c == '"') {
                is_quoted_ = true;
                double_quotes();
            } else if (c == '`') {
                backticks();
            } else if (c == '$') {
                dollar();
            } else {
                word_ += c;
                ++pos_;
            }
        }
    }

    void backslash() {
        ++pos_;
        if (pos_ >= text_.size()) {
            return;
        }
        if (peek() == '\n') {  // a continued line
            ++pos_;
            return;
        }
        word_ += text_[pos_++];
    }

    void single_quotes() {
        const std::size_t end = std::min(text_.find('\'', pos_ + 1), text_.size());
        word_ += text_.substr(pos_ + 1, end - pos_ - 1);
        pos_ = std::min(end + 1, text_.size());
    }

    void ansi_quotes() {
        pos_ += 2;  // $'
        while (pos_ < text_.size() && peek() != '\'') {
            if (peek() == '\\' && pos_ + 1 < text_.size()) {
                ++pos_;
            }
            word_ += text_[pos_++];
        }
        pos_ = std::min(pos_ + 1, text_.size());
    }

    void double_quotes() {
        ++pos_;
        while (pos_ < text_.size() && peek() != '"') {
            const char c = peek();
            if (c == '\\' && pos_ + 1 < text_.size()) {
                const char next = peek(1);
                if (next != '\n') {
                    if (next != '"' && next != '\\' && next != '$' && next != '`') {
                        word_ += c;
                    }
                    word_ += next;
                }
                pos_ += 2;
            } else if (c == '`') {
                backticks();
            } else if (c == '$' && peek(1) != '\'' && peek(1) != '"') {
                dollar();
            } else {
                word_ += c;
                ++pos_;
            }
        }
        pos_ = std::min(pos_ + 1, text_.size());
    }

    void backticks() {
        std::string inner;
        ++pos_;
        while (pos_ < text_.size() && peek() != '`') {
            if (peek() == '\\' && (peek(1) == '`' || peek(1) == '\\' || peek(1) == '$')) {
                ++pos_;
            }
            inner += text_[pos_++];
        }
        pos_ = std::min(pos_ + 1, text_.size());
        word_ += '$';
        std::size_t inner_pos = 0;
        substitutions_.push_back(Parser(inner, inner_pos, depth_ + 1).parse(false));
    }

    void dollar() {
        const char next = peek(1);
        if (next == '(' && peek(2) == '(') {
            pos_ += 1;
            skip_balanced('(', ')');
            word_ += '$';
        } else if (next == '(') {
            pos_ += 2;
            word_ += '$';
            substitute();
        } else if (next == '{') {
            const std::size_t start = pos_ + 2;
            pos_ += 1;
            skip_balanced('{', '}');
            word_ += '$';
            const std::string_view inside = text_.substr(start, pos_ > start ? pos_ - start - 1 : 0);
            if (is_simple_parameter(inside)) {
                word_ += inside;
            }
        } else if (next == '\'') {
            ansi_quotes();
        } else {
            word_ += '$';
            ++pos_;
        }
    }

    void substitute() { substitutions_.push_back(Parser(text_, pos_, depth_ + 1).parse(true)); }

    /// Skips a bracket and everything up to its closing one; brackets in quotes do not count.
    void skip_balanced(char open, char close) {
        int level = 0;
        while (pos_ < text_.size()) {
            const char c = text_[pos_++];
            if (c == '\\') {
                ++pos_;
            } else if (c == '\'' || c == '"') {
                pos_ = std::min(text_.find(c, pos_), text_.size() - 1) + 1;
            } else if (c == open) {
                ++level;
            } else if (c == close && --level == 0) {
                return;
            }
        }
        pos_ = std::min(pos_, text_.size());
    }

    /// True if it is a word: <(…) or >(…).
    bool redirection() {
        skip('&');
        const char first = text_[pos_++];
        if (skip('(')) {
            word_ = '$';
            is_quoted_ = false;
            substitute();
            return true;
        }
        if (first == '<' && skip('<')) {
            if (!skip('<')) {
                here_document();
                return false;
            }
        } else {
            is_redirected_ = is_redirected_ || (first == '>' && peek() != '&');
            if (peek() == '>' || peek() == '&' || peek() == '|') {
                ++pos_;
            }
        }
        while (is_blank(peek())) {
            ++pos_;
        }
        if ((peek() == '>' || peek() == '<') && peek(1) == '(') {  // > >(…)
            static_cast<void>(redirection());
        } else {
            static_cast<void>(read_word());  // the target
        }
        return false;
    }

    void here_document() {
        const bool strip_tabs = peek() == '-';
        if (strip_tabs) {
            ++pos_;
        }
        while (is_blank(peek())) {
            ++pos_;
        }
        std::string delimiter;
        while (pos_ < text_.size()) {
            const char c = peek();
            if (c == '\'' || c == '"') {
                const std::size_t end = std::min(text_.find(c, pos_ + 1), text_.size());
                delimiter += text_.substr(pos_ + 1, end - pos_ - 1);
                pos_ = std::min(end + 1, text_.size());
            } else if (c == '\\') {
                ++pos_;
            } else if (is_blank(c) || std::string_view("\n;&|<>()").find(c) != std::string_view::npos) {
                break;
            } else {
                delimiter += c;
                ++pos_;
            }
        }
        here_documents_.push_back({.delimiter = std::move(delimiter), .strip_tabs = strip_tabs});
    }

    void skip_here_documents() {
        for (const HereDocument& document : here_documents_) {
            while (pos_ < text_.size()) {
                const std::size_t end = std::min(text_.find('\n', pos_), text_.size());
                std::string_view line = text_.substr(pos_, end - pos_);
                pos_ = std::min(end + 1, text_.size());
                if (document.strip_tabs) {
                    line.remove_prefix(std::min(line.find_first_not_of('\t'), line.size()));
                }
                if (line == document.delimiter) {
                    break;
                }
            }
        }
        here_documents_.clear();
    }

    std::string_view text_;
    std::size_t& pos_;
    int depth_;
    Token token_ = Token::end;
    std::string word_;  // of a token that is a word
    bool is_quoted_ = false;
    bool is_redirected_ = false;            // of the current command
    std::vector<ShellNode> substitutions_;  // of the current command
    std::vector<HereDocument> here_documents_;
};

}  // namespace

ShellNode parse_shell_command(std::string_view text) {
    text = text.substr(0, kMaxShellBytes);
    std::size_t pos = 0;
    return Parser(text, pos, 0).parse(false);
}

}  // namespace session_buddy::ingest
