// Compares the last lines of an output with the lines of the tools that the command ran. The lines have many forms in
// practice, but each is simple, so that a matcher with two wildcards is enough. A library of regular expressions would
// compile its automaton in each process of a hook, and must not be std::regex, which recurses once per character.
#include "session_buddy/ingest/output_verdict.hpp"

#include <algorithm>
#include <array>
#include <bitset>
#include <vector>

#include "session_buddy/core/ascii.hpp"
#include "session_buddy/ingest/skill_name.hpp"
#include "verdict_lines.hpp"

namespace session_buddy::ingest {
namespace {

/// What follows in a longer line does not matter to any pattern.
constexpr std::size_t kMaxVerdictLineBytes = 400;
/// Further tools of one command are not considered.
constexpr std::size_t kMaxTools = 16;
constexpr std::size_t kNoTool = kMaxTools;
constexpr std::string_view kLineBlanks = " \t\r";

// ---- Lines

/// Copies a line without terminal control sequences to `buffer`; the result refers to it, or to `line`, if that has
/// none.
[[nodiscard]] std::string_view without_colors(std::string_view line, std::array<char, kMaxVerdictLineBytes>& buffer) {
    constexpr char kEscape = '\x1b';
    if (line.find(kEscape) == std::string_view::npos) {
        return line.substr(0, kMaxVerdictLineBytes);
    }
    std::size_t size = 0;
    for (std::size_t at = 0; at < line.size() && size < buffer.size(); ++at) {
        if (line[at] != kEscape) {
            buffer[size++] = line[at];
        } else if (at + 1 < line.size() && line[at + 1] == '[') {  // up to a final byte: ESC [ 1 ; 31 m
            at += 2;
            while (at < line.size() && (line[at] < '@' || line[at] > '~')) {
                ++at;
            }
        } else if (at + 1 < line.size() && line[at + 1] == ']') {  // up to BEL or ESC \: a link or title
            at += 2;
            while (at < line.size() && line[at] != '\a' && line[at] != kEscape) {
                ++at;
            }
            if (at < line.size() && line[at] == kEscape) {
                ++at;
            }
        } else {  // ESC ( B
            ++at;
            while (at < line.size() && line[at] >= ' ' && line[at] <= '/') {
                ++at;
            }
        }
    }
    return {buffer.data(), size};
}

[[nodiscard]] std::string_view without_blanks(std::string_view line) {
    line.remove_prefix(std::min(line.find_first_not_of(kLineBlanks), line.size()));
    return line.substr(0, line.find_last_not_of(kLineBlanks) + 1);
}

/// What a terminal would show of a line that a progress display overwrote.
[[nodiscard]] std::string_view after_last_carriage_return(std::string_view line) {
    line = line.substr(0, line.find_last_not_of(kLineBlanks) + 1);
    const std::size_t at = line.rfind('\r');
    return at == std::string_view::npos ? line : line.substr(at + 1);
}

/// Without a frame such as "===== text =====" or "!!!! text !!!!".
[[nodiscard]] std::string_view unframed(std::string_view line) {
    if (line.size() < 2 || (line[0] != '=' && line[0] != '!') || line[1] != line[0]) {
        return line;
    }
    const std::string_view frame = line.substr(0, 1);
    std::string_view inside = line;
    inside.remove_prefix(std::min(inside.find_first_not_of(frame), inside.size()));
    if (inside.empty() || inside.front() != ' ') {
        return line;
    }
    return without_blanks(inside.substr(0, inside.find_last_not_of(frame) + 1));
}

[[nodiscard]] bool is_all(std::string_view text, std::string_view characters) {
    return !text.empty() && text.find_first_not_of(characters) == std::string_view::npos;
}

/// The line after what others write in front of each line: a time, "[name] ", "service | ", the number of `grep -n`,
/// "package:task: " (turbo) or "package task: " (pnpm). Empty if there is none of these.
[[nodiscard]] std::string_view without_prefix(std::string_view line) {
    const std::size_t blank = line.find(' ');
    if (blank == std::string_view::npos) {
        return {};
    }
    const std::string_view first = line.substr(0, blank);
    const std::string_view rest = without_blanks(line.substr(blank));
    if (first.size() >= 8 && ascii::is_digit(first[0]) && is_all(first, "0123456789:-.,TZ+")) {
        return rest;
    }
    if (line.front() == '[') {
        const std::size_t end = line.find("] ");
        return end == std::string_view::npos ? std::string_view{} : without_blanks(line.substr(end + 1));
    }
    if (rest.starts_with("| ")) {
        return without_blanks(rest.substr(1));
    }
    const std::size_t colon = first.find(':');
    if (first.back() == ':' && colon + 1 < first.size() && !ascii::is_digit(first[colon + 1])) {
        return rest;
    }
    constexpr std::array<std::string_view, 6> kTasks{
        "test: ", "build: ", "lint: ", "check: ", "typecheck: ", "format: "};
    for (const std::string_view task : kTasks) {
        if (rest.starts_with(task)) {
            return without_blanks(rest.substr(task.size()));
        }
    }
    const std::size_t number = line.find_first_not_of("0123456789");
    if (number > 0 && number < line.size() && line[number] == ':') {
        return without_blanks(line.substr(number + 1));
    }
    return {};
}

/// The last lines of an output, in order.
class LastLines {
  public:
    explicit LastLines(std::string_view output) : rest_(output) {
        if (rest_.size() > kMaxVerdictBytes) {  // the first line is not complete
            rest_.remove_prefix(rest_.size() - kMaxVerdictBytes - 1);
            rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size() - 1) + 1);
        }
    }

    /// False at the end. The line is valid until the next call; it may be empty.
    [[nodiscard]] bool next(std::string_view& line) {
        if (rest_.empty()) {
            return false;
        }
        const std::size_t end = std::min(rest_.find('\n'), rest_.size());
        line = unframed(without_blanks(without_colors(after_last_carriage_return(rest_.substr(0, end)), buffer_)));
        rest_.remove_prefix(std::min(end + 1, rest_.size()));
        return true;
    }

  private:
    std::string_view rest_;
    std::array<char, kMaxVerdictLineBytes> buffer_{};
};

// ---- Tools

/// An entry of the comma-separated names covers this skill.
[[nodiscard]] bool lists_skill(std::string_view names, std::string_view skill) {
    while (!names.empty()) {
        const std::size_t end = std::min(names.find(','), names.size());
        const std::string_view name = names.substr(0, end);
        if (name.ends_with('*') ? skill.starts_with(name.substr(0, name.size() - 1)) : skill == name) {
            return true;
        }
        names.remove_prefix(std::min(end + 1, names.size()));
    }
    return false;
}

[[nodiscard]] bool is_built_in(std::string_view skill) {
    return std::ranges::any_of(default_tool_rules(), [&](const ToolRule& rule) { return rule.skill == skill; });
}

/// What the words of a wrapper's name say about the tools inside: "npm run lint", "make:check".
[[nodiscard]] ToolKind kind_by_name(std::string_view skill) {
    struct Part {
        std::string_view text;
        ToolKind kind;
    };
    constexpr std::array<Part, 8> kParts{{{.text = "test", .kind = ToolKind::test},
                                          {.text = "spec", .kind = ToolKind::test},
                                          {.text = "lint", .kind = ToolKind::check},
                                          {.text = "check", .kind = ToolKind::check},
                                          {.text = "type", .kind = ToolKind::check},
                                          {.text = "format", .kind = ToolKind::check},
                                          {.text = "build", .kind = ToolKind::build},
                                          {.text = "compile", .kind = ToolKind::build}}};
    const auto* part =
        std::ranges::find_if(kParts, [&](const Part& each) { return skill.find(each.text) != std::string_view::npos; });
    return part == kParts.end() ? ToolKind::other : part->kind;
}

[[nodiscard]] std::string_view word_at_start(std::string_view text) {
    return text.substr(0, text.find(' '));
}

[[nodiscard]] std::string_view program_of(const ToolVerdicts& tool) {
    return tool.program.empty() ? word_at_start(tool.skills.substr(0, tool.skills.find(','))) : tool.program;
}

/// The program that a shell, Python or uv says that it cannot find; empty if the line says no such thing.
[[nodiscard]] std::string_view missing_program(std::string_view line) {
    const auto after = [&](std::string_view text) {
        const std::size_t at = line.find(text);
        return at == std::string_view::npos ? std::string_view{} : line.substr(at + text.size());
    };
    const auto last_word_before = [&](std::string_view suffix) {
        const std::string_view before = line.substr(0, line.size() - suffix.size());
        return before.substr(before.rfind(' ') + 1);
    };
    if (line.ends_with(": command not found")) {  // bash
        return last_word_before(": command not found");
    }
    if (line.starts_with("zsh:") || line.starts_with("(eval):")) {
        return after("command not found: ");
    }
    if (line.ends_with(": not found") && (line.starts_with("sh: ") || line.starts_with("/bin/sh: "))) {
        return last_word_before(": not found");
    }
    if (line.starts_with("error: Failed to spawn: `")) {  // uv
        const std::string_view program = after("`");
        return program.substr(0, program.find('`'));
    }
    return line.starts_with('/') || line.starts_with("python") ? after(": No module named ") : std::string_view{};
}

/// Whether a line of a program that no pattern knows looks like a failure.
[[nodiscard]] bool looks_failed(std::string_view line) {
    constexpr std::array<std::string_view, 8> kParts{"rror: ",      "Traceback (",  "FAIL",      "failed with",
                                                     "exited with", "exit status ", "exit code", "ERROR"};
    return std::ranges::any_of(kParts,
                               [&](std::string_view part) { return line.find(part) != std::string_view::npos; });
}

// ---- Patterns

/// The set of the ASCII characters in a text: a quick way to see that a line lacks something that a pattern needs.
class Characters {
  public:
    constexpr void add(char c) {
        const auto value = static_cast<unsigned char>(c);
        halves_[(value >> 6U) & 1U] |= std::uint64_t{1} << (value & 63U);
    }
    [[nodiscard]] bool contain(const Characters& others) const {
        return (others.halves_[0] & ~halves_[0]) == 0 && (others.halves_[1] & ~halves_[1]) == 0;
    }

  private:
    std::array<std::uint64_t, 2> halves_{};
};

[[nodiscard]] Characters characters_of(std::string_view text) {
    Characters result;
    for (const char c : text) {
        result.add(c);
    }
    return result;
}

/// Those that every line that a pattern matches has.
[[nodiscard]] Characters needed_by(std::string_view pattern) {
    constexpr std::string_view kSpecial = "#~&@* ";
    Characters result;
    for (std::size_t at = 0; at < pattern.size(); ++at) {
        if (pattern[at] == '\\') {
            ++at;
        } else if (kSpecial.find(pattern[at]) != std::string_view::npos) {
            continue;
        }
        result.add(pattern[at]);
    }
    return result;
}

struct IndexedLine {
    std::uint8_t tool;  // in tool_verdicts()
    Says says;
    std::string_view text;
    Characters needed;
};

/// All patterns, by the first character of the lines that they can match.
class PatternIndex {
  public:
    [[nodiscard]] static const PatternIndex& get() {
        static const PatternIndex index;
        return index;
    }

    [[nodiscard]] std::span<const IndexedLine> beginning_with(char c) const {
        return patterns_[static_cast<unsigned char>(ascii::is_digit(c) ? '0' : c)];
    }
    /// Those that begin with a wildcard.
    [[nodiscard]] std::span<const IndexedLine> with_any_beginning() const { return patterns_[0]; }

  private:
    PatternIndex() {
        const std::span<const ToolVerdicts> tools = tool_verdicts();
        for (std::size_t tool = 0; tool < tools.size(); ++tool) {
            for (const VerdictLine& line : tools[tool].lines) {
                patterns_[first_of(line.pattern)].push_back({.tool = static_cast<std::uint8_t>(tool),
                                                             .says = line.says,
                                                             .text = line.pattern,
                                                             .needed = needed_by(line.pattern)});
            }
        }
    }

    [[nodiscard]] static unsigned char first_of(std::string_view pattern) {
        switch (pattern.front()) {
            case '#':
            case '~':
                return '0';
            case '@':
            case '*':
                return 0;
            case '\\':
                return static_cast<unsigned char>(pattern[1]);
            default:
                return static_cast<unsigned char>(ascii::is_digit(pattern.front()) ? '0' : pattern.front());
        }
    }

    std::array<std::vector<IndexedLine>, 256> patterns_;
};

// ---- The verdict

class Judge {
  public:
    Judge(std::span<const std::string> skills, LinesShown shown)
        : skills_(skills.first(std::min(skills.size(), kMaxTools))), shown_(shown) {
        const std::span<const ToolVerdicts> tools = tool_verdicts();
        for (std::size_t i = 0; i < skills_.size(); ++i) {
            const auto found = std::ranges::find_if(
                tools, [&](const ToolVerdicts& tool) { return lists_skill(tool.skills, skills_[i]); });
            if (found != tools.end()) {
                seen_[i].tool = &*found;
                seen_[i].inner = found->inner;
            } else if (skills_[i] != kUnknownCommand &&
                       !is_built_in(skills_[i])) {  // the user's own name for a command, which may run anything
                seen_[i].inner = Inner::all;
            }
            seen_[i].kind = kind_by_name(skills_[i]);
        }
        for (std::size_t tool = 0; tool < tools.size(); ++tool) {
            owners_[tool] = owner_of(tools[tool]);
        }
    }

    [[nodiscard]] bool has_tools() const {
        return std::ranges::any_of(owners_, [](std::size_t owner) { return owner != kNoTool; });
    }

    void read(std::string_view line) {
        for (int prefixes = 0; prefixes < 3 && !line.empty(); ++prefixes) {
            if (is_known(line)) {
                return;
            }
            if (prefixes == 0) {
                read_unknown(line);
            }
            line = without_prefix(line);
        }
    }

    [[nodiscard]] std::optional<OutputVerdict> verdict() const {
        for (const Outcome outcome : {Outcome::failed, Outcome::completed}) {
            for (std::size_t i = 0; i < skills_.size(); ++i) {
                if (outcome == Outcome::failed ? seen_[i].failed : seen_[i].passed) {
                    return OutputVerdict{.outcome = outcome, .tool = i};
                }
            }
        }
        return std::nullopt;
    }

  private:
    /// What the output shows of a tool of the command.
    struct Seen {
        const ToolVerdicts* tool = nullptr;  ///< null if the table has none for this skill
        Inner inner = Inner::none;
        ToolKind kind = ToolKind::other;  ///< as its name says
        bool failed = false;
        bool passed = false;
    };

    /// The tool of the command that the lines of this tool are about: the tool itself, or a wrapper that may have run
    /// it.
    [[nodiscard]] std::size_t owner_of(const ToolVerdicts& tool) const {
        std::size_t owner = kNoTool;
        int best = -1;
        for (std::size_t i = 0; i < skills_.size(); ++i) {
            if (seen_[i].tool == &tool) {
                return i;
            }
            const ToolKind kind = kind_by_name(skills_[i]);
            const int fit = seen_[i].inner == Inner::none ? -1
                            : kind == tool.kind           ? 2
                            : kind == ToolKind::other     ? 1
                                                          : 0;
            if (fit > best) {
                best = fit;
                owner = i;
            }
        }
        return owner;
    }

    [[nodiscard]] bool is_known(std::string_view line) {
        const PatternIndex& index = PatternIndex::get();
        const Characters characters = characters_of(line);
        const bool first = compare(index.beginning_with(line.front()), line, characters);
        return compare(index.with_any_beginning(), line, characters) || first;
    }

    [[nodiscard]] bool compare(std::span<const IndexedLine> patterns, std::string_view line,
                               const Characters& characters) {
        bool found = false;
        std::bitset<kMaxTools> known;  // the first pattern of a tool holds
        for (const IndexedLine& pattern : patterns) {
            const std::size_t owner = owners_[pattern.tool];
            if (owner != kNoTool && characters.contain(pattern.needed) && !known[owner] &&
                matches(pattern.text, line)) {
                known[owner] = apply(pattern, seen_[owner]);
                found = found || known[owner];
            }
        }
        return found;
    }

    /// False if the line means nothing here, and may have a prefix after which it does.
    bool apply(const IndexedLine& pattern, Seen& seen) const {
        const bool is_named = seen.tool == &tool_verdicts()[pattern.tool];
        bool counts = false;
        switch (pattern.says) {
            case Says::failed:
            case Says::failed_if_named:
                counts = is_named || pattern.says == Says::failed;
                seen.failed = seen.failed || counts;
                return counts;
            case Says::passed:
                counts = is_named || shown_ != LinesShown::some;
                break;
            case Says::passed_if_last:
                counts = shown_ != LinesShown::some;
                break;
            case Says::passed_if_all:
                counts = shown_ == LinesShown::all;
                break;
            case Says::passed_if_named:
                counts = is_named && shown_ != LinesShown::some;
                break;
        }
        counts = counts && (is_named || seen.inner == Inner::all);
        seen.passed = seen.passed || counts;
        return is_named || pattern.says != Says::passed_if_named;
    }

    /// A missing program fails its tool, or the wrapper that would have run it. What looks like a failure after a tool
    /// that passed leaves it open whether the wrapper passed.
    void read_unknown(std::string_view line) {
        const std::string_view program = missing_program(line);
        const std::span<const ToolVerdicts> tools = tool_verdicts();
        for (std::size_t tool = 0; !program.empty() && tool < tools.size(); ++tool) {
            if (owners_[tool] != kNoTool && program_of(tools[tool]) == program) {
                seen_[owners_[tool]].failed = true;
                return;
            }
        }
        for (Seen& seen : std::span(seen_).first(skills_.size())) {
            if (seen.passed && seen.inner == Inner::all && looks_failed(line)) {
                seen.passed = false;
            }
        }
    }

    std::span<const std::string> skills_;
    LinesShown shown_;
    std::array<Seen, kMaxTools> seen_{};
    std::array<std::size_t, kMaxToolVerdicts> owners_ = [] {
        std::array<std::size_t, kMaxToolVerdicts> none{};
        none.fill(kNoTool);
        return none;
    }();  // of the entries of tool_verdicts(): indices of skills_
};

}  // namespace

std::optional<OutputVerdict> judge_output(std::span<const std::string> skills, std::string_view output,
                                          LinesShown shown) {
    const bool is_cut = output.size() > kMaxVerdictBytes;
    Judge judge(skills, is_cut && shown == LinesShown::all ? LinesShown::last : shown);
    if (!judge.has_tools()) {
        return std::nullopt;
    }
    LastLines lines(output);
    std::string_view line;
    while (lines.next(line)) {
        judge.read(line);
    }
    return judge.verdict();
}

}  // namespace session_buddy::ingest
