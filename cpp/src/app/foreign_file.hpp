// Files that are no transcripts: which they are, and how to say so.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "session_buddy/ingest/transcript.hpp"

namespace session_buddy::app {

/// A file without any line of a known agent. `agent`: the other agent that wrote it; empty if it is not known.
struct ForeignFile {
    std::string agent;
};

/// Whether a file, of which the lines between these counts were read, is foreign. An empty file is not, nor is one that
/// has only begun to be written.
[[nodiscard]] std::optional<ForeignFile> check_foreign(const std::filesystem::path& path,
                                                       const ingest::TranscriptCounts& before,
                                                       const ingest::TranscriptCounts& after);

/// An error message. `agents`: who wrote it, such as "Codex"; may be empty.
[[nodiscard]] std::string no_transcript(const std::string& agents);

}  // namespace session_buddy::app
