// Reads the CPU clock of a process and its memory from /proc.
#include "process_usage.hpp"

#include <fmt/format.h>

#include <cstring>
#include <ctime>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>

namespace wire {

namespace {

double read_clock(clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace

double cpu_seconds(pid_t process) {
    clockid_t clock{};
    if (const int error = clock_getcpuclockid(process, &clock); error != 0) {
        throw std::system_error(error, std::generic_category(), fmt::format("cannot read the clock of {}", process));
    }
    return read_clock(clock);
}

std::int64_t resident_bytes(pid_t process) {
    std::ifstream file(fmt::format("/proc/{}/smaps_rollup", process));
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("Rss:")) {
            return std::stoll(line.substr(std::strlen("Rss:"))) * 1024;
        }
    }
    throw std::runtime_error(fmt::format("cannot read the memory of process {}", process));
}

double now_seconds() {
    return read_clock(CLOCK_MONOTONIC);
}

}  // namespace wire
