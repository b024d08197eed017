// The agents whose session files can be read: what is particular to each is in its own source file, and its row here.
#pragma once

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "session_buddy/core/options.hpp"
#include "session_buddy/ingest/transcript.hpp"

namespace session_buddy::ingest {

enum class LineKind : std::uint8_t {
    foreign,   ///< not written by this agent
    other,     ///< of a kind without events
    progress,  ///< repeats other lines
    events,    ///< of a kind with events, even if it has none
};

/// The latest key at each depth of nesting, from 1, arrays included.
using KeysAbove = std::array<std::string, 8>;

struct Source {
    /// As in messages: "Claude Code".
    std::string_view agent;
    /// Where it stores its sessions, for the help of commands: "the projects in ~/.claude".
    std::string_view default_folders;
    /// These folders, existing or not.
    std::vector<std::filesystem::path> (*session_folders)(const options::Environment& environment);
    /// Whether a key is read. Only these are built from a line that simdjson rejects; nothing is at depth 7.
    bool (*keeps)(int depth, std::string_view key, const KeysAbove& above);
    /// Passes the events of a line to the reader.
    LineKind (*read_line)(const simdjson::dom::object& line, const LineOrigin& origin, TranscriptReader& reader);
};

extern const Source kClaudeCode;

/// In this order they are asked whether a line is theirs.
inline constexpr std::array kSources{&kClaudeCode};

template <std::size_t N>
[[nodiscard]] bool is_one_of(std::string_view key, const std::array<std::string_view, N>& keys) {
    return std::find(keys.begin(), keys.end(), key) != keys.end();
}

/// Empty if it is not a string.
[[nodiscard]] inline std::string_view text_of(const simdjson::dom::element& value) {
    std::string_view text;
    return value.get(text) == simdjson::SUCCESS ? text : std::string_view{};
}

inline void assign(std::string_view* target, const simdjson::dom::element& value) {
    *target = text_of(value);
}
inline void assign(bool* target, const simdjson::dom::element& value) {
    bool flag = false;
    *target = value.get(flag) == simdjson::SUCCESS && flag;
}
inline void assign(std::optional<simdjson::dom::element>* target, const simdjson::dom::element& value) {
    *target = value;
}

inline void assign_member(std::string_view /*key*/, const simdjson::dom::element& /*value*/) {}
template <typename Target, typename... Others>
void assign_member(std::string_view key, const simdjson::dom::element& value, std::string_view name, Target* target,
                   Others... others) {
    if (key == name) {
        assign(target, value);
    } else {
        assign_member(key, value, others...);
    }
}

/// `read_members(object, "type"sv, &type, "id"sv, &id)` assigns the members of these keys to texts (empty if the value
/// is no string), flags (false if it is not `true`) or elements. Of duplicate keys the last one counts, as in other
/// JSON parsers.
template <typename... NamesAndTargets>
void read_members(const simdjson::dom::object& object, NamesAndTargets... names_and_targets) {
    for (const auto& [key, value] : object) {
        assign_member(key, value, names_and_targets...);
    }
}

}  // namespace session_buddy::ingest
