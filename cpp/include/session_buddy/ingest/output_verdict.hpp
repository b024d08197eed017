// Reads from the output of development tools whether they passed or failed, for shell commands whose exit status does
// not show it ("pytest | tail -5"). The output is only looked at: nothing of it is stored or logged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "session_buddy/core/evidence.hpp"

namespace session_buddy::ingest {

/// At most this much of the end of an output is looked at.
inline constexpr std::size_t kMaxVerdictBytes = 8192;

/// Which lines of a tool's output are in the text.
enum class LinesShown : std::uint8_t {
    all,
    last,  ///< the last ones (`| tail`), or those after what an agent's limit cut
    some,  ///< those that a filter chose (`| grep`, `| head`): a line that says "failed" may be missing
};

struct OutputVerdict {
    Outcome outcome = Outcome::unknown;  ///< completed or failed, never unknown
    std::size_t tool = 0;                ///< the index of the tool in `skills`

    bool operator==(const OutputVerdict&) const = default;
};

/// `skills`: the skill names of the known tools that the command ran, in order; `output`: its output, of which a caller
/// may keep only the last kMaxVerdictBytes. The verdict is about the first tool that the output shows to have failed;
/// if it shows none, about the first one that it shows to have passed. nullopt if the output shows neither: only lines
/// in the form that the tool itself writes count, and no output proves nothing. Linear in the size of the output,
/// without allocation.
[[nodiscard]] std::optional<OutputVerdict> judge_output(std::span<const std::string> skills, std::string_view output,
                                                        LinesShown shown = LinesShown::last);

}  // namespace session_buddy::ingest
