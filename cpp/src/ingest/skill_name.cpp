// Strips wrappers before a tool on a command line (sudo, uv run, npx, python -m, bash -c, …) and looks the tool up in
// the rules.
#include "session_buddy/ingest/skill_name.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

#include "session_buddy/core/ascii.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/ingest/shell_command.hpp"

namespace session_buddy::ingest {
namespace {

constexpr int kMaxScriptDepth = 4;  // bash -c "bash -c '…'"
// Each wrapper copies the words after it: without a limit, a line of wrappers would take quadratic time.
constexpr int kMaxWrappers = 16;

/// A program that runs the command after it.
struct Wrapper {
    std::string_view command;        ///< its words
    std::string_view value_options;  ///< blank-separated options that take the next word
    int own_arguments = 0;           ///< number of arguments before the command: 1 for "timeout 10 pytest"
    bool runs_modules = false;       ///< "-m name" runs that module
    bool runs_commands = true;       ///< false: only "-m name" leads to a tool ("python script.py" does not)
};

constexpr std::string_view kUvRunOptions =
    "--with --with-requirements --with-editable --from --python -p --extra --group --only-group --no-group --env-file "
    "--project --directory --package --index --index-url -i --default-index --extra-index-url --find-links -f "
    "--cache-dir "
    "--config-file --color --refresh-package";

// NOLINTBEGIN(modernize-use-designated-initializers): tables
constexpr std::array kWrappers = std::to_array<Wrapper>({
    {"sudo", "-u -g -C -D -h -p -R -T -U --user --group --chdir --prompt --host"},
    {"doas", "-u -C"},
    {"env", "-u --unset -C --chdir"},
    {"time", "-f --format -o --output"},
    {"nice", "-n --adjustment"},
    {"ionice", "-c -n -p"},
    {"nohup", ""},
    {"exec", "-a"},
    {"command", ""},
    {"builtin", ""},
    {"setsid", ""},
    {"unbuffer", ""},
    {"stdbuf", "-i -o -e --input --output --error"},
    {"timeout", "-s --signal -k --kill-after", 1},
    {"gtimeout", "-s --signal -k --kill-after", 1},
    {"xargs", "-a -d -E -I -L -n -P -s --arg-file --delimiter --max-lines --max-args --max-procs --max-chars"},
    {"xvfb-run", "-n -s -e -f -w --server-num --server-args --error-file --auth-file --wait"},
    {"ccache", ""},
    {"mise exec", "-C --cd"},
    {"uv run", kUvRunOptions, 0, true},
    {"uv tool run", kUvRunOptions},
    {"uvx", kUvRunOptions},
    {"poetry run", "-C --directory -P --project"},
    {"pdm run", "-p --project"},
    {"pipenv run", ""},
    {"hatch run", ""},
    {"rye run", ""},
    {"pixi run", "-e --environment --manifest-path"},
    {"conda run", "-n --name -p --prefix --cwd"},
    {"mamba run", "-n --name -p --prefix --cwd"},
    {"pipx run", "--spec --python"},
    {"coverage run", "--rcfile --source --omit --include --context --data-file --concurrency", 0, true, false},
    {"python", "-X -W --check-hash-based-pycs", 0, true, false},
    {"pypy", "-X -W", 0, true, false},
    {"npx", "-p --package -w --workspace"},
    {"npm exec", "-p --package -w --workspace"},
    {"pnpm exec", ""},
    {"pnpm dlx", "--package"},
    {"yarn exec", ""},
    {"yarn dlx", "-p --package"},
    {"bunx", "-p --package"},
    {"bun x", ""},
    {"bundle exec", ""},
    {"dotnet tool run", ""},
});

/// Options with a value between a program and its subcommand.
struct ProgramOptions {
    std::string_view program;
    std::string_view value_options;
};

constexpr std::array kProgramOptions = std::to_array<ProgramOptions>({
    {"git", "-C -c --git-dir --work-tree --namespace --exec-path --config-env"},
    {"npm", "--prefix -w --workspace -C --userconfig --loglevel"},
    {"pnpm", "-C --dir -F --filter"},
    {"yarn", "--cwd"},
    {"bun", "--cwd"},
    {"cargo", "-C --config --color -Z --manifest-path"},
    {"go", "-C"},
    {"uv", "--project --directory --config-file --cache-dir --color"},
    {"poetry", "-C --directory -P --project"},
    {"pdm", "-p --project"},
    {"hatch", "-e --env -p --project"},
    {"docker", "-H --host -c --context --config -l --log-level"},
    {"ruff", "--config"},
    {"terraform", ""},
    {"bazel", ""},
    {"mise", "-C --cd -E --env"},
});
// NOLINTEND(modernize-use-designated-initializers)

/// Shell keywords that may precede a command.
constexpr std::array<std::string_view, 10> kKeywords = {"if",    "then", "elif", "else", "while",
                                                        "until", "do",   "!",    "{",    "}"};
constexpr std::array<std::string_view, 5> kShells = {"bash", "sh", "zsh", "dash", "ksh"};

[[nodiscard]] bool contains_word(std::string_view list, std::string_view word) {
    for (std::size_t at = list.find(word); at != std::string_view::npos; at = list.find(word, at + 1)) {
        const std::size_t end = at + word.size();
        if ((at == 0 || list[at - 1] == ' ') && (end == list.size() || list[end] == ' ')) {
            return true;
        }
    }
    return false;
}

[[nodiscard]] std::vector<std::string> split_words(std::string_view text) {
    std::vector<std::string> words;
    std::size_t at = 0;
    while ((at = text.find_first_not_of(' ', at)) != std::string_view::npos) {
        const std::size_t end = std::min(text.find(' ', at), text.size());
        words.emplace_back(text.substr(at, end - at));
        at = end;
    }
    return words;
}

/// NAME=value, NAME+=value, NAME[0]=value.
[[nodiscard]] bool is_assignment(std::string_view word) {
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos || equals == 0 || ascii::is_digit(word[0])) {
        return false;
    }
    std::string_view name = word.substr(0, equals);
    if (name.back() == '+') {
        name.remove_suffix(1);
    }
    return std::ranges::all_of(name, [](char c) { return ascii::is_alphanumeric_or("_[]", c); });
}

/// "/usr/bin/python3.12" → "python", "./gradlew" → "gradlew", "pytest.exe" → "pytest".
[[nodiscard]] std::string program_name(std::string_view word) {
    word = word.substr(word.find_last_of("/\\") + 1);
    for (const std::string_view suffix : {".exe", ".cmd", ".bat"}) {
        if (word.size() > suffix.size() && word.ends_with(suffix)) {
            word.remove_suffix(suffix.size());
        }
    }
    for (const std::string_view name : {"python", "pypy", "pip"}) {
        if (word.starts_with(name) && word.find_first_not_of("0123456789.", name.size()) == std::string_view::npos) {
            return std::string(name);
        }
    }
    return word == "py" ? "python" : std::string(word);
}

/// "eslint@9" → "eslint", for npx and uvx; the @ of an npm scope is kept.
[[nodiscard]] std::string_view without_version(std::string_view word) {
    const std::size_t at = word.find('@', 1);
    return at == std::string_view::npos ? word : word.substr(0, at);
}

[[nodiscard]] std::string_view value_options_of(std::string_view program) {
    const auto found =
        std::ranges::find_if(kProgramOptions, [&](const auto& entry) { return entry.program == program; });
    return found == kProgramOptions.end() ? std::string_view{} : found->value_options;
}

/// The end of `pattern` in `words`, skipping options in between; nullopt if it does not match.
template <typename Pattern>
[[nodiscard]] std::optional<std::size_t> match(const Pattern& pattern, std::span<const std::string> words,
                                               std::string_view program) {
    if (words.empty() || pattern.empty() || pattern[0] != program) {
        return std::nullopt;
    }
    const std::string_view value_options = value_options_of(program);
    std::size_t at = 1;
    for (std::size_t wanted = 1; wanted < pattern.size(); ++wanted) {
        while (at < words.size() && (words[at].starts_with('-') || words[at].starts_with('+'))) {
            at += contains_word(value_options, words[at]) ? 2U : 1U;
        }
        if (at >= words.size() || words[at] != pattern[wanted]) {
            return std::nullopt;
        }
        ++at;
    }
    return at;
}

/// The command that a wrapper runs; empty if it runs no possible tool.
[[nodiscard]] std::vector<std::string> unwrap(const Wrapper& wrapper, std::span<const std::string> rest) {
    int own_arguments = wrapper.own_arguments;
    for (std::size_t at = 0; at < rest.size(); ++at) {
        const std::string& word = rest[at];
        if (word == "--") {
            continue;
        }
        if (wrapper.runs_modules && word.size() > 1 && word[0] == '-' && word[1] != '-') {
            const std::size_t module_flag = word.find('m');
            if (module_flag != std::string::npos && module_flag + 1 < word.size() && module_flag == 1) {  // -mpytest
                std::vector<std::string> module{word.substr(2)};
                module.insert(module.end(), rest.begin() + static_cast<std::ptrdiff_t>(at) + 1, rest.end());
                return module;
            }
            if (word.back() == 'm') {  // -m, -um
                return {rest.begin() + static_cast<std::ptrdiff_t>(at) + 1, rest.end()};
            }
        }
        if (wrapper.command == "command" && (word == "-v" || word == "-V")) {
            return {};  // asks for the path of a program
        }
        if (word.starts_with('-')) {
            at += contains_word(wrapper.value_options, word) ? 1U : 0U;
        } else if (!wrapper.runs_commands) {
            return {};
        } else if (own_arguments > 0) {
            --own_arguments;
        } else {
            return {rest.begin() + static_cast<std::ptrdiff_t>(at), rest.end()};
        }
    }
    return {};
}

/// The script of `bash -c 'script'` and `eval script`.
[[nodiscard]] std::optional<std::string> inner_script(std::string_view program, std::span<const std::string> words) {
    if (program == "eval") {
        std::string script;
        for (const std::string& word : words.subspan(1)) {
            script += word;
            script += ' ';
        }
        return script;
    }
    if (std::ranges::find(kShells, program) == kShells.end()) {
        return std::nullopt;
    }
    for (std::size_t at = 1; at + 1 < words.size(); ++at) {
        const std::string& word = words[at];
        if (!word.starts_with('-')) {
            return std::nullopt;  // a script file
        }
        if (word == "-o" || word == "-O") {
            ++at;
        } else if (!word.starts_with("--") && word.find('c') != std::string::npos) {
            return words[at + 1];
        }
    }
    return std::nullopt;
}

/// The length of the well-formed UTF-8 sequence at the start of `text`; 0 if there is none.
[[nodiscard]] std::size_t sequence_length(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    const std::uint8_t lead = byte(0);
    const std::size_t length = lead < 0x80   ? 1U
                               : lead < 0xC2 ? 0U
                               : lead < 0xE0 ? 2U
                               : lead < 0xF0 ? 3U
                               : lead < 0xF5 ? 4U
                                             : 0U;
    if (length == 0 || length > text.size()) {
        return 0;
    }
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0U) != 0x80U) {
            return 0;
        }
    }
    if (length > 2) {  // overlong forms, surrogates, above U+10FFFF
        const std::uint8_t second = byte(1);
        if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) || (lead == 0xF0 && second < 0x90) ||
            (lead == 0xF4 && second > 0x8F)) {
            return 0;
        }
    }
    return length;
}

[[nodiscard]] bool is_control(std::string_view sequence) {
    const auto lead = static_cast<std::uint8_t>(sequence[0]);
    return lead < 0x20 || lead == 0x7F || (lead == 0xC2 && static_cast<std::uint8_t>(sequence[1]) < 0xA0);
}

[[nodiscard]] std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kBlanks = " \t\r\n\f\v";
    const std::size_t first = text.find_first_not_of(kBlanks);
    return first == std::string_view::npos ? std::string_view{}
                                           : text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

[[nodiscard]] std::string_view text_field(const nlohmann::json& input, const char* name) {
    if (!input.is_object()) {
        return {};
    }
    const auto found = input.find(name);
    return found != input.end() && found->is_string() ? trimmed(found->get_ref<const std::string&>())
                                                      : std::string_view{};
}

/// Names have no blanks: the rest is arguments, which are private.
[[nodiscard]] std::string_view first_word(std::string_view text) {
    return text.substr(0, text.find_first_of(" \t\r\n\f\v"));
}

[[nodiscard]] std::string_view without_slash(std::string_view name) {
    if (name.starts_with('/')) {
        name.remove_prefix(1);
    }
    return name;
}

}  // namespace

std::string to_skill_name(std::string_view text, std::string_view fallback) {
    std::string name;
    while (!text.empty()) {
        const std::size_t length = sequence_length(text);
        const std::string_view sequence = text.substr(0, std::max<std::size_t>(length, 1));
        if (length > 0 && !is_control(sequence)) {
            if (name.size() + length > kMaxSkillNameBytes) {
                break;
            }
            name += sequence;
        }
        text.remove_prefix(sequence.size());
    }
    name = trimmed(name);
    return name.empty() ? std::string(fallback) : name;
}

bool ToolReading::needs_output(bool is_error) const {
    return is_error ? !tools.empty() : std::ranges::any_of(tools, &KnownTool::is_masked);
}

ToolConclusion ToolReading::conclude(bool is_error, std::string_view /*output*/) const {
    return {.skill_name = skill_name,
            .name_basis = name_basis,
            .outcome = is_error ? Outcome::failed : Outcome::completed,
            .is_masked = !tools.empty() && tools.front().is_masked};
}

std::string_view mcp_server(std::string_view skill_name) {
    constexpr std::string_view kPrefix = "mcp__";
    constexpr std::string_view kSeparator = "__";
    if (!skill_name.starts_with(kPrefix)) {
        return {};
    }
    skill_name.remove_prefix(kPrefix.size());
    const std::size_t end = skill_name.find(kSeparator);
    return end == std::string_view::npos || end + kSeparator.size() == skill_name.size() ? std::string_view{}
                                                                                         : skill_name.substr(0, end);
}

SkillNamer::SkillNamer(std::span<const ToolRule> extra) {
    const std::span<const ToolRule> built_in = default_tool_rules();
    rules_.reserve(extra.size() + built_in.size());
    for (const ToolRule& rule : extra) {
        add(rule);
    }
    for (const ToolRule& rule : built_in) {
        add(rule);
    }
    std::ranges::stable_sort(rules_, [](const Rule& a, const Rule& b) { return a.words.size() > b.words.size(); });
}

void SkillNamer::add(const ToolRule& rule) {
    std::vector<std::string> words = split_words(rule.command);
    if (!words.empty()) {
        rules_.push_back({.words = std::move(words),
                          .skill = to_skill_name(rule.skill, kUnknownCommand),
                          .preparation = rule.preparation});
    }
}

ToolReading SkillNamer::read(std::string_view tool_name, const nlohmann::json& input) const {
    ToolReading reading{.skill_name = for_tool(tool_name, input)};
    if (tool_name == "Bash" && reading.skill_name != kUnknownCommand) {
        reading.name_basis = NameBasis::command;
    }
    return reading;
}

std::string SkillNamer::for_tool(std::string_view tool_name, const nlohmann::json& input) const {
    if (tool_name == "Skill") {
        for (const char* field : {"skill", "skill_name", "command"}) {
            if (const std::string_view name = text_field(input, field); !name.empty()) {
                return to_skill_name(first_word(without_slash(name)), tool_name);
            }
        }
    } else if (tool_name == "Agent" || tool_name == "Task") {
        if (const std::string_view type = text_field(input, "subagent_type"); !type.empty()) {
            return to_skill_name("agent:" + std::string(first_word(type)));
        }
    } else if (tool_name == "Bash") {
        return for_shell_command(text_field(input, "command"));
    }
    return to_skill_name(tool_name);
}

std::string SkillNamer::for_shell_command(std::string_view command) const {
    const Rule* rule = find_in_line(command, 0);
    return rule != nullptr ? rule->skill : std::string(kUnknownCommand);
}

std::string SkillNamer::for_typed_command(std::string_view typed) {
    return to_skill_name(first_word(without_slash(trimmed(typed))));
}

const SkillNamer::Rule* SkillNamer::find_in_line(std::string_view command, int depth) const {
    const Rule* preparation = nullptr;
    for (const ShellWords& words : split_shell_command(command)) {
        const Rule* rule = find_in_command(words, depth);
        if (rule != nullptr && !rule->preparation) {
            return rule;
        }
        preparation = preparation != nullptr ? preparation : rule;
    }
    return preparation;
}

const SkillNamer::Rule* SkillNamer::find_in_command(std::span<const std::string> all_words, int depth) const {
    std::vector<std::string> words(all_words.begin(), all_words.end());
    for (int wrappers = 0; wrappers <= kMaxWrappers; ++wrappers) {
        const auto first = std::ranges::find_if(words, [](const std::string& word) {
            return !is_assignment(word) && std::ranges::find(kKeywords, word) == kKeywords.end();
        });
        words.erase(words.begin(), first);
        if (words.empty()) {
            return nullptr;
        }
        const std::string program = program_name(without_version(words[0]));
        if (const auto script = inner_script(program, words)) {
            return depth < kMaxScriptDepth ? find_in_line(*script, depth + 1) : nullptr;
        }
        for (const Rule& rule : rules_) {
            if (match(rule.words, words, program)) {
                return &rule;
            }
        }
        std::vector<std::string> inner;
        for (const Wrapper& wrapper : kWrappers) {
            if (const auto end = match(split_words(wrapper.command), words, program)) {
                inner = unwrap(wrapper, std::span<const std::string>(words).subspan(*end));
                break;
            }
        }
        if (inner.empty()) {
            return nullptr;
        }
        words = std::move(inner);
    }
    return nullptr;
}

}  // namespace session_buddy::ingest
