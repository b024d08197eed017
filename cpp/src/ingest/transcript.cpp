// Parses transcript lines and pairs uses with results. The parser builds only the few fields that matter, so that a
// line of megabytes of output costs no tree of megabytes.
#include "session_buddy/ingest/transcript.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/ingest/error_class.hpp"
#include "surrogates.hpp"

namespace session_buddy::ingest {
namespace {

using nlohmann::json;

constexpr std::string_view kCommandOpen = "<command-name>";
constexpr std::string_view kCommandClose = "</command-name>";
constexpr std::size_t kErrorTextBytes = 2048;  // of an error text, enough for its class

template <std::size_t N>
[[nodiscard]] bool is_one_of(const std::string& key, const std::array<std::string_view, N>& keys) {
    return std::find(keys.begin(), keys.end(), key) != keys.end();
}

/// Decides, key by key, what of a line is built. Depths are those of the parser: 1 = keys of the line itself,
/// 2 = of `message` or `toolUseResult`, 4 = of a content block, 5 = of its `input`, 6 = of a block inside its
/// `content`.
class FieldFilter {
  public:
    bool operator()(int depth, json::parse_event_t event, json& parsed) {
        if (event != json::parse_event_t::key) {
            return true;
        }
        const auto& key = parsed.get_ref<const std::string&>();
        switch (depth) {
            case 1:
                line_key_ = key;
                return is_one_of<8>(key, {"type", "timestamp", "sessionId", "uuid", "isSidechain", "isCompactSummary",
                                          "message", "toolUseResult"});
            case 2:
                return line_key_ == "message" ? key == "content"
                                              : is_one_of<3>(key, {"durationMs", "duration_ms", "interrupted"});
            case 4:
                block_key_ = key;
                return is_one_of<8>(key, {"type", "id", "name", "input", "tool_use_id", "content", "is_error", "text"});
            case 5:
                return block_key_ == "input" && is_one_of<4>(key, {"skill", "skill_name", "command", "subagent_type"});
            case 6:
                return block_key_ == "content" && is_one_of<2>(key, {"type", "text"});
            default:
                return false;
        }
    }

  private:
    std::string line_key_;
    std::string block_key_;
};

[[nodiscard]] json parse_fields(std::string_view line) {
    return json::parse(line.begin(), line.end(), FieldFilter{}, /*allow_exceptions=*/false);
}

[[nodiscard]] std::string_view text_of(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? std::string_view(found->get_ref<const std::string&>())
                                                       : std::string_view{};
}

[[nodiscard]] bool is_true(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_boolean() && found->get<bool>();
}

/// The beginning of a result's content: a string, or blocks of text.
[[nodiscard]] std::string error_text(const json& block) {
    const auto content = block.find("content");
    if (content == block.end()) {
        return {};
    }
    if (content->is_string()) {
        return content->get_ref<const std::string&>().substr(0, kErrorTextBytes);
    }
    std::string text;
    if (content->is_array()) {
        for (const json& part : *content) {
            if (part.is_object() && text.size() < kErrorTextBytes) {
                text += text_of(part, "text").substr(0, kErrorTextBytes);
                text += '\n';
            }
        }
    }
    return text;
}

[[nodiscard]] std::optional<double> measured_duration(const json& line) {
    const auto result = line.find("toolUseResult");
    if (result == line.end() || !result->is_object()) {
        return std::nullopt;
    }
    for (const char* key : {"durationMs", "duration_ms"}) {
        const auto found = result->find(key);
        if (found != result->end() && found->is_number()) {
            const double milliseconds = found->get<double>();
            if (std::isfinite(milliseconds) && milliseconds >= 0.0) {
                return milliseconds / 1000.0;
            }
        }
    }
    return std::nullopt;
}

}  // namespace

struct TranscriptReader::Line {
    const json& fields;
    std::string session_id;
    std::string_view timestamp;
    std::optional<TimePoint> at;
};

TranscriptReader::TranscriptReader(const SkillNamer& namer, Sink sink) : namer_(namer), sink_(std::move(sink)) {}

bool TranscriptReader::read_line(std::string_view text, std::string_view fallback_session) {
    json fields = parse_fields(text);
    if (fields.is_discarded()) {
        fields = parse_fields(with_whole_surrogates(text));
        if (fields.is_discarded()) {
            return false;
        }
    }
    ++counts_.lines;
    const std::string_view type = fields.is_object() ? text_of(fields, "type") : std::string_view{};
    if (type == "progress") {
        ++counts_.progress_lines;
        return true;
    }
    const auto message = fields.is_object() ? fields.find("message") : fields.end();
    if ((type != "user" && type != "assistant") || message == fields.end() || !message->is_object()) {
        ++counts_.other_lines;
        return true;
    }
    Line line{.fields = fields,
              .session_id = to_skill_name(text_of(fields, "sessionId"), fallback_session),
              .timestamp = text_of(fields, "timestamp"),
              .at = {}};
    line.at = parse_timestamp(line.timestamp);
    const auto content = message->find("content");
    if (content == message->end()) {
        return true;
    }
    if (content->is_string()) {
        if (type == "user") {
            read_command(line, content->get_ref<const std::string&>());
        }
        return true;
    }
    std::size_t results = 0;
    for (const json& block : *content) {
        results += block.is_object() && text_of(block, "type") == "tool_result" ? 1U : 0U;
    }
    for (const json& block : *content) {
        if (!block.is_object()) {
            continue;
        }
        const std::string_view kind = text_of(block, "type");
        if (kind == "tool_use" && type == "assistant") {
            read_use(line, block);
        } else if (kind == "tool_result" && type == "user") {
            read_result(line, block, results == 1);
        } else if (kind == "text" && type == "user") {
            read_command(line, text_of(block, "text"));
        }
    }
    return true;
}

void TranscriptReader::read_use(const Line& line, const json& block) {
    const std::string_view id = text_of(block, "id");
    if (!is_valid_event_key(id)) {
        return;
    }
    std::string key(id);
    if (finished_.contains(key) || open_uses_.contains(key)) {
        ++counts_.replayed;
        return;
    }
    if (!line.at) {
        ++counts_.without_time;
        return;
    }
    const auto input = block.find("input");
    Use use{.skill_name = namer_.for_tool(text_of(block, "name"), input != block.end() ? *input : json()),
            .invoked_at = std::string(line.timestamp),
            .at = *line.at,
            .session_id = line.session_id};
    if (auto early = early_results_.extract(key)) {
        finish(std::move(key), std::move(use), early.mapped());
    } else {
        open_uses_.emplace(std::move(key), std::move(use));
    }
}

void TranscriptReader::read_result(const Line& line, const json& block, bool only_one) {
    std::string key(text_of(block, "tool_use_id"));
    if (!is_valid_event_key(key) || finished_.contains(key)) {
        return;
    }
    Result result;
    result.at = line.at;
    result.is_error = is_true(block, "is_error");
    const auto tool_use_result = line.fields.find("toolUseResult");
    if (only_one) {  // it belongs to the whole line
        result.duration_seconds = measured_duration(line.fields);
    }
    if (result.is_error) {
        const bool interrupted = only_one && tool_use_result != line.fields.end() && tool_use_result->is_object() &&
                                 is_true(*tool_use_result, "interrupted");
        result.error_class = classify_tool_error(error_text(block), interrupted);
    }
    if (auto use = open_uses_.extract(key)) {
        finish(std::move(key), std::move(use.mapped()), result);
    } else {
        early_results_.emplace(std::move(key), result);
    }
}

void TranscriptReader::finish(std::string key, Use use, const Result& result) {
    finished_.insert(key);
    TranscriptInvocation invocation;
    invocation.key = std::move(key);
    invocation.skill_name = std::move(use.skill_name);
    invocation.invoked_at = std::move(use.invoked_at);
    invocation.at = use.at;
    invocation.session_id = std::move(use.session_id);
    invocation.completed = !result.is_error;
    invocation.error_type = result.error_class;
    invocation.duration_seconds = result.duration_seconds;
    if (!invocation.duration_seconds && result.at && *result.at >= use.at) {
        invocation.duration_seconds = std::chrono::duration<double>(*result.at - use.at).count();
    }
    ++counts_.found;
    sink_(std::move(invocation));
}

void TranscriptReader::read_command(const Line& line, std::string_view text) {
    const std::size_t open = text.find(kCommandOpen);
    if (open == std::string_view::npos) {
        return;
    }
    text.remove_prefix(open + kCommandOpen.size());
    const std::string_view typed = text.substr(0, text.find(kCommandClose));
    const bool is_name = typed.size() < text.size() && typed.size() > 1 && typed[0] == '/' &&
                         typed.find_first_of(" \t\r\n<") == std::string_view::npos;
    // Nobody types into a subagent, and a summary retells: both repeat a command of the session itself.
    if (!is_name || is_true(line.fields, "isSidechain") || is_true(line.fields, "isCompactSummary")) {
        return;
    }
    if (!line.at) {
        ++counts_.without_time;
        return;
    }
    TranscriptInvocation invocation;
    const std::string_view uuid = text_of(line.fields, "uuid");
    invocation.key = "command:" + std::string(uuid);
    if (uuid.empty() || !is_valid_event_key(invocation.key)) {
        invocation.key = "command:" + line.session_id + '@' + std::string(line.timestamp);
    }
    invocation.is_command = true;
    if (!finished_.insert(invocation.key).second) {
        ++counts_.replayed;
        return;
    }
    invocation.skill_name = SkillNamer::for_typed_command(typed);
    invocation.invoked_at = line.timestamp;
    invocation.at = *line.at;
    invocation.session_id = line.session_id;
    invocation.completed = true;
    ++counts_.found;
    ++counts_.found_commands;
    sink_(std::move(invocation));
}

TranscriptCounts TranscriptReader::counts() const {
    TranscriptCounts counts = counts_;
    counts.unfinished = static_cast<std::int64_t>(open_uses_.size());
    counts.results_without_use = static_cast<std::int64_t>(early_results_.size());
    return counts;
}

}  // namespace session_buddy::ingest
