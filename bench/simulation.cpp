// Simulates skills with Poisson arrivals, Bernoulli outcomes and log-normal durations, and evaluates both detectors.
#include "simulation.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <memory>
#include <optional>
#include <random>

namespace session_buddy::bench {
namespace {

using namespace session_buddy::anomaly;

constexpr TimePoint kStart{std::chrono::sys_days{std::chrono::year{2026} / 2 / 10}};
constexpr double kBaselineHours = 24.0;

struct SimulatedInvocation {
    double t = 0.0;  // hours
    bool completed = false;
    double seconds = 0.0;
};

std::vector<SimulatedInvocation> simulate(const Behaviour& behaviour, double until, std::mt19937_64& random) {
    std::vector<SimulatedInvocation> invocations;
    std::exponential_distribution<double> gap(behaviour.per_hour);
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    std::normal_distribution<double> normal(0.0, 1.0);
    for (double t = gap(random); t < until; t += gap(random)) {
        const bool completed = uniform(random) < behaviour.completion_rate(t);
        invocations.push_back({t, completed, behaviour.median_seconds(t) * std::exp(behaviour.sigma * normal(random))});
    }
    return invocations;
}

TimePoint moment(double hours) {
    return kStart + std::chrono::duration_cast<std::chrono::microseconds>(
                        std::chrono::duration<double, std::ratio<3600>>(hours));
}

// The scores of the plain rule at one moment, implemented from its definition without code of the detector: signed, and
// empty with too few samples.
struct PlainScores {
    std::optional<double> completion;
    std::optional<double> duration;  // 0 if the means differ by less than 10 %
};

struct Moments {
    double count = 0.0;
    double mean = 0.0;
    double sd = 0.0;
};

using Position = std::vector<SimulatedInvocation>::const_iterator;

Moments moments_of_durations(Position from, Position until) {
    double count = 0.0;
    double sum = 0.0;
    for (auto invocation = from; invocation != until; ++invocation) {
        count += invocation->completed ? 1.0 : 0.0;
        sum += invocation->completed ? invocation->seconds : 0.0;
    }
    const double mean = sum / std::max(count, 1.0);
    double squares = 0.0;
    for (auto invocation = from; invocation != until; ++invocation) {
        squares += invocation->completed ? (invocation->seconds - mean) * (invocation->seconds - mean) : 0.0;
    }
    return {count, mean, std::sqrt(squares / std::max(count - 1.0, 1.0))};
}

PlainScores plain_rule(const std::vector<SimulatedInvocation>& invocations, double now) {
    const auto after = [](double t, const SimulatedInvocation& invocation) { return t < invocation.t; };
    const Position end = std::upper_bound(invocations.begin(), invocations.end(), now, after);
    const Position begin = std::upper_bound(invocations.begin(), end, now - kBaselineHours, after);
    const std::ptrdiff_t recent = end - std::upper_bound(begin, end, now - 1.0, after);
    const std::ptrdiff_t total = end - begin;
    const std::ptrdiff_t observed = std::min({std::max<std::ptrdiff_t>(recent, 5), std::ptrdiff_t{50}, total / 2});
    const Position split = end - observed;
    PlainScores scores;
    if (recent == 0 || total - observed < 5 || observed < 5) {
        return scores;
    }
    const auto succeeded = [](const SimulatedInvocation& invocation) { return invocation.completed; };
    const auto n_b = static_cast<double>(total - observed);
    const auto n_o = static_cast<double>(observed);
    const auto c_b = static_cast<double>(std::count_if(begin, split, succeeded));
    const auto c_o = static_cast<double>(std::count_if(split, end, succeeded));
    const double p = (c_b + 0.5) / (n_b + 1.0);
    scores.completion = (c_o / n_o - c_b / n_b) / std::sqrt(p * (1.0 - p) * (1.0 / n_o + 1.0 / (n_b + 1.0)));

    const Moments b = moments_of_durations(begin, split);
    const Moments o = moments_of_durations(split, end);
    if (b.count >= 5.0 && o.count >= 5.0) {
        const double sd = std::max({b.sd, 0.05 * b.mean, 0.001}) * std::sqrt(1.0 / o.count + 1.0 / b.count);
        scores.duration = std::abs(o.mean - b.mean) >= 0.1 * b.mean ? (o.mean - b.mean) / sd : 0.0;
    }
    return scores;
}

// One detector per threshold, all fed with the same invocations.
class DetectorSet {
  public:
    explicit DetectorSet(const std::vector<double>& thresholds) {
        for (const double threshold : thresholds) {
            auto options = std::make_unique<DetectorOptions>();
            options->threshold = threshold;
            options_.push_back(std::move(options));
            tallies_.push_back({});
            tallies_.back().threshold = threshold;
        }
    }

    void next_skill() {
        detectors_.clear();
        for (const auto& options : options_) {
            detectors_.emplace_back(*options);
        }
    }

    void add(const SimulatedInvocation& invocation) {
        for (std::size_t i = 0; i < detectors_.size(); ++i) {
            detectors_[i].add({moment(invocation.t), invocation.completed, invocation.seconds}, events_);
            count_episodes(i);
        }
    }

    void evaluate(const std::vector<SimulatedInvocation>& invocations, double hour) {
        const PlainScores plain = plain_rule(invocations, hour);
        const TimePoint now = moment(hour);
        for (std::size_t i = 0; i < detectors_.size(); ++i) {
            SkillDetector& detector = detectors_[i];
            detector.advance(now, events_);
            count_episodes(i);
            Tally& tally = tallies_[i];
            ++tally.evaluations;
            tally.plain.drop += plain.completion && *plain.completion <= -tally.threshold ? 1 : 0;
            tally.plain.spike += plain.completion && *plain.completion >= tally.threshold ? 1 : 0;
            tally.plain.shift += plain.duration && std::abs(*plain.duration) >= tally.threshold ? 1 : 0;
            for (const auto channel : {SkillDetector::completion, SkillDetector::duration}) {
                if (detector.is_reported(channel, now)) {
                    count(tally.detector, detector.episode(channel)->deviation.type);
                }
            }
        }
    }

    void account_for(double skill_days) {
        for (Tally& tally : tallies_) {
            tally.skill_days += skill_days;
        }
    }

    [[nodiscard]] std::vector<Tally> release_tallies() { return std::move(tallies_); }

  private:
    static void count(Counts& counts, AnomalyType type) {
        switch (type) {
            case AnomalyType::performance_drop:
                ++counts.drop;
                break;
            case AnomalyType::performance_spike:
                ++counts.spike;
                break;
            case AnomalyType::pattern_shift:
                ++counts.shift;
                break;
        }
    }

    void count_episodes(std::size_t i) {
        for (const EpisodeEvent& event : events_) {
            if (event.kind == EpisodeEvent::Kind::started && event.at >= moment(kBaselineHours)) {
                count(tallies_[i].episodes, event.deviation.type);
            }
        }
        events_.clear();
    }

    std::vector<std::unique_ptr<DetectorOptions>> options_;  // at stable addresses, as detectors refer to them
    std::vector<SkillDetector> detectors_;
    std::vector<Tally> tallies_;
    std::vector<EpisodeEvent> events_;
};

}  // namespace

Behaviour steady(double per_hour, double rate, double sigma) {
    return {per_hour, [rate](double) { return rate; }, [](double) { return 5.0; }, sigma};
}

std::vector<Tally> watch(const Behaviour& behaviour, const std::vector<double>& thresholds, int skills, int hours,
                         std::uint64_t seed) {
    std::mt19937_64 random{seed};
    DetectorSet detectors{thresholds};
    for (int skill = 0; skill < skills; ++skill) {
        detectors.next_skill();
        const std::vector<SimulatedInvocation> invocations = simulate(behaviour, kBaselineHours + hours, random);
        std::size_t next = 0;
        for (int hour = 0; hour <= hours; ++hour) {
            const double now = kBaselineHours + hour;
            bool is_active = false;
            for (; next < invocations.size() && invocations[next].t < now; ++next) {
                detectors.add(invocations[next]);
                is_active = invocations[next].t > now - 1.0;
            }
            if (is_active) {
                detectors.evaluate(invocations, now);
            }
        }
        detectors.account_for(hours / 24.0);
    }
    return detectors.release_tallies();
}

std::vector<Tally> evaluate_after_change(const Behaviour& behaviour, const std::vector<double>& thresholds, int skills,
                                         double hours, std::uint64_t seed) {
    std::mt19937_64 random{seed};
    DetectorSet detectors{thresholds};
    const double end = kBaselineHours + std::max(hours, 5.0 / behaviour.per_hour);
    for (int skill = 0; skill < skills; ++skill) {
        detectors.next_skill();
        const std::vector<SimulatedInvocation> invocations = simulate(behaviour, end, random);
        for (const SimulatedInvocation& invocation : invocations) {
            detectors.add(invocation);
        }
        detectors.evaluate(invocations, end);
    }
    return detectors.release_tallies();
}

}  // namespace session_buddy::bench
