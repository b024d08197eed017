// Write protection that also works in tests run by root: root ignores permissions, so the process drops its privileges
// meanwhile.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

namespace session_buddy::test {

/// Removes the write permission of a file or directory, and root privileges from this process, until it goes out of
/// scope. Can be nested; the file must be in a TempDir of the test.
class WriteProtected {
  public:
    explicit WriteProtected(std::filesystem::path target)
        : target_(std::move(target)), before_(std::filesystem::status(target_).permissions()) {
        using std::filesystem::perm_options;
        using std::filesystem::perms;
        constexpr perms kRead = perms::owner_read | perms::group_read | perms::others_read;
        constexpr perms kEnter = perms::owner_exec | perms::group_exec | perms::others_exec;
        const bool is_directory = std::filesystem::is_directory(target_);
        if (::geteuid() == 0) {
            // A TempDir is accessible to its owner only; the unprivileged user needs access, too.
            std::filesystem::permissions(is_directory ? target_ : target_.parent_path(), kRead | kEnter,
                                         perm_options::add);
        }
        change(is_directory ? kRead | kEnter : kRead);
        constexpr uid_t kUnprivilegedUser = 65534;
        privileges_dropped_ = ::geteuid() == 0 && ::seteuid(kUnprivilegedUser) == 0;
    }
    ~WriteProtected() {
        if (privileges_dropped_ && ::seteuid(0) != 0) {
            std::abort();
        }
        change(before_);
    }
    WriteProtected(const WriteProtected&) = delete;
    WriteProtected& operator=(const WriteProtected&) = delete;

  private:
    /// If nested, privileges are already dropped, and the files belong to root.
    void change(std::filesystem::perms wanted) {
        const uid_t lowered = ::geteuid();
        const bool raise = lowered != 0 && ::getuid() == 0;
        if (raise && ::seteuid(0) != 0) {
            std::abort();
        }
        std::error_code ignored;
        std::filesystem::permissions(target_, wanted, ignored);
        if (raise && ::seteuid(lowered) != 0) {
            std::abort();
        }
    }

    std::filesystem::path target_;
    std::filesystem::perms before_;
    bool privileges_dropped_ = false;
};

}  // namespace session_buddy::test
