// The session files of Claude Code: JSON Lines below the `projects` folders of its config folders.
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "session_buddy/core/duration.hpp"
#include "session_buddy/core/list_items.hpp"
#include "session_buddy/ingest/error_class.hpp"
#include "source.hpp"

namespace session_buddy::ingest {
namespace {

using nlohmann::json;
using namespace std::string_view_literals;
namespace dom = simdjson::dom;

constexpr std::string_view kCommandOpen = "<command-name>";
constexpr std::string_view kCommandClose = "</command-name>";
constexpr std::size_t kErrorTextBytes = 2048;  // prefix of an error text that is classified

/// Depths: 1 = keys of the line itself, 2 = of `message` or `toolUseResult`, 4 = of a content block, 5 = of its
/// `input`, 6 = of a block inside its `content`.
bool keeps(int depth, std::string_view key, const KeysAbove& above) {
    switch (depth) {
        case 1:
            return is_one_of<8>(key, {"type", "timestamp", "sessionId", "uuid", "isSidechain", "isCompactSummary",
                                      "message", "toolUseResult"});
        case 2:
            return above[1] == "message" ? key == "content"
                                         : is_one_of<3>(key, {"durationMs", "duration_ms", "interrupted"});
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

/// The fields of a line.
struct Line {
    explicit Line(const dom::object& fields) {
        std::optional<dom::element> tool_result;
        read_members(fields, "timestamp"sv, &timestamp, "sessionId"sv, &session, "uuid"sv, &uuid, "isSidechain"sv,
                     &is_sidechain, "isCompactSummary"sv, &is_summary, "toolUseResult"sv, &tool_result);
        if (dom::object result; tool_result && tool_result->get(result) == simdjson::SUCCESS) {
            std::optional<dom::element> duration;
            std::optional<dom::element> other_duration;
            read_members(result, "durationMs"sv, &duration, "duration_ms"sv, &other_duration, "interrupted"sv,
                         &interrupted);
            const auto is_bad = [](const auto& value) { return value && value->is_number() && !to_seconds(value); };
            bad_duration = is_bad(duration) || is_bad(other_duration);
            duration_seconds = to_seconds(duration);
            duration_seconds = duration_seconds ? duration_seconds : to_seconds(other_duration);
        }
    }

    std::string_view timestamp;
    std::string_view session;
    std::string_view uuid;
    bool is_sidechain = false;
    bool is_summary = false;
    std::optional<double> duration_seconds;  // measured by the tool
    bool bad_duration = false;               // a duration is present but invalid
    bool interrupted = false;
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
    const std::size_t open = text.find(kCommandOpen);
    if (open == std::string_view::npos) {
        return;
    }
    text.remove_prefix(open + kCommandOpen.size());
    const std::string_view typed = text.substr(0, text.find(kCommandClose));
    const bool is_name = typed.size() < text.size() && typed.size() > 1 && typed[0] == '/' &&
                         typed.find_first_of(" \t\r\n<") == std::string_view::npos;
    // Subagents and summaries only repeat commands of the session.
    if (is_name && !fields.is_sidechain && !fields.is_summary) {
        reader.add_command(line, fields.uuid, SkillNamer::for_typed_command(typed));
    }
}

/// `is_only_result`: toolUseResult, which belongs to the whole line, is about this block.
ToolResult to_result(const Line& line, const Block& block, bool is_only_result) {
    ToolResult result;
    result.is_error = block.is_error;
    if (is_only_result) {
        result.duration_seconds = line.duration_seconds;
        result.bad_duration = line.bad_duration;
    }
    if (result.is_error) {
        result.error_class = classify_tool_error(block.content ? error_text(*block.content) : std::string(),
                                                 is_only_result && line.interrupted);
    }
    return result;
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
            reader.add_use(line, block.id, [&block](const SkillNamer& namer) {
                return namer.for_tool(block.name, block.input ? naming_fields(*block.input) : json());
            });
        } else if (block.type == "tool_result" && type == "user") {
            reader.add_result(line, block.tool_use_id, to_result(fields, block, results == 1));
        } else if (block.type == "text" && type == "user") {
            read_command(fields, line, block.text, reader);
        }
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
    if ((type != "user" && type != "assistant") || !message || message->get(fields_of_message) != simdjson::SUCCESS) {
        const bool is_own = std::ranges::any_of(own, [](const auto& field) { return field.has_value(); });
        return type.empty() || !is_own ? LineKind::foreign : LineKind::other;
    }
    std::optional<dom::element> content;
    read_members(fields_of_message, "content"sv, &content);
    dom::array blocks;
    const bool is_text = content && content->is_string();
    if (is_text ? type == "user" : content && content->get(blocks) == simdjson::SUCCESS) {
        const Line fields(line);
        const EventLine common(origin, fields.session, fields.timestamp);
        if (is_text) {
            read_command(fields, common, text_of(*content), reader);
        } else {
            read_blocks(blocks, type, fields, common, reader);
        }
    }
    return LineKind::events;
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
