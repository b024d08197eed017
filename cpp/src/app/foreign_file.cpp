// Judges files by what the reader counted, and reads their beginning again to name the agent.
#include "foreign_file.hpp"

#include <array>
#include <fstream>
#include <string_view>

#include "session_buddy/ingest/other_agents.hpp"

namespace session_buddy::app {
namespace {

[[nodiscard]] std::string beginning_of(const std::filesystem::path& path) {
    std::string text(ingest::kRecognizedBytes, '\0');
    std::ifstream file(path, std::ios::binary);
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    return text;
}

[[nodiscard]] std::int64_t unusable_lines(const ingest::TranscriptCounts& counts) {
    return counts.unreadable_lines + counts.foreign_lines;
}

}  // namespace

std::optional<ForeignFile> check_foreign(const std::filesystem::path& path, const ingest::TranscriptCounts& before,
                                         const ingest::TranscriptCounts& after) {
    const std::int64_t lines = after.lines - before.lines;
    const bool is_half_a_line = lines == 0 && after.incomplete_lines > before.incomplete_lines;
    if (!is_half_a_line && (lines == 0 || lines != unusable_lines(after) - unusable_lines(before))) {
        return std::nullopt;
    }
    const std::string beginning = beginning_of(path);
    ForeignFile file{.agent = std::string(ingest::recognize_other_agent(beginning))};
    // A transcript that has just begun consists of half a line, too.
    const bool may_be_ours = is_half_a_line && file.agent.empty() && beginning.starts_with('{');
    return may_be_ours ? std::nullopt : std::optional(std::move(file));
}

std::string no_transcript(const std::string& agents) {
    const std::string known = ingest::transcript_agents();
    return "not a " + known + " transcript" + (agents.empty() ? "" : " but a session of " + agents) + " (only " +
           known + " sessions can be imported)";
}

}  // namespace session_buddy::app
