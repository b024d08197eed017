// Parses hook events. Builds only the few fields that are needed, because a tool's response may be megabytes.
#include "session_buddy/ingest/hook_event.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "session_buddy/core/duration.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/ingest/error_class.hpp"
#include "shallow_json.hpp"
#include "surrogates.hpp"

namespace session_buddy::ingest {
namespace {

using nlohmann::json;
using Kind = HookEvent::Kind;

/// An error in a field: missing, of the wrong type or invalid.
struct Fault {
    const char* field;
    const char* reason;
};

constexpr std::array<std::string_view, 9> kEventFields{"hook_event_name", "session_id",  "tool_name",
                                                       "tool_input",      "tool_use_id", "duration_ms",
                                                       "is_interrupt",    "error",       "command_name"};

/// The fields to build: some of the event, and some of its `tool_input`.
bool is_wanted(std::size_t depth, std::string_view key) {
    return depth == 1 ? std::ranges::find(kEventFields, key) != kEventFields.end()
                      : std::ranges::find(kNamingFields, key) != kNamingFields.end();
}

/// The event; discarded if the text is not JSON.
json parse(std::string_view text) {
    json event(json::value_t::discarded);
    const auto read = [&event](std::string_view some) {
        return read_shallow_json(some, {.depth = 2, .wants = is_wanted},
                                 [&event](json&& value) { event = std::move(value); });
    };
    return read(text) || read(replace_lone_surrogates(text)) ? std::move(event) : json(json::value_t::discarded);
}

std::string_view text_of(const json& event, const char* key) {
    const auto found = event.find(key);
    return found != event.end() && found->is_string() ? std::string_view(found->get_ref<const std::string&>())
                                                      : std::string_view{};
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

void read_duration(const json& event, HookEvent& use) {
    const auto found = event.find("duration_ms");
    if (found == event.end() || found->is_null()) {
        return;
    }
    constexpr double kMillisecondsPerSecond = 1000.0;
    const double seconds = found->is_number() ? found->get<double>() / kMillisecondsPerSecond : -1.0;
    use.bad_duration = !is_valid_duration(seconds);
    if (!use.bad_duration) {
        use.duration_seconds = seconds;
    }
}

HookEvent tool_use(const json& event, Kind kind, const SkillNamer& namer) {
    const auto input = event.find("tool_input");
    HookEvent use;
    use.kind = kind;
    use.session_id = required_name(event, "session_id");
    use.key = required_key(event);
    static_cast<void>(required_name(event, "tool_name"));
    static const json kNoInput;
    use.skill_name = namer.for_tool(text_of(event, "tool_name"), input != event.end() ? *input : kNoInput);
    return use;
}

std::variant<HookEvent, IgnoredEvent, BadEvent> interpret(const json& event, const SkillNamer& namer) {
    const std::string name = required_name(event, "hook_event_name");
    if (name == "PreToolUse") {
        return tool_use(event, Kind::started, namer);
    }
    if (name == "PostToolUse" || name == "PostToolUseFailure") {
        HookEvent use = tool_use(event, Kind::finished, namer);
        read_duration(event, use);
        use.completed = name == "PostToolUse";
        if (!use.completed) {
            const auto interrupt = event.find("is_interrupt");
            use.error_type = classify_tool_error(
                text_of(event, "error"), interrupt != event.end() && interrupt->is_boolean() && interrupt->get<bool>());
        }
        return use;
    }
    if (name == "UserPromptExpansion") {
        HookEvent command;
        command.kind = Kind::command;
        command.session_id = required_name(event, "session_id");
        command.skill_name = SkillNamer::for_typed_command(required_name(event, "command_name"));
        command.completed = true;
        return command;
    }
    if (name == "SessionEnd") {
        HookEvent end;
        end.kind = Kind::session_end;
        end.session_id = required_name(event, "session_id");
        return end;
    }
    return IgnoredEvent{};
}

}  // namespace

std::variant<HookEvent, IgnoredEvent, BadEvent> read_hook_event(std::string_view text, const SkillNamer& namer) {
    const json event = parse(text);
    if (event.is_discarded()) {
        return BadEvent{.field = "", .reason = "A hook event must be JSON"};
    }
    if (!event.is_object()) {
        return BadEvent{.field = "", .reason = "A hook event must be a JSON object"};
    }
    try {
        return interpret(event, namer);
    } catch (const Fault& fault) {
        return BadEvent{.field = fault.field, .reason = std::string(fault.field) + ' ' + fault.reason};
    }
}

}  // namespace session_buddy::ingest
