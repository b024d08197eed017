// File system notifications by inotify (Linux) and kqueue (macOS and the BSDs).
#include "file_events.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "file_state.hpp"

#ifdef __linux__
#include <sys/inotify.h>
#else
#include <sys/event.h>
#include <sys/stat.h>
#include <sys/types.h>
#endif

namespace session_buddy::storage {
namespace {

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

void FileDescriptor::reset() noexcept {
    if (number_ >= 0) {
        ::close(std::exchange(number_, -1));
    }
}

#ifdef __linux__

bool FileEvents::watch(const std::string& path) {
    if (!queue_) {
        queue_ = FileDescriptor(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
        if (!queue_) {
            fail("inotify_init1");
        }
        folder_ = -1;
    }
    const std::filesystem::path target = resolve_links(path);
    constexpr std::uint32_t kRemovals = IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR;
    constexpr std::uint32_t kChanges = kRemovals | IN_MODIFY | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF;
    const std::uint32_t events = kind_ == Kind::changes ? kChanges : kRemovals;
    // Returns the same watch descriptor for a folder that is watched already.
    const int number = ::inotify_add_watch(queue_.get(), folder_of(target.string()).c_str(), events);
    if (number < 0) {
        const int reason = errno;
        queue_.reset();
        errno = reason;
        fail("inotify_add_watch");
    }
    if (number == folder_ && target.filename() == name_) {
        return false;
    }
    if (number != folder_ && folder_ >= 0) {
        ::inotify_rm_watch(queue_.get(), folder_);
    }
    folder_ = number;
    name_ = target.filename().string();
    return true;
}

bool FileEvents::concerns(std::string_view suffix) const {
    return suffix == "-wal" || (kind_ == Kind::removals ? suffix == "-shm" : suffix.empty() || suffix == "-journal");
}

bool FileEvents::drain() {
    alignas(inotify_event) std::array<char, 4096> buffer{};
    bool concerned = false;
    for (;;) {
        const auto size = ::read(queue_.get(), buffer.data(), buffer.size());
        if (size <= 0) {
            return concerned;
        }
        for (std::size_t offset = 0; offset < static_cast<std::size_t>(size);) {
            inotify_event event{};
            std::memcpy(&event, buffer.data() + offset, sizeof event);
            // Zero-padded; empty for the folder itself, and if events were lost (queue overflow).
            const std::string_view name = event.len == 0 ? "" : buffer.data() + offset + sizeof event;
            concerned = concerned || name.empty() || (name.starts_with(name_) && concerns(name.substr(name_.size())));
            offset += sizeof event + event.len;
        }
    }
}

#else

namespace {

#ifdef O_EVTONLY
constexpr int kOpenFlags = O_EVTONLY | O_CLOEXEC;
#else
constexpr int kOpenFlags = O_RDONLY | O_CLOEXEC;
#endif

bool is_at(const FileDescriptor& file, const std::string& path) {
    struct stat open {};
    struct stat there {};
    return file && ::fstat(file.get(), &open) == 0 && ::stat(path.c_str(), &there) == 0 &&
           open.st_dev == there.st_dev && open.st_ino == there.st_ino;
}

// Returns false if there is no such file.
bool listen_to(const FileDescriptor& queue, FileDescriptor& file, const std::string& path) {
    file = FileDescriptor(::open(path.c_str(), kOpenFlags));
    if (!file) {
        return false;
    }
    struct kevent change {};
    EV_SET(&change, static_cast<uintptr_t>(file.get()), EVFILT_VNODE, EV_ADD | EV_CLEAR,
           NOTE_WRITE | NOTE_EXTEND | NOTE_DELETE | NOTE_RENAME, 0, nullptr);
    return ::kevent(queue.get(), &change, 1, nullptr, 0, nullptr) == 0;
}

}  // namespace

// Never opens the database file itself, because closing it would release the POSIX locks that SQLite holds on it. Each
// write to it comes with a write to the log, or with a journal that is created or removed in the folder.
bool FileEvents::watch(const std::string& path) {
    if (!queue_) {
        queue_ = FileDescriptor(::kqueue());
        if (!queue_) {
            fail("kqueue");
        }
        folder_.reset();
        wal_.reset();
    }
    const std::filesystem::path target = resolve_links(path);
    const std::string folder = folder_of(target.string());
    const std::string log = target.string() + "-wal";
    name_ = target.filename().string();
    bool missed = false;
    if (!is_at(folder_, folder)) {
        missed = true;
        if (!listen_to(queue_, folder_, folder)) {
            const int reason = errno;
            queue_.reset();
            errno = reason;
            fail("kevent");
        }
    }
    if (!is_at(wal_, log) && listen_to(queue_, wal_, log)) {
        missed = true;
    }
    return missed;
}

bool FileEvents::drain() {
    std::array<struct kevent, 8> events{};
    const timespec no_wait{};
    bool concerned = false;
    while (::kevent(queue_.get(), nullptr, 0, events.data(), static_cast<int>(events.size()), &no_wait) > 0) {
        concerned = true;
    }
    return concerned;
}

#endif

}  // namespace session_buddy::storage
