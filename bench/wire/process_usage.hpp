// CPU time and memory of a process, as the kernel accounts for them.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace wire {

/// CPU time of all its threads, including ended ones, in seconds. Has nanosecond resolution: clock ticks would be too
/// coarse between two broadcasts.
double cpu_seconds(pid_t process);

/// Resident memory in bytes, from smaps_rollup: the value in /proc/<pid>/statm is approximate on recent kernels.
std::int64_t resident_bytes(pid_t process);

/// CLOCK_MONOTONIC in seconds.
double now_seconds();

}  // namespace wire
