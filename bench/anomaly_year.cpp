// Feeds a year of one busy skill to the anomaly engine, then to the alert engine, and prints CPU time and memory per
// month. Time must grow linearly with the rows, and memory must stay constant after the first baseline window. At last
// 10,000 skills in the alert engine: what an invocation costs, and how large the states are.
#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <functional>
#include <random>

#include "session_buddy/anomaly/alert_engine.hpp"
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

/// Passes the rows of the year to `add`, and prints a row of the table after each month.
void feed_year(const char* title, const std::function<void(const Invocation&)>& add) {
    std::mt19937_64 random(20260210);
    std::exponential_distribution<double> gap(kPerHour);
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    std::lognormal_distribution<double> seconds(std::log(5.0), 0.5);

    Invocation invocation;
    invocation.skill_name = "pytest-run";
    double hours = 0.0;
    fmt::print("{}\n\n| months | rows | CPU seconds | rows/s | peak MB |\n|---:|---:|---:|---:|---:|\n", title);
    const double begin = cpu_seconds();
    for (int stretch = 1; stretch <= kStretches; ++stretch) {
        const double stretch_begin = cpu_seconds();
        const std::int64_t rows_before = invocation.id;
        const double end = stretch * kHoursPerStretch;
        for (hours += gap(random); hours < end; hours += gap(random)) {
            // Five degraded hours once a week, so that the measurement includes episodes.
            const bool bad = std::fmod(hours, 168.0) < 5.0;
            invocation.completed = uniform(random) < (bad ? 0.5 : 0.9);
            invocation.duration_seconds = seconds(random) * (bad ? 3.0 : 1.0);
            invocation.error_type = invocation.completed ? "" : "timeout";
            invocation.invoked_at = kStart + microseconds(std::llround(hours * 3.6e9));
            ++invocation.id;
            add(invocation);
        }
        fmt::print("| {} | {} | {:.2f} | {:.0f} | {:.1f} |\n", stretch, invocation.id, cpu_seconds() - begin,
                   static_cast<double>(invocation.id - rows_before) / (cpu_seconds() - stretch_begin),
                   peak_megabytes());
        std::fflush(stdout);
    }
    fmt::print("\n");
}

void measure_alerts_of_many_skills() {
    constexpr int kSkills = 10'000;
    constexpr int kRowsPerSkill = 200;
    anomaly::AlertEngine engine{{.max_skills = kSkills}};
    std::mt19937_64 random(20260210);
    std::lognormal_distribution<double> seconds(std::log(5.0), 0.5);
    Invocation invocation;
    const double memory = peak_megabytes();
    const double begin = cpu_seconds();
    for (int row = 0; row < kSkills * kRowsPerSkill; ++row) {
        invocation.skill_name = fmt::format("plugin:skill-{:05}", row % kSkills);
        invocation.completed = random() % 10 != 0;
        invocation.duration_seconds = seconds(random);
        invocation.invoked_at = kStart + microseconds(std::int64_t{100'000} * row);
        ++invocation.id;
        engine.add(invocation, invocation.invoked_at);
    }
    const double each = (cpu_seconds() - begin) / (kSkills * kRowsPerSkill);
    std::size_t bytes = 0;
    const double save_begin = cpu_seconds();
    for (const auto& state : engine.take_state()) {
        bytes += state.bytes.size();
    }
    fmt::print(
        "{} skills: {:.2f} us per invocation, {:.1f} KB of memory and {} bytes of state per skill, {:.1f} ms to "
        "write all states\n",
        kSkills, 1e6 * each, 1000.0 * (peak_megabytes() - memory) / kSkills, bytes / kSkills,
        1e3 * (cpu_seconds() - save_begin));
}

}  // namespace

int main() {
    app::AnomalyStream stream({}, {.budget = 0.0}, kKeptEpisodes);
    feed_year("A year of one skill in the anomaly engine", [&](const Invocation& row) { stream.add(row); });
    anomaly::AlertEngine alerts{{}};
    std::size_t started = 0;
    feed_year("The same in the alert engine", [&](const Invocation& row) {
        alerts.add(row, row.invoked_at);
        for (const anomaly::AlertChange& change : alerts.take_changes()) {
            started += change.kind == anomaly::AlertChange::Kind::started ? 1 : 0;
        }
    });
    fmt::print("{} alerts in 52 weeks with five degraded hours each\n", started);
    measure_alerts_of_many_skills();
    return 0;
}
