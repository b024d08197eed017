// Measures the alert engine: false alerts of databases in which nothing changes, and how long it takes until a change
// is reported. Prints Markdown and, with --csv FILE, writes all values there. Seeds are fixed, so runs are
// reproducible.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <functional>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "alert_simulation.hpp"

namespace {

using namespace session_buddy;
using namespace session_buddy::bench;
using anomaly::AlertChange;
using anomaly::AlertEngine;

constexpr double kDays = 10.0;
constexpr double kWeekly = 1.0 / 7.0;  // alerts per day
constexpr double kDaily = 1.0;
constexpr double kServerPerDay = 100'000.0;

/// Runs tasks on all processors.
void run_all(std::vector<std::function<void()>>& tasks) {
    std::atomic<std::size_t> next = 0;
    const auto work = [&] {
        for (std::size_t i = next++; i < tasks.size(); i = next++) {
            tasks[i]();
        }
    };
    std::vector<std::jthread> threads;
    for (unsigned i = 1; i < std::thread::hardware_concurrency(); ++i) {
        threads.emplace_back(work);
    }
    work();
}

// ---- False alerts

struct Stationary {
    std::string name;
    StationaryDatabase database;
    std::vector<AlertCounts> weekly{};  ///< per seed, at one alert a week
    std::vector<AlertCounts> daily{};   ///< at one a day
};

std::int64_t sum_of(const AlertCounts& counts) {
    return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

/// Alerts of both budgets in one pass, as generating the invocations costs as much as judging them.
void count_both(Stationary& one, std::size_t seed) {
    AlertEngine weekly{{.budget = kWeekly / 86400.0}};
    AlertEngine daily{{.budget = kDaily / 86400.0}};
    const auto add = [](AlertEngine& engine, AlertCounts& counts, const Invocation& invocation) {
        engine.add(invocation, invocation.invoked_at);
        for (const AlertChange& change : engine.take_changes()) {
            counts[static_cast<std::size_t>(change.alert.kind)] += change.kind == AlertChange::Kind::started ? 1 : 0;
        }
    };
    simulate(one.database, kDays, seed + 1, [&](const Invocation& invocation) {
        add(weekly, one.weekly[seed], invocation);
        add(daily, one.daily[seed], invocation);
    });
}

std::vector<Stationary> stationary_cases() {
    using Use = StationaryDatabase::Use;
    using Durations = StationaryDatabase::Durations;
    return {
        {"200 skills, Zipf, rate 0.9, sigma 0.8", {}},
        {"uniform use", {.use = Use::uniform}},
        {"bursty use", {.use = Use::bursty}},
        {"10 skills", {.skills = 10}},
        {"5,000 skills", {.skills = 5000}},
        {"rate 0.5", {.rate = 0.5}},
        {"rate 0.99", {.rate = 0.99}},
        {"rate 0.999", {.rate = 0.999}},
        {"sigma 0.25", {.sigma = 0.25}},
        {"sigma 1.5", {.sigma = 1.5}},
        {"Pareto durations, alpha 2.5", {.durations = Durations::pareto}},
        {"retries: 1 to 15 failures of one input", {.retries = true}},
        {"daily rhythm of the rate, ±10 points", {.rate = 0.88, .rhythm = 0.10}},
    };
}

struct Summary {
    double mean = 0.0;
    std::int64_t max = 0;
    double ratio = 0.0;  ///< of the mean to the budget
};

Summary summarize(const std::vector<AlertCounts>& seeds, double per_day) {
    Summary summary;
    for (const AlertCounts& counts : seeds) {
        summary.mean += static_cast<double>(sum_of(counts)) / static_cast<double>(seeds.size());
        summary.max = std::max(summary.max, sum_of(counts));
    }
    summary.ratio = summary.mean / (per_day * kDays);
    return summary;
}

double mean_of(const std::vector<AlertCounts>& seeds, AlertKind kind) {
    double sum = 0.0;
    for (const AlertCounts& counts : seeds) {
        sum += static_cast<double>(counts[static_cast<std::size_t>(kind)]);
    }
    return sum / static_cast<double>(seeds.size());
}

// ---- Power

/// A skill of a server with kServerPerDay invocations, whose rate or durations change after a week.
struct Change {
    std::string name;
    double before = 0.95;  ///< completion rate
    double after = 0.95;
    double factor = 1.0;  ///< of the durations
    double sigma = 0.8;
};

constexpr double kWeek = 7 * 24.0;

/// Invocations from the change until the alert; infinite if there is none within `limit` of them.
double invocations_until_alert(const Change& change, double per_hour, double budget_per_day, std::uint64_t seed) {
    constexpr std::int64_t kLimit = 20'000;
    constexpr TimePoint kStart{std::chrono::sys_days{std::chrono::year{2026} / 2 / 10}};
    // The share of the server's budget that this skill gets.
    AlertEngine engine{{.budget = budget_per_day / 86400.0 * per_hour * 24.0 / kServerPerDay}};
    std::mt19937_64 random{seed};
    std::exponential_distribution<double> gap(per_hour);
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    std::normal_distribution<double> normal(0.0, 1.0);
    Invocation invocation;
    invocation.skill_name = "skill";
    std::int64_t since = 0;
    double hours = 0.0;
    while (since < kLimit) {
        hours += gap(random);
        const bool changed = hours > kWeek;
        since += changed ? 1 : 0;
        ++invocation.id;
        invocation.invoked_at = kStart + std::chrono::microseconds(std::llround(hours * 3.6e9));
        invocation.completed = uniform(random) < (changed ? change.after : change.before);
        invocation.duration_seconds = 5.0 * (changed ? change.factor : 1.0) * std::exp(change.sigma * normal(random));
        engine.add(invocation, invocation.invoked_at);
        const std::vector<AlertChange> found = engine.take_changes();
        if (changed && std::ranges::any_of(found, [](const AlertChange& one) {
                return one.kind == AlertChange::Kind::started && !is_improvement(one.alert.kind);
            })) {
            return static_cast<double>(since);
        }
    }
    return std::numeric_limits<double>::infinity();
}

struct Power {
    Change change;
    double per_hour = 0.0;
    double budget = 0.0;
    std::vector<double> invocations{};  ///< per seed

    [[nodiscard]] double quantile(double q) const {
        std::vector<double> sorted = invocations;
        std::ranges::sort(sorted);
        return sorted[static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1))];
    }
};

std::vector<Change> changes() {
    std::vector<Change> all;
    for (const auto& [before, after] :
         {std::pair{0.99, 0.90}, {0.95, 0.80}, {0.95, 0.50}, {0.90, 0.80}, {0.85, 0.62}}) {
        all.push_back({fmt::format("{:.0f} % → {:.0f} %", 100 * before, 100 * after), before, after});
    }
    for (const double sigma : {0.5, 0.8}) {
        for (const double factor : {1.25, 1.5, 2.0, 4.0}) {
            all.push_back(
                {.name = fmt::format("durations × {:g}, sigma {:g}", factor, sigma), .factor = factor, .sigma = sigma});
        }
    }
    return all;
}

struct BudgetName {
    const char* name;
    double per_day;
};
constexpr BudgetName kBudgets[] = {{"1/month", 1.0 / 30.0}, {"1/week", kWeekly}, {"1/day", 1.0}, {"10/day", 10.0}};

}  // namespace

int main(int count, char** words) {
    CLI::App app{"Measures false alerts and power of the alert engine"};
    std::string csv;
    double scale = 1.0;
    app.add_option("--csv", csv, "File for all values");
    app.add_option("--scale", scale, "Fraction of the usual number of simulations");
    CLI11_PARSE(app, count, words);
    const auto scaled = [scale](double number) {
        return static_cast<std::size_t>(std::max(1.0, std::round(scale * number)));
    };

    std::vector<std::function<void()>> tasks;
    std::vector<Stationary> databases = stationary_cases();
    for (Stationary& one : databases) {
        const std::size_t seeds = scaled(&one == databases.data() ? 20 : 6);
        one.weekly.resize(seeds);
        one.daily.resize(seeds);
        for (std::size_t seed = 0; seed < seeds; ++seed) {
            tasks.emplace_back([&one, seed] { count_both(one, seed); });
        }
    }
    std::vector<Power> powers;
    for (const Change& change : changes()) {
        for (const BudgetName& budget : kBudgets) {
            powers.push_back({change, 40.0, budget.per_day});
        }
    }
    const std::size_t streams = scaled(60);
    for (Power& power : powers) {
        power.invocations.resize(streams);
        tasks.emplace_back([&power] {
            for (std::size_t seed = 0; seed < power.invocations.size(); ++seed) {
                power.invocations[seed] = invocations_until_alert(power.change, power.per_hour, power.budget, seed + 1);
            }
        });
    }
    run_all(tasks);

    fmt::print(
        "# Calibration\n\nWritten by `make calibrate`; [anomaly-detection.md](anomaly-detection.md) explains it.\n\n"
        "## False alerts\n\nDatabases in which nothing changes, {:.0f} invocations a day, {:.0f} days from an empty "
        "state: "
        "all alerts are false. The first row has {} seeds, the others {}.\n\n"
        "| database | at 1/week: mean | max | ratio to the budget | at 1/day: mean | ratio |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: |\n",
        kServerPerDay, kDays, databases.front().weekly.size(), databases.back().weekly.size());
    for (const Stationary& one : databases) {
        const Summary weekly = summarize(one.weekly, kWeekly);
        const Summary daily = summarize(one.daily, kDaily);
        fmt::print("| {} | {:.1f} | {} | {:.2f} | {:.1f} | {:.2f} |\n", one.name, weekly.mean, weekly.max, weekly.ratio,
                   daily.mean, daily.ratio);
    }
    fmt::print(
        "\n## Power\n\nInvocations of the skill from the change until the alert, median (90th percentile), of a skill "
        "with "
        "40 an hour on a server with {:.0f} a day, after a week of learning; {} streams each.\n\n| change |",
        kServerPerDay, streams);
    for (const BudgetName& budget : kBudgets) {
        fmt::print(" {} |", budget.name);
    }
    fmt::print("\n| --- |");
    for (std::size_t i = 0; i < std::size(kBudgets); ++i) {
        fmt::print(" ---: |");
    }
    std::string row;
    for (const Power& power : powers) {
        if (row != power.change.name) {
            row = power.change.name;
            fmt::print("\n| {} |", row);
        }
        fmt::print(" {:.0f} ({:.0f}) |", power.quantile(0.5), power.quantile(0.9));
    }
    fmt::print("\n");

    if (!csv.empty()) {
        std::ofstream file(csv);
        file
            << "table,case,budget_per_day,seeds,mean,max,completion_fell,completion_rose,duration_rose,duration_fell\n";
        for (const Stationary& one : databases) {
            for (const auto& [seeds, per_day] : {std::pair{&one.weekly, kWeekly}, {&one.daily, kDaily}}) {
                const Summary summary = summarize(*seeds, per_day);
                file << fmt::format(
                    "false,\"{}\",{:.4f},{},{:.2f},{},{:.2f},{:.2f},{:.2f},{:.2f}\n", one.name, per_day, seeds->size(),
                    summary.mean, summary.max, mean_of(*seeds, AlertKind::completion_rate_fell),
                    mean_of(*seeds, AlertKind::completion_rate_rose), mean_of(*seeds, AlertKind::duration_rose),
                    mean_of(*seeds, AlertKind::duration_fell));
            }
        }
        for (const Power& power : powers) {
            file << fmt::format("power,\"{}\",{:.4f},{},{:.0f},{:.0f},,,,\n", power.change.name, power.budget,
                                power.invocations.size(), power.quantile(0.5), power.quantile(0.9));
        }
    }
    return 0;
}
