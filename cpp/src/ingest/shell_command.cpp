// A parser for the part of the shell grammar that decides which words are commands: quoting, lists, nesting,
// here-documents.
#include "session_buddy/ingest/shell_command.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "session_buddy/core/ascii.hpp"

namespace session_buddy::ingest {
namespace {

[[nodiscard]] bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

[[nodiscard]] bool is_digits(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, ascii::is_digit);
}

/// Parses one list of commands from `text`, starting at `pos`; each nesting level has its own parser object over the
/// same text.
class ListParser {
  public:
    ListParser(std::string_view text, std::size_t& pos, int depth) : text_(text), pos_(pos), depth_(depth) {}

    /// Parses to the end or, for a nested list, past its closing parenthesis.
    [[nodiscard]] std::vector<ShellWords> parse(bool nested) {
        if (depth_ > kMaxShellNesting) {
            pos_ = text_.size();
            return {};
        }
        while (pos_ < text_.size()) {
            if (nested && peek() == ')') {
                ++pos_;
                break;
            }
            step();
        }
        end_command();
        return std::move(commands_);
    }

  private:
    struct HereDocument {
        std::string delimiter;
        bool strip_tabs;
    };

    [[nodiscard]] char peek(std::size_t ahead = 0) const {
        return pos_ + ahead < text_.size() ? text_[pos_ + ahead] : '\0';
    }

    void step() {
        const char c = peek();
        if (is_blank(c)) {
            end_word();
            ++pos_;
        } else if (c == '\n') {
            ++pos_;
            end_command();
            skip_here_documents();
        } else if (c == '#' && !in_word_) {
            pos_ = std::min(text_.find('\n', pos_), text_.size());
        } else if (c == '&' && peek(1) == '>') {
            ++pos_;
            redirection();
        } else if (c == ';' || c == '&' || c == '|' || c == ')') {
            ++pos_;
            end_command();
        } else if (c == '(') {
            parenthesis();
        } else if (c == '<' || c == '>') {
            redirection();
        } else {
            word_part();
        }
    }

    /// A part of a word: quoted, expanded or a plain character.
    void word_part() {
        const char c = peek();
        in_word_ = true;
        if (c == '\\') {
            backslash();
        } else if (c == '\'') {
            single_quotes();
        } else if (c == '"') {
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

    void backslash() {
        ++pos_;
        if (pos_ >= text_.size()) {
            return;
        }
        if (peek() == '\n') {  // a continued line, not a word
            ++pos_;
            in_word_ = !word_.empty();
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
        add_substituted(ListParser(inner, inner_pos, depth_ + 1).parse(false));
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
            add_substituted(ListParser(text_, pos_, depth_ + 1).parse(true));
        } else if (next == '{') {
            pos_ += 1;
            skip_balanced('{', '}');
            word_ += '$';
        } else if (next == '\'') {
            ansi_quotes();
        } else {
            word_ += '$';
            ++pos_;
        }
    }

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

    /// `(` opens a subshell, or an array after an assignment.
    void parenthesis() {
        if (in_word_ && !word_.empty() && word_.back() == '=') {
            skip_balanced('(', ')');
            return;
        }
        end_command();
        ++pos_;
        for (ShellWords& words : ListParser(text_, pos_, depth_ + 1).parse(true)) {
            commands_.push_back(std::move(words));
        }
    }

    void redirection() {
        if (is_digits(word_)) {  // the file descriptor in 2>&1
            word_.clear();
            in_word_ = false;
        }
        end_word();
        const char first = text_[pos_++];
        if (peek() == '(') {  // <(…), >(…)
            ++pos_;
            in_word_ = true;
            word_ += '$';
            add_substituted(ListParser(text_, pos_, depth_ + 1).parse(true));
            return;
        }
        if (first == '<' && peek() == '<') {
            ++pos_;
            if (peek() == '<') {
                ++pos_;
            } else {
                here_document();
                return;
            }
        } else if (peek() == '>' || peek() == '&' || peek() == '|') {
            ++pos_;
        }
        skip_word_ = true;
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

    void add_substituted(std::vector<ShellWords> commands) {
        std::ranges::move(commands, std::back_inserter(substituted_));
    }

    void end_word() {
        if (!in_word_) {
            return;
        }
        if (skip_word_) {
            skip_word_ = false;
        } else {
            words_.push_back(std::move(word_));
        }
        word_.clear();
        in_word_ = false;
    }

    void end_command() {
        end_word();
        skip_word_ = false;
        if (!words_.empty()) {
            commands_.push_back(std::move(words_));
            words_.clear();
        }
        std::ranges::move(substituted_, std::back_inserter(commands_));
        substituted_.clear();
    }

    std::string_view text_;
    std::size_t& pos_;
    int depth_;
    std::vector<ShellWords> commands_;
    std::vector<ShellWords> substituted_;  // of the current command
    ShellWords words_;
    std::string word_;
    bool in_word_ = false;
    bool skip_word_ = false;  // the next word is the target of a redirection
    std::vector<HereDocument> here_documents_;
};

}  // namespace

std::vector<ShellWords> split_shell_command(std::string_view text) {
    text = text.substr(0, kMaxShellBytes);
    std::size_t pos = 0;
    return ListParser(text, pos, 0).parse(false);
}

}  // namespace session_buddy::ingest
