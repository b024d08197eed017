// Handwritten and random histories for the detector's tests.
#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <random>
#include <vector>

#include "session_buddy/anomaly/skill_detector.hpp"
#include "support/manual_clock.hpp"

namespace session_buddy::anomaly::history {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::seconds;

using test::kStart;

using Sample = SkillDetector::Sample;

/// A random history with good and bad periods, pauses, bursts, bursts within one microsecond, and invalid durations.
inline std::vector<Sample> random_history(std::uint64_t seed, std::size_t size) {
    std::mt19937_64 random{seed};
    const auto chance = [&](double p) { return std::bernoulli_distribution{p}(random); };
    std::vector<Sample> samples;
    TimePoint at = kStart;
    double rate = 0.9;
    double median = 5.0;
    double gap_seconds = 300.0;
    while (samples.size() < size) {
        if (chance(0.03)) {
            rate = std::uniform_real_distribution<>{0.0, 1.1}(random);
            median = std::exp(std::uniform_real_distribution<>{-3.0, 4.0}(random));
        }
        if (chance(0.02)) {
            gap_seconds = std::exp(std::uniform_real_distribution<>{0.0, 9.0}(random));
        }
        if (chance(0.01)) {
            at += minutes(std::uniform_int_distribution<>{30, 2000}(random));
        }
        if (!chance(0.1)) {
            const double gap = std::exponential_distribution<>{1.0 / gap_seconds}(random);
            at += microseconds(std::llround(gap * 1e6));
        }
        Sample sample{at, chance(std::min(rate, 1.0)), std::nullopt, 0};
        if (!chance(0.1)) {
            sample.duration_seconds = median * std::exp(0.5 * std::normal_distribution<>{}(random));
        }
        if (chance(0.01)) {
            constexpr double kOdd[] = {0.0, -1.0, 1e300, std::numeric_limits<double>::infinity(),
                                       std::numeric_limits<double>::quiet_NaN()};
            sample.duration_seconds = kOdd[random() % std::size(kOdd)];
        }
        sample.error = sample.completed ? 0 : static_cast<std::uint32_t>(random() % 4);
        samples.push_back(sample);
    }
    return samples;
}

}  // namespace session_buddy::anomaly::history
