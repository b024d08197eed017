// Exhausts the file descriptors of the process, for tests of errors from open().
#pragma once

#include <sys/resource.h>
#include <unistd.h>

namespace session_buddy::test {

/// During its lifetime the process cannot open file descriptors.
class NoDescriptorsLeft {
  public:
    NoDescriptorsLeft() {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        rlimit none = before_;
        const int lowest_free = ::dup(STDERR_FILENO);
        ::close(lowest_free);
        none.rlim_cur = static_cast<rlim_t>(lowest_free);
        ::setrlimit(RLIMIT_NOFILE, &none);
    }
    ~NoDescriptorsLeft() { ::setrlimit(RLIMIT_NOFILE, &before_); }
    NoDescriptorsLeft(const NoDescriptorsLeft&) = delete;
    NoDescriptorsLeft& operator=(const NoDescriptorsLeft&) = delete;

  private:
    rlimit before_{};
};

}  // namespace session_buddy::test
