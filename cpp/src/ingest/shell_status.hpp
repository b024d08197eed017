// Follows the exit statuses through a shell command: which of its known tools may have failed although the command
// succeeded, and which may be the reason that it failed.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "session_buddy/ingest/shell_command.hpp"
#include "session_buddy/ingest/skill_name.hpp"

namespace session_buddy::ingest {

/// What a simple command runs.
struct CommandMeaning {
    enum class Kind : std::uint8_t {
        unknown,
        tool,
        script,  ///< of a shell: "bash -c '…'", "eval …"
    };
    Kind kind = Kind::unknown;
    std::string text{};  ///< the skill name of the tool, or the script
    bool is_preparation = false;
    bool hides_status = false;     ///< the wrapper ignores the status of the tool: "find -exec … \;"
    bool has_own_options = false;  ///< of a script: another shell, to which `set -e` here does not apply
    bool is_errexit = false;       ///< of a script: "bash -e -c"
    bool is_pipefail = false;      ///< of a script: "bash -o pipefail -c"
};

class CommandClassifier {
  public:
    CommandClassifier() = default;
    CommandClassifier(const CommandClassifier&) = delete;
    CommandClassifier& operator=(const CommandClassifier&) = delete;
    virtual ~CommandClassifier() = default;
    /// `words`: at least one, none of them a leading assignment.
    [[nodiscard]] virtual CommandMeaning classify(std::span<const std::string> words) const = 0;
};

/// NAME=value, NAME+=value, NAME[0]=value.
[[nodiscard]] bool is_shell_assignment(std::string_view word);

/// The known tools, each skill name once, in the order in which they stand there, and what the command prints about
/// their statuses. `reading` gets `tools` and `printed_status`.
void read_statuses(std::string_view command, const CommandClassifier& classifier, ToolReading& reading);

}  // namespace session_buddy::ingest
