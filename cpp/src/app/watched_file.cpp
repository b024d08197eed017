// Inspects files and decides which offset of a transcript is safe to save.
#include "watched_file.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <iterator>
#include <string_view>
#include <system_error>

namespace session_buddy::app {
namespace {

constexpr std::size_t kHashBytes = 16;  // of SHA-256; enough in addition to device and inode

[[nodiscard]] std::string hash_of(std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1 || size < kHashBytes) {
        return {};
    }
    std::string hex;
    for (std::size_t i = 0; i < kHashBytes; ++i) {
        fmt::format_to(std::back_inserter(hex), "{:02x}", digest.at(i));
    }
    return hex;
}

/// The offset may be before a newline: the last line was read before its newline was written.
[[nodiscard]] bool is_line_start(int file, std::uint64_t offset, std::uint64_t size) {
    if (offset == 0 || offset == size) {
        return true;
    }
    std::array<char, 2> around{};
    return ::pread(file, around.data(), around.size(), static_cast<off_t>(offset - 1)) == 2 &&
           (around[0] == '\n' || around[1] == '\n');
}

}  // namespace

FileState inspect_file(const std::filesystem::path& path, std::uint64_t offset) {
    FileState state;
    // O_NONBLOCK, because opening a FIFO would block until it has a writer.
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status {};
    if (file < 0 || ::fstat(file, &status) != 0) {
        state.missing = errno == ENOENT;
        state.error = std::generic_category().message(errno);
    } else if (!S_ISREG(status.st_mode)) {
        state.error = "it is not a regular file";
    } else {
        state.device = status.st_dev;
        state.inode = status.st_ino;
        state.size = static_cast<std::uint64_t>(status.st_size);
#ifdef __APPLE__
        const timespec& changed = status.st_mtimespec;
#else
        const timespec& changed = status.st_mtim;
#endif
        state.changed = static_cast<std::int64_t>(changed.tv_sec) * 1'000'000'000 + changed.tv_nsec;
        std::array<char, kFingerprintBytes> beginning{};
        if (::pread(file, beginning.data(), beginning.size(), 0) == static_cast<ssize_t>(beginning.size())) {
            if (const std::string hash = hash_of({beginning.data(), beginning.size()}); !hash.empty()) {
                state.identity = fmt::format("{:x}:{:x}:{}", state.device, state.inode, hash);
            }
        }
        state.is_line_start = is_line_start(file, offset, state.size);
    }
    if (file >= 0) {
        ::close(file);
    }
    return state;
}

bool WatchedFile::is_continued_by(const FileState& state) const {
    return state.device == device_ && state.inode == inode_ && state.size >= offset_ && state.is_line_start &&
           (identity_.empty() || state.identity == identity_);
}

bool WatchedFile::differs_from(const FileState& state) const {
    return state.size != size_ || state.changed != changed_ || state.inode != inode_ || state.device != device_;
}

void WatchedFile::update(const FileState& state) {
    device_ = state.device;
    inode_ = state.inode;
    size_ = state.size;
    changed_ = state.changed;
    identity_ = state.identity;
}

void WatchedFile::restart(std::uint32_t number, std::uint64_t offset) {
    number_ = number;
    offset_ = saved_offset_ = offset;
    waiting_.reset();
    newest_.reset();
}

void WatchedFile::advance(std::uint64_t offset, std::optional<std::uint64_t> resume_offset,
                          std::uint64_t invocations_before) {
    offset_ = offset;
    if (resume_offset && *resume_offset > saved_offset_) {
        (waiting_ ? newest_ : waiting_) =
            ResumePoint{.offset = *resume_offset, .invocations_before = invocations_before};
    }
}

std::optional<std::uint64_t> WatchedFile::take_saved_offset(std::uint64_t invocations_stored) {
    if (identity_.empty() || !waiting_ || waiting_->invocations_before > invocations_stored) {
        return std::nullopt;
    }
    saved_offset_ = waiting_->offset;
    waiting_.reset();
    std::swap(waiting_, newest_);
    if (waiting_ && waiting_->invocations_before <= invocations_stored) {
        saved_offset_ = waiting_->offset;
        waiting_.reset();
    }
    return saved_offset_;
}

}  // namespace session_buddy::app
