// Interprets a parsed shell command abstractly: a path is what is known about the known tools after some commands, and
// each command continues on one path if it succeeded and on another one if it failed.
#include "shell_status.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <initializer_list>
#include <optional>
#include <utility>

#include "session_buddy/core/ascii.hpp"

namespace session_buddy::ingest {
namespace {

/// A set of the tools of the command, by position. Only the first kMaxTools are followed.
using Tools = std::uint64_t;
constexpr std::size_t kMaxTools = 61;
constexpr Tools kOtherCommand = Tools{1} << 63U;
constexpr Tools kLaterCommand = Tools{1} << 62U;  // another one, after a known tool
constexpr int kMaxScriptDepth = 4;                // bash -c "bash -c '…'"
// Functions that call one another would take exponential time.
constexpr int kMaxFunctionCalls = 64;
constexpr int kMaxFunctionDepth = 8;
constexpr std::size_t kMaxPrintedPrefixBytes = 64;
// Variables, printed statuses and functions are searched one by one: without a limit, a long script would take
// quadratic time.
constexpr std::size_t kMaxRemembered = 64;

struct Path {
    Tools failed = 0;  ///< these may have failed
    /// At least one of these failed, and therefore the last command that failed. None if all may have succeeded.
    Tools cause = 0;
};

/// The path after a success and that after a failure; without one, neither happens.
struct Flow {
    std::optional<Path> success{};
    std::optional<Path> failure{};
};

[[nodiscard]] Path join(const Path& a, const Path& b) {
    return {.failed = a.failed | b.failed, .cause = a.cause != 0 && b.cause != 0 ? a.cause | b.cause : 0};
}

void join(std::optional<Path>& into, const std::optional<Path>& other) {
    if (other) {
        into = into ? join(*into, *other) : *other;
    }
}

void join(Flow& into, const Flow& other) {
    join(into.success, other.success);
    join(into.failure, other.failure);
}

/// After either status.
[[nodiscard]] std::optional<Path> any(const Flow& flow) {
    std::optional<Path> path = flow.success;
    join(path, flow.failure);
    return path;
}

[[nodiscard]] Tools failed_in(const Flow& flow) {
    const auto path = any(flow);
    return path ? path->failed : 0;
}

[[nodiscard]] Path because_of(const Path& path, Tools cause) {
    return {.failed = path.failed, .cause = path.cause != 0 ? path.cause : cause};
}

/// A status that was saved for later: "rc=$?".
struct SavedStatus {
    Flow flow;
    Tools known = 0;  ///< the tools at that time
};

/// How much of its input a program in a pipe passes on, or of a file.
[[nodiscard]] LinesShown lines_shown_by(std::string_view program) {
    constexpr std::array<std::string_view, 7> kAll = {"tee", "cat", "less", "more", "nl", "ts", "tac"};
    if (std::ranges::find(kAll, program) != kAll.end()) {
        return LinesShown::all;
    }
    return program == "tail" ? LinesShown::last : LinesShown::some;
}

[[nodiscard]] bool is_one(std::string_view word, std::initializer_list<std::string_view> list) {
    return std::ranges::find(list, word) != list.end();
}

class Interpreter {
  public:
    explicit Interpreter(const CommandClassifier& classifier) : classifier_(classifier) {}

    void read(std::string_view command, ToolReading& reading) {
        const ShellNode script = parse_shell_command(command);
        Flow end = run_in_subshell(script, {.success = Path{}});
        run_uncalled_functions();
        reading.may_fail_later = end.failure && (end.failure->cause & kLaterCommand) != 0;
        for (std::size_t i = 0; i < tools_.size(); ++i) {
            const Tools bit = Tools{1} << i;
            KnownTool& tool = tools_[i];
            tool.may_cause_failure = ((end.failure ? end.failure->cause : 0) & bit) != 0;
            tool.is_masked =
                (end.success ? (end.success->failed & bit) != 0 : !tool.may_cause_failure) || (uncalled_ & bit) != 0;
            const auto known = std::ranges::find(reading.tools, tool.skill_name, &KnownTool::skill_name);
            if (known == reading.tools.end()) {
                reading.tools.push_back(std::move(tool));
            } else {
                known->is_masked |= tool.is_masked;
                known->may_cause_failure |= tool.may_cause_failure;
                known->shown = std::max(known->shown, tool.shown);
                // Two uses of a tool have two statuses.
                known->printed_status = {};
            }
        }
    }

  private:
    struct Function {
        const ShellNode* body = nullptr;
        bool is_called = false;
    };

    [[nodiscard]] Flow run(const ShellNode& node, const Flow& in) {
        if (!any(in)) {
            return {};  // is never reached
        }
        switch (node.kind) {
            case ShellNode::Kind::command:
                return run_command(node, in);
            case ShellNode::Kind::pipeline:
                return run_pipeline(node, in);
            case ShellNode::Kind::negation:
                return run_negation(node, in);
            case ShellNode::Kind::and_or:
                return run_and_or(node, in);
            case ShellNode::Kind::list:
                return run_list(node, in);
            case ShellNode::Kind::background:
                return {.success = with_failed(*any(in), failed_in(run_in_subshell(node, in)))};
            case ShellNode::Kind::subshell: {
                Flow flow = run_in_subshell(node, in);
                pipe_status_.clear();
                return flow;
            }
            case ShellNode::Kind::condition:
                return run_condition(node, in);
            case ShellNode::Kind::loop:
                return run_loop(node, in);
            case ShellNode::Kind::choice:
                return run_choice(node, in);
            case ShellNode::Kind::function:
                if (!node.parts.empty() && functions_.size() < kMaxRemembered) {
                    functions_.emplace_back(node.words[0], Function{.body = node.parts.data()});
                }
                return {.success = any(in)};
        }
        return in;
    }

    [[nodiscard]] static Path with_failed(Path path, Tools failed) {
        path.failed |= failed;
        return path;
    }

    [[nodiscard]] Flow run_list(const ShellNode& list, const Flow& in) {
        Flow flow = in;
        for (const ShellNode& part : list.parts) {
            flow = run(part, flow);
            // and_or checks its last part. The others do not exit for a failure that a part of them ignored.
            if (part.kind == ShellNode::Kind::command || part.kind == ShellNode::Kind::pipeline ||
                part.kind == ShellNode::Kind::subshell) {
                exit_on_failure(flow.failure);
            }
        }
        return flow;
    }

    /// `set -e`.
    void exit_on_failure(std::optional<Path>& failure) {
        if (is_errexit_ && !in_condition_) {
            join(exits_.failure, failure);
            failure.reset();
        }
    }

    [[nodiscard]] Flow run_and_or(const ShellNode& node, const Flow& in) {
        Flow flow;
        for (const ShellNode& part : node.parts) {
            const bool is_last = &part == &node.parts.back();
            const bool was_in_condition = std::exchange(in_condition_, in_condition_ || !is_last);
            if (&part == node.parts.data()) {
                flow = run(part, in);
            } else if (part.is_alternative) {
                Flow other = run(part, {.failure = flow.failure});
                flow.failure = other.failure;
                join(flow.success, other.success);
            } else {
                Flow next = run(part, {.success = flow.success});
                flow.success = next.success;
                in_condition_ = was_in_condition;
                if (is_last) {
                    exit_on_failure(next.failure);
                }
                join(flow.failure, next.failure);
            }
            in_condition_ = was_in_condition;
            if (is_last && part.is_alternative) {
                exit_on_failure(flow.failure);
            }
        }
        return flow;
    }

    [[nodiscard]] Flow run_pipeline(const ShellNode& node, const Flow& in) {
        const Path start = *any(in);
        const std::size_t first_of_pipeline = tools_.size();
        std::vector<SavedStatus> statuses;
        Flow all;
        Tools failed_before = 0;
        for (const ShellNode& part : node.parts) {
            const std::size_t first_tool = tools_.size();
            Flow flow = run_in_subshell(part, {.success = start});
            if (&part != node.parts.data()) {
                for (std::size_t i = first_of_pipeline; i < first_tool; ++i) {
                    tools_[i].shown = std::max(tools_[i].shown, lines_shown_by(part));
                }
            }
            if (&part == node.parts.data()) {
                all = flow;
            } else if (is_pipefail_) {
                const Tools failed = failed_before | failed_in(flow);
                const std::optional<Path> success = all.success && flow.success
                                                        ? std::optional(with_failed(*flow.success, all.success->failed))
                                                        : std::nullopt;
                std::optional<Path> failure;
                for (const auto& path : {all.failure, flow.failure}) {
                    join(failure, path ? std::optional(with_failed(*path, failed)) : std::nullopt);
                }
                all = {.success = success, .failure = failure};
            } else {
                all = flow;
                for (auto* path : {&all.success, &all.failure}) {
                    if (*path) {
                        (*path)->failed |= failed_before;
                    }
                }
            }
            failed_before |= failed_in(flow);
            statuses.push_back({.flow = flow, .known = known_tools()});
        }
        pipe_status_ = std::move(statuses);
        return all;
    }

    [[nodiscard]] static LinesShown lines_shown_by(const ShellNode& part) {
        const auto program = std::ranges::find_if_not(part.words, is_shell_assignment);
        return part.kind == ShellNode::Kind::command && program != part.words.end() ? ingest::lines_shown_by(*program)
                                                                                    : LinesShown::some;
    }

    [[nodiscard]] Flow run_negation(const ShellNode& node, const Flow& in) {
        const bool was_in_condition = std::exchange(in_condition_, true);
        Flow flow = run(node.parts[0], in);
        in_condition_ = was_in_condition;
        std::swap(flow.success, flow.failure);
        if (flow.failure) {
            flow.failure = because_of(*flow.failure, kOtherCommand);
        }
        return flow;
    }

    [[nodiscard]] Flow run_condition(const ShellNode& node, const Flow& in) {
        Flow end;
        Flow before = in;
        for (std::size_t i = 0; i + 1 < node.parts.size(); i += 2) {
            const Flow condition = run_as_condition(node.parts[i], before);
            join(end, run(node.parts[i + 1], {.success = condition.success}));
            before = {.failure = condition.failure};
        }
        if (node.parts.size() % 2 == 1) {
            join(end, run(node.parts.back(), before));
        } else {
            join(end.success, before.failure);
        }
        return end;
    }

    [[nodiscard]] Flow run_as_condition(const ShellNode& node, const Flow& in) {
        const bool was_in_condition = std::exchange(in_condition_, true);
        Flow flow = run(node, in);
        in_condition_ = was_in_condition;
        return flow;
    }

    /// Any turn but the last one may have failed; what follows does not depend on that.
    [[nodiscard]] Flow run_loop(const ShellNode& node, const Flow& in) {
        Path start = *any(in);
        start.failed |= failed_in(run_substitutions(node, in));
        Flow body_start{.success = start};
        if (node.parts.size() == 2) {
            const Flow condition = run_as_condition(node.parts[0], body_start);
            start.failed |= failed_in(condition);
            body_start = {.success = start};
        }
        Flow flow = run(node.parts.back(), body_start);
        const Tools failed = failed_in(flow) | start.failed;
        if (flow.failure) {
            flow.failure->failed |= failed;
        }
        flow.success = Path{.failed = failed};
        return flow;
    }

    [[nodiscard]] Flow run_choice(const ShellNode& node, const Flow& in) {
        Path start = *any(in);
        start.failed |= failed_in(run_substitutions(node, in));
        Flow end{.success = start};
        for (const ShellNode& branch : node.parts) {
            join(end, run(branch, {.success = start}));
        }
        return end;
    }

    /// What runs here cannot end the shell around it.
    [[nodiscard]] Flow run_in_subshell(const ShellNode& node, const Flow& in) {
        const Flow outer_exits = std::exchange(exits_, {});
        const bool was_errexit = is_errexit_;
        const bool was_pipefail = is_pipefail_;
        Flow flow = in;
        if (node.kind == ShellNode::Kind::subshell || node.kind == ShellNode::Kind::background) {
            for (const ShellNode& part : node.parts) {
                flow = run(part, flow);
            }
        } else {
            flow = run(node, flow);
        }
        join(flow, exits_);
        exits_ = outer_exits;
        is_errexit_ = was_errexit;
        is_pipefail_ = was_pipefail;
        return flow;
    }

    /// The flow of the last one.
    [[nodiscard]] Flow run_substitutions(const ShellNode& node, const Flow& in) {
        Flow last;
        Tools failed = 0;
        for (const ShellNode& substitution : node.substitutions) {
            last = run_in_subshell(substitution, {.success = any(in)});
            failed |= failed_in(last);
        }
        for (auto* path : {&last.success, &last.failure}) {
            if (*path && node.substitutions.size() > 1) {
                (*path)->failed |= failed;
            }
        }
        return last;
    }

    [[nodiscard]] Flow run_command(const ShellNode& node, const Flow& in) {
        const auto first = std::ranges::find_if_not(node.words, is_shell_assignment);
        const std::span<const std::string> words(first, node.words.end());
        for (auto assignment = node.words.begin(); words.empty() && assignment != node.words.end(); ++assignment) {
            assign(*assignment, in);
        }
        // Tools in substitutions follow the tool of the command, in whose words they stand.
        if (words.empty()) {
            return node.substitutions.empty() ? Flow{.success = any(in)} : run_substitutions(node, in);
        }
        const std::size_t first_tool = tools_.size();
        Flow flow = run_words(node, words, in);
        for (std::size_t i = first_tool; node.is_redirected && i < tools_.size(); ++i) {
            tools_[i].shown = LinesShown::some;
            redirected_ |= Tools{1} << i;
        }
        if (!node.substitutions.empty() && !is_name_lookup(node, words)) {
            const Tools failed = failed_in(run_substitutions(node, in));
            for (auto* path : {&flow.success, &flow.failure}) {
                if (*path) {
                    (*path)->failed |= failed;
                }
            }
        }
        return flow;
    }

    [[nodiscard]] static bool is_name_lookup(const ShellNode& node, std::span<const std::string> words) {
        return words[0] == "$" && looked_up_name(node) != nullptr;
    }

    /// `which pytest` in "$(which pytest) -q".
    [[nodiscard]] static const std::string* looked_up_name(const ShellNode& node) {
        if (node.substitutions.size() != 1 || node.substitutions[0].parts.size() != 1) {
            return nullptr;
        }
        const ShellWords& words = node.substitutions[0].parts[0].words;
        const bool is_lookup = (words.size() == 2 && words[0] == "which") ||
                               (words.size() == 3 && words[0] == "command" && words[1] == "-v");
        return is_lookup ? &words.back() : nullptr;
    }

    /// "rc=$?", "rc=${PIPESTATUS[0]}".
    void assign(std::string_view assignment, const Flow& in) {
        const std::size_t equals = assignment.find('=');
        const std::string_view name = assignment.substr(0, equals);
        std::erase_if(variables_, [name](const auto& variable) { return variable.first == name; });
        const auto status = status_of(assignment.substr(equals + 1), in);
        if (status && variables_.size() < kMaxRemembered) {
            variables_.emplace_back(name, *status);
        }
        pipe_status_.clear();
    }

    /// The status that the word stands for, as it was when it was saved.
    [[nodiscard]] std::optional<SavedStatus> status_of(std::string_view word, const Flow& in) const {
        if (!word.starts_with('$')) {
            return std::nullopt;
        }
        word.remove_prefix(1);
        if (word == "?") {
            return SavedStatus{.flow = in, .known = known_tools()};
        }
        const std::string_view name = word.substr(0, word.find('['));
        const bool counts_from_0 = name == "PIPESTATUS" || name == "LASTEXITCODE";  // of bash, of PowerShell
        if (counts_from_0 || name == "pipestatus") {                                // of zsh
            std::size_t index = 0;
            for (const char c : word.substr(name.size())) {
                index = ascii::is_digit(c) ? std::min<std::size_t>(index * 10 + static_cast<std::size_t>(c - '0'), 1000)
                                           : index;
            }
            index -= counts_from_0 || index == 0 ? 0U : 1U;
            if (pipe_status_.empty()) {
                return index == 0 ? std::optional(SavedStatus{.flow = in, .known = known_tools()}) : std::nullopt;
            }
            return index < pipe_status_.size() ? std::optional(pipe_status_[index]) : std::nullopt;
        }
        const auto found = std::ranges::find(variables_, word, &std::pair<std::string, SavedStatus>::first);
        return found == variables_.end() ? std::nullopt : std::optional(found->second);
    }

    /// What is known now if the saved status was 0, and if it was not.
    [[nodiscard]] static Flow recall(const SavedStatus& saved, const Path& now) {
        Flow flow = saved.flow;
        for (auto* path : {&flow.success, &flow.failure}) {
            if (*path) {
                (*path)->failed |= now.failed & ~saved.known;
            }
        }
        return flow;
    }

    [[nodiscard]] Flow run_words(const ShellNode& node, std::span<const std::string> words, const Flow& in) {
        const Path start = *any(in);
        const std::string_view program = words[0];
        Flow flow;
        // NOLINTNEXTLINE(bugprone-branch-clone): commands of different kinds
        if (program == "true" || program == ":") {
            flow.success = start;
        } else if (program == "false") {
            flow.failure = because_of(start, kOtherCommand);
        } else if (program == "exit" || program == "return") {
            join(program == "exit" || function_depth_ == 0 ? exits_ : returns_, exit_flow(words, in));
        } else if (program == "set") {
            set_options(words.subspan(1));
            flow.success = start;
        } else if (program == "echo" || program == "printf") {
            note_printed_status(words, in);
            flow.success = start;
        } else if (program == "test" || program == "[" || program == "[[") {
            flow = test_flow(words, in);
        } else if (program == "trap") {
            flow.success = start;  // its command is about the end, not the work
        } else if (Function* function = find_function(program); function != nullptr) {
            flow = call(*function, in);
        } else {
            flow = run_program(node, words, start);
        }
        pipe_status_.clear();
        return flow;
    }

    [[nodiscard]] Flow run_program(const ShellNode& node, std::span<const std::string> words, const Path& start) {
        CommandMeaning meaning;
        if (is_name_lookup(node, words)) {
            std::vector<std::string> named(words.begin(), words.end());
            named[0] = *looked_up_name(node);
            meaning = classifier_.classify(named);
        } else {
            meaning = classifier_.classify(words);
        }
        if (meaning.kind == CommandMeaning::Kind::script && script_depth_ < kMaxScriptDepth) {
            const Flow flow = run_script(meaning, start);
            if (!meaning.hides_status) {
                return flow;
            }
            const Path path = with_failed(start, failed_in(flow));
            return {.success = path, .failure = because_of(path, kOtherCommand)};
        }
        if (meaning.kind == CommandMeaning::Kind::tool && tools_.size() < kMaxTools) {
            const Tools bit = Tools{1} << tools_.size();
            tools_.push_back({.skill_name = std::move(meaning.text), .is_preparation = meaning.is_preparation});
            if (meaning.hides_status) {
                const Path path = with_failed(start, bit);
                return {.success = path, .failure = because_of(path, kOtherCommand)};
            }
            return {.success = start,
                    .failure = Path{.failed = start.failed | bit,
                                    .cause = (start.cause & ~(kOtherCommand | kLaterCommand)) | bit}};
        }
        show_redirected(ingest::lines_shown_by(words[0]));
        return {.success = start, .failure = because_of(start, tools_.empty() ? kOtherCommand : kLaterCommand)};
    }

    /// "pytest > log; tail log"
    void show_redirected(LinesShown shown) {
        for (std::size_t i = 0; shown != LinesShown::some && i < tools_.size(); ++i) {
            if ((redirected_ & (Tools{1} << i)) != 0) {
                tools_[i].shown = shown;
            }
        }
    }

    [[nodiscard]] Flow run_script(const CommandMeaning& meaning, const Path& start) {
        ++script_depth_;
        const ShellNode script = parse_shell_command(meaning.text);
        Flow flow;
        const std::size_t outer_functions = functions_.size();
        if (meaning.has_own_options) {
            const bool was_errexit = std::exchange(is_errexit_, meaning.is_errexit);
            const bool was_pipefail = std::exchange(is_pipefail_, meaning.is_pipefail);
            const bool was_in_condition = std::exchange(in_condition_, false);
            flow = run_in_subshell(script, {.success = start});
            is_errexit_ = was_errexit;
            is_pipefail_ = was_pipefail;
            in_condition_ = was_in_condition;
        } else {
            flow = run(script, {.success = start});
        }
        // The nodes of its functions end with it.
        functions_.resize(std::min(outer_functions, functions_.size()));
        --script_depth_;
        return flow;
    }

    [[nodiscard]] Flow exit_flow(std::span<const std::string> words, const Flow& in) {
        if (words.size() < 2) {
            return in;
        }
        const Path start = *any(in);
        if (const auto status = status_of(words[1], in)) {
            return recall(*status, start);
        }
        const bool is_number = std::ranges::all_of(words[1], ascii::is_digit);
        Flow flow;
        if (!is_number || words[1].find_first_not_of('0') == std::string::npos) {
            flow.success = start;
        }
        if (!is_number || !flow.success) {
            flow.failure = because_of(start, kOtherCommand);
        }
        return flow;
    }

    /// "[ $? -eq 0 ]" has the status that it tests.
    [[nodiscard]] Flow test_flow(std::span<const std::string> words, const Flow& in) {
        const Path start = *any(in);
        if (words.size() >= 4 && words[3] == "0") {
            const bool is_equal = is_one(words[2], {"-eq", "=", "=="});
            const bool is_different = is_one(words[2], {"-ne", "!=", "-gt"});
            const auto status = is_equal || is_different ? status_of(words[1], in) : std::nullopt;
            if (status) {
                Flow flow = recall(*status, start);
                if (is_different) {
                    std::swap(flow.success, flow.failure);
                    if (flow.failure) {
                        flow.failure = because_of(*flow.failure, kOtherCommand);
                    }
                }
                return flow;
            }
        }
        return {.success = start, .failure = because_of(start, kOtherCommand)};
    }

    /// "set -euo pipefail".
    void set_options(std::span<const std::string> words) {
        for (std::size_t i = 0; i < words.size(); ++i) {
            const std::string_view word = words[i];
            if (word.size() < 2 || (word[0] != '-' && word[0] != '+') || word[1] == '-') {
                continue;
            }
            const bool value = word[0] == '-';
            is_errexit_ = word.find('e') != std::string_view::npos ? value : is_errexit_;
            if (word.find('o') != std::string_view::npos && i + 1 < words.size()) {
                ++i;
                is_pipefail_ = words[i] == "pipefail" ? value : is_pipefail_;
                is_errexit_ = words[i] == "errexit" ? value : is_errexit_;
            }
        }
    }

    /// echo "exit: $?"
    void note_printed_status(std::span<const std::string> words, const Flow& in) {
        std::string prefix;
        for (const std::string& word : words.subspan(1)) {
            const std::size_t dollar = word.find('$');
            if (dollar == std::string::npos) {
                if (prefix.empty() && is_one(word, {"-e", "-n", "-E"})) {
                    continue;
                }
                prefix += word;
                prefix += ' ';
                continue;
            }
            prefix += word.substr(0, dollar);
            std::size_t end = std::min(dollar + 2, word.size());
            while (word.compare(dollar, 2, "$?") != 0 && end < word.size() &&
                   ascii::is_alphanumeric_or("_[]", word[end])) {
                ++end;
            }
            const auto status = status_of(std::string_view(word).substr(dollar, end - dollar), in);
            if (words[0] == "echo" && status && prefix.size() <= kMaxPrintedPrefixBytes &&
                printed_.size() < kMaxRemembered) {
                note_printed_status(PrintedStatus::of(prefix), *status);
            }
            return;
        }
    }

    void note_printed_status(const PrintedStatus& printed, const SavedStatus& status) {
        const bool is_repeated = std::ranges::find(printed_, printed) != printed_.end();
        printed_.push_back(printed);
        for (std::size_t i = 0; i < tools_.size(); ++i) {
            const Tools bit = Tools{1} << i;
            if (is_repeated) {
                // It does not show which of the two it is about.
                if (tools_[i].printed_status == printed) {
                    tools_[i].printed_status = {};
                }
            } else if (status.flow.success && (status.flow.success->failed & bit) == 0 && status.flow.failure &&
                       (status.flow.failure->cause & bit) != 0) {
                tools_[i].printed_status = printed;
            }
        }
    }

    [[nodiscard]] Function* find_function(std::string_view name) {
        const auto found = std::ranges::find(functions_, name, &std::pair<std::string, Function>::first);
        return found == functions_.end() ? nullptr : &found->second;
    }

    [[nodiscard]] Flow call(Function& function, const Flow& in) {
        function.is_called = true;
        const Path start = *any(in);
        if (function_depth_ == kMaxFunctionDepth || ++function_calls_ > kMaxFunctionCalls) {
            return {.success = start, .failure = because_of(start, kOtherCommand)};
        }
        ++function_depth_;
        const Flow outer_returns = std::exchange(returns_, {});
        Flow flow = run(*function.body, {.success = start});
        join(flow, returns_);
        returns_ = outer_returns;
        --function_depth_;
        return flow;
    }

    /// Something runs them in a way that is not seen here.
    void run_uncalled_functions() {
        const std::size_t first_tool = tools_.size();
        // By index, because a call may define further functions.
        for (std::size_t i = 0; i < functions_.size(); ++i) {  // NOLINT(modernize-loop-convert)
            if (!functions_[i].second.is_called) {
                static_cast<void>(call(functions_[i].second, {.success = Path{}}));
            }
        }
        uncalled_ = known_tools() & ~((Tools{1} << first_tool) - 1);
    }

    [[nodiscard]] Tools known_tools() const { return (Tools{1} << tools_.size()) - 1; }

    const CommandClassifier& classifier_;
    std::vector<KnownTool> tools_;
    Tools uncalled_ = 0;
    Tools redirected_ = 0;
    std::vector<std::pair<std::string, SavedStatus>> variables_;
    std::vector<SavedStatus> pipe_status_;  // of the last command, if it was a pipeline
    std::vector<PrintedStatus> printed_;
    std::deque<std::pair<std::string, Function>> functions_;  // references to its elements stay valid
    Flow exits_;                                              // by which `exit` leaves the current subshell
    Flow returns_;                                            // by which `return` leaves the current function
    bool is_errexit_ = false;
    bool is_pipefail_ = false;
    bool in_condition_ = false;  // where `set -e` does not apply
    int script_depth_ = 0;
    int function_depth_ = 0;
    int function_calls_ = 0;
};

}  // namespace

bool is_shell_assignment(std::string_view word) {
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

void read_statuses(std::string_view command, const CommandClassifier& classifier, ToolReading& reading) {
    Interpreter(classifier).read(command, reading);
}

}  // namespace session_buddy::ingest
