// Parses transcript lines and pairs tool uses with their results.
#include "session_buddy/ingest/transcript.hpp"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "session_buddy/core/duration.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/ingest/error_class.hpp"
#include "surrogates.hpp"

namespace session_buddy::ingest {
namespace {

using nlohmann::json;
namespace dom = simdjson::dom;

constexpr std::string_view kCommandOpen = "<command-name>";
constexpr std::string_view kCommandClose = "</command-name>";
constexpr std::size_t kErrorTextBytes = 2048;  // prefix of an error text that is classified

/// A longer line, or one nested too deeply for simdjson, is parsed by the fallback.
constexpr std::size_t kMaxFastLineBytes = std::size_t{16} * 1024 * 1024;
/// Parser memory kept between lines; more is released.
constexpr std::size_t kKeptParserBytes = std::size_t{1024} * 1024;

template <std::size_t N>
[[nodiscard]] bool is_one_of(std::string_view key, const std::array<std::string_view, N>& keys) {
    return std::find(keys.begin(), keys.end(), key) != keys.end();
}

constexpr std::array<std::string_view, 4> kNamingFields = {"skill", "skill_name", "command", "subagent_type"};

/// Selects the keys that the fallback parser builds. Depths: 1 = keys of the line itself, 2 = of `message` or
/// `toolUseResult`, 4 = of a content block, 5 = of its `input`, 6 = of a block inside its `content`. Nothing deeper is
/// built, so that the result can be serialized.
class FieldFilter {
  public:
    bool operator()(int depth, json::parse_event_t event, const json& parsed) {
        if (event != json::parse_event_t::key) {
            return depth < kMaxFieldDepth ||
                   (event != json::parse_event_t::object_start && event != json::parse_event_t::array_start);
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
                return block_key_ == "input" && is_one_of(key, kNamingFields);
            case 6:
                return block_key_ == "content" && is_one_of<2>(key, {"type", "text"});
            default:
                return false;
        }
    }

  private:
    static constexpr int kMaxFieldDepth = 7;  // all keys at this depth are skipped, so that no kept key loses its value
    std::string line_key_;
    std::string block_key_;
};

[[nodiscard]] json parse_fields(std::string_view line) {
    return json::parse(line.begin(), line.end(), FieldFilter{}, /*allow_exceptions=*/false);
}

[[nodiscard]] std::string_view text_of(const dom::element& value) {
    std::string_view text;
    return value.get(text) == simdjson::SUCCESS ? text : std::string_view{};
}

[[nodiscard]] bool is_true(const dom::element& value) {
    bool flag = false;
    return value.get(flag) == simdjson::SUCCESS && flag;
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
                for (const auto& [key, value] : fields) {
                    own = key == "text" ? text_of(value) : own;
                }
                text += own.substr(0, kErrorTextBytes);
                text += '\n';
            }
        }
    }
    return text;
}

/// Converts a JSON number of milliseconds; nullopt if it is not a valid duration.
[[nodiscard]] std::optional<double> to_seconds(const dom::element& value) {
    double milliseconds = 0.0;
    return value.get(milliseconds) == simdjson::SUCCESS && is_valid_duration(milliseconds / 1000.0)
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

}  // namespace

/// Parses lines with simdjson. A line that simdjson rejects is parsed by a fallback that has no depth limit and
/// replaces lone surrogates; the selected fields are serialized and parsed by simdjson again, so that only one code
/// path reads them.
class TranscriptReader::LineParser {
  public:
    /// nullopt if `line` is not JSON. Valid until the next call.
    [[nodiscard]] std::optional<dom::element> parse(std::string_view line) {
        if (parser_.capacity() > kKeptParserBytes) {
            parser_ = dom::parser();
        }
        dom::element root;
        if (line.size() <= kMaxFastLineBytes &&
            parser_.parse(line.data(), line.size()).get(root) == simdjson::SUCCESS) {
            return root;
        }
        json fields = parse_fields(line);
        if (fields.is_discarded()) {
            fields = parse_fields(replace_lone_surrogates(line));
            if (fields.is_discarded()) {
                return std::nullopt;
            }
        }
        const std::string text = fields.dump();
        return parser_.parse(text).get(root) == simdjson::SUCCESS ? std::optional(root) : std::nullopt;
    }

  private:
    dom::parser parser_;
};

/// The fields of a line. Of duplicate keys the last one counts, as in other JSON parsers.
struct TranscriptReader::Line {
    Line(dom::object fields, std::string_view fallback_session, std::uint32_t in_file) : file(in_file) {
        std::string_view session;
        for (const auto& [key, value] : fields) {
            if (key == "timestamp") {
                timestamp = text_of(value);
            } else if (key == "sessionId") {
                session = text_of(value);
            } else if (key == "uuid") {
                uuid = text_of(value);
            } else if (key == "isSidechain") {
                is_sidechain = is_true(value);
            } else if (key == "isCompactSummary") {
                is_summary = is_true(value);
            } else if (key == "toolUseResult") {
                read_tool_use_result(value);
            }
        }
        session_id = to_skill_name(session, fallback_session);
        at = parse_timestamp(timestamp);
    }

    std::uint32_t file;
    std::string session_id;
    std::string_view timestamp;
    std::optional<TimePoint> at;
    std::string_view uuid;
    bool is_sidechain = false;
    bool is_summary = false;
    std::optional<double> duration_seconds;  // measured by the tool
    bool bad_duration = false;               // a duration is present but invalid
    bool interrupted = false;

  private:
    void read_tool_use_result(const dom::element& value) {
        std::optional<double> duration;
        std::optional<double> other_duration;
        bad_duration = false;
        interrupted = false;
        dom::object fields;
        if (value.get(fields) == simdjson::SUCCESS) {
            for (const auto& [key, field] : fields) {
                if (key == "durationMs") {
                    duration = to_seconds(field);
                    bad_duration = bad_duration || (field.is_number() && !duration);
                } else if (key == "duration_ms") {
                    other_duration = to_seconds(field);
                    bad_duration = bad_duration || (field.is_number() && !other_duration);
                } else if (key == "interrupted") {
                    interrupted = is_true(field);
                }
            }
        }
        duration_seconds = duration ? duration : other_duration;
    }
};

/// A content block of a message.
struct TranscriptReader::Block {
    explicit Block(const dom::element& element) {
        dom::object fields;
        if (element.get(fields) != simdjson::SUCCESS) {
            return;
        }
        for (const auto& [key, value] : fields) {
            if (key == "type") {
                type = text_of(value);
            } else if (key == "id") {
                id = text_of(value);
            } else if (key == "name") {
                name = text_of(value);
            } else if (key == "tool_use_id") {
                tool_use_id = text_of(value);
            } else if (key == "text") {
                text = text_of(value);
            } else if (key == "is_error") {
                is_error = is_true(value);
            } else if (key == "input") {
                input = value;
            } else if (key == "content") {
                content = value;
            }
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

TranscriptReader::TranscriptReader(const SkillNamer& namer, Sink sink, const ReaderLimits& limits)
    : namer_(namer),
      sink_(std::move(sink)),
      parser_(std::make_unique<LineParser>()),
      open_uses_(limits.waiting),
      early_results_(limits.waiting),
      finished_(limits.remembered_keys) {}

TranscriptReader::~TranscriptReader() = default;

bool TranscriptReader::read_line(std::string_view text, std::string_view fallback_session, std::uint32_t file) {
    const auto root = parser_->parse(text);
    if (!root) {
        return false;
    }
    ++counts_.lines;
    std::string_view type;
    std::optional<dom::element> message;
    bool has_session = false;  // or another field that identifies lines written by Claude Code
    dom::object fields;
    const bool is_object = root->get(fields) == simdjson::SUCCESS;
    if (is_object) {
        for (const auto& [key, value] : fields) {
            if (key == "type") {
                type = text_of(value);
            } else if (key == "message") {
                message = value;
            } else if (is_one_of<4>(key, {"sessionId", "leafUuid", "snapshot", "uuid"})) {
                has_session = true;
            }
        }
    }
    if (type == "progress") {
        ++counts_.progress_lines;
        return true;
    }
    dom::object message_fields;
    if ((type != "user" && type != "assistant") || !message || message->get(message_fields) != simdjson::SUCCESS) {
        ++counts_.other_lines;
        counts_.foreign_lines += type.empty() || !has_session ? 1 : 0;
        return true;
    }
    std::optional<dom::element> content;
    for (const auto& [key, value] : message_fields) {
        if (key == "content") {
            content = value;
        }
    }
    if (content && content->is_string()) {
        if (type == "user") {
            read_command(Line(fields, fallback_session, file), text_of(*content));
        }
        return true;
    }
    dom::array elements;
    if (!content || content->get(elements) != simdjson::SUCCESS) {
        return true;
    }
    const Line line(fields, fallback_session, file);
    std::vector<Block> blocks;
    std::size_t results = 0;
    for (const dom::element element : elements) {
        const Block& block = blocks.emplace_back(element);
        results += block.type == "tool_result" ? 1U : 0U;
    }
    for (const Block& block : blocks) {
        if (block.type == "tool_use" && type == "assistant") {
            read_use(line, block);
        } else if (block.type == "tool_result" && type == "user") {
            read_result(line, block, results == 1);
        } else if (block.type == "text" && type == "user") {
            read_command(line, block.text);
        }
    }
    return true;
}

void TranscriptReader::read_use(const Line& line, const Block& block) {
    if (!is_valid_event_key(block.id)) {
        return;
    }
    if (finished_.contains(block.id) || open_uses_.contains(block.id)) {
        ++counts_.replayed;
        return;
    }
    if (!line.at) {
        ++counts_.without_time;
        return;
    }
    Use use{.file = line.file,
            .skill_name = namer_.for_tool(block.name, block.input ? naming_fields(*block.input) : json()),
            .invoked_at = std::string(line.timestamp),
            .at = *line.at,
            .session_id = line.session_id};
    std::string key(block.id);
    if (const auto early = early_results_.take(key)) {
        decrement_pending(early->file);
        finish(std::move(key), std::move(use), *early);
    } else {
        ++pending_in_[use.file];
        open_uses_.add(std::move(key), std::move(use));
    }
}

void TranscriptReader::read_result(const Line& line, const Block& block, bool is_only_result) {
    std::string key(block.tool_use_id);
    if (!is_valid_event_key(key) || finished_.contains(key)) {
        return;
    }
    Result result;
    result.file = line.file;
    result.at = line.at;
    result.is_error = block.is_error;
    if (is_only_result) {  // toolUseResult belongs to the whole line
        result.duration_seconds = line.duration_seconds;
        result.bad_duration = line.bad_duration;
    }
    if (result.is_error) {
        result.error_class = classify_tool_error(block.content ? error_text(*block.content) : std::string(),
                                                 is_only_result && line.interrupted);
    }
    if (auto use = open_uses_.take(key)) {
        decrement_pending(use->file);
        finish(std::move(key), std::move(*use), result);
    } else if (!early_results_.contains(key)) {
        ++pending_in_[result.file];
        early_results_.add(std::move(key), result);
    }
}

void TranscriptReader::decrement_pending(std::uint32_t file) {
    const auto waiting = pending_in_.find(file);
    if (--waiting->second == 0) {
        pending_in_.erase(waiting);
    }
}

void TranscriptReader::forget(std::uint32_t file) {
    if (pending_in_.erase(file) != 0) {
        const auto is_in_file = [file](const auto& half) { return half.file == file; };
        open_uses_.erase_if(is_in_file);
        early_results_.erase_if(is_in_file);
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
    if (!invocation.duration_seconds && result.at) {
        const double seconds = std::chrono::duration<double>(*result.at - use.at).count();
        if (is_valid_duration(seconds)) {
            invocation.duration_seconds = seconds;
        }
    }
    ++counts_.found;
    counts_.bad_durations += result.bad_duration ? 1 : 0;
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
    // Subagents and summaries only repeat commands of the session.
    if (!is_name || line.is_sidechain || line.is_summary) {
        return;
    }
    if (!line.at) {
        ++counts_.without_time;
        return;
    }
    TranscriptInvocation invocation;
    invocation.key = "command:" + std::string(line.uuid);
    if (line.uuid.empty() || !is_valid_event_key(invocation.key)) {
        invocation.key = "command:" + line.session_id + '@' + std::string(line.timestamp);
    }
    invocation.is_command = true;
    if (!finished_.insert(invocation.key)) {
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
    counts.unfinished = static_cast<std::int64_t>(open_uses_.size() + open_uses_.evicted());
    counts.results_without_use = static_cast<std::int64_t>(early_results_.size() + early_results_.evicted());
    return counts;
}

}  // namespace session_buddy::ingest
