// Generates stationary databases and changes, and counts what the alert engine reports.
#include "alert_simulation.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>
#include <random>
#include <string>

namespace session_buddy::bench {
namespace {

using anomaly::AlertChange;
using anomaly::AlertEngine;

constexpr TimePoint kEpoch{std::chrono::sys_days{std::chrono::year{2026} / 2 / 10}};

TimePoint at_hours(double hours) {
    return kEpoch + std::chrono::microseconds(std::llround(hours * 3.6e9));
}

class Sessions {
  public:
    Sessions(std::size_t count, std::mt19937_64& random) : random_(random), ids_(count) {
        for (std::string& id : ids_) {
            id = next_id();
        }
    }
    std::size_t pick() { return ids_.empty() ? 0 : random_() % ids_.size(); }
    std::string id(std::size_t session) { return ids_.empty() ? std::string{} : ids_[session]; }
    void maybe_end(std::size_t session) {
        if (!ids_.empty() && random_() % 60 == 0) {
            ids_[session] = next_id();
        }
    }

  private:
    std::string next_id() { return "00000000-0000-4000-8000-" + std::to_string(100'000'000'000 + ++made_); }

    std::mt19937_64& random_;
    std::int64_t made_ = 0;
    std::vector<std::string> ids_;
};

}  // namespace

void simulate(const StationaryDatabase& database, double days, std::uint64_t seed,
              const std::function<void(const Invocation&)>& sink) {
    using Use = StationaryDatabase::Use;
    std::mt19937_64 random{seed};
    std::vector<double> weights(database.skills);
    for (std::size_t skill = 0; skill < weights.size(); ++skill) {
        weights[skill] = database.use == Use::uniform ? 1.0 : 1.0 / static_cast<double>(skill + 1);
    }
    std::discrete_distribution<std::size_t> pick(weights.begin(), weights.end());
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    std::normal_distribution<double> normal(0.0, 1.0);
    std::exponential_distribution<double> gap(1.0);
    std::geometric_distribution<int> further_failures(1.0 / 3.0);
    Sessions sessions{database.sessions, random};

    const double base_rate = database.per_day / 24.0;
    Invocation invocation;
    std::int64_t busy_hour = -1;
    bool busy = false;
    double hours = 0.0;
    int repeats = 0;
    std::size_t skill = 0;
    std::size_t session = 0;
    while (true) {
        if (repeats > 0) {
            --repeats;
            hours += gap(random) * 5.0 / 3600.0;
            invocation.completed = false;
        } else {
            double rate = base_rate;
            if (database.use == Use::bursty) {
                if (const auto hour = static_cast<std::int64_t>(hours); hour != busy_hour) {
                    busy_hour = hour;
                    busy = uniform(random) < 0.1;
                }
                rate *= busy ? 9.0 : 1.0 / 9.0;
            }
            const double passed = gap(random) / rate;
            if (database.use == Use::bursty && static_cast<std::int64_t>(hours + passed) != busy_hour) {
                hours = static_cast<double>(busy_hour + 1);  // memoryless: the next hour has its own rate
                continue;
            }
            hours += passed;
            skill = pick(random);
            session = sessions.pick();
            const double wave = database.rhythm * std::sin(2.0 * std::numbers::pi * hours / 24.0);
            invocation.completed = uniform(random) < database.rate + wave;
            if (!invocation.completed && database.retries) {
                repeats = std::min(further_failures(random), 14);
            }
        }
        if (hours >= days * 24.0) {
            return;
        }
        ++invocation.id;
        invocation.skill_name = "skill-" + std::to_string(skill);
        invocation.invoked_at = at_hours(hours);
        invocation.session_id = sessions.id(session);
        const double median = 0.1 * static_cast<double>(1 + skill % 50);
        switch (database.durations) {
            case StationaryDatabase::Durations::none:
                break;
            case StationaryDatabase::Durations::log_normal:
                invocation.duration_seconds = median * std::exp(database.sigma * normal(random));
                break;
            case StationaryDatabase::Durations::pareto:
                invocation.duration_seconds = median * std::pow(1.0 - uniform(random), -1.0 / database.pareto_alpha);
                break;
        }
        invocation.error_type = invocation.completed ? "" : "exit status 1";
        sink(invocation);
        if (repeats == 0) {
            sessions.maybe_end(session);
        }
    }
}

AlertCounts count_alerts(const StationaryDatabase& database, double days, double budget_per_day, std::uint64_t seed) {
    AlertEngine engine{{.budget = budget_per_day / 86400.0}};
    AlertCounts counts{};
    simulate(database, days, seed, [&](const Invocation& invocation) {
        engine.add(invocation, invocation.invoked_at);
        for (const AlertChange& change : engine.take_changes()) {
            counts[static_cast<std::size_t>(change.alert.kind)] += change.kind == AlertChange::Kind::started ? 1 : 0;
        }
    });
    return counts;
}

void simulate(const FallingRate& stream, std::uint64_t seed, const std::function<bool(bool, double)>& sink) {
    std::mt19937_64 random{seed};
    std::exponential_distribution<double> gap(stream.per_hour);
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    const double change = stream.warm + stream.quiet;
    for (double hours = gap(random); hours < change + stream.rest; hours += gap(random)) {
        if (!sink(uniform(random) < (hours > change ? stream.after : stream.before), hours)) {
            return;
        }
    }
}

namespace {

/// `observe` returns whether it alerts at this invocation.
Detection run_stream(const FallingRate& stream, std::uint64_t seed, const std::function<bool(bool, double)>& observe) {
    const double change = stream.warm + stream.quiet;
    Detection detection;
    simulate(stream, seed, [&](bool completed, double hours) {
        if (!observe(completed, hours)) {
            return true;
        }
        if (hours > change) {
            detection.delay = hours - change;
            return false;
        }
        detection.false_alerts += hours > stream.warm ? 1 : 0;
        return true;
    });
    return detection;
}

}  // namespace

Detection detect(const FallingRate& stream, double budget_per_day, std::uint64_t seed) {
    AlertEngine engine{{.budget = budget_per_day / 86400.0}};
    Invocation invocation;
    invocation.skill_name = "skill";
    return run_stream(stream, seed, [&](bool completed, double hours) {
        ++invocation.id;
        invocation.completed = completed;
        invocation.invoked_at = at_hours(hours);
        engine.add(invocation, invocation.invoked_at);
        return std::ranges::any_of(engine.take_changes(), [](const AlertChange& change) {
            return change.kind == AlertChange::Kind::started && change.alert.kind == AlertKind::completion_rate_fell;
        });
    });
}

Detection detect_by_cusum(const FallingRate& stream, double threshold, std::uint64_t seed) {
    double sum = 0.0;
    return run_stream(stream, seed, [&](bool completed, double) {
        sum += completed ? std::log(stream.after / stream.before) : std::log((1 - stream.after) / (1 - stream.before));
        sum = std::max(sum, 0.0);
        if (sum < threshold) {
            return false;
        }
        sum = 0.0;
        return true;
    });
}

}  // namespace session_buddy::bench
