// How often the detector cries wolf, and how often it finds a real change: simulated skills with known behaviour.
// Prints Markdown tables (or CSV with --csv); seeds are fixed, so that every run prints the same figures.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iterator>
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

// The rule of one look, as plainly as it can be written: what the detector is measured against.
struct PlainRule {
    bool drop = false;
    bool spike = false;
    bool shift = false;
};

PlainRule plain_rule(const std::vector<Run>& runs, double now, double threshold) {
    std::vector<Run> day;
    std::copy_if(runs.begin(), runs.end(), std::back_inserter(day),
                 [&](const Run& run) { return run.t > now - 24.0 && run.t <= now; });
    const auto recent = std::count_if(day.begin(), day.end(), [&](const Run& run) { return run.t > now - 1.0; });
    const auto total = static_cast<std::ptrdiff_t>(day.size());
    const auto observed = std::min({std::max<std::ptrdiff_t>(recent, 5), std::ptrdiff_t{50}, total / 2});
    const auto split = day.begin() + (total - observed);
    PlainRule result;
    const auto n_b = static_cast<double>(total - observed);
    const auto n_o = static_cast<double>(observed);
    if (recent == 0 || n_b < 5 || n_o < 5) {
        return result;
    }
    const auto succeeded = [](const Run& run) { return run.completed; };
    const auto c_b = static_cast<double>(std::count_if(day.begin(), split, succeeded));
    const auto c_o = static_cast<double>(std::count_if(split, day.end(), succeeded));
    const double p = (c_b + 0.5) / (n_b + 1.0);
    const double z = (c_o / n_o - c_b / n_b) / std::sqrt(p * (1 - p) * (1 / n_o + 1 / (n_b + 1)));
    result.drop = z <= -threshold;
    result.spike = z >= threshold;
    const auto moments = [&](auto from, auto until) {
        double count = 0, sum = 0, squares = 0;
        for (auto run = from; run != until; ++run) {
            if (run->completed) {
                ++count;
                sum += run->seconds;
                squares += run->seconds * run->seconds;
            }
        }
        struct Moments {
            double count, mean, sd;
        };
        const double mean = sum / std::max(count, 1.0);
        return Moments{count, mean, std::sqrt(std::max(0.0, squares - count * mean * mean) / std::max(count - 1, 1.0))};
    };
    const auto b = moments(day.begin(), split);
    const auto o = moments(split, day.end());
    if (b.count >= 5 && o.count >= 5) {
        const double sd = std::max({b.sd, 0.05 * b.mean, 0.001}) * std::sqrt(1 / o.count + 1 / b.count);
        result.shift =
            std::abs(o.mean - b.mean) / sd >= threshold && std::abs(o.mean - b.mean) >= 0.1 * b.mean;
    }
    return result;
}

// The share of the looked-at moments at which each type is reported.
struct Shares {
    double drop = 0.0;
    double spike = 0.0;
    double shift = 0.0;
    double plain_completion = 0.0;
    double plain_drop = 0.0;
    double plain_shift = 0.0;
    long looks = 0;

    void add(const SkillDetector& detector, TimePoint now, const PlainRule& plain) {
        ++looks;
        plain_completion += plain.drop || plain.spike ? 1.0 : 0.0;
        plain_drop += plain.drop ? 1.0 : 0.0;
        plain_shift += plain.shift ? 1.0 : 0.0;
        if (detector.is_reported(SkillDetector::completion, now)) {
            const bool is_drop =
                detector.episode(SkillDetector::completion)->deviation.type == AnomalyType::performance_drop;
            (is_drop ? drop : spike) += 1.0;
        }
        shift += detector.is_reported(SkillDetector::duration, now) ? 1.0 : 0.0;
    }
    [[nodiscard]] double percent(double count) const { return 100.0 * count / static_cast<double>(looks); }
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
                detector.add({moment(runs[next].t), runs[next].completed, runs[next].seconds}, events);
                ran = runs[next].t > hour - 1;
            }
            detector.advance(moment(hour), events);
            if (ran) {
                shares.add(detector, moment(hour), plain_rule(runs, hour, options.threshold));
            }
        }
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
        const auto runs = simulate(behaviour, 0.0, end, random);
        for (const Run& run : runs) {
            detector.add({moment(run.t), run.completed, run.seconds}, events);
        }
        detector.advance(moment(end), events);
        shares.add(detector, moment(end), plain_rule(runs, end, options.threshold));
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

    fmt::print("## False alarms of an unchanged completion rate\n\n% of looks: detector / plain rule\n\n| rate |");
    const std::vector<double> paces{1, 3, 10, 40, 100, 300};
    for (const double pace : paces) {
        fmt::print(" {}/h |", pace);
    }
    fmt::print("\n");
    double worst = 0.0;
    double worst_plain = 0.0;
    int cells = 0;
    double mean = 0.0;
    double mean_plain = 0.0;
    for (const double rate : {0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0}) {
        fmt::print("| {} |", rate);
        for (const double pace : paces) {
            const int skills = n(pace >= 100 ? 20 : 100);
            const Shares s = watch(steady(pace, rate, 0.5), options, skills, pace >= 100 ? 12 : 24, 42);
            const double mine = s.percent(s.drop + s.spike);
            const double plain = s.percent(s.plain_completion);
            fmt::print(" {:.1f} / {:.1f} |", mine, plain);
            if (rate < 1.0 && pace <= 40) {
                mean += mine;
                mean_plain += plain;
                worst = std::max(worst, mine);
                worst_plain = std::max(worst_plain, plain);
                ++cells;
            }
        }
        fmt::print("\n");
    }
    fmt::print("\nRates 0.5 to 0.99, 1 to 40 an hour: mean {:.2f} / {:.2f}, worst {:.2f} / {:.2f}\n", mean / cells,
               mean_plain / cells, worst, worst_plain);

    fmt::print("\n## False alarms of unchanged durations\n\n| sigma | 3/h | 10/h | 40/h | 100/h |\n");
    for (const double sigma : {0.25, 0.5, 0.75, 1.0}) {
        fmt::print("| {} |", sigma);
        for (const double pace : {3.0, 10.0, 40.0, 100.0}) {
            const Shares s = watch(steady(pace, 0.95, sigma), options, n(pace >= 100 ? 30 : 100), 24, 43);
            fmt::print(" {:.1f} / {:.1f} |", s.percent(s.shift), s.percent(s.plain_shift));
        }
        fmt::print("\n");
    }

    fmt::print("\n## A daily rhythm\n\n");
    for (const double depth : {0.05, 0.10}) {
        Behaviour rhythm = steady(40, 0.9, 0.5);
        rhythm.completion_rate = [depth](double t) { return 0.88 + depth * std::sin(2 * std::numbers::pi * t / 24); };
        rhythm.median_seconds = [depth](double t) {
            return 5.0 * (1.0 + 3 * depth * std::sin(2 * std::numbers::pi * t / 24));
        };
        const Shares s = watch(rhythm, options, n(60), 24, 44);
        fmt::print("| rate 0.88 ± {:.2f} | {:.1f} / {:.1f} |\n| durations ± {:.0f} % | {:.1f} / {:.1f} |\n", depth,
                   s.percent(s.drop + s.spike), s.percent(s.plain_completion), 300 * depth, s.percent(s.shift),
                   s.percent(s.plain_shift));
    }

    fmt::print("\n## Power\n\n% found one hour after the change: detector / plain rule\n\n");
    struct Change {
        double before, after, per_hour;
    };
    for (const Change change : {Change{0.85, 0.62, 40}, {0.80, 0.95, 40}, {0.95, 0.50, 10}, {0.95, 0.70, 10},
                                {0.99, 0.80, 10}, {0.95, 0.30, 3}, {1.0, 0.5, 3}}) {
        Behaviour behaviour = steady(change.per_hour, change.before, 0.5);
        behaviour.completion_rate = [change](double t) { return t < 24.0 ? change.before : change.after; };
        const Shares s = look_after_change(behaviour, options, n(2000), 45);
        const bool down = change.after < change.before;
        fmt::print("| {:.0f} % → {:.0f} % at {}/h | {:.1f} / {:.1f} |\n", 100 * change.before, 100 * change.after,
                   change.per_hour, s.percent(down ? s.drop : s.spike),
                   s.percent(down ? s.plain_drop : s.plain_completion - s.plain_drop));
    }
    struct Shift {
        double factor, sigma, per_hour;
    };
    for (const Shift shift : {Shift{3.0, 0.5, 10}, {3.0, 1.0, 10}, {1.5, 0.5, 10}, {1.5, 0.5, 40}, {2.0, 1.0, 40},
                              {0.5, 0.5, 10}, {2.0, 0.5, 3}}) {
        Behaviour behaviour = steady(shift.per_hour, 0.95, shift.sigma);
        behaviour.median_seconds = [shift](double t) { return t < 24.0 ? 5.0 : 5.0 * shift.factor; };
        const Shares s = look_after_change(behaviour, options, n(2000), 46);
        fmt::print("| durations × {} at {}/h, sigma {} | {:.1f} / {:.1f} |\n", shift.factor, shift.per_hour, shift.sigma,
                   s.percent(s.shift), s.percent(s.plain_shift));
    }
    return 0;
}
