// A table of the JSON members that identify the files of each agent.
#include "session_buddy/ingest/other_agents.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace session_buddy::ingest {
namespace {

/// A member of an object; its value, if it matters, is a string that begins so.
struct Member {
    std::string_view key;
    std::string_view value;
};

struct Format {
    std::string_view agent;
    std::array<Member, 3> members;  ///< all of them are there
};

constexpr std::string_view kCodex = "Codex";
constexpr std::string_view kGemini = "Gemini CLI";
constexpr std::string_view kOpenCode = "OpenCode";
constexpr std::string_view kCopilot = "GitHub Copilot CLI";

constexpr std::array kFormats{
    Format{kCodex, {{{"type", "session_meta\""}, {"payload", ""}}}},
    Format{kCodex, {{{"type", "response_item\""}, {"payload", ""}}}},
    Format{kCodex, {{{"type", "event_msg\""}, {"payload", ""}}}},
    Format{kCodex, {{{"record_type", ""}}}},
    Format{kGemini, {{{"sessionId", ""}, {"projectHash", ""}}}},
    Format{kGemini, {{{"type", "gemini\""}, {"timestamp", ""}}}},
    Format{kOpenCode, {{{"sessionID", "ses_"}}}},
    Format{kOpenCode, {{{"id", "ses_"}}}},
    Format{kOpenCode, {{{"session_id", "ses_"}}}},
    Format{kCopilot, {{{"copilotVersion", ""}}}},
    Format{kCopilot, {{{"type", "user.message\""}, {"data", ""}, {"parentId", ""}}}},
    Format{kCopilot, {{{"type", "tool.execution_"}, {"data", ""}, {"parentId", ""}}}},
    Format{"Pi", {{{"type", "session\""}, {"version", ""}, {"cwd", ""}}}},
    Format{"Pi", {{{"role", "toolResult\""}, {"toolCallId", ""}}}},
};

[[nodiscard]] std::string_view after_blanks(std::string_view text) {
    return text.substr(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
}

[[nodiscard]] bool has_member(std::string_view text, const Member& member) {
    const std::string key = '"' + std::string(member.key) + '"';
    for (std::size_t at = text.find(key); at != std::string_view::npos; at = text.find(key, at + 1)) {
        std::string_view rest = after_blanks(text.substr(at + key.size()));
        if (!rest.starts_with(':')) {
            continue;
        }
        rest = after_blanks(rest.substr(1));
        if (member.value.empty() || (rest.starts_with('"') && rest.substr(1).starts_with(member.value))) {
            return true;
        }
    }
    return false;
}

}  // namespace

std::string_view recognize_other_agent(std::string_view beginning) {
    const std::string_view text = beginning.substr(0, kRecognizedBytes);
    const auto* const found = std::ranges::find_if(kFormats, [text](const Format& format) {
        return std::ranges::all_of(
            format.members, [text](const Member& member) { return member.key.empty() || has_member(text, member); });
    });
    return found != kFormats.end() ? found->agent : std::string_view{};
}

}  // namespace session_buddy::ingest
