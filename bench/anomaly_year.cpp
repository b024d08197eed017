// Feeds a year of one busy skill to the anomaly engine and prints CPU time and memory per month. Time must grow
// linearly with the rows, and memory must stay constant after the first baseline window.
#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <random>

#include "session_buddy/app/anomaly_stream.hpp"

namespace {

using namespace session_buddy;
using std::chrono::microseconds;

constexpr TimePoint kStart{std::chrono::sys_days{std::chrono::year{2025} / 2 / 10}};
constexpr double kPerHour = 300.0;
constexpr int kStretches = 12;
constexpr std::size_t kKeptEpisodes = 500;
constexpr double kHoursPerStretch = 365.0 * 24.0 / kStretches;

double peak_megabytes() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
    constexpr double kUnits = 1024.0 * 1024.0;
#else
    constexpr double kUnits = 1024.0;
#endif
    return static_cast<double>(usage.ru_maxrss) / kUnits;
}

/// CPU time of this process, independent of other load.
double cpu_seconds() {
    return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

}  // namespace

int main() {
    std::mt19937_64 random(20260210);
    std::exponential_distribution<double> gap(kPerHour);
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    std::lognormal_distribution<double> seconds(std::log(5.0), 0.5);

    app::AnomalyStream stream({}, kKeptEpisodes);
    Invocation invocation;
    invocation.skill_name = "pytest-run";
    double hours = 0.0;
    std::int64_t rows = 0;
    fmt::print("| months | rows | CPU seconds | rows/s | peak MB |\n|---:|---:|---:|---:|---:|\n");
    const double begin = cpu_seconds();
    for (int stretch = 1; stretch <= kStretches; ++stretch) {
        const double stretch_begin = cpu_seconds();
        const std::int64_t rows_before = rows;
        const double end = stretch * kHoursPerStretch;
        for (hours += gap(random); hours < end; hours += gap(random)) {
            // Five degraded hours once a week, so that the measurement includes episodes.
            const bool bad = std::fmod(hours, 168.0) < 5.0;
            invocation.completed = uniform(random) < (bad ? 0.5 : 0.9);
            invocation.duration_seconds = seconds(random) * (bad ? 3.0 : 1.0);
            invocation.error_type = invocation.completed ? "" : "timeout";
            invocation.invoked_at = kStart + microseconds(std::llround(hours * 3.6e9));
            stream.add(invocation);
            ++rows;
        }
        fmt::print("| {} | {} | {:.2f} | {:.0f} | {:.1f} |\n", stretch, rows, cpu_seconds() - begin,
                   static_cast<double>(rows - rows_before) / (cpu_seconds() - stretch_begin), peak_megabytes());
        std::fflush(stdout);
    }
    return 0;
}
