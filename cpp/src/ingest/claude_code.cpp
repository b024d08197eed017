// The session files of Claude Code: JSON Lines below the `projects` folders of its config folders.
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "background.hpp"
#include "session_buddy/core/duration.hpp"
#include "session_buddy/core/list_items.hpp"
#include "session_buddy/ingest/error_class.hpp"
#include "session_buddy/ingest/output_verdict.hpp"
#include "source.hpp"
#include "typed_command.hpp"

namespace session_buddy::ingest {
namespace {

using nlohmann::json;
using namespace std::string_view_literals;
namespace dom = simdjson::dom;

constexpr std::size_t kErrorTextBytes = 2048;  // prefix of an error text that is classified

constexpr std::array kLineFields = std::to_array<std::string_view>(
    {"type", "subtype", "operation", "timestamp", "sessionId", "uuid", "version", "isSidechain", "isCompactSummary",
     "message", "content", "toolUseResult", "toolDenialKind", "toolDenialBeforeRun", "attachment", "forkedFrom"});
constexpr std::array kResultFields = std::to_array<std::string_view>(
    {"durationMs", "duration_ms", "totalDurationMs", "interrupted", "isAsync", "status", "backgroundTaskId", "agentId",
     "stdout", "task", "task_id", "shellId", "shell_id", "exitCode", "message"});
constexpr std::array kTaskFields = std::to_array<std::string_view>({"task_id", "status", "exitCode"});

/// From this version on, `toolDenialBeforeRun` says that the user rejected a call, and without it the user interrupted
/// one that ran.
constexpr std::array kFirstWithBeforeRun{2, 1, 332};
/// From this version on, the error of a shell command begins with its exit code.
constexpr std::array kFirstWithExitCode{2, 0, 64};

/// Depths: 1 = keys of the line itself, 2 = of `message`, `toolUseResult` and other objects of the line, 3 = of
/// `toolUseResult.task`, 4 = of a content block, 5 = of its `input`, 6 = of a block inside its `content`.
bool keeps(int depth, std::string_view key, const KeysAbove& above) {
    switch (depth) {
        case 1:
            return is_one_of(key, kLineFields);
        case 2:
            if (above[1] == "message") {
                return key == "content";
            }
            if (above[1] == "attachment") {
                return is_one_of<2>(key, {"type", "prompt"});
            }
            return above[1] == "forkedFrom" ? key == "sessionId" : is_one_of(key, kResultFields);
        case 3:
            return above[1] == "toolUseResult" && above[2] == "task" && is_one_of(key, kTaskFields);
        case 4:
            return is_one_of<8>(key, {"type", "id", "name", "input", "tool_use_id", "content", "is_error", "text"});
        case 5:
            return above[4] == "input" && is_one_of(key, kNamingFields);
        case 6:
            return above[4] == "content" && is_one_of<2>(key, {"type", "text"});
        default:
            return false;
    }
}

/// The beginning of a result's content, which is a string or text blocks.
[[nodiscard]] std::string error_text(const dom::element& content) {
    if (content.is_string()) {
        return std::string(text_of(content).substr(0, kErrorTextBytes));
    }
    std::string text;
    dom::array parts;
    if (content.get(parts) == simdjson::SUCCESS) {
        for (const dom::element part : parts) {
            dom::object fields;
            if (part.get(fields) == simdjson::SUCCESS && text.size() < kErrorTextBytes) {
                std::string_view own;
                read_members(fields, "text"sv, &own);
                text += own.substr(0, kErrorTextBytes);
                text += '\n';
            }
        }
    }
    return text;
}

/// Of a string, all; of text blocks, the first.
[[nodiscard]] std::string_view beginning_of(const dom::element& content) {
    dom::array parts;
    if (content.is_string() || content.get(parts) != simdjson::SUCCESS) {
        return text_of(content);
    }
    std::string_view text;
    if (parts.begin() != parts.end()) {
        if (dom::object fields; (*parts.begin()).get(fields) == simdjson::SUCCESS) {
            read_members(fields, "text"sv, &text);
        }
    }
    return text;
}

/// "Exit code 137": killed by SIGKILL, SIGTERM or SIGINT.
[[nodiscard]] bool is_kill_text(std::string_view text) {
    return is_one_of<3>(text.substr(0, text.find('\n')), {"Exit code 137", "Exit code 143", "Exit code 130"});
}

/// Converts a JSON number of milliseconds; nullopt if it is not a valid duration.
[[nodiscard]] std::optional<double> to_seconds(const std::optional<dom::element>& value) {
    double milliseconds = 0.0;
    return value && value->get(milliseconds) == simdjson::SUCCESS && is_valid_duration(milliseconds / 1000.0)
               ? std::optional(milliseconds / 1000.0)
               : std::nullopt;
}

/// The fields of a tool's input that its skill name may depend on.
[[nodiscard]] json naming_fields(const dom::element& input) {
    dom::object fields;
    if (input.get(fields) != simdjson::SUCCESS) {
        return {};
    }
    json result = json::object();
    for (const auto& [key, value] : fields) {
        if (is_one_of(key, kNamingFields)) {
            result[std::string(key)] = value.is_string() ? json(text_of(value)) : json();
        }
    }
    return result;
}

/// nullopt if it is none.
[[nodiscard]] std::optional<std::array<int, 3>> parse_version(std::string_view text) {
    std::array<int, 3> version{};
    for (int& part : version) {
        const auto read = std::from_chars(text.data(), text.data() + text.size(), part);
        if (read.ec != std::errc{}) {
            return std::nullopt;
        }
        text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
        text.remove_prefix(text.starts_with('.') ? 1 : 0);
    }
    return version;
}

/// A number or a string, as text.
[[nodiscard]] std::string number_text(const std::optional<dom::element>& value) {
    std::int64_t number = 0;
    return value && value->get(number) == simdjson::SUCCESS ? std::to_string(number) : std::string();
}

/// `toolUseResult`.
struct CallDetails {
    explicit CallDetails(const dom::object& result) {
        std::array<std::optional<dom::element>, 3> durations;
        std::optional<dom::element> task;
        std::optional<dom::element> exit_element;
        read_members(result, "durationMs"sv, &durations[0], "duration_ms"sv, &durations[1], "totalDurationMs"sv,
                     &durations[2], "interrupted"sv, &interrupted, "isAsync"sv, &is_async, "status"sv, &status,
                     "backgroundTaskId"sv, &background_task, "agentId"sv, &agent, "stdout"sv, &stdout_text, "task"sv,
                     &task, "task_id"sv, &task_id, "shellId"sv, &shell_id, "shell_id"sv, &shell_id, "exitCode"sv,
                     &exit_element, "message"sv, &message);
        for (const auto& duration : durations) {
            bad_duration = bad_duration || (duration && duration->is_number() && !to_seconds(duration));
            duration_seconds = duration_seconds ? duration_seconds : to_seconds(duration);
        }
        if (dom::object fields; task && task->get(fields) == simdjson::SUCCESS) {
            read_members(fields, "task_id"sv, &task_id, "status"sv, &task_status, "exitCode"sv, &exit_element);
        } else if (!shell_id.empty()) {
            task_status = status;
        }
        exit_code = number_text(exit_element);
    }

    std::optional<double> duration_seconds;  // measured by the tool
    bool bad_duration = false;               // a duration is present but invalid
    bool interrupted = false;
    bool is_async = false;
    std::string_view status;
    std::string_view background_task;
    std::string_view agent;
    std::string_view stdout_text;
    // Of a tool that reads or stops a task in the background:
    std::string_view task_id;
    std::string_view shell_id;
    std::string_view task_status;
    std::string exit_code;
    std::string_view message;
};

/// The fields of a line.
struct Line {
    explicit Line(const dom::object& fields) {
        std::optional<dom::element> tool_result;
        std::optional<dom::element> fork;
        read_members(fields, "timestamp"sv, &timestamp, "sessionId"sv, &session, "uuid"sv, &uuid, "version"sv, &version,
                     "isSidechain"sv, &is_sidechain, "isCompactSummary"sv, &is_summary, "toolUseResult"sv, &tool_result,
                     "toolDenialKind"sv, &denial_kind, "toolDenialBeforeRun"sv, &denied_before_run, "forkedFrom"sv,
                     &fork);
        if (dom::object result; tool_result && tool_result->get(result) == simdjson::SUCCESS) {
            details.emplace(result);
        }
        if (dom::object origin; fork && fork->get(origin) == simdjson::SUCCESS) {
            read_members(origin, "sessionId"sv, &forked_from);
        }
    }

    [[nodiscard]] EventLine common(const LineOrigin& origin) const {
        EventLine line(origin, forked_from.empty() ? session : forked_from, timestamp);
        line.is_copy = !forked_from.empty();
        return line;
    }

    std::string_view timestamp;
    std::string_view session;
    std::string_view uuid;
    std::string_view version;
    std::string_view forked_from;  // the session that this line was copied from
    std::string_view denial_kind;
    bool denied_before_run = false;
    bool is_sidechain = false;
    bool is_summary = false;
    std::optional<CallDetails> details;
};

/// A content block of a message.
struct Block {
    explicit Block(const dom::element& element) {
        if (dom::object fields; element.get(fields) == simdjson::SUCCESS) {
            read_members(fields, "type"sv, &type, "id"sv, &id, "name"sv, &name, "tool_use_id"sv, &tool_use_id, "text"sv,
                         &text, "is_error"sv, &is_error, "input"sv, &input, "content"sv, &content);
        }
    }

    std::string_view type;
    std::string_view id;
    std::string_view name;
    std::string_view tool_use_id;
    std::string_view text;
    bool is_error = false;
    std::optional<dom::element> input;
    std::optional<dom::element> content;
};

/// `line`: where and when the command was typed.
void read_command(const Line& fields, const EventLine& line, std::string_view text, TranscriptReader& reader) {
    // Subagents and summaries only repeat commands of the session.
    const auto command = fields.is_sidechain || fields.is_summary ? std::nullopt : find_typed_command(text);
    if (!command) {
        return;
    }
    std::string name = SkillNamer::for_typed_command(command->name);
    if (reader.passes_builtin_commands() || !is_builtin_command(name, command->is_local)) {
        reader.add_command(line, fields.uuid, std::move(name));
    }
}

void read_notifications(const EventLine& line, std::string_view text, TranscriptReader& reader) {
    for (const BackgroundEnd& end : read_task_notifications(text)) {
        reader.add_background_end(line, end, [] { return std::string(); });
    }
}

/// The end of a result's content, which is a string or text blocks. Claude Code replaces a long output by its
/// beginning; then `stdout_text` has the whole.
[[nodiscard]] std::string output_of(const std::optional<dom::element>& content, std::string_view stdout_text) {
    const auto end_of = [](std::string_view text) {
        return std::string(text.substr(text.size() - std::min(text.size(), kMaxVerdictBytes)));
    };
    if (!content) {
        return end_of(stdout_text);
    }
    if (content->is_string()) {
        const std::string_view text = text_of(*content);
        return end_of(text.starts_with("<persisted-output>") && !stdout_text.empty() ? stdout_text : text);
    }
    std::string output;
    dom::array parts;
    if (content->get(parts) == simdjson::SUCCESS) {
        for (const dom::element part : parts) {
            if (dom::object fields; part.get(fields) == simdjson::SUCCESS) {
                std::string_view text;
                read_members(fields, "text"sv, &text);
                output += end_of(text);
                output += '\n';
                output = end_of(output);
            }
        }
    }
    return output;
}

/// Whether the text of an error may be the output of a command.
[[nodiscard]] bool is_plain_error(const Block& block) {
    return !block.content || !beginning_of(*block.content).starts_with("<tool_use_error>");
}

[[nodiscard]] std::string_view class_of_error(const Line& line, const Block& block, bool is_shutting_down) {
    if (line.denied_before_run || (!line.denial_kind.empty() && line.denial_kind != "user-rejected")) {
        return kRejected;
    }
    const std::string text = block.content ? error_text(*block.content) : std::string();
    const auto version = parse_version(line.version);
    if (!line.denial_kind.empty()) {
        // With a text of the user's own, the user answered the question whether the call may run.
        const bool is_own_text = classify_tool_error(text, false) != kRejected;
        return is_own_text || (version && *version < kFirstWithBeforeRun) ? kRejected : kInterrupted;
    }
    const std::string_view error_class = classify_tool_error(text, line.details && line.details->interrupted);
    if (error_class == kExitCode && is_shutting_down && is_kill_text(text)) {
        return kInterrupted;
    }
    return error_class;
}

/// `is_only_result`: toolUseResult, which belongs to the whole line, is about this block.
ToolResult to_result(const Line& line, const Block& block, bool is_only_result, bool is_shutting_down) {
    ToolResult result;
    const CallDetails* details = is_only_result && line.details ? &*line.details : nullptr;
    result.is_error = block.is_error;
    if (details != nullptr) {
        result.duration_seconds = details->duration_seconds;
        result.bad_duration = details->bad_duration;
    }
    if (result.is_error) {
        result.error_class = class_of_error(line, block, is_shutting_down);
        const auto version = parse_version(line.version);
        result.may_lack_exit_code =
            result.error_class == kToolError && version && *version < kFirstWithExitCode && is_plain_error(block);
        return result;
    }
    const std::string_view text = block.content ? beginning_of(*block.content) : std::string_view{};
    result.in_background = details != nullptr ? details->is_async || !details->background_task.empty() ||
                                                    details->status.ends_with("_launched") || is_launch_text(text)
                                              : is_launch_text(text);
    if (result.in_background) {
        result.duration_seconds = std::nullopt;
        if (details != nullptr) {
            result.task_id = details->background_task.empty() ? details->agent : details->background_task;
        }
    }
    return result;
}

/// The result of a tool that waits for a task in the background, reads its output or stops it.
void read_task_result(const Line& fields, const EventLine& line, const Block& block, TranscriptReader& reader) {
    std::optional<BackgroundEnd> end;
    if (fields.details && !fields.details->task_status.empty()) {
        const CallDetails& details = *fields.details;
        end = background_end(details.task_status, details.exit_code);
        if (end) {
            end->task_id = details.task_id.empty() ? details.shell_id : details.task_id;
        }
    } else if (fields.details && is_stop_text(fields.details->message)) {
        end = background_end("stopped", {});
        end->task_id = fields.details->task_id.empty() ? fields.details->shell_id : fields.details->task_id;
    } else if (block.content) {
        end = read_task_output(beginning_of(*block.content));
    }
    if (end && !end->task_id.empty()) {
        reader.add_background_end(line, *end, [&block] { return output_of(block.content, {}); });
    }
}

void read_blocks(const dom::array& elements, std::string_view type, const Line& fields, const EventLine& line,
                 TranscriptReader& reader) {
    std::vector<Block> blocks;
    std::size_t results = 0;
    for (const dom::element element : elements) {
        const Block& block = blocks.emplace_back(element);
        results += block.type == "tool_result" ? 1U : 0U;
    }
    for (const Block& block : blocks) {
        if (block.type == "tool_use" && type == "assistant") {
            reader.add_use(line, block.id, block.name == "Bash", [&block](const SkillNamer& namer) {
                return namer.read(block.name, block.input ? naming_fields(*block.input) : json());
            });
        } else if (block.type == "tool_result" && type == "user") {
            const bool is_only_result = results == 1;
            reader.add_result(line, block.tool_use_id,
                              to_result(fields, block, is_only_result, reader.is_shutting_down(line.file)), [&] {
                                  return output_of(block.content, is_only_result && fields.details
                                                                      ? fields.details->stdout_text
                                                                      : std::string_view{});
                              });
            if (is_only_result && !block.is_error) {
                read_task_result(fields, line, block, reader);
            }
        } else if (block.type == "text" && type == "user" && &block == &blocks.front()) {
            read_command(fields, line, block.text, reader);
            read_notifications(line, block.text, reader);
        }
    }
}

/// A message: of the user, a tool or the assistant.
void read_message(const dom::object& line, std::string_view type, const dom::object& message, const LineOrigin& origin,
                  TranscriptReader& reader) {
    std::optional<dom::element> content;
    read_members(message, "content"sv, &content);
    if (type == "assistant") {
        reader.set_shutting_down(origin.file, false);
    }
    dom::array blocks;
    const bool is_text = content && content->is_string();
    if (is_text ? type == "user" : content && content->get(blocks) == simdjson::SUCCESS) {
        const Line fields(line);
        const EventLine common = fields.common(origin);
        if (is_text) {
            read_command(fields, common, text_of(*content), reader);
            read_notifications(common, text_of(*content), reader);
        } else {
            read_blocks(blocks, type, fields, common, reader);
        }
    }
}

/// Lines of other types that hold the end of a task in the background, or say when something happened.
void read_other(const dom::object& line, std::string_view type, const LineOrigin& origin, TranscriptReader& reader) {
    if (type == "cost-state") {  // the last line before the tools that still run are killed
        reader.set_shutting_down(origin.file, true);
        return;
    }
    std::string_view detail;
    std::optional<dom::element> content;
    std::optional<dom::element> attachment;
    read_members(line, "content"sv, &content, "attachment"sv, &attachment,
                 type == "system" ? "subtype"sv : "operation"sv, &detail);
    std::string_view text = content ? text_of(*content) : std::string_view{};
    if (type == "attachment") {
        if (dom::object fields; attachment && attachment->get(fields) == simdjson::SUCCESS) {
            read_members(fields, "prompt"sv, &text, "type"sv, &detail);
        }
    }
    const Line fields(line);
    const EventLine common = fields.common(origin);
    if (common.at) {
        reader.note_time(origin.file, *common.at);
    }
    if (type == "system") {
        // These are commands that Claude Code itself provides, under any name.
        if (detail == "local_command" && reader.passes_builtin_commands()) {
            read_command(fields, common, text, reader);
        }
    } else if (detail == "enqueue" || detail == "queued_command") {
        read_notifications(common, text, reader);
    }
}

LineKind read_line(const dom::object& line, const LineOrigin& origin, TranscriptReader& reader) {
    std::string_view type;
    std::optional<dom::element> message;
    // One of these identifies the lines of other types as written by Claude Code.
    std::array<std::optional<dom::element>, 4> own;
    read_members(line, "type"sv, &type, "message"sv, &message, "sessionId"sv, &own[0], "uuid"sv, &own[1], "leafUuid"sv,
                 &own[2], "snapshot"sv, &own[3]);
    if (type == "progress") {
        return LineKind::progress;
    }
    dom::object fields_of_message;
    if ((type == "user" || type == "assistant") && message && message->get(fields_of_message) == simdjson::SUCCESS) {
        read_message(line, type, fields_of_message, origin, reader);
        return LineKind::events;
    }
    if (type.empty() || std::ranges::none_of(own, [](const auto& field) { return field.has_value(); })) {
        return LineKind::foreign;
    }
    if (is_one_of<4>(type, {"queue-operation", "attachment", "system", "cost-state"})) {
        read_other(line, type, origin, reader);
    }
    return LineKind::other;
}

/// The config folders in CLAUDE_CONFIG_DIR (comma-separated), else ~/.claude and ~/.config/claude.
std::vector<std::filesystem::path> projects_folders(const options::Environment& environment) {
    std::vector<std::filesystem::path> folders;
    if (const auto listed = environment.get("CLAUDE_CONFIG_DIR")) {
        for (const std::string_view folder : list_items(*listed)) {
            if (!folder.empty()) {
                folders.emplace_back(folder);
            }
        }
    } else if (const auto home = environment.get("HOME")) {
        folders = {std::filesystem::path(*home) / ".claude", std::filesystem::path(*home) / ".config" / "claude"};
    }
    for (std::filesystem::path& folder : folders) {
        folder /= "projects";
    }
    return folders;
}

}  // namespace

const Source kClaudeCode{.agent = "Claude Code",
                         .default_folders = "the projects in CLAUDE_CONFIG_DIR, ~/.claude and ~/.config/claude",
                         .session_folders = projects_folders,
                         .keeps = keeps,
                         .read_line = read_line};

}  // namespace session_buddy::ingest
