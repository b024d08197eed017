// inotify on Linux; elsewhere add() fails and wait() only sleeps.
#include "folder_events.hpp"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#ifdef __linux__
#include <sys/inotify.h>
#endif

namespace session_buddy::app {

#ifdef __linux__

FolderEvents::FolderEvents() : queue_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {}

FolderEvents::~FolderEvents() {
    if (queue_ >= 0) {
        ::close(queue_);
    }
}

FolderEvents::Watched FolderEvents::add(const std::filesystem::path& folder) {
    constexpr std::uint32_t kEvents = IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
    const int number = ::inotify_add_watch(queue_, folder.empty() ? "." : folder.c_str(), kEvents);
    if (number < 0) {
        return Watched::not_possible;
    }
    // A folder that was moved keeps its watch descriptor.
    return folders_.insert_or_assign(number, folder).second ? Watched::now : Watched::already;
}

FolderEvents::Changes FolderEvents::wait(std::chrono::milliseconds longest) {
    pollfd source{.fd = queue_, .events = POLLIN, .revents = 0};
    Changes changes;
    if (::poll(&source, 1, static_cast<int>(longest.count())) <= 0) {
        return changes;
    }
    alignas(inotify_event) std::array<char, 16384> buffer{};
    for (;;) {
        const auto size = ::read(queue_, buffer.data(), buffer.size());
        if (size <= 0) {
            return changes;
        }
        for (std::size_t offset = 0; offset < static_cast<std::size_t>(size);) {
            inotify_event event{};
            std::memcpy(&event, buffer.data() + offset, sizeof event);
            const char* name = event.len == 0 ? "" : buffer.data() + offset + sizeof event;
            offset += sizeof event + event.len;
            const auto folder = folders_.find(event.wd);
            if ((event.mask & IN_Q_OVERFLOW) != 0) {
                changes.overflow = true;
            } else if ((event.mask & IN_IGNORED) != 0) {
                folders_.erase(event.wd);
                changes.folders_changed = true;
            } else if ((event.mask & (IN_ISDIR | IN_DELETE_SELF | IN_MOVE_SELF)) != 0) {
                changes.folders_changed = true;
            } else if (folder != folders_.end()) {
                changes.paths.push_back(folder->second / name);
            }
        }
    }
}

#else

FolderEvents::FolderEvents() = default;
FolderEvents::~FolderEvents() = default;

FolderEvents::Watched FolderEvents::add(const std::filesystem::path& /*folder*/) {
    return Watched::not_possible;
}

FolderEvents::Changes FolderEvents::wait(std::chrono::milliseconds longest) {
    ::poll(nullptr, 0, static_cast<int>(longest.count()));
    return {};
}

#endif

}  // namespace session_buddy::app
