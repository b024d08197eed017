// Measures the false alarm rate and the power of the detector of deviations, compared with the plain rule on the same
// simulated data. Prints Markdown. Seeds are fixed, so runs are reproducible.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <numbers>
#include <numeric>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "simulation.hpp"

namespace {

using namespace session_buddy::bench;

constexpr double kThreshold = 2.0;

enum class Kind { completion, drop, spike, shift };

std::int64_t count_of(const Counts& counts, Kind kind) {
    switch (kind) {
        case Kind::completion:
            return counts.drop + counts.spike;
        case Kind::drop:
            return counts.drop;
        case Kind::spike:
            return counts.spike;
        case Kind::shift:
            return counts.shift;
    }
    return 0;
}

double percent(std::int64_t count, const Tally& tally) {
    return 100.0 * static_cast<double>(count) / static_cast<double>(std::max<std::int64_t>(tally.evaluations, 1));
}
double detector_percent(const Tally& tally, Kind kind) {
    return percent(count_of(tally.detector, kind), tally);
}
double plain_percent(const Tally& tally, Kind kind) {
    return percent(count_of(tally.plain, kind), tally);
}

// One simulated case, with one tally per threshold.
struct Case {
    std::string table;
    std::string name;
    double per_hour = 0.0;
    std::vector<Kind> kinds;
    std::function<std::vector<Tally>()> run;
    std::vector<Tally> tallies;

    [[nodiscard]] const Tally& at(double threshold) const {
        return *std::ranges::find(tallies, threshold, &Tally::threshold);
    }
    [[nodiscard]] std::string cell(Kind kind) const {
        const Tally& tally = at(kThreshold);
        return fmt::format("{:.1f} / {:.1f}", detector_percent(tally, kind), plain_percent(tally, kind));
    }
};

// All cases. Each has its own seed, derived from its index, so that the results do not depend on the number of threads.
class Cases {
  public:
    explicit Cases(double scale) : scale_(scale) {}

    [[nodiscard]] int scaled(double skills) const { return std::max(2, static_cast<int>(skills * scale_)); }

    Case& add_watch(std::string table, std::string name, const Behaviour& behaviour, std::vector<Kind> kinds,
                    int skills, int hours, const std::vector<double>& thresholds) {
        const std::uint64_t seed = next_seed_++;
        return add(std::move(table), std::move(name), behaviour.per_hour, std::move(kinds),
                   [=] { return watch(behaviour, thresholds, skills, hours, seed); });
    }
    Case& add_evaluation(std::string table, std::string name, const Behaviour& behaviour, Kind kind, int skills,
                         double hours, const std::vector<double>& thresholds) {
        const std::uint64_t seed = next_seed_++;
        return add(std::move(table), std::move(name), behaviour.per_hour, {kind},
                   [=] { return evaluate_after_change(behaviour, thresholds, skills, hours, seed); });
    }

    void run() {
        std::atomic<std::size_t> next = 0;
        const auto work = [&] {
            for (std::size_t i = next++; i < cases_.size(); i = next++) {
                cases_[i].tallies = cases_[i].run();
            }
        };
        std::vector<std::jthread> threads;
        for (unsigned i = 1; i < std::thread::hardware_concurrency(); ++i) {
            threads.emplace_back(work);
        }
        work();
    }

    [[nodiscard]] const std::deque<Case>& all() const { return cases_; }

  private:
    Case& add(std::string table, std::string name, double per_hour, std::vector<Kind> kinds,
              std::function<std::vector<Tally>()> run) {
        return cases_.emplace_back(
            Case{std::move(table), std::move(name), per_hour, std::move(kinds), std::move(run), {}});
    }

    double scale_;
    std::uint64_t next_seed_ = 1;
    std::deque<Case> cases_;
};

const std::vector<double> kPaces{1, 3, 10, 40, 100, 300};
const std::vector<double> kRates{0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0};
const std::vector<double> kSigmas{0.25, 0.5, 0.75, 1.0};

// Skills with many invocations cost more to simulate and vary less from hour to hour.
int skills_at(const Cases& cases, double pace) {
    return cases.scaled(pace >= 300 ? 20 : pace >= 100 ? 50 : pace >= 40 ? 80 : 250);
}

double daily(double t) {
    return std::sin(2.0 * std::numbers::pi * t / 24.0);
}

void add_false_alarms(Cases& cases, const std::vector<double>& thresholds) {
    for (const double rate : kRates) {
        for (const double pace : kPaces) {
            // The curve over thresholds uses the part of the grid for which the results of the plain rule are known.
            const bool in_curve = rate < 1.0 && pace <= 40;
            cases.add_watch("rate", fmt::format("{}", rate), steady(pace, rate, 0.5),
                            {Kind::completion, Kind::drop, Kind::spike}, skills_at(cases, pace), 24,
                            in_curve ? thresholds : std::vector{kThreshold});
        }
    }
    for (const double sigma : kSigmas) {
        for (const double pace : kPaces) {
            const bool in_curve = pace > 1 && pace <= 40;
            cases.add_watch("sigma", fmt::format("{}", sigma), steady(pace, 0.95, sigma), {Kind::shift},
                            skills_at(cases, pace), 24, in_curve ? thresholds : std::vector{kThreshold});
        }
    }
}

void add_rhythms(Cases& cases) {
    for (const double pace : {10.0, 40.0, 100.0}) {
        for (const double depth : {0.05, 0.10}) {
            Behaviour behaviour = steady(pace, 0.9, 0.5);
            behaviour.completion_rate = [depth](double t) { return 0.88 + depth * daily(t); };
            cases.add_watch("rhythm", fmt::format("completion rate 88 % ± {:.0f}", 100 * depth), behaviour,
                            {Kind::completion}, skills_at(cases, pace) / 2, 24, {kThreshold});
        }
        for (const double depth : {0.15, 0.30}) {
            Behaviour behaviour = steady(pace, 0.9, 0.5);
            behaviour.median_seconds = [depth](double t) { return 5.0 * (1.0 + depth * daily(t)); };
            cases.add_watch("rhythm", fmt::format("durations ± {:.0f} %", 100 * depth), behaviour, {Kind::shift},
                            skills_at(cases, pace) / 2, 24, {kThreshold});
        }
    }
}

Behaviour rate_change(double before, double after, double per_hour) {
    Behaviour behaviour = steady(per_hour, before, 0.5);
    behaviour.completion_rate = [=](double t) { return t < 24.0 ? before : after; };
    return behaviour;
}

void add_power(Cases& cases, const std::vector<double>& thresholds) {
    struct Change {
        double before, after, per_hour;
    };
    for (const Change& change : {Change{0.85, 0.62, 40},
                                 {0.80, 0.95, 40},
                                 {0.95, 0.50, 10},
                                 {0.95, 0.70, 10},
                                 {0.99, 0.80, 10},
                                 {0.80, 0.60, 10},
                                 {0.90, 0.80, 100},
                                 {0.60, 0.90, 10},
                                 {0.95, 0.30, 3},
                                 {1.0, 0.5, 3}}) {
        cases.add_evaluation("change", fmt::format("{:.0f} % → {:.0f} %", 100 * change.before, 100 * change.after),
                             rate_change(change.before, change.after, change.per_hour),
                             change.after < change.before ? Kind::drop : Kind::spike,
                             cases.scaled(change.per_hour >= 100  ? 300
                                          : change.per_hour >= 40 ? 600
                                                                  : 2000),
                             1.0, thresholds);
    }
    struct Shift {
        double factor, sigma, per_hour;
    };
    for (const Shift& shift : {Shift{3.0, 0.5, 10},
                               {3.0, 1.0, 10},
                               {3.0, 0.5, 3},
                               {1.5, 0.5, 10},
                               {1.5, 0.5, 40},
                               {2.0, 1.0, 40},
                               {0.5, 0.5, 10},
                               {2.0, 0.5, 3}}) {
        Behaviour behaviour = steady(shift.per_hour, 0.95, shift.sigma);
        behaviour.median_seconds = [shift](double t) { return t < 24.0 ? 5.0 : 5.0 * shift.factor; };
        cases.add_evaluation("shift", fmt::format("5 s → {:g} s, sigma {}", 5.0 * shift.factor, shift.sigma), behaviour,
                             Kind::shift, cases.scaled(shift.per_hour >= 40 ? 400 : 1500), 1.0, thresholds);
    }
}

void add_lasting(Cases& cases) {
    for (const double hours : {0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 23.0, 26.0, 30.0}) {
        cases.add_evaluation("lasting", fmt::format("{}", hours), rate_change(0.85, 0.62, 40), Kind::drop,
                             cases.scaled(300), hours, {kThreshold});
    }
}

// Mean percentages over cases at one threshold: detector, plain rule.
struct Mean {
    double detector = 0.0;
    double plain = 0.0;
    double worst_detector = 0.0;
    double worst_plain = 0.0;
};

Mean mean_of(const std::vector<const Case*>& cases, double threshold) {
    Mean mean;
    for (const Case* one : cases) {
        const Tally& tally = one->at(threshold);
        const double detector = detector_percent(tally, one->kinds.front());
        const double plain = plain_percent(tally, one->kinds.front());
        mean.detector += detector / static_cast<double>(cases.size());
        mean.plain += plain / static_cast<double>(cases.size());
        mean.worst_detector = std::max(mean.worst_detector, detector);
        mean.worst_plain = std::max(mean.worst_plain, plain);
    }
    return mean;
}

class Report {
  public:
    explicit Report(const std::deque<Case>& cases) : cases_(cases) {}

    void print(const std::vector<double>& thresholds) const {
        fmt::print(
            "\n## Deviations\n\n"
            "Every cell has the percentage of evaluations that report a deviation at threshold {}: detector / plain "
            "rule, in the same\nsimulation.\n\n",
            kThreshold);
        grid("rate", "### Unchanged completion rate: drop or spike reported", "completion rate", Kind::completion);
        grid("rate", "### Drops among these", "completion rate", Kind::drop);
        grid("rate", "### Spikes among these", "completion rate", Kind::spike);
        summary("rate", "Rates 0.5 to 0.99 at 1 to 40 an hour");
        grid("sigma", "### Unchanged durations: shift reported", "sigma", Kind::shift);
        summary("sigma", "3 to 40 an hour");
        episodes();
        list("rhythm", "### A daily rhythm", "rhythm");
        list("change", "### Power: completion rate, found one hour after the change", "change");
        list("shift", "### Power: durations, found one hour after the change", "change");
        lasting();
        curve("rate", "change", "### Thresholds: completion rate", thresholds);
        curve("sigma", "shift", "### Thresholds: durations", thresholds);
    }

  private:
    [[nodiscard]] std::vector<const Case*> cases_in(std::string_view table) const {
        std::vector<const Case*> found;
        for (const Case& one : cases_) {
            if (one.table == table) {
                found.push_back(&one);
            }
        }
        return found;
    }
    // The cases that were simulated at every threshold.
    [[nodiscard]] std::vector<const Case*> curve_cases(std::string_view table) const {
        auto found = cases_in(table);
        std::erase_if(found, [](const Case* one) { return one->tallies.size() == 1; });
        return found;
    }

    void grid(std::string_view table, std::string_view title, std::string_view rows, Kind kind) const {
        fmt::print("{}\n\n| {} |", title, rows);
        for (const double pace : kPaces) {
            fmt::print(" {}/h |", pace);
        }
        fmt::print("\n| --- |");
        for (std::size_t i = 0; i < kPaces.size(); ++i) {
            fmt::print(" ---: |");
        }
        std::string row;
        for (const Case* one : cases_in(table)) {
            if (std::exchange(row, one->name) != one->name) {
                fmt::print("\n| {} |", one->name);
            }
            fmt::print(" {} |", one->cell(kind));
        }
        fmt::print("\n\n");
    }

    void summary(std::string_view table, std::string_view what) const {
        const Mean mean = mean_of(curve_cases(table), kThreshold);
        fmt::print("{}: mean {:.2f} % / {:.2f} %, worst {:.1f} % / {:.1f} %.\n\n", what, mean.detector, mean.plain,
                   mean.worst_detector, mean.worst_plain);
    }

    void list(std::string_view table, std::string_view title, std::string_view rows) const {
        fmt::print("{}\n\n| {} | invocations per hour | detector / plain rule |\n| --- | ---: | ---: |\n", title, rows);
        for (const Case* one : cases_in(table)) {
            fmt::print("| {} | {} | {} |\n", one->name, one->per_hour, one->cell(one->kinds.front()));
        }
        fmt::print("\n");
    }

    void episodes() const {
        fmt::print("### False episodes per skill and day\n\n| completion rate |");
        for (const double pace : kPaces) {
            fmt::print(" {}/h |", pace);
        }
        fmt::print("\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
        std::string row;
        for (const Case* one : cases_in("rate")) {
            if (std::exchange(row, one->name) != one->name) {
                fmt::print("\n| {} |", one->name);
            }
            const Tally& tally = one->at(kThreshold);
            fmt::print(" {:.2f} |", static_cast<double>(count_of(tally.episodes, Kind::completion)) / tally.skill_days);
        }
        fmt::print("\n\n");
    }

    void lasting() const {
        fmt::print(
            "### A lasting drop from 85 % to 62 % at 40 an hour\n\n| hours after | detector / plain rule |\n"
            "| ---: | ---: |\n");
        for (const Case* one : cases_in("lasting")) {
            fmt::print("| {} | {} |\n", one->name, one->cell(Kind::drop));
        }
        fmt::print("\n");
    }

    void curve(std::string_view quiet, std::string_view changed, std::string_view title,
               const std::vector<double>& thresholds) const {
        fmt::print(
            "{}\n\nMeans over the cases above, detector / plain rule.\n\n| threshold | false alarms | worst | power |\n"
            "| ---: | ---: | ---: | ---: |\n",
            title);
        for (const double threshold : thresholds) {
            const Mean alarms = mean_of(curve_cases(quiet), threshold);
            const Mean power = mean_of(curve_cases(changed), threshold);
            fmt::print("| {} | {:.2f} / {:.2f} | {:.1f} / {:.1f} | {:.1f} / {:.1f} |\n", threshold, alarms.detector,
                       alarms.plain, alarms.worst_detector, alarms.worst_plain, power.detector, power.plain);
        }
        fmt::print("\n");
    }

    const std::deque<Case>& cases_;
};

}  // namespace

int main(int argc, char** argv) {
    double scale = 1.0;
    if (argc == 3 && std::string_view(argv[1]) == "--scale") {
        scale = std::strtod(argv[2], nullptr);
    } else if (argc != 1) {
        fmt::print(stderr, "usage: anomaly_calibration [--scale FACTOR]\n");
        return 2;
    }
    const std::vector<double> thresholds{1.5, 1.75, 2.0, 2.25, 2.5, 3.0, 3.5};
    Cases cases(scale);
    add_false_alarms(cases, thresholds);
    add_rhythms(cases);
    add_power(cases, thresholds);
    add_lasting(cases);
    cases.run();
    const Report report(cases.all());
    report.print(thresholds);
    return 0;
}
