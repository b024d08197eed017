// A year of one busy skill through the anomaly engine: prints time and memory on the way. Time has to grow with the
// rows, and memory has to stay where it is after the first baseline window.
#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <random>

#include "session_buddy/app/anomaly_stream.hpp"

namespace {

using namespace session_buddy;
using std::chrono::microseconds;
using std::chrono::steady_clock;

constexpr TimePoint kStart{std::chrono::sys_days{std::chrono::year{2025} / 2 / 10}};
constexpr double kPerHour = 300.0;
constexpr int kStretches = 12;
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

double seconds_since(steady_clock::time_point begin) {
    return std::chrono::duration<double>(steady_clock::now() - begin).count();
}

}  // namespace

int main() {
    std::mt19937_64 random(20260210);
    std::exponential_distribution<double> gap(kPerHour);
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    std::lognormal_distribution<double> seconds(std::log(5.0), 0.5);

    app::AnomalyStream stream({}, 10'000);
    Invocation invocation{.skill_name = "pytest-run", .error_type = ""};
    double hours = 0.0;
    std::int64_t rows = 0;
    fmt::print("| months | rows | seconds | rows/s | peak MB | episodes |\n|---:|---:|---:|---:|---:|---:|\n");
    const auto begin = steady_clock::now();
    for (int stretch = 1; stretch <= kStretches; ++stretch) {
        const auto stretch_begin = steady_clock::now();
        const std::int64_t rows_before = rows;
        const double end = stretch * kHoursPerStretch;
        for (hours += gap(random); hours < end; hours += gap(random)) {
            // A bad afternoon once a week, so that episodes are among what is measured.
            const bool bad = std::fmod(hours, 168.0) < 5.0;
            invocation.completed = uniform(random) < (bad ? 0.5 : 0.9);
            invocation.duration_seconds = seconds(random) * (bad ? 3.0 : 1.0);
            invocation.error_type = invocation.completed ? "" : "timeout";
            invocation.invoked_at = kStart + microseconds(std::llround(hours * 3.6e9));
            stream.add(invocation);
            ++rows;
        }
        fmt::print("| {} | {} | {:.2f} | {:.0f} | {:.1f} | {} |\n", stretch, rows, seconds_since(begin),
                   static_cast<double>(rows - rows_before) / seconds_since(stretch_begin), peak_megabytes(),
                   stream.episodes().size());
        std::fflush(stdout);
    }
    return 0;
}
