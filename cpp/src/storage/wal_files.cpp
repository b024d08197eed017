// Compares the open -wal and -shm files with those at the path. A process-wide list has all open WalFiles.
#include "wal_files.hpp"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <utility>
#include <vector>

#include "session_buddy/storage/error.hpp"

namespace session_buddy::storage {
namespace {

struct OpenInProcess {
    std::mutex mutex;
    std::vector<const WalFiles*> all;
};

// Never destroyed: a connection may be closed during static destruction.
OpenInProcess& open_in_process() {
    static OpenInProcess& instance = *new OpenInProcess;
    return instance;
}

bool is_same(const std::optional<FileState>& now, const std::optional<FileState>& known) {
    return now.has_value() && known.has_value() && now->same_file(*known);
}

/// SQLite holds no locks on the log that closing this file descriptor could release.
FileDescriptor open_wal(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    return FileDescriptor(file < 0 && errno == EACCES ? ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : file);
}

}  // namespace

WalFiles::WalFiles(const std::string& path)
    : path_(resolve_links(path)),
      database_(file_state(path_).value_or(FileState{})),
      wal_state_(file_state(path_ + "-wal")),
      index_(file_state(path_ + "-shm")) {
    if (wal_state_.has_value()) {
        wal_ = open_wal(path_ + "-wal");
    }
    OpenInProcess& open = open_in_process();
    const std::lock_guard lock(open.mutex);
    open.all.push_back(this);
}

WalFiles::~WalFiles() {
    OpenInProcess& open = open_in_process();
    const std::lock_guard lock(open.mutex);
    std::erase(open.all, this);
}

bool WalFiles::lost() const {
    return wal_is_lost() || index_is_lost();
}

bool WalFiles::wal_is_lost() const {
    return wal_state_.has_value() && !is_same(file_state(path_ + "-wal"), wal_state_);
}

bool WalFiles::index_is_shared() const {
    return is_same(file_state(path_ + "-shm"), index_);
}

bool WalFiles::index_is_emptied() const {
    const auto now = file_state(path_ + "-shm");
    return is_same(now, index_) && now->size < index_->size;  // it never shrinks while it is open
}

bool WalFiles::index_is_lost() const {
    const auto now = file_state(path_ + "-shm");
    return index_.has_value() && (!is_same(now, index_) || now->size < index_->size);
}

bool WalFiles::paths_are_ours() const {
    const auto wal = file_state(path_ + "-wal");
    const auto index = file_state(path_ + "-shm");
    return (!wal.has_value() || is_same(wal, wal_state_)) &&
           (!index.has_value() || (is_same(index, index_) && index->size >= index_->size));
}

std::vector<FileDescriptor> WalFiles::wals_in_process() const {
    std::vector<FileDescriptor> wals;
    OpenInProcess& open = open_in_process();
    const std::lock_guard lock(open.mutex);
    for (const WalFiles* files : open.all) {
        if (files->wal_ && files->database_.same_file(database_)) {
            // Duplicated, because the other connection may close its own at any time.
            if (FileDescriptor copy(::fcntl(files->wal_.get(), F_DUPFD_CLOEXEC, 0)); copy) {
                wals.push_back(std::move(copy));
            }
        }
    }
    return wals;
}

void WalFiles::require_no_stale_index(const std::string& path) {
    const auto now = file_state(path);
    OpenInProcess& open = open_in_process();
    const std::lock_guard lock(open.mutex);
    const bool lost = std::ranges::any_of(open.all, [&](const WalFiles* files) {
        return now.has_value() && now->same_file(files->database_) && files->index_is_lost();
    });
    if (lost) {
        throw StorageError(StorageErrc::busy, path,
                           fmt::format("cannot read database \"{}\": the index of its write-ahead log was removed or "
                                       "emptied, and a connection of this process still uses it",
                                       path));
    }
}

}  // namespace session_buddy::storage
