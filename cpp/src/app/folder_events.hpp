// File change notifications for folders (inotify); on systems without it there are none, and the caller polls.
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
    /// Watches this folder, without its subfolders.
    Watched add(const std::filesystem::path& folder);

    struct Changes {
        std::vector<std::filesystem::path> paths;  ///< files that were created, moved here or written
        bool overflow = false;                     ///< notifications were lost
        bool folders_changed = false;              ///< folders were created, moved or deleted
    };
    /// Waits for changes, at most `longest`. A signal ends the wait too.
    [[nodiscard]] Changes wait(std::chrono::milliseconds longest);

  private:
    int queue_ = -1;
    std::unordered_map<int, std::filesystem::path> folders_;  // by watch descriptor
};

}  // namespace session_buddy::app
