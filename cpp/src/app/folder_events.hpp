// The system's notifications of files that are made or written in folders (inotify); none where it has no such thing.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <unordered_map>
#include <vector>

namespace session_buddy::app {

class FolderEvents {
  public:
    FolderEvents();
    ~FolderEvents();
    FolderEvents(const FolderEvents&) = delete;
    FolderEvents& operator=(const FolderEvents&) = delete;

    enum class Watched : std::uint8_t { now, already, not_possible };
    /// Watches this folder, not those in it.
    Watched add(const std::filesystem::path& folder);

    struct Changes {
        std::vector<std::filesystem::path> paths;  ///< of files that were made, moved here or written
        bool overflow = false;                     ///< there were more
        bool folders_changed = false;              ///< folders came or went
    };
    /// Waits until something is told, at most `longest`; a signal ends it, too.
    [[nodiscard]] Changes wait(std::chrono::milliseconds longest);

  private:
    int queue_ = -1;
    std::unordered_map<int, std::filesystem::path> folders_;  // by the number of the watch
};

}  // namespace session_buddy::app
