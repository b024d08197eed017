// The tables of programs that run other commands, and of words that make a command no run of its tool. Like the table
// of tools (tool_rules.cpp), they are meant to be extended by lines.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace session_buddy::ingest {

/// A program that runs the command after it.
struct CommandWrapper {
    /// Where its command stands.
    enum class Form : std::uint8_t {
        words,         ///< the words after its options and own arguments
        after_dashes,  ///< only the words after "--"
        module,        ///< as a module: "-m name"
        words_or_module,
        file,          ///< a file of an installed program, as node_modules/.bin/jest, or a module
        script,        ///< one word is a script, several are the words of a command: watch, tmux
        scripts,       ///< each word is a script: concurrently
        after_option,  ///< the words after one of command_options, up to ";" or "+": "find -exec"
    };

    std::string_view command;        ///< its words
    std::string_view value_options;  ///< blank-separated options that take the next word
    Form form = Form::words;
    int own_arguments = 0;             ///< number of arguments before the command: 1 for "timeout 10 pytest"
    std::string_view inner_program{};  ///< stands before the words: "yarn workspace web test" runs "yarn test"
    /// Of after_option. Of other forms: options whose value is a script, as "nix-shell --run".
    std::string_view command_options{};
    bool hides_status = false;  ///< its exit status is not that of the command
};

/// A program that runs named tasks of a project: the skill is named after the task, if that is a plain word.
struct TaskRunner {
    std::string_view command;
    std::string_view prefix;          ///< of the skill name, before the task
    std::string_view value_options;   ///< options before the task that take the next word
    std::string_view own_commands;    ///< blank-separated words that are no tasks
    std::string_view default_skill;   ///< the skill name without a plain task; empty: not a known tool
    std::string_view task_options{};  ///< options whose value is the task: "nx run-many -t test"
};

/// Options with a value between a program and its subcommand.
struct ProgramOptions {
    std::string_view program;
    std::string_view value_options;
};

/// With one of these words a program only informs: it is no run of the tool.
struct InformationWords {
    std::string_view program;
    std::string_view anywhere;  ///< options
    std::string_view first{};   ///< subcommands and options directly after the tool
};

[[nodiscard]] std::span<const CommandWrapper> command_wrappers();
[[nodiscard]] std::span<const TaskRunner> task_runners();
[[nodiscard]] std::span<const ProgramOptions> program_options();
[[nodiscard]] std::span<const InformationWords> information_words();

}  // namespace session_buddy::ingest
