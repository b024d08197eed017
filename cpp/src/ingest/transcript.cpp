// Parses transcript lines, has the source of each line read its events, and pairs tool uses with their results.
#include "session_buddy/ingest/transcript.hpp"

#include <simdjson.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <nlohmann/json.hpp>
#include <ranges>
#include <utility>
#include <vector>

#include "session_buddy/core/duration.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "source.hpp"
#include "surrogates.hpp"

namespace session_buddy::ingest {
namespace {

using nlohmann::json;
namespace dom = simdjson::dom;

/// A longer line, or one nested too deeply for simdjson, is parsed by the fallback.
constexpr std::size_t kMaxFastLineBytes = std::size_t{16} * 1024 * 1024;
/// Parser memory kept between lines; more is released.
constexpr std::size_t kKeptParserBytes = std::size_t{1024} * 1024;

/// Selects the keys that the fallback parser builds: those that a source reads. Nothing deeper is built, so that the
/// result can be serialized.
class FieldFilter {
  public:
    bool operator()(int depth, json::parse_event_t event, const json& parsed) {
        if (event != json::parse_event_t::key) {
            return depth < kMaxFieldDepth ||
                   (event != json::parse_event_t::object_start && event != json::parse_event_t::array_start);
        }
        if (depth >= kMaxFieldDepth) {
            return false;  // so that no kept key loses its value
        }
        auto& key = above_.at(static_cast<std::size_t>(depth));
        key = parsed.get_ref<const std::string&>();
        return std::ranges::any_of(kSources, [&](const Source* source) { return source->keeps(depth, key, above_); });
    }

  private:
    static constexpr int kMaxFieldDepth = 7;
    KeysAbove above_;
};

[[nodiscard]] json parse_fields(std::string_view line) {
    return json::parse(line.begin(), line.end(), FieldFilter{}, /*allow_exceptions=*/false);
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

EventLine::EventLine(const LineOrigin& origin, std::string_view session, std::string_view time)
    : file(origin.file),
      session_id(to_skill_name(session, origin.fallback_session)),
      timestamp(time),
      at(parse_timestamp(time)) {}

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
    LineKind kind = LineKind::foreign;
    if (dom::object line; root->get(line) == simdjson::SUCCESS) {
        for (const Source* source : kSources) {
            kind = source->read_line(line, {.fallback_session = fallback_session, .file = file}, *this);
            if (kind != LineKind::foreign) {
                break;
            }
        }
    }
    counts_.progress_lines += kind == LineKind::progress ? 1 : 0;
    counts_.other_lines += kind == LineKind::other || kind == LineKind::foreign ? 1 : 0;
    counts_.foreign_lines += kind == LineKind::foreign ? 1 : 0;
    return true;
}

void TranscriptReader::add_use(const EventLine& line, std::string_view id,
                               const std::function<std::string(const SkillNamer&)>& skill_name) {
    if (!is_valid_event_key(id)) {
        return;
    }
    if (finished_.contains(id) || open_uses_.contains(id)) {
        ++counts_.replayed;
        return;
    }
    if (!line.at) {
        ++counts_.without_time;
        return;
    }
    Use use{.file = line.file,
            .skill_name = skill_name(namer_),
            .invoked_at = std::string(line.timestamp),
            .at = *line.at,
            .session_id = line.session_id};
    std::string key(id);
    if (const auto early = early_results_.take(key)) {
        decrement_pending(early->file);
        finish(std::move(key), std::move(use), *early);
    } else {
        ++pending_in_[use.file];
        open_uses_.add(std::move(key), std::move(use));
    }
}

void TranscriptReader::add_result(const EventLine& line, std::string_view use_id, const ToolResult& result) {
    std::string key(use_id);
    if (!is_valid_event_key(key) || finished_.contains(key)) {
        return;
    }
    const Result found{.file = line.file, .at = line.at, .result = result};
    if (auto use = open_uses_.take(key)) {
        decrement_pending(use->file);
        finish(std::move(key), std::move(*use), found);
    } else if (!early_results_.contains(key)) {
        ++pending_in_[line.file];
        early_results_.add(std::move(key), found);
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

void TranscriptReader::finish(std::string key, Use use, const Result& end) {
    const ToolResult& result = end.result;
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
    if (!invocation.duration_seconds && end.at) {
        const double seconds = std::chrono::duration<double>(*end.at - use.at).count();
        if (is_valid_duration(seconds)) {
            invocation.duration_seconds = seconds;
        }
    }
    ++counts_.found;
    counts_.bad_durations += result.bad_duration ? 1 : 0;
    sink_(std::move(invocation));
}

void TranscriptReader::add_command(const EventLine& line, std::string_view id, std::string skill_name) {
    if (!line.at) {
        ++counts_.without_time;
        return;
    }
    TranscriptInvocation invocation;
    invocation.key = "command:" + std::string(id);
    if (id.empty() || !is_valid_event_key(invocation.key)) {
        invocation.key = "command:" + line.session_id + '@' + std::string(line.timestamp);
    }
    invocation.is_command = true;
    if (!finished_.insert(invocation.key)) {
        ++counts_.replayed;
        return;
    }
    invocation.skill_name = std::move(skill_name);
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

std::string transcript_agents() {
    return fmt::format("{}", fmt::join(kSources | std::views::transform(&Source::agent), " or "));
}

std::string default_session_folders() {
    return fmt::format("{}", fmt::join(kSources | std::views::transform(&Source::default_folders), "; "));
}

std::vector<std::filesystem::path> session_folders(const options::Environment& environment) {
    std::vector<std::filesystem::path> all;
    for (const Source* source : kSources) {
        std::ranges::move(source->session_folders(environment), std::back_inserter(all));
    }
    return all;
}

}  // namespace session_buddy::ingest
