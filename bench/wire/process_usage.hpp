// What a process uses, as the kernel accounts for it.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace wire {

/// CPU time of all its threads, also of those that ended, in seconds; to the nanosecond, where ticks would be far too
/// coarse for the pauses between two broadcasts.
double cpu_seconds(pid_t process);

/// Resident memory in bytes, counted page by page: the figure of /proc/<pid>/statm is approximate on recent kernels.
std::int64_t resident_bytes(pid_t process);

/// Of CLOCK_MONOTONIC, in seconds.
double now_seconds();

}  // namespace wire
