// The one form of every HTTP error: application/problem+json (RFC 9457).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace session_buddy::protocol {

inline constexpr std::string_view kProblemType = "application/problem+json";

/// What a program may want to know of one kind of error, such as the parameter that was wrong.
using ProblemMember = std::pair<std::string_view, std::variant<std::int64_t, std::string>>;

/// `error` is the code for programs, `detail` a sentence that says what was wrong and what to do. The type is
/// about:blank, so the title is the phrase of the status.
[[nodiscard]] std::string problem(unsigned status, std::string_view error, std::string_view detail,
                                  const std::vector<ProblemMember>& members = {});

}  // namespace session_buddy::protocol
