// How often the detector cries wolf, and how often it finds a real change: simulated skills with known behaviour.
// Prints Markdown tables (or CSV with --csv); seeds are fixed, so that every run prints the same figures.
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <numbers>
#include <random>
#include <string>
#include <vector>

#include "session_buddy/anomaly/skill_detector.hpp"

namespace {

using namespace session_buddy;
using namespace session_buddy::anomaly;
using std::chrono::microseconds;

constexpr TimePoint kStart{std::chrono::sys_days{std::chrono::year{2026} / 2 / 10}};

// What a simulated skill does at one moment; t in hours since the start.
struct Behaviour {
    double per_hour = 10.0;
    std::function<double(double t)> completion_rate;
    std::function<double(double t)> median_seconds;
    double sigma = 0.5;  // of the logarithm of the durations
};

struct Run {
    double t;  // hours
    bool completed;
    double seconds;
};

std::vector<Run> simulate(const Behaviour& behaviour, double from, double until, std::mt19937_64& random) {
    std::vector<Run> runs;
    std::exponential_distribution<double> gap(behaviour.per_hour);
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    std::normal_distribution<double> normal(0.0, 1.0);
    for (double t = from + gap(random); t < until; t += gap(random)) {
        const bool completed = uniform(random) < behaviour.completion_rate(t);
        runs.push_back({t, completed, behaviour.median_seconds(t) * std::exp(behaviour.sigma * normal(random))});
    }
    return runs;
}

TimePoint moment(double hours) {
    return kStart + std::chrono::duration_cast<microseconds>(std::chrono::duration<double, std::ratio<3600>>(hours));
}

// The share of the looked-at moments at which each type is reported.
struct Shares {
    double drop = 0.0;
    double spike = 0.0;
    double shift = 0.0;
    long looks = 0;
    long episodes = 0;
    double hours = 0.0;

    void add(const SkillDetector& detector, TimePoint now) {
        ++looks;
        if (detector.is_reported(SkillDetector::completion, now)) {
            const bool is_drop =
                detector.episode(SkillDetector::completion)->deviation.type == AnomalyType::performance_drop;
            (is_drop ? drop : spike) += 1.0;
        }
        shift += detector.is_reported(SkillDetector::duration, now) ? 1.0 : 0.0;
    }
    [[nodiscard]] double completion_percent() const { return 100.0 * (drop + spike) / static_cast<double>(looks); }
    [[nodiscard]] double drop_percent() const { return 100.0 * drop / static_cast<double>(looks); }
    [[nodiscard]] double spike_percent() const { return 100.0 * spike / static_cast<double>(looks); }
    [[nodiscard]] double shift_percent() const { return 100.0 * shift / static_cast<double>(looks); }
};

// Looks once an hour, from hour 24 on, at skills whose behaviour is `behaviour`; a skill that did not run within the last hour
// is not looked at, as it is not reported either.
Shares watch(const Behaviour& behaviour, const DetectorOptions& options, int skills, int hours, std::uint64_t seed) {
    Shares shares;
    std::mt19937_64 random{seed};
    std::vector<EpisodeEvent> events;
    for (int skill = 0; skill < skills; ++skill) {
        SkillDetector detector{options};
        const auto runs = simulate(behaviour, 0.0, 24.0 + hours, random);
        std::size_t next = 0;
        for (int hour = 24; hour <= 24 + hours; ++hour) {
            bool ran = false;
            for (; next < runs.size() && runs[next].t < hour; ++next) {
                detector.add(moment(runs[next].t), runs[next].completed, runs[next].seconds, events);
                ran = runs[next].t > hour - 1;
            }
            detector.advance(moment(hour), events);
            if (ran) {
                shares.add(detector, moment(hour));
            }
        }
        shares.hours += hours;
    }
    for (const EpisodeEvent& event : events) {
        shares.episodes += event.kind == EpisodeEvent::Kind::started ? 1 : 0;
    }
    return shares;
}

// One look an hour after a change that happens at hour 24; at least five runs later where a skill is rare.
Shares look_after_change(const Behaviour& behaviour, const DetectorOptions& options, int skills, std::uint64_t seed) {
    Shares shares;
    std::mt19937_64 random{seed};
    std::vector<EpisodeEvent> events;
    const double end = 24.0 + std::max(1.0, 5.0 / behaviour.per_hour);
    for (int skill = 0; skill < skills; ++skill) {
        SkillDetector detector{options};
        for (const Run& run : simulate(behaviour, 0.0, end, random)) {
            detector.add(moment(run.t), run.completed, run.seconds, events);
        }
        detector.advance(moment(end), events);
        shares.add(detector, moment(end));
    }
    return shares;
}

Behaviour steady(double per_hour, double rate, double sigma) {
    return {per_hour, [rate](double) { return rate; }, [](double) { return 5.0; }, sigma};
}

}  // namespace

int main(int argc, char** argv) {
    DetectorOptions options;
    double scale = 1.0;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (std::strcmp(argv[i], "--threshold") == 0) {
            options.threshold = std::atof(argv[i + 1]);
        } else if (std::strcmp(argv[i], "--scale") == 0) {
            scale = std::atof(argv[i + 1]);
        }
    }
    const auto n = [&](double count) { return std::max(20, static_cast<int>(count * scale)); };

    fmt::print("False alarms of an unchanged completion rate, % of looks (drop + spike)\n\n| rate |");
    const std::vector<double> paces{1, 3, 10, 40, 100, 300};
    for (const double pace : paces) {
        fmt::print(" {}/h |", pace);
    }
    fmt::print("\n");
    double sum = 0.0;
    double worst = 0.0;
    int cells = 0;
    for (const double rate : {0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0}) {
        fmt::print("| {} |", rate);
        for (const double pace : paces) {
            const int skills = n(pace >= 100 ? 30 : 150);
            const Shares shares = watch(steady(pace, rate, 0.5), options, skills, pace >= 100 ? 12 : 24, 42);
            fmt::print(" {:.1f} ({:.1f}+{:.1f}) |", shares.completion_percent(), shares.drop_percent(),
                       shares.spike_percent());
            if (rate < 1.0 && pace <= 40) {
                sum += shares.completion_percent();
                worst = std::max(worst, shares.completion_percent());
                ++cells;
            }
        }
        fmt::print("\n");
    }
    fmt::print("\nmean {:.2f}, worst {:.2f} (rates 0.5 to 0.99, 1 to 40 an hour)\n", sum / cells, worst);

    fmt::print("\nFalse alarms of unchanged durations, % of looks\n\n| sigma | 3/h | 10/h | 40/h | 100/h |\n");
    for (const double sigma : {0.25, 0.5, 0.75, 1.0}) {
        fmt::print("| {} |", sigma);
        for (const double pace : {3.0, 10.0, 40.0, 100.0}) {
            const Shares shares = watch(steady(pace, 0.95, sigma), options, n(pace >= 100 ? 40 : 150), 24, 43);
            fmt::print(" {:.1f} |", shares.shift_percent());
        }
        fmt::print("\n");
    }

    fmt::print("\nA daily rhythm that nobody wants to hear of, % of looks\n\n");
    for (const double depth : {0.05, 0.10}) {
        Behaviour rhythm = steady(40, 0.9, 0.5);
        rhythm.completion_rate = [depth](double t) { return 0.88 + depth * std::sin(2 * std::numbers::pi * t / 24); };
        rhythm.median_seconds = [depth](double t) {
            return 5.0 * (1.0 + 3 * depth * std::sin(2 * std::numbers::pi * t / 24));
        };
        const Shares shares = watch(rhythm, options, n(60), 24, 44);
        fmt::print("| rate 0.88 ± {:.2f}: {:.1f} | durations ± {:.0f} %: {:.1f} |\n", depth, shares.completion_percent(),
                   300 * depth, shares.shift_percent());
    }

    fmt::print("\nPower, % found one hour after the change\n\n");
    struct Change {
        double before, after, per_hour;
    };
    for (const Change change : {Change{0.85, 0.62, 40}, {0.80, 0.95, 40}, {0.95, 0.50, 10}, {0.95, 0.70, 10},
                                {0.99, 0.80, 10}, {0.95, 0.30, 3}, {1.0, 0.5, 3}}) {
        Behaviour behaviour = steady(change.per_hour, change.before, 0.5);
        behaviour.completion_rate = [change](double t) { return t < 24.0 ? change.before : change.after; };
        const Shares shares = look_after_change(behaviour, options, n(1500), 45);
        fmt::print("| {:.0f} % → {:.0f} % at {}/h | {:.1f} |\n", 100 * change.before, 100 * change.after,
                   change.per_hour, change.after < change.before ? shares.drop_percent() : shares.spike_percent());
    }
    struct Shift {
        double factor, sigma, per_hour;
    };
    for (const Shift shift : {Shift{3.0, 0.5, 10}, {3.0, 1.0, 10}, {1.5, 0.5, 10}, {1.5, 0.5, 40}, {2.0, 1.0, 40},
                              {0.5, 0.5, 10}, {2.0, 0.5, 3}}) {
        Behaviour behaviour = steady(shift.per_hour, 0.95, shift.sigma);
        behaviour.median_seconds = [shift](double t) { return t < 24.0 ? 5.0 : 5.0 * shift.factor; };
        const Shares shares = look_after_change(behaviour, options, n(1500), 46);
        fmt::print("| durations × {} at {}/h, sigma {} | {:.1f} |\n", shift.factor, shift.per_hour, shift.sigma,
                   shares.shift_percent());
    }
    return 0;
}
