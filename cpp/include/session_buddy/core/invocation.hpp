// An invocation as the engine sees it, and the rules for skill names and dedup keys.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "session_buddy/core/clock.hpp"

namespace session_buddy {

inline constexpr std::size_t kMaxSkillNameBytes = 256;

inline constexpr const char* kSkillNameRule = "must be 1 to 256 bytes of UTF-8 without control characters";

/// 1 to kMaxSkillNameBytes bytes of well-formed UTF-8 without control characters (C0, DEL, C1).
[[nodiscard]] bool is_valid_skill_name(std::string_view name);

inline constexpr std::size_t kMaxEventKeyBytes = 1024;

/// The dedup key of an invocation, the same from every source, such as a tool_use_id: 1 to 1024 bytes of well-formed
/// UTF-8 without control characters.
[[nodiscard]] bool is_valid_event_key(std::string_view key);

/// A valid row of `skill_invocation`, reduced to what the metrics and the anomaly engine need.
struct Invocation {
    std::int64_t id = 0;
    std::string skill_name;
    TimePoint invoked_at;
    std::string session_id;
    bool completed = false;                    ///< true if the outcome is unknown, as other programs count it
    std::optional<double> duration_seconds{};  ///< finite and not negative
    std::string error_type{};                  ///< empty if the row has none
    bool outcome_is_unknown = false;
    bool duration_is_bound = false;  ///< the duration is an upper bound: it may include a wait (core/evidence.hpp)
};

}  // namespace session_buddy
