// Reads small files and checks their owner and mode.
#include "session_buddy/core/small_file.hpp"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace session_buddy {

namespace {

[[noreturn]] void fail(int error) {
    throw FileError(std::generic_category().message(error));
}

// All checks are made on the open descriptor (fstat), so that the file cannot be replaced between check and read
// (TOCTOU).
class OpenFile {
  public:
    // O_NONBLOCK: opening a FIFO must not wait for its writer.
    explicit OpenFile(const std::string& path) : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
        if (descriptor_ < 0) {
            fail(errno);
        }
        if (::fstat(descriptor_, &status_) != 0) {
            const int error = errno;
            ::close(descriptor_);
            fail(error);
        }
        if (!S_ISREG(status_.st_mode)) {
            ::close(descriptor_);
            throw FileError("it is not a regular file");
        }
    }
    ~OpenFile() { ::close(descriptor_); }
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;

    [[nodiscard]] const struct stat& status() const { return status_; }

    [[nodiscard]] std::string read() const {
        std::string text(kMaxSmallFileBytes + 1, '\0');
        std::size_t size = 0;
        while (size < text.size()) {
            const auto count = ::read(descriptor_, text.data() + size, text.size() - size);
            if (count < 0 && errno != EINTR) {
                fail(errno);
            }
            if (count == 0) {
                break;
            }
            size += count > 0 ? static_cast<std::size_t>(count) : 0;
        }
        if (size > kMaxSmallFileBytes) {
            throw FileError(fmt::format("it is larger than {} bytes", kMaxSmallFileBytes));
        }
        text.resize(size);
        return text;
    }

  private:
    int descriptor_;
    struct stat status_ {};
};

void check_secret_permissions(const struct stat& status) {
    const bool owned_by_root = status.st_uid == 0;
    if (!owned_by_root && status.st_uid != ::geteuid()) {
        throw FileError("it belongs to another user");
    }
    // Group access is for processes that are not root.
    const bool group_may_read = owned_by_root && ::geteuid() != 0;
    const mode_t forbidden = S_IRWXO | (group_may_read ? S_IWGRP | S_IXGRP : S_IRWXG);
    if ((status.st_mode & forbidden) != 0) {
        throw FileError(fmt::format("others can read or change it (mode {:04o}); chmod 600 restricts it to its owner",
                                    status.st_mode & 07777U));
    }
}

}  // namespace

void check_secret_permissions(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        fail(errno);
    }
    check_secret_permissions(status);
}

std::string read_small_file(const std::string& path) {
    return OpenFile(path).read();
}

std::string read_trusted_file(const std::string& path) {
    const OpenFile file(path);
    if ((file.status().st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        throw FileError(fmt::format("others can change it (mode {:04o}); chmod go-w restricts writing to its owner",
                                    file.status().st_mode & 07777U));
    }
    return file.read();
}

std::string read_secret_file(const std::string& path) {
    const OpenFile file(path);
    check_secret_permissions(file.status());
    return file.read();
}

}  // namespace session_buddy
