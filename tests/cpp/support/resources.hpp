// Resource usage of this process.
#pragma once

#include <sys/resource.h>

#include <cstddef>

namespace session_buddy::test {

/// Peak resident memory of the process. Cannot measure work that needs less than earlier work.
inline std::size_t peak_memory_bytes() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
    return static_cast<std::size_t>(usage.ru_maxrss);
#else
    return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
#endif
}

/// CPU time, which is independent of the load of the machine.
inline double processor_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    constexpr double kMicroseconds = 1e6;
    return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / kMicroseconds;
}

}  // namespace session_buddy::test
