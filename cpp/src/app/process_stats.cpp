// Reads /proc, like the Prometheus client libraries.
#include "process_stats.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace session_buddy::app {
namespace {

double seconds_of(const timeval& time) {
    constexpr double kMicro = 1e-6;
    return static_cast<double>(time.tv_sec) + kMicro * static_cast<double>(time.tv_usec);
}

/// Boot time in seconds since 1970; nullopt if unknown.
std::optional<double> boot_time() {
    std::ifstream file("/proc/stat");
    for (std::string word; file >> word;) {
        if (double value = 0.0; word == "btime" && file >> value) {
            return value;
        }
    }
    return std::nullopt;
}

/// Clock ticks from boot until this process started.
std::optional<double> start_ticks() {
    std::ifstream file("/proc/self/stat");
    std::string text{std::istreambuf_iterator<char>(file), {}};
    // The second field is the program's name in parentheses, which may contain any character.
    const auto name_end = text.rfind(')');
    if (name_end == std::string::npos) {
        return std::nullopt;
    }
    std::istringstream fields(text.substr(name_end + 1));
    constexpr int kFieldsBetween = 19;  // from the third to the one before starttime
    std::string skipped;
    for (int field = 0; field < kFieldsBetween; ++field) {
        fields >> skipped;
    }
    double ticks = 0.0;
    return fields >> ticks ? std::optional(ticks) : std::nullopt;
}

}  // namespace

std::optional<ProcessStats> process_stats() {
    std::ifstream memory("/proc/self/statm");
    std::uint64_t all_pages = 0;
    std::uint64_t resident_pages = 0;
    static const auto boot = boot_time();
    static const auto ticks = start_ticks();
    rusage usage{};
    rlimit descriptors{};
    if (!(memory >> all_pages >> resident_pages) || !boot || !ticks || ::getrusage(RUSAGE_SELF, &usage) != 0 ||
        ::getrlimit(RLIMIT_NOFILE, &descriptors) != 0) {
        return std::nullopt;
    }
    std::error_code error;
    std::uint64_t open = 0;
    for (std::filesystem::directory_iterator entry("/proc/self/fd", error), end; !error && entry != end;
         entry.increment(error)) {
        ++open;
    }
    return ProcessStats{.cpu_seconds = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime),
                        .resident_bytes = resident_pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)),
                        .open_fds = open > 0 ? open - 1 : 0,  // without the descriptor that this listing needs
                        .max_fds = static_cast<std::uint64_t>(descriptors.rlim_cur),
                        .started_at = *boot + *ticks / static_cast<double>(::sysconf(_SC_CLK_TCK))};
}

}  // namespace session_buddy::app
