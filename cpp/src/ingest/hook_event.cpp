// Parses hook events. Builds only the few fields that are needed, and of texts only the parts that are looked at,
// because a tool's response may be megabytes.
#include "session_buddy/ingest/hook_event.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "background.hpp"
#include "session_buddy/core/duration.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/ingest/error_class.hpp"
#include "session_buddy/ingest/output_verdict.hpp"
#include "shallow_json.hpp"
#include "surrogates.hpp"
#include "typed_command.hpp"

namespace session_buddy::ingest {
namespace {

using nlohmann::json;
using Kind = AgentEvent::Kind;

/// An error in a field: missing, of the wrong type or invalid.
struct Fault {
    const char* field;
    const char* reason;
};

constexpr std::array kEventFields = std::to_array<std::string_view>(
    {"hook_event_name", "session_id", "tool_name", "tool_input", "tool_use_id", "tool_response", "duration_ms",
     "is_interrupt", "error", "command_name", "command_source", "prompt_id", "prompt", "tool_calls"});
constexpr std::array kCallFields =
    std::to_array<std::string_view>({"tool_name", "tool_input", "tool_use_id", "tool_response", "text"});
constexpr std::array kResponseFields =
    std::to_array<std::string_view>({"stdout", "stderr", "status", "isAsync", "backgroundTaskId", "text"});

/// An element of `tool_calls` is at depth 3: the event, the array, the element.
constexpr std::size_t kCallDepth = 3;
constexpr std::size_t kMaxDepth = kCallDepth + 2;

template <std::size_t N>
bool is_in(const std::array<std::string_view, N>& fields, std::string_view key) {
    return std::ranges::find(fields, key) != fields.end();
}

bool is_wanted(std::size_t depth, std::string_view key) {
    switch (depth) {
        case 1:
            return is_in(kEventFields, key);
        case kCallDepth:
            return is_in(kCallFields, key);
        default:
            return std::ranges::find(kNamingFields, key) != kNamingFields.end() || is_in(kResponseFields, key);
    }
}

bool wants_elements(std::size_t depth, std::string_view key) {
    return key == "tool_response" || (depth == 1 && key == "tool_calls");
}

std::optional<ShallowShape::Limit> limit_of(std::size_t depth, std::string_view key) {
    constexpr std::size_t kErrorBytes = 2048;    // the first lines are classified
    constexpr std::size_t kPromptBytes = 16384;  // around the result of a subagent
    if (depth == 1 && key == "prompt") {
        return ShallowShape::Limit{.max_head = kPromptBytes, .max_tail = kPromptBytes};
    }
    return key == "error" || key == "tool_response" || key == "stdout" || key == "stderr" || key == "text"
               ? std::optional(ShallowShape::Limit{.max_head = kErrorBytes, .max_tail = kMaxVerdictBytes})
               : std::nullopt;
}

/// The event; discarded if the text is not JSON.
json parse(std::string_view text) {
    json event(json::value_t::discarded);
    const ShallowShape shape{.depth = kMaxDepth,
                             .wants = is_wanted,
                             .wants_elements = wants_elements,
                             .max_elements = kMaxBatchCalls,
                             .limits = limit_of};
    const auto read = [&](std::string_view some) {
        return read_shallow_json(some, shape, [&event](json&& value) { event = std::move(value); });
    };
    return read(text) || read(replace_lone_surrogates(text)) ? std::move(event) : json(json::value_t::discarded);
}

const json& member(const json& object, const char* key) {
    static const json kNone;
    const auto found = object.is_object() ? object.find(key) : object.end();
    return found != object.end() ? *found : kNone;
}

std::string_view text_of(const json& value) {
    return value.is_string() ? std::string_view(value.get_ref<const std::string&>()) : std::string_view{};
}
std::string_view text_of(const json& object, const char* key) {
    return text_of(member(object, key));
}

bool is_true(const json& value) {
    return value.is_boolean() && value.get<bool>();
}

std::string required_name(const json& event, const char* key) {
    const std::string_view text = text_of(event, key);
    if (text.empty()) {
        throw Fault{key, "must be a non-empty string"};
    }
    return to_skill_name(text);
}

std::string required_key(const json& event) {
    const std::string_view key = text_of(event, "tool_use_id");
    if (!is_valid_event_key(key)) {
        throw Fault{"tool_use_id", "must be a string of 1 to 1024 bytes without control characters"};
    }
    return std::string(key);
}

/// What a tool printed: a string, text blocks, or the fields of the Bash tool.
std::string output_of(const json& response) {
    if (response.is_string()) {
        return std::string(text_of(response));
    }
    std::string output;
    if (response.is_array()) {
        for (const json& block : response) {
            output.append(text_of(block, "text")).append("\n");
        }
    } else {
        output.append(text_of(response, "stdout")).append("\n").append(text_of(response, "stderr"));
    }
    return output;
}

bool is_launch(const json& response) {
    if (response.is_object()) {
        return is_true(member(response, "isAsync")) || !text_of(response, "backgroundTaskId").empty() ||
               text_of(response, "status").ends_with("_launched");
    }
    const json& first = response.is_array() && !response.empty() ? response.front() : response;
    return is_launch_text(first.is_object() ? text_of(first, "text") : text_of(first));
}

class Interpreter {
  public:
    Interpreter(const SkillNamer& namer, TimePoint received, bool builtin_commands)
        : namer_(namer), received_(received), builtin_commands_(builtin_commands) {}

    std::vector<AgentEvent> interpret(const json& event) {
        const std::string name = required_name(event, "hook_event_name");
        if (name == "PreToolUse") {
            start(event);
        } else if (name == "PostToolUse") {
            succeed(event);
        } else if (name == "PostToolUseFailure") {
            fail(event);
        } else if (name == "PostToolBatch") {
            read_batch(event);
        } else if (name == "UserPromptSubmit") {
            read_prompt(event);
        } else if (name == "UserPromptExpansion") {
            read_command(event);
        } else if (name == "SessionEnd") {
            add(Kind::session_end, event);
        }
        return std::move(events_);
    }

  private:
    template <typename Value>
    static Claim<Value> claim(Value value) {
        return {.source = EvidenceSource::hook, .value = std::move(value)};
    }

    AgentEvent& add(Kind kind, const json& event) {
        AgentEvent& added = events_.emplace_back();
        added.kind = kind;
        added.session_id = required_name(event, "session_id");
        added.at = received_;
        added.evidence.session_basis = SessionBasis::original;
        return added;
    }

    ToolReading read_input(const json& event) const {
        static_cast<void>(required_name(event, "tool_name"));
        return namer_.read(text_of(event, "tool_name"), member(event, "tool_input"));
    }

    AgentEvent& add_use(const json& event, const ToolReading& reading) {
        AgentEvent& use = add(Kind::use, event);
        use.key = required_key(event);
        use.skill_name = reading.skill_name;
        use.evidence.name_basis = reading.name_basis;
        return use;
    }

    void start(const json& event) { add_use(event, read_input(event)).evidence.started = claim(received_); }

    /// The end of the call, with what is true of any outcome.
    AgentEvent& add_end(const json& event, const ToolReading& reading) {
        AgentEvent& use = add_use(event, reading);
        use.evidence.result.at = claim(received_);
        if (const json& duration = member(event, "duration_ms"); !duration.is_null()) {
            constexpr double kMillisecondsPerSecond = 1000.0;
            constexpr double kMicrosPerSecond = 1e6;
            const double seconds = duration.is_number() ? duration.get<double>() / kMillisecondsPerSecond : -1.0;
            use.bad_duration = !is_valid_duration(seconds);
            if (!use.bad_duration) {
                use.evidence.result.measured_us = claim<std::int64_t>(std::llround(seconds * kMicrosPerSecond));
            }
        }
        return use;
    }

    static void conclude(AgentEvent& use, const ToolReading& reading, bool is_error, std::string_view output) {
        ToolConclusion conclusion = reading.conclude(is_error, output);
        use.skill_name = std::move(conclusion.skill_name);
        use.evidence.name_basis = conclusion.name_basis;
        use.evidence.is_masked = conclusion.is_masked;
        use.evidence.result.outcome =
            claim(ClaimedOutcome{.outcome = conclusion.outcome,
                                 .error_type = conclusion.outcome == Outcome::failed ? std::string(kExitCode) : ""});
        if (conclusion.verdict) {
            use.evidence.verdict = claim(*conclusion.verdict);
        }
    }

    static void set_failed(AgentEvent& use, std::string_view error_class) {
        use.evidence.result.outcome =
            claim(ClaimedOutcome{.outcome = Outcome::failed, .error_type = std::string(error_class)});
    }

    void succeed(const json& event) {
        const ToolReading reading = read_input(event);
        AgentEvent& use = add_end(event, reading);
        const json& response = member(event, "tool_response");
        if (is_launch(response)) {
            use.evidence.in_background = true;
            conclude(use, reading, false, {});
        } else {
            conclude(use, reading, false, reading.needs_output(false) ? output_of(response) : std::string());
        }
    }

    void fail(const json& event) {
        const ToolReading reading = read_input(event);
        AgentEvent& use = add_end(event, reading);
        const std::string_view text = text_of(event, "error");
        const std::string_view error_class = classify_tool_error(text, is_true(member(event, "is_interrupt")));
        if (error_class == kExitCode) {
            conclude(use, reading, true, text);
        } else {
            set_failed(use, error_class);
        }
    }

    /// Calls that were refused before they ran have no other event. Of the others the events of each call say more: a
    /// batch does not say whether a call failed.
    void read_batch(const json& event) {
        const json& calls = member(event, "tool_calls");
        if (!calls.is_array()) {
            throw Fault{"tool_calls", "must be an array"};
        }
        const std::string session = required_name(event, "session_id");
        for (const json& call : calls) {
            const std::string_view key = text_of(call, "tool_use_id");
            const std::string_view tool = text_of(call, "tool_name");
            const std::string text = output_of(member(call, "tool_response"));
            const std::string_view error_class = refusal_class(text);
            if (!is_valid_event_key(key) || tool.empty() || error_class.empty()) {
                continue;
            }
            ToolReading reading = namer_.read(tool, member(call, "tool_input"));
            AgentEvent& use = events_.emplace_back();
            use.key = key;
            use.skill_name = std::move(reading.skill_name);
            use.session_id = session;
            use.at = received_;
            use.evidence.name_basis = reading.name_basis;
            use.evidence.session_basis = SessionBasis::original;
            use.evidence.result.at = {.source = EvidenceSource::batch, .value = received_};
            use.evidence.result.outcome = {
                .source = EvidenceSource::batch,
                .value = {.outcome = Outcome::failed, .error_type = std::string(error_class)}};
        }
    }

    /// Claude Code submits the end of a background task as a prompt. No other prompt is looked at.
    void read_prompt(const json& event) {
        for (const BackgroundEnd& end : read_task_notifications(text_of(event, "prompt"))) {
            if (!is_valid_event_key(end.tool_use_id)) {
                continue;
            }
            AgentEvent& use = add(Kind::use, event);
            use.key = end.tool_use_id;
            set_background_end(use, end, EvidenceSource::hook);
        }
    }

    void read_command(const json& event) {
        std::string name = SkillNamer::for_typed_command(required_name(event, "command_name"));
        const std::string_view source = text_of(event, "command_source");
        const bool is_builtin = source.empty() ? is_builtin_command(name, true) : source == "builtin";
        AgentEvent& command = add(Kind::command, event);
        // The same command is reported by each hook that is installed, under the same id.
        if (const std::string key = "prompt:" + std::string(text_of(event, "prompt_id")) + ':' + name;
            !text_of(event, "prompt_id").empty() && is_valid_event_key(key)) {
            command.key = key;
        }
        command.skill_name = std::move(name);
        command.evidence.name_basis = NameBasis::typed;
        command.evidence.started = claim(received_);
        command.evidence.result.outcome = claim(ClaimedOutcome{.outcome = Outcome::completed, .error_type = {}});
        if (is_builtin && !builtin_commands_) {
            events_.clear();
        }
    }

    const SkillNamer& namer_;
    TimePoint received_;
    bool builtin_commands_;
    std::vector<AgentEvent> events_;
};

}  // namespace

std::variant<std::vector<AgentEvent>, BadEvent> read_hook_event(std::string_view text, const SkillNamer& namer,
                                                                TimePoint received, bool builtin_commands) {
    const json event = parse(text);
    if (event.is_discarded()) {
        return BadEvent{.field = "", .reason = "A hook event must be JSON"};
    }
    if (!event.is_object()) {
        return BadEvent{.field = "", .reason = "A hook event must be a JSON object"};
    }
    try {
        return Interpreter(namer, received, builtin_commands).interpret(event);
    } catch (const Fault& fault) {
        return BadEvent{.field = fault.field, .reason = std::string(fault.field) + ' ' + fault.reason};
    }
}

}  // namespace session_buddy::ingest
