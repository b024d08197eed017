// Derives the skill name of a tool use, in the same way for all sources. Only names are returned: arguments, paths and
// prompts are never stored.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "session_buddy/core/evidence.hpp"
#include "session_buddy/core/tool_rule.hpp"
#include "session_buddy/ingest/output_verdict.hpp"

namespace session_buddy::ingest {

/// The built-in table. A name is the words of the command ("npm test", "git commit", "mypy"), with three historical
/// exceptions: pytest-run, ruff-check, ruff-format.
[[nodiscard]] std::span<const ToolRule> default_tool_rules();

/// The skill name of a shell command that runs no known tool: the name of the agent's tool.
inline constexpr std::string_view kUnknownCommand = "Bash";

struct CommandWrapper;
struct InformationWords;
struct TaskRunner;

/// Turns any text into a valid skill name: removes control characters, malformed UTF-8 and surrounding blanks, and
/// truncates to 256 bytes (whole characters). Returns `fallback` if nothing remains.
[[nodiscard]] std::string to_skill_name(std::string_view text, std::string_view fallback = "unknown");

/// The fields of a tool's input that its name may depend on.
inline constexpr std::array<std::string_view, 4> kNamingFields{"skill", "skill_name", "command", "subagent_type"};

/// How a command prints the exit status of a tool: `echo "exit: $?"`. Identifies the text before the number by its
/// hash, because the text itself is private.
struct PrintedStatus {
    std::uint32_t prefix_hash = 0;
    std::uint16_t prefix_bytes = 0;
    bool exists = false;

    [[nodiscard]] static PrintedStatus of(std::string_view prefix);
    /// The last status that `output` has in this form; nullopt if there is none.
    [[nodiscard]] std::optional<int> find_in(std::string_view output) const;
    bool operator==(const PrintedStatus&) const = default;
};

/// One of the known developer tools that a shell command runs.
struct KnownTool {
    std::string skill_name;
    /// Counts only if the command runs no other known tool.
    bool is_preparation = false;
    /// The command may succeed although this tool failed: "pytest | tail", "pytest || true", "pytest; ls".
    bool is_masked = false;
    /// If the command fails, this tool may be the reason. False for "pytest | grep x": the status is that of grep.
    bool may_cause_failure = true;
    /// Of its output, in that of the command: "pytest | tail" shows the last lines, "pytest | grep failed" some.
    LinesShown shown = LinesShown::all;
    PrintedStatus printed_status{};
};

/// What the end of a tool use says about its invocation.
struct ToolConclusion {
    std::string skill_name;
    NameBasis name_basis = NameBasis::none;
    /// To be claimed as the outcome of the call: completed or failed. With `is_masked`, completed only means that the
    /// call ended; this is also the case of a command that failed for another reason than the tool.
    Outcome outcome = Outcome::completed;
    bool is_masked = false;            ///< Evidence::is_masked
    std::optional<Outcome> verdict{};  ///< what the output of the tool shows; never `unknown`
};

/// What the input of a tool use says about its invocation. Small, to be kept until the use has ended; it holds only
/// names, nothing private.
struct ToolReading {
    std::string skill_name;
    NameBasis name_basis = NameBasis::tool;
    /// The known tools of a shell command, in the order in which they stand there, each skill once. Empty if the exit
    /// status of the command is that of the tool it is named after.
    std::vector<KnownTool> tools{};

    /// If the command fails, another command after the known tools may be the reason.
    bool may_fail_later = false;

    /// Whether conclude() needs the output. Most uses do not.
    [[nodiscard]] bool needs_output(bool is_error) const;
    /// For a call that ended by itself. `is_error`: with an error of the class exit_code. After any other error (the
    /// call was rejected, interrupted or timed out) the reading holds as it is, and the outcome is `failed`.
    /// `output`: at least the last kMaxVerdictBytes (ingest/output_verdict.hpp) of what the command printed, standard
    /// error included; it is only looked at.
    [[nodiscard]] ToolConclusion conclude(bool is_error, std::string_view output) const;
};

/// "mcp__server__tool" → "server"; empty if it is not the name of an MCP tool.
[[nodiscard]] std::string_view mcp_server(std::string_view skill_name);

/// Immutable after construction: safe to share between threads.
class SkillNamer {
  public:
    /// `extra` rules are added to the built-in ones and take precedence over a built-in rule with the same number of
    /// words.
    explicit SkillNamer(std::span<const ToolRule> extra = {});

    /// `input` is the tool's input object; any other value (null, a string) counts as empty.
    ///   Skill → `skill`, else `skill_name`, else `command`, without a leading slash
    ///     and without what follows a blank: that is an argument
    ///   Agent, Task → `agent:<subagent_type>`
    ///   Bash, PowerShell → the first known tool that `command` runs, a preparation (such as an install) only if there
    ///   is
    ///     no other; the tool's name if there is none. Of the rules that match, the one with the most words wins.
    ///   any other, mcp__server__tool included → the tool's name; so also where the wanted field is missing
    [[nodiscard]] ToolReading read(std::string_view tool_name, const nlohmann::json& input) const;

    /// The name that read() returns.
    [[nodiscard]] std::string for_tool(std::string_view tool_name, const nlohmann::json& input) const;

    /// The name of a shell command; nullopt if it runs no known tool.
    [[nodiscard]] std::optional<std::string> for_shell_command(std::string_view command) const;

    /// "/name" as typed → "name", without what follows a blank.
    [[nodiscard]] static std::string for_typed_command(std::string_view typed);

  private:
    class Classifier;

    /// What follows from the words of a command.
    struct Entry {
        std::vector<std::string> words{};
        std::string skill{};  ///< of a tool
        bool is_preparation = false;
        bool is_extra = false;
        bool needs_argument = false;
        const CommandWrapper* wrapper = nullptr;
        const TaskRunner* runner = nullptr;
        const InformationWords* information = nullptr;
    };

    void add(const ToolRule& rule, bool is_extra);
    void add(Entry entry);
    [[nodiscard]] ToolReading read_shell(std::string_view tool_name, std::string_view command) const;

    /// By the first word; more words first.
    std::unordered_map<std::string, std::vector<Entry>> entries_;
};

}  // namespace session_buddy::ingest
