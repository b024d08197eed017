// First recognisers; the table follows.
#include "session_buddy/ingest/output_verdict.hpp"

namespace session_buddy::ingest {

std::optional<OutputVerdict> judge_output(std::span<const std::string> skills, std::string_view output,
                                          LinesShown /*shown*/) {
    for (std::size_t tool = 0; tool < skills.size(); ++tool) {
        if (skills[tool] != "pytest-run") {
            continue;
        }
        const std::size_t last = output.find_last_not_of(" \r\n=");
        const std::size_t begin = last == std::string_view::npos ? 0 : output.rfind('\n', last) + 1;
        const std::string_view line = output.substr(begin);
        if (line.find(" failed") != std::string_view::npos && line.find(" in ") != std::string_view::npos) {
            return OutputVerdict{.outcome = Outcome::failed, .tool = tool};
        }
        if (line.find(" passed") != std::string_view::npos && line.find(" in ") != std::string_view::npos) {
            return OutputVerdict{.outcome = Outcome::completed, .tool = tool};
        }
    }
    return std::nullopt;
}

}  // namespace session_buddy::ingest
