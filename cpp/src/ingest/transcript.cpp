// Parses transcript lines, has the source of each line read its events, and pairs tool uses with their results.
#include "session_buddy/ingest/transcript.hpp"

#include <simdjson.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <ranges>
#include <utility>
#include <vector>

#include "background.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/ingest/error_class.hpp"
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

/// For recover_records(): bytes parsed per line in search of whole records.
constexpr std::size_t kMaxRecoveryBytes = std::size_t{256} * 1024 * 1024;
/// Lines of a session may be written in another order than their times say, by less than this.
constexpr std::chrono::seconds kTimeTolerance{1};

LineKind read_events(const dom::element& root, const LineOrigin& origin, TranscriptReader& reader) {
    dom::object line;
    if (root.get(line) != simdjson::SUCCESS) {
        return LineKind::foreign;
    }
    for (const Source* source : kSources) {
        if (const LineKind kind = source->read_line(line, origin, reader); kind != LineKind::foreign) {
            return kind;
        }
    }
    return LineKind::foreign;
}

[[nodiscard]] std::string_view without_padding(std::string_view text) {
    constexpr std::string_view kPadding("\0 \t\r", 4);
    text.remove_prefix(std::min(text.find_first_not_of(kPadding), text.size()));
    return text.substr(0, text.find_last_not_of(kPadding) + 1);
}

template <typename Value>
[[nodiscard]] Claim<Value> claim(Value value) {
    return {.source = EvidenceSource::transcript, .value = std::move(value)};
}

[[nodiscard]] std::int64_t to_micros(double seconds) {
    constexpr double kMicrosPerSecond = 1e6;
    return std::llround(seconds * kMicrosPerSecond);
}

/// Sets the name and what the output shows, and returns the outcome to claim for the end.
[[nodiscard]] Claim<ClaimedOutcome> conclude(AgentEvent& event, const ToolReading& reading, bool is_error,
                                             std::string_view output) {
    ToolConclusion conclusion = reading.conclude(is_error, output);
    event.skill_name = std::move(conclusion.skill_name);
    event.evidence.name_basis = conclusion.name_basis;
    event.evidence.is_masked = conclusion.is_masked;
    if (conclusion.verdict) {
        event.evidence.verdict = claim(*conclusion.verdict);
    }
    return claim(ClaimedOutcome{.outcome = conclusion.outcome,
                                .error_type = conclusion.outcome == Outcome::failed ? std::string(kExitCode) : ""});
}

}  // namespace

/// Parses lines with simdjson. A line that simdjson rejects is parsed by a fallback that has no depth limit and
/// replaces lone surrogates; the selected fields are serialized and parsed by simdjson again, so that only one code
/// path reads them.
class TranscriptReader::LineParser {
  public:
    /// nullopt if simdjson rejects `line`. Valid until the next call.
    [[nodiscard]] std::optional<dom::element> parse_fast(std::string_view line) {
        if (parser_.capacity() > kKeptParserBytes) {
            parser_ = dom::parser();
        }
        dom::element root;
        return line.size() <= kMaxFastLineBytes &&
                       parser_.parse(line.data(), line.size()).get(root) == simdjson::SUCCESS
                   ? std::optional(root)
                   : std::nullopt;
    }

    /// nullopt if `line` is not JSON. Valid until the next call.
    [[nodiscard]] std::optional<dom::element> parse(std::string_view line) {
        if (const auto fast = parse_fast(line)) {
            return fast;
        }
        dom::element root;
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

TranscriptReader::TranscriptReader(const SkillNamer& namer, Sink sink, const ReaderOptions& options)
    : namer_(namer),
      sink_(std::move(sink)),
      options_(options),
      parser_(std::make_unique<LineParser>()),
      open_uses_(options.waiting),
      early_results_(options.waiting),
      finished_(options.remembered_keys),
      launches_(options.remembered_tasks),
      tasks_(options.remembered_tasks),
      ended_(options.remembered_tasks) {}

TranscriptReader::~TranscriptReader() = default;

bool TranscriptReader::read_line(std::string_view text, std::string_view fallback_session, std::uint32_t file) {
    const auto root = parser_->parse(text);
    if (!root) {
        return false;
    }
    ++counts_.lines;
    const LineKind kind = read_events(*root, {.fallback_session = fallback_session, .file = file}, *this);
    counts_.progress_lines += kind == LineKind::progress ? 1 : 0;
    counts_.other_lines += kind == LineKind::other || kind == LineKind::foreign ? 1 : 0;
    counts_.foreign_lines += kind == LineKind::foreign ? 1 : 0;
    return true;
}

bool TranscriptReader::read_whole(std::string_view text, const LineOrigin& origin) {
    const auto root = parser_->parse_fast(text);
    // The last block of a torn record is JSON, too, but not a record.
    const LineKind kind = root ? read_events(*root, origin, *this) : LineKind::foreign;
    counts_.progress_lines += kind == LineKind::progress ? 1 : 0;
    counts_.other_lines += kind == LineKind::other ? 1 : 0;
    counts_.lines += kind != LineKind::foreign ? 1 : 0;
    return kind != LineKind::foreign;
}

TranscriptReader::Recovery TranscriptReader::recover_records(std::string_view text, std::string_view fallback_session,
                                                             std::uint32_t file) {
    const LineOrigin origin{.fallback_session = fallback_session, .file = file};
    Recovery recovery;
    std::size_t budget = kMaxRecoveryBytes;
    std::size_t start = 0;  // of the record that may be whole
    for (text = without_padding(text); start < text.size() && text.size() - start <= budget;) {
        budget -= text.size() - start;
        if (read_whole(text.substr(start), origin)) {
            ++recovery.records;
            text = without_padding(text.substr(0, start));
            start = 0;
        } else {
            start = std::min(text.find("{\"", start + 1), text.size());
        }
    }
    recovery.is_complete = text.empty();
    return recovery;
}

void TranscriptReader::begin_file(std::uint32_t file) {
    if (const auto state = files_.find(file); state != files_.end()) {
        state->second = {.pending = state->second.pending};
    }
}

void TranscriptReader::note_time(std::uint32_t file, TimePoint at) {
    TimePoint& latest = files_[file].latest;
    latest = std::max(latest, at);
}

void TranscriptReader::set_shutting_down(std::uint32_t file, bool is_shutting_down) {
    files_[file].is_shutting_down = is_shutting_down;
}

bool TranscriptReader::is_shutting_down(std::uint32_t file) const {
    const auto state = files_.find(file);
    return state != files_.end() && state->second.is_shutting_down;
}

void TranscriptReader::add_use(const EventLine& line, std::string_view id, bool is_shell_command,
                               const std::function<ToolReading(const SkillNamer&)>& read) {
    if (!is_valid_event_key(id)) {
        return;
    }
    bool is_copy = line.is_copy;
    if (line.at) {
        // A session that continues another one begins with copies, which are older than its first lines.
        is_copy = is_copy || *line.at + kTimeTolerance < files_[line.file].latest;
        note_time(line.file, *line.at);
    }
    if (finished_.contains(id) || open_uses_.contains(id)) {
        ++counts_.replayed;
        read_again(line, id, is_copy, read);
        return;
    }
    if (!line.at) {
        ++counts_.without_time;
        return;
    }
    Use use{.file = line.file,
            .reading = read(namer_),
            .at = *line.at,
            .session_id = line.session_id,
            .is_copy = is_copy,
            .is_shell_command = is_shell_command};
    std::string key(id);
    if (const auto early = early_results_.take(key)) {
        decrement_pending(early->file);
        finish(std::move(key), std::move(use), *early, {});
    } else {
        add_pending(use.file);
        open_uses_.add(std::move(key), std::move(use));
    }
}

/// The session of a copy is replaced by that of the original.
void TranscriptReader::read_again(const EventLine& line, std::string_view id, bool is_copy,
                                  const std::function<ToolReading(const SkillNamer&)>& read) {
    if (is_copy) {
        return;
    }
    if (Use* open = open_uses_.find(id); open != nullptr && open->is_copy) {
        open->is_copy = false;
        open->session_id = line.session_id;
    } else if (bool* only_copies = finished_.find(id); only_copies != nullptr && *only_copies && line.at) {
        *only_copies = false;
        const ToolReading reading = read(namer_);
        AgentEvent event;
        event.key = id;
        event.skill_name = reading.skill_name;
        event.session_id = line.session_id;
        event.at = *line.at;
        event.is_supplement = true;
        event.evidence.name_basis = reading.name_basis;
        event.evidence.session_basis = SessionBasis::original;
        event.evidence.started = claim(*line.at);
        sink_(std::move(event));
    }
}

void TranscriptReader::add_result(const EventLine& line, std::string_view use_id, const ToolResult& result,
                                  const std::function<std::string()>& output) {
    std::string key(use_id);
    if (line.at) {
        note_time(line.file, *line.at);
    }
    if (!is_valid_event_key(key) || finished_.contains(key)) {
        return;
    }
    Result found{.file = line.file, .at = line.at, .result = result};
    if (auto use = open_uses_.take(key)) {
        decrement_pending(use->file);
        if (use->is_shell_command && result.may_lack_exit_code) {
            found.result.error_class = kExitCode;
        }
        const bool is_needed =
            use->reading.needs_output(result.is_error) && (!result.is_error || found.result.error_class == kExitCode);
        finish(std::move(key), std::move(*use), found, is_needed ? output() : std::string());
    } else if (!early_results_.contains(key)) {
        found.result.task_id = {};  // points into the line
        add_pending(line.file);
        early_results_.add(std::move(key), found);
    }
}

void TranscriptReader::forget(std::uint32_t file) {
    const auto state = files_.find(file);
    if (state == files_.end()) {
        return;
    }
    const bool is_pending = state->second.pending > 0;
    files_.erase(state);
    if (is_pending) {
        const auto is_in_file = [file](const auto& half) { return half.file == file; };
        open_uses_.erase_if(is_in_file);
        early_results_.erase_if(is_in_file);
    }
}

void TranscriptReader::finish(std::string key, Use use, const Result& end, std::string_view output) {
    const ToolResult& result = end.result;
    finished_.add(key, use.is_copy);
    AgentEvent event;
    event.key = key;
    event.session_id = std::move(use.session_id);
    event.at = use.at;
    event.bad_duration = result.bad_duration;
    Evidence& evidence = event.evidence;
    evidence.session_basis = use.is_copy ? SessionBasis::copy : SessionBasis::original;
    evidence.started = claim(use.at);
    if (end.at && *end.at >= use.at) {
        evidence.result.at = claim(*end.at);
    }
    if (result.duration_seconds) {
        evidence.result.measured_us = claim(to_micros(*result.duration_seconds));
    }
    if (result.is_error && result.error_class != kExitCode) {
        event.skill_name = use.reading.skill_name;
        evidence.name_basis = use.reading.name_basis;
        evidence.result.outcome =
            claim(ClaimedOutcome{.outcome = Outcome::failed, .error_type = std::string(result.error_class)});
    } else {
        evidence.result.outcome = conclude(event, use.reading, result.is_error, output);
    }
    ++counts_.found;
    counts_.bad_durations += result.bad_duration ? 1 : 0;
    if (result.in_background && !ended_.contains(key)) {
        evidence.in_background = true;
        if (!result.task_id.empty() && !tasks_.contains(result.task_id)) {
            tasks_.add(std::string(result.task_id), key);
        }
        launches_.add(std::move(key), std::move(use.reading));
    } else {
        evidence.in_background = result.in_background;
    }
    sink_(std::move(event));
}

void TranscriptReader::add_background_end(const EventLine& line, const BackgroundEnd& end,
                                          const std::function<std::string()>& output) {
    std::string key(end.tool_use_id);
    if (key.empty()) {
        const std::string* launched = tasks_.find(end.task_id);
        key = launched != nullptr ? *launched : std::string();
    }
    if (!line.at || !is_valid_event_key(key) || !ended_.insert(key)) {
        return;
    }
    AgentEvent event;
    event.session_id = line.session_id;
    event.at = *line.at;
    event.evidence.session_basis = line.is_copy ? SessionBasis::copy : SessionBasis::original;
    const auto reading = launches_.take(key);
    event.key = std::move(key);
    if (reading) {
        event.skill_name = reading->skill_name;
        event.evidence.name_basis = reading->name_basis;
    }
    set_background_end(event, end, EvidenceSource::transcript);
    const bool is_error = end.outcome == Outcome::failed;
    if (reading && (!is_error || end.error_class == kExitCode)) {
        event.evidence.background_end.outcome =
            conclude(event, *reading, is_error, reading->needs_output(is_error) ? output() : std::string());
    }
    sink_(std::move(event));
}

void TranscriptReader::add_command(const EventLine& line, std::string_view id, std::string skill_name) {
    if (!line.at) {
        ++counts_.without_time;
        return;
    }
    AgentEvent event;
    event.kind = AgentEvent::Kind::command;
    event.key = "command:" + std::string(id);
    if (id.empty() || !is_valid_event_key(event.key)) {
        event.key = "command:" + line.session_id + '@' + std::string(line.timestamp);
    }
    if (finished_.contains(event.key)) {
        ++counts_.replayed;
        return;
    }
    finished_.add(event.key, false);
    event.skill_name = std::move(skill_name);
    event.session_id = line.session_id;
    event.at = *line.at;
    event.evidence.name_basis = NameBasis::typed;
    event.evidence.session_basis = line.is_copy ? SessionBasis::copy : SessionBasis::original;
    event.evidence.started = claim(*line.at);
    event.evidence.result.outcome = claim(ClaimedOutcome{.outcome = Outcome::completed, .error_type = {}});
    ++counts_.found;
    ++counts_.found_commands;
    sink_(std::move(event));
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
