// Reads from the texts that Claude Code writes that a command or subagent went to the background, and that it ended
// there. The texts are only looked at.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "session_buddy/core/evidence.hpp"
#include "session_buddy/ingest/agent_event.hpp"

namespace session_buddy::ingest {

/// Of one text, more notifications are ignored.
inline constexpr std::size_t kMaxNotifications = 64;

/// The end of something that ran in the background. The views point into the text it was read from.
struct BackgroundEnd {
    std::string_view tool_use_id;                 ///< of the use that launched it; empty if the text does not say it
    std::string_view task_id;                     ///< Claude Code's id of the task or agent; may be empty
    Outcome outcome = Outcome::completed;         ///< completed or failed
    std::string_view error_class{};               ///< a constant of error_class.hpp; empty unless failed
    std::optional<double> duration_seconds{};     ///< as measured by the agent; satisfies is_valid_duration
    std::string_view placeholder_name = "Agent";  ///< the tool that launched it: "Agent" or "Bash"
};

/// Sets the name of the use, if it has none, and the claims about its end. `use.at` is the time of the end.
void set_background_end(AgentEvent& use, const BackgroundEnd& end, EvidenceSource source);

/// The `<task-notification>` elements of a prompt that begins with one. Those of tasks that still run are left out.
[[nodiscard]] std::vector<BackgroundEnd> read_task_notifications(std::string_view prompt);

/// From the status of a task: "completed", "failed", "killed", … nullopt if it has not ended. `exit_code`: a decimal
/// number, empty if unknown.
[[nodiscard]] std::optional<BackgroundEnd> background_end(std::string_view status, std::string_view exit_code);

/// The text that TaskOutput returns: tags, then the output. nullopt if it is none, or the task has not ended.
[[nodiscard]] std::optional<BackgroundEnd> read_task_output(std::string_view text);

/// Whether a result says, in words, that the command or agent runs in the background.
[[nodiscard]] bool is_launch_text(std::string_view text);

/// From the message of a tool that stops tasks: it did.
[[nodiscard]] bool is_stop_text(std::string_view text);

}  // namespace session_buddy::ingest
