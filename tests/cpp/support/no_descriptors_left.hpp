// A process that has no file descriptor left, for tests of what then cannot be opened.
#pragma once

#include <sys/resource.h>
#include <unistd.h>

namespace session_buddy::test {

/// As long as it lives this process gets no further file descriptor.
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
