// Looks for a few tags. An output may contain the same tags, so that only those in front of it count.
#include "background.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>

#include "session_buddy/core/duration.hpp"
#include "session_buddy/ingest/error_class.hpp"

namespace session_buddy::ingest {
namespace {

constexpr std::string_view kOpen = "<task-notification>";
constexpr std::string_view kClose = "</task-notification>";
constexpr std::string_view kBlanks = " \t\r\n";

[[nodiscard]] std::string_view trimmed(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
    return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

/// The content of the first `<tag>…</tag>`; empty if there is none.
[[nodiscard]] std::string_view element(std::string_view text, std::string_view tag) {
    const std::string open = '<' + std::string(tag) + '>';
    const std::string close = "</" + std::string(tag) + '>';
    const std::size_t begin = text.find(open);
    if (begin == std::string_view::npos) {
        return {};
    }
    text.remove_prefix(begin + open.size());
    const std::size_t end = text.find(close);
    return end == std::string_view::npos ? std::string_view{} : trimmed(text.substr(0, end));
}

/// "duration_ms: 300000" in older versions, else an element.
[[nodiscard]] std::optional<double> duration_of(std::string_view usage) {
    constexpr std::string_view kKey = "duration_ms";
    constexpr double kMillisecondsPerSecond = 1000.0;
    const std::size_t key = usage.find(kKey);
    if (key == std::string_view::npos) {
        return std::nullopt;
    }
    usage.remove_prefix(key + kKey.size());
    usage.remove_prefix(std::min(usage.find_first_not_of(":> \t"), usage.size()));
    std::int64_t milliseconds = -1;
    const auto read = std::from_chars(usage.data(), usage.data() + usage.size(), milliseconds);
    const double seconds = static_cast<double>(milliseconds) / kMillisecondsPerSecond;
    return read.ec == std::errc{} && is_valid_duration(seconds) ? std::optional(seconds) : std::nullopt;
}

[[nodiscard]] bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

/// `text`: the inside of one element.
[[nodiscard]] std::optional<BackgroundEnd> read_notification(std::string_view text) {
    constexpr std::string_view kResult = "<result>";
    const std::string_view head = text.substr(0, text.find(kResult));
    const std::string_view summary = element(head, "summary");
    std::optional<BackgroundEnd> end = background_end(element(head, "status"), {});
    if (!end) {
        return std::nullopt;
    }
    end->tool_use_id = element(head, "tool-use-id");
    end->task_id = element(head, "task-id");
    const std::size_t usage = text.rfind("<usage>");
    end->duration_seconds = usage == std::string_view::npos ? std::nullopt : duration_of(text.substr(usage));
    if (!summary.starts_with("Agent") && (summary.starts_with("Background command") || !end->duration_seconds)) {
        end->placeholder_name = "Bash";
    }
    if (end->error_class == kToolError) {
        // What is in quotes is the agent's description of the task.
        const std::string_view words = summary.substr(std::min(summary.rfind('"'), summary.size()));
        if (contains(words, "timed out")) {
            end->error_class = kTimeout;
        } else if (contains(words, "exit code")) {
            end->error_class = kExitCode;
        }
    }
    return end;
}

}  // namespace

void set_background_end(AgentEvent& use, const BackgroundEnd& end, EvidenceSource source) {
    constexpr double kMicrosPerSecond = 1e6;
    if (use.skill_name.empty()) {
        use.skill_name = end.placeholder_name;
        use.evidence.name_basis = NameBasis::placeholder;
    }
    use.is_supplement = true;
    use.evidence.in_background = true;
    ClaimedEnd& claimed = use.evidence.background_end;
    claimed.outcome = {.source = source, .value = {.outcome = end.outcome, .error_type = std::string(end.error_class)}};
    claimed.at = {.source = source, .value = use.at};
    if (end.duration_seconds) {
        claimed.measured_us = {.source = source, .value = std::llround(*end.duration_seconds * kMicrosPerSecond)};
    }
}

std::vector<BackgroundEnd> read_task_notifications(std::string_view prompt) {
    std::vector<BackgroundEnd> ends;
    for (prompt = trimmed(prompt); prompt.starts_with(kOpen) && ends.size() < kMaxNotifications;) {
        prompt.remove_prefix(kOpen.size());
        const std::size_t close = prompt.find(kClose);
        if (auto end = read_notification(prompt.substr(0, close))) {
            ends.push_back(*end);
        }
        prompt.remove_prefix(close == std::string_view::npos ? prompt.size() : close + kClose.size());
        prompt = trimmed(prompt);
    }
    return ends;
}

std::optional<BackgroundEnd> background_end(std::string_view status, std::string_view exit_code) {
    constexpr std::array<std::string_view, 5> kStopped{"killed", "stopped", "cancelled", "canceled", "interrupted"};
    const bool is_success = exit_code.empty() || exit_code == "0";
    BackgroundEnd end;
    if (status == "completed" && is_success) {
        return end;
    }
    end.outcome = Outcome::failed;
    if (status == "completed" || status == "failed" || status == "error") {
        end.error_class = is_success ? kToolError : kExitCode;
        return end;
    }
    end.error_class = kInterrupted;
    return std::ranges::find(kStopped, status) != kStopped.end() ? std::optional(end) : std::nullopt;
}

std::optional<BackgroundEnd> read_task_output(std::string_view text) {
    if (!text.starts_with("<retrieval_status>")) {
        return std::nullopt;
    }
    const std::string_view head = text.substr(0, text.find("<output>"));
    auto end = background_end(element(head, "status"), element(head, "exit_code"));
    if (end) {
        end->task_id = element(head, "task_id");
    }
    return end;
}

bool is_launch_text(std::string_view text) {
    constexpr std::array<std::string_view, 4> kLaunches{"Command running in background with ID",
                                                        "Command was manually backgrounded", "Async agent launched",
                                                        "Command was backgrounded"};
    return std::ranges::any_of(kLaunches, [text](std::string_view start) { return text.starts_with(start); });
}

bool is_stop_text(std::string_view text) {
    return text.starts_with("Successfully stopped") || text.starts_with("Successfully killed");
}

}  // namespace session_buddy::ingest
