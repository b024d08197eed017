// See watched_file.hpp.
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

constexpr std::size_t kHashBytes = 16;  // of SHA-256; enough, beside device and inode

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

/// A line that was read without its newline ends where the newline was written later.
[[nodiscard]] bool is_line_start(int file, std::uint64_t offset, std::uint64_t size) {
    if (offset == 0 || offset == size) {
        return true;
    }
    std::array<char, 2> around{};
    return ::pread(file, around.data(), around.size(), static_cast<off_t>(offset - 1)) == 2 &&
           (around[0] == '\n' || around[1] == '\n');
}

}  // namespace

FileLook look_at(const std::filesystem::path& path, std::uint64_t offset) {
    FileLook look;
    // Not to wait for whoever opens the other end of what is no file.
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat state {};
    if (file < 0 || ::fstat(file, &state) != 0) {
        look.missing = errno == ENOENT;
        look.error = std::generic_category().message(errno);
    } else if (!S_ISREG(state.st_mode)) {
        look.error = "it is not a regular file";
    } else {
        look.device = state.st_dev;
        look.inode = state.st_ino;
        look.size = static_cast<std::uint64_t>(state.st_size);
#ifdef __APPLE__
        const timespec& changed = state.st_mtimespec;
#else
        const timespec& changed = state.st_mtim;
#endif
        look.changed = static_cast<std::int64_t>(changed.tv_sec) * 1'000'000'000 + changed.tv_nsec;
        std::array<char, kFingerprintBytes> beginning{};
        if (::pread(file, beginning.data(), beginning.size(), 0) == static_cast<ssize_t>(beginning.size())) {
            if (const std::string hash = hash_of({beginning.data(), beginning.size()}); !hash.empty()) {
                look.identity = fmt::format("{:x}:{:x}:{}", look.device, look.inode, hash);
            }
        }
        look.is_line_start = is_line_start(file, offset, look.size);
    }
    if (file >= 0) {
        ::close(file);
    }
    return look;
}

bool WatchedFile::is_continued_by(const FileLook& look) const {
    return look.device == device_ && look.inode == inode_ && look.size >= offset_ && look.is_line_start &&
           (identity_.empty() || look.identity == identity_);
}

bool WatchedFile::differs_from(const FileLook& look) const {
    return look.size != size_ || look.changed != changed_ || look.inode != inode_ || look.device != device_;
}

void WatchedFile::note(const FileLook& look) {
    device_ = look.device;
    inode_ = look.inode;
    size_ = look.size;
    changed_ = look.changed;
    identity_ = look.identity;
}

void WatchedFile::begin_anew(std::uint32_t number, std::uint64_t offset) {
    number_ = number;
    offset_ = mark_ = offset;
    waiting_.reset();
    newest_.reset();
}

void WatchedFile::advance(std::uint64_t offset, std::optional<std::uint64_t> quiet_offset, std::uint64_t runs_before) {
    offset_ = offset;
    if (quiet_offset && *quiet_offset > mark_) {
        (waiting_ ? newest_ : waiting_) = QuietPoint{.offset = *quiet_offset, .runs_before = runs_before};
    }
}

std::optional<std::uint64_t> WatchedFile::take_mark(std::uint64_t runs_stored) {
    if (identity_.empty() || !waiting_ || waiting_->runs_before > runs_stored) {
        return std::nullopt;
    }
    mark_ = waiting_->offset;
    waiting_.reset();
    std::swap(waiting_, newest_);
    if (waiting_ && waiting_->runs_before <= runs_stored) {
        mark_ = waiting_->offset;
        waiting_.reset();
    }
    return mark_;
}

}  // namespace session_buddy::app
