// Recognizes the session files of agents whose sessions cannot be imported, for error messages.
#pragma once

#include <cstddef>
#include <string_view>

namespace session_buddy::ingest {

/// How much of the beginning of a file is enough.
inline constexpr std::size_t kRecognizedBytes = std::size_t{16} * 1024;

/// The agent that writes files with such a beginning: "Codex"; empty if it is not known. Looks at names and a few fixed
/// values of JSON members only, so the text may be cut off anywhere.
[[nodiscard]] std::string_view recognize_other_agent(std::string_view beginning);

}  // namespace session_buddy::ingest
