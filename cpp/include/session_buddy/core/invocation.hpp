// One run of a skill, as the engine sees it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "session_buddy/core/clock.hpp"

namespace session_buddy {

inline constexpr std::size_t kMaxSkillNameBytes = 256;

/// 1 to 256 bytes of well-formed UTF-8 without control characters (C0, DEL, C1).
[[nodiscard]] bool is_valid_skill_name(std::string_view name);

inline constexpr std::size_t kMaxEventKeyBytes = 1024;

/// What tells one run of a skill from all others whoever reports it, such as a tool_use_id: 1 to 1024 bytes of
/// well-formed UTF-8 without control characters.
[[nodiscard]] bool is_valid_event_key(std::string_view key);

/// A row of `skill_invocation` that could be read.
struct Invocation {
    std::int64_t id = 0;
    std::string skill_name;
    TimePoint invoked_at;
    std::string session_id;
    bool completed = false;
    std::optional<double> duration_seconds{};  ///< finite and not negative
    std::string error_type;                    ///< empty where the row has none
};

}  // namespace session_buddy
