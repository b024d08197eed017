// HTTP error bodies: application/problem+json (RFC 9457).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace session_buddy::protocol {

inline constexpr std::string_view kProblemType = "application/problem+json";

/// An extension member, specific to an error code, such as the invalid parameter.
using ProblemMember = std::pair<std::string_view, std::variant<std::int64_t, std::string>>;

/// `error` is the machine-readable code, `detail` a sentence that says what was wrong and what to do. The type is
/// about:blank, so the title is the reason phrase of the status.
[[nodiscard]] std::string problem(unsigned status, std::string_view error, std::string_view detail,
                                  const std::vector<ProblemMember>& members = {});

}  // namespace session_buddy::protocol
