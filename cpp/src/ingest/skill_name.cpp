// Strips wrappers before a tool on a command line (sudo, uv run, npx, python -m, bash -c, …) and looks the tool up in
// the rules.
#include "session_buddy/ingest/skill_name.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <tuple>
#include <utility>

#include "command_table.hpp"
#include "session_buddy/core/ascii.hpp"
#include "session_buddy/core/invocation.hpp"
#include "shell_status.hpp"

namespace session_buddy::ingest {
namespace {

// Each wrapper copies the words after it: without a limit, a line of wrappers would take quadratic time.
constexpr int kMaxWrappers = 16;
constexpr std::size_t kMaxTaskBytes = 40;
constexpr std::array<std::string_view, 5> kShells = {"bash", "sh", "zsh", "dash", "ksh"};

using Words = std::vector<std::string>;
using WordSpan = std::span<const std::string>;

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

/// "node_modules/jest/bin/jest.js" → "jest".
[[nodiscard]] std::string file_program(std::string_view word) {
    std::string name = program_name(word);
    for (const std::string_view suffix : {".js", ".cjs", ".mjs", ".py", ".phar"}) {
        if (name.size() > suffix.size() && name.ends_with(suffix)) {
            name.resize(name.size() - suffix.size());
        }
    }
    return name;
}

[[nodiscard]] bool is_option(std::string_view word) {
    return word.starts_with('-') || word.starts_with('+');
}

[[nodiscard]] std::string_view value_options_of(std::string_view program) {
    const auto options = program_options();
    const auto found = std::ranges::find(options, program, &ProgramOptions::program);
    return found == options.end() ? std::string_view{} : found->value_options;
}

/// The end of `pattern` in `words`, skipping options in between; nullopt if it does not match. The first word has been
/// compared.
[[nodiscard]] std::optional<std::size_t> match(const Words& pattern, WordSpan words) {
    std::size_t at = 1;
    if (pattern.size() > 1) {
        const std::string_view value_options = value_options_of(pattern[0]);
        for (std::size_t wanted = 1; wanted < pattern.size(); ++wanted) {
            while (at < words.size() && is_option(words[at]) && words[at] != pattern[wanted]) {
                at += contains_word(value_options, words[at]) ? 2U : 1U;
            }
            if (at >= words.size() || words[at] != pattern[wanted]) {
                return std::nullopt;
            }
            ++at;
        }
    }
    return at;
}

[[nodiscard]] std::string joined(WordSpan words, std::string_view separator) {
    std::string text;
    for (const std::string& word : words) {
        text += text.empty() ? std::string_view{} : separator;
        text += word;
    }
    return text;
}

/// What a wrapper runs: words or a script; neither if it runs no possible tool.
struct Inner {
    Words words{};
    std::optional<std::string> script{};
    bool hides_status = false;
};

/// The module of "-m name", "-um name", "-mname", with the words after it.
[[nodiscard]] std::optional<Words> module_at(WordSpan rest, std::size_t at) {
    const std::string& word = rest[at];
    if (word.size() < 2 || word[0] != '-' || word[1] == '-') {
        return std::nullopt;
    }
    const auto after = rest.begin() + static_cast<std::ptrdiff_t>(at) + 1;
    if (word[1] == 'm' && word.size() > 2) {
        Words words{word.substr(2)};
        words.insert(words.end(), after, rest.end());
        return words;
    }
    return word.back() == 'm' ? std::optional(Words(after, rest.end())) : std::nullopt;
}

[[nodiscard]] Inner words_after_option(const CommandWrapper& wrapper, WordSpan rest) {
    const auto is_end = [](const std::string& word) { return word == ";" || word == "+" || word == ":::"; };
    const auto option = std::ranges::find_if(
        rest, [&](const std::string& word) { return contains_word(wrapper.command_options, word); });
    if (option == rest.end()) {
        return {};
    }
    const auto end = std::find_if(option + 1, rest.end(), is_end);
    return {.words = Words(option + 1, end), .hides_status = end != rest.end() && *end == ";"};
}

/// What stands from `at` on.
[[nodiscard]] Inner inner_from(const CommandWrapper& wrapper, WordSpan rest, std::size_t at) {
    const WordSpan words = rest.subspan(at);
    switch (wrapper.form) {
        case CommandWrapper::Form::script:
            return {.script = joined(words, " "), .hides_status = wrapper.hides_status};
        case CommandWrapper::Form::scripts: {
            Words scripts(words.begin(), words.end());
            for (std::string& script : scripts) {
                if (script.starts_with("npm:")) {
                    script.replace(0, 4, "npm run ");
                }
            }
            return {.script = joined(scripts, " && ")};
        }
        case CommandWrapper::Form::file: {
            const std::string& file = words[0];
            if (file.find("bin/") == std::string::npos && file.find("node_modules/") == std::string::npos) {
                return {};
            }
            Words inner(words.begin(), words.end());
            inner[0] = file_program(file);
            return {.words = std::move(inner)};
        }
        default: {
            Words inner;
            if (!wrapper.inner_program.empty()) {
                inner.emplace_back(wrapper.inner_program);
            }
            inner.insert(inner.end(), words.begin(), words.end());
            return {.words = std::move(inner), .hides_status = wrapper.hides_status};
        }
    }
}

/// The command that a wrapper runs; `rest`: the words after it.
[[nodiscard]] Inner unwrap(const CommandWrapper& wrapper, WordSpan rest) {
    using Form = CommandWrapper::Form;
    if (wrapper.form == Form::after_option) {
        return words_after_option(wrapper, rest);
    }
    const bool has_modules =
        wrapper.form == Form::module || wrapper.form == Form::words_or_module || wrapper.form == Form::file;
    int own_arguments = wrapper.own_arguments;
    bool is_after_dashes = false;
    for (std::size_t at = 0; at < rest.size(); ++at) {
        const std::string& word = rest[at];
        if (word == "--") {
            is_after_dashes = true;
            continue;
        }
        if (has_modules) {
            if (auto module = module_at(rest, at)) {
                return {.words = std::move(*module)};
            }
        }
        if (contains_word(wrapper.command_options, word) && at + 1 < rest.size()) {
            return {.script = rest[at + 1], .hides_status = wrapper.hides_status};
        }
        if (wrapper.command == "command" && (word == "-v" || word == "-V")) {
            return {};  // asks for the path of a program
        }
        if (word.starts_with('-') || (wrapper.command == "cmd" && word.starts_with('/'))) {
            at += contains_word(wrapper.value_options, word) ? 1U : 0U;
        } else if (wrapper.form == Form::module) {
            return {};
        } else if (wrapper.form == Form::after_dashes && !is_after_dashes) {
            continue;
        } else if (own_arguments > 0 && wrapper.form != Form::after_dashes) {
            --own_arguments;
        } else {
            return inner_from(wrapper, rest, at);
        }
    }
    return {};
}

/// A word that can be the name of a task, and is no path, number or expansion.
[[nodiscard]] bool is_task_name(std::string_view word) {
    return !word.empty() && word.size() <= kMaxTaskBytes && ascii::is_alphanumeric_or("", word[0]) &&
           !ascii::is_digit(word[0]) &&
           std::ranges::all_of(word, [](char c) { return ascii::is_alphanumeric_or("_:-", c); });
}

/// The first task that a runner is asked for; empty if it is none.
[[nodiscard]] std::string_view task_of(const TaskRunner& runner, WordSpan rest) {
    if (!runner.task_options.empty()) {
        for (std::size_t at = 0; at < rest.size(); ++at) {
            const std::string_view word = rest[at];
            const std::size_t equals = std::min(word.find('='), word.size());
            if (contains_word(runner.task_options, word.substr(0, equals))) {
                const std::string_view tasks = equals < word.size()   ? word.substr(equals + 1)
                                               : at + 1 < rest.size() ? std::string_view(rest[at + 1])
                                                                      : std::string_view{};
                return tasks.substr(0, tasks.find(','));
            }
        }
        return {};
    }
    for (std::size_t at = 0; at < rest.size(); ++at) {
        const std::string_view word = rest[at];
        if (is_option(word)) {
            at += contains_word(runner.value_options, word) ? 1U : 0U;
        } else if (!is_shell_assignment(word) && !std::ranges::all_of(word, ascii::is_digit)) {  // "make -j 8"
            if (runner.command == "nx run") {  // project:target:configuration
                const std::size_t start = std::min(word.find(':'), word.size() - 1) + 1;
                return word.substr(start, word.find(':', start) - start);
            }
            return word;
        }
    }
    return {};
}

/// Whether the words only ask a program for information.
[[nodiscard]] bool is_information(const InformationWords* words, WordSpan rest, bool with_subcommands) {
    if (!rest.empty() && rest.back() == "--version") {  // else it may have a value, as in "helm upgrade --version 2"
        return true;
    }
    if (std::ranges::find(rest, "--help") != rest.end()) {
        return true;
    }
    return words != nullptr &&
           (std::ranges::any_of(rest, [&](const std::string& word) { return contains_word(words->anywhere, word); }) ||
            (with_subcommands && !rest.empty() && contains_word(words->first, rest[0])));
}

/// The script of `bash -c 'script'` and `eval script`.
[[nodiscard]] std::optional<CommandMeaning> shell_script(std::string_view program, WordSpan words) {
    CommandMeaning meaning{.kind = CommandMeaning::Kind::script};
    if (program == "eval") {
        meaning.text = joined(words.subspan(1), " ");
        return meaning;
    }
    if (std::ranges::find(kShells, program) == kShells.end()) {
        return std::nullopt;
    }
    meaning.has_own_options = true;
    for (std::size_t at = 1; at + 1 < words.size(); ++at) {
        const std::string& word = words[at];
        if (!is_option(word)) {
            break;  // a script file
        }
        if (word.starts_with("--")) {
            continue;
        }
        meaning.is_errexit |= word.find('e') != std::string::npos;
        if (word.find_first_of("oO") != std::string::npos) {  // -euo pipefail
            ++at;
            meaning.is_pipefail |= words[at] == "pipefail";
            meaning.is_errexit |= words[at] == "errexit";
        } else if (word.find('c') != std::string::npos) {
            meaning.text = words[at + 1];
            return meaning;
        }
    }
    return CommandMeaning{};
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

/// PowerShell as text for the parser of shell commands: paths have backslashes, and the backtick quotes a character.
[[nodiscard]] std::string from_powershell(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '`') {
            ++i;
            result += ' ';
        } else {
            result += c == '\\' ? '/' : c;
        }
    }
    return result;
}

}  // namespace

std::string to_skill_name(std::string_view text, std::string_view fallback) {
    constexpr auto kIsPlain = [](char letter) { return letter >= ' ' && letter <= '~'; };
    if (text.size() <= kMaxSkillNameBytes && std::ranges::all_of(text, kIsPlain)) {
        const std::string_view plain = trimmed(text);  // the session of each line of a transcript comes here
        return std::string(plain.empty() ? fallback : plain);
    }
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

/// Looks the words of a command up in the tables of the namer.
class SkillNamer::Classifier : public CommandClassifier {
  public:
    explicit Classifier(const SkillNamer& namer) : namer_(namer) {}

    [[nodiscard]] CommandMeaning classify(WordSpan words) const override {
        int wrappers = 0;
        return classify(words, wrappers);
    }

  private:
    /// `wrappers`: how many were stripped.
    [[nodiscard]] CommandMeaning classify(WordSpan words, int& wrappers) const {
        while (!words.empty() && is_shell_assignment(words[0])) {
            words = words.subspan(1);
        }
        if (words.empty()) {
            return {};
        }
        const std::string program = program_name(without_version(words[0]));
        if (auto script = shell_script(program, words)) {
            return std::move(*script);
        }
        const auto found = namer_.entries_.find(program);
        if (found == namer_.entries_.end()) {
            return {};
        }
        for (const Entry& entry : found->second) {
            const auto end = match(entry.words, words);
            if (!end) {
                continue;
            }
            const WordSpan rest = words.subspan(std::min(*end, words.size()));
            if (entry.wrapper != nullptr) {
                CommandMeaning meaning = classify_inner(*entry.wrapper, rest, wrappers);
                if (meaning.kind != CommandMeaning::Kind::unknown) {
                    return meaning;
                }
                continue;
            }
            if (is_information(entry.information, rest, !entry.is_extra)) {
                return {};
            }
            if (entry.runner == nullptr) {
                // Plain "ruff" prints its help.
                if (entry.needs_argument && rest.empty()) {
                    return {};
                }
                return {
                    .kind = CommandMeaning::Kind::tool, .text = entry.skill, .is_preparation = entry.is_preparation};
            }
            if (std::string name = task_skill(*entry.runner, rest); !name.empty()) {
                return {.kind = CommandMeaning::Kind::tool, .text = std::move(name)};
            }
        }
        return {};
    }

    [[nodiscard]] CommandMeaning classify_inner(const CommandWrapper& wrapper, WordSpan rest, int& wrappers) const {
        if (++wrappers > kMaxWrappers) {
            return {};
        }
        Inner inner = unwrap(wrapper, rest);
        CommandMeaning meaning;
        if (inner.script) {
            meaning = {.kind = CommandMeaning::Kind::script, .text = std::move(*inner.script), .has_own_options = true};
        } else if (!inner.words.empty()) {
            meaning = classify(inner.words, wrappers);
        }
        meaning.hides_status |= inner.hides_status;
        return meaning;
    }

    [[nodiscard]] static std::string task_skill(const TaskRunner& runner, WordSpan rest) {
        const std::string_view task = task_of(runner, rest);
        if (!is_task_name(task)) {
            return std::string(runner.default_skill);
        }
        if (contains_word(runner.own_commands, task)) {
            return {};
        }
        return std::string(runner.prefix) + std::string(task);
    }

    const SkillNamer& namer_;
};

SkillNamer::SkillNamer(std::span<const ToolRule> extra) {
    for (const ToolRule& rule : extra) {
        add(rule, true);
    }
    for (const ToolRule& rule : default_tool_rules()) {
        add(rule, false);
    }
    for (const CommandWrapper& wrapper : command_wrappers()) {
        add({.words = split_words(wrapper.command), .wrapper = &wrapper});
    }
    for (const TaskRunner& runner : task_runners()) {
        add({.words = split_words(runner.command), .runner = &runner});
    }
    for (auto& [program, entries] : entries_) {
        std::ranges::stable_sort(entries,
                                 [](const Entry& a, const Entry& b) { return a.words.size() > b.words.size(); });
    }
}

void SkillNamer::add(const ToolRule& rule, bool is_extra) {
    add({.words = split_words(rule.command),
         .skill = to_skill_name(rule.skill),
         .is_preparation = rule.preparation,
         .is_extra = is_extra});
}

void SkillNamer::add(Entry entry) {
    if (entry.words.empty()) {
        return;
    }
    for (const InformationWords& words : information_words()) {
        if (words.program == entry.words[0] ||
            (entry.words.size() > 1 && words.program == entry.words[0] + ' ' + entry.words[1])) {
            entry.information = &words;
        }
    }
    std::string program = entry.words[0];
    entry.needs_argument = program == "ruff" && entry.words.size() == 1;
    entries_[std::move(program)].push_back(std::move(entry));
}

ToolReading SkillNamer::read(std::string_view tool_name, const nlohmann::json& input) const {
    if (tool_name == "Skill") {
        for (const char* field : {"skill", "skill_name", "command"}) {
            if (const std::string_view name = text_field(input, field); !name.empty()) {
                return {.skill_name = to_skill_name(first_word(without_slash(name)), tool_name)};
            }
        }
    } else if (tool_name == "Agent" || tool_name == "Task") {
        if (const std::string_view type = text_field(input, "subagent_type"); !type.empty()) {
            return {.skill_name = to_skill_name("agent:" + std::string(first_word(type)))};
        }
    } else if (tool_name == "Bash") {
        return read_shell(tool_name, text_field(input, "command"));
    } else if (tool_name == "PowerShell") {
        return read_shell(tool_name, from_powershell(text_field(input, "command")));
    }
    return {.skill_name = to_skill_name(tool_name)};
}

ToolReading SkillNamer::read_shell(std::string_view tool_name, std::string_view command) const {
    ToolReading reading;
    read_statuses(command, Classifier(*this), reading);
    const auto first = std::ranges::find(reading.tools, false, &KnownTool::is_preparation);
    if (first != reading.tools.end()) {
        reading.skill_name = first->skill_name;
    } else {
        reading.skill_name = reading.tools.empty() ? std::string(tool_name) : reading.tools[0].skill_name;
    }
    reading.name_basis = reading.tools.empty() ? NameBasis::tool : NameBasis::command;
    if (reading.tools.size() == 1 && !reading.tools[0].is_masked && reading.tools[0].may_cause_failure &&
        !reading.may_fail_later) {
        reading.tools.clear();
    }
    return reading;
}

std::string SkillNamer::for_tool(std::string_view tool_name, const nlohmann::json& input) const {
    return read(tool_name, input).skill_name;
}

std::optional<std::string> SkillNamer::for_shell_command(std::string_view command) const {
    ToolReading reading = read_shell({}, command);
    return reading.name_basis == NameBasis::command ? std::optional(std::move(reading.skill_name)) : std::nullopt;
}

std::string SkillNamer::for_typed_command(std::string_view typed) {
    return to_skill_name(first_word(without_slash(trimmed(typed))));
}

}  // namespace session_buddy::ingest
