// Property tests on random histories: against an independent computation, with other intervals of advance(), and with
// restarts.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "history.hpp"

namespace session_buddy::anomaly {
namespace {

using namespace history;

constexpr auto kChannels = {SkillDetector::completion, SkillDetector::duration};

DetectorOptions options_for(std::uint64_t seed) {
    DetectorOptions options;
    options.threshold = 1.0 + 0.5 * static_cast<double>(seed % 4);
    options.min_samples = 2 + static_cast<std::int64_t>(seed % 5);
    return options;
}

struct Outcome {
    std::vector<EpisodeEvent> events;
    std::optional<double> score;
    std::array<std::optional<Episode>, SkillDetector::channel_count> episodes;
    std::array<bool, SkillDetector::channel_count> reported{};
    std::vector<std::uint32_t> errors;

    bool operator==(const Outcome&) const = default;
};

Outcome outcome_of(const SkillDetector& detector, std::vector<EpisodeEvent> events, TimePoint now) {
    Outcome outcome{std::move(events), detector.score(), {}, {}, detector.observed_errors()};
    for (const auto channel : kChannels) {
        outcome.episodes[channel] = detector.episode(channel);
        outcome.reported[channel] = detector.is_reported(channel, now);
    }
    return outcome;
}

Outcome never_stopped(const std::vector<Sample>& samples, const DetectorOptions& options, TimePoint end) {
    SkillDetector detector{options};
    std::vector<EpisodeEvent> events;
    for (const Sample& sample : samples) {
        detector.add(sample, events);
    }
    detector.advance(end, events);
    return outcome_of(detector, std::move(events), end);
}

TEST(DetectorProperties, the_score_is_that_of_the_plain_rule_while_no_episode_is_open) {
    int compared = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        DetectorOptions options = options_for(seed);
        options.threshold = 3.0;
        SkillDetector detector{options};
        std::vector<EpisodeEvent> events;
        std::vector<Sample> all;
        for (const Sample& sample : random_history(seed, 400)) {
            all.push_back(sample);
            detector.add(sample, events);
            if (detector.episode(SkillDetector::completion) || detector.episode(SkillDetector::duration)) {
                continue;
            }
            std::vector<Sample> day;
            std::ranges::copy_if(all, std::back_inserter(day),
                                 [&](const Sample& r) { return r.at > sample.at - hours(24); });
            const std::int64_t recent =
                std::ranges::count_if(day, [&](const Sample& r) { return r.at > sample.at - hours(1); });
            const auto total = static_cast<std::int64_t>(day.size());
            const std::int64_t observed =
                std::min({std::max(recent, options.min_samples), std::int64_t{50}, total / 2});
            double c[2] = {0, 0}, n[2] = {0, 0}, timed[2] = {0, 0}, sum[2] = {0, 0}, squares = 0;
            for (int pass = 0; pass < 2; ++pass) {
                for (std::int64_t i = 0; i < total; ++i) {
                    const Sample& r = day[static_cast<std::size_t>(i)];
                    const int side = i >= total - observed ? 1 : 0;
                    const double d = r.duration_seconds.value_or(-1.0);
                    const bool is_timed = r.completed && d >= 0.0 && d < 1e9;
                    if (pass == 0) {
                        n[side] += 1;
                        c[side] += r.completed ? 1 : 0;
                        timed[side] += is_timed ? 1 : 0;
                        sum[side] += is_timed ? d : 0.0;
                    } else if (side == 0 && is_timed) {
                        squares += (d - sum[0] / timed[0]) * (d - sum[0] / timed[0]);
                    }
                }
            }
            const auto least = static_cast<double>(options.min_samples);
            std::optional<double> expected;
            if (n[0] >= least && n[1] >= least) {
                const double p = (c[0] + 0.5) / (n[0] + 1);
                expected = std::abs(c[1] / n[1] - c[0] / n[0]) / std::sqrt(p * (1 - p) * (1 / n[1] + 1 / (n[0] + 1)));
            }
            if (timed[0] >= least && timed[1] >= least) {
                const double mean = sum[0] / timed[0];
                const double sd = std::max({std::sqrt(squares / (timed[0] - 1)), 0.05 * mean, 0.001});
                const double z = std::abs(sum[1] / timed[1] - mean) / (sd * std::sqrt(1 / timed[1] + 1 / timed[0]));
                expected = std::max(expected.value_or(0.0), z);
            }
            ASSERT_EQ(detector.score().has_value(), expected.has_value());
            if (expected) {
                ASSERT_NEAR(*detector.score(), *expected, 1e-4 * (1.0 + *expected)) << "seed " << seed;
                ++compared;
            }
        }
    }
    EXPECT_GT(compared, 1000);
}

TEST(DetectorProperties, how_often_time_advances_changes_nothing) {
    std::size_t episodes = 0;
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        const DetectorOptions options = options_for(seed);
        const auto samples = random_history(seed, 600);
        const TimePoint end = samples.back().at + hours(20);
        std::mt19937_64 random{seed};
        SkillDetector detector{options};
        std::vector<EpisodeEvent> events;
        for (std::size_t i = 0; i < samples.size(); ++i) {
            detector.add(samples[i], events);
            const auto gap = (i + 1 < samples.size() ? samples[i + 1].at : end) - samples[i].at;
            TimePoint to = samples[i].at;
            for (auto count = random() % 4; count > 0; --count) {
                to += (samples[i].at + gap - to) / static_cast<std::int64_t>(1 + random() % 3);
                detector.advance(to, events);
            }
        }
        detector.advance(end, events);
        const Outcome expected = never_stopped(samples, options, end);
        ASSERT_TRUE(outcome_of(detector, events, end) == expected) << "seed " << seed;
        episodes += expected.events.size();
    }
    EXPECT_GT(episodes, 500U);  // else the test is not meaningful
}

TEST(DetectorProperties, a_restart_changes_nothing) {
    int open_at_cut = 0;
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        const DetectorOptions options = options_for(seed);
        const auto samples = random_history(seed, 600);
        const TimePoint end = samples.back().at + hours(20);
        const Outcome expected = never_stopped(samples, options, end);
        std::mt19937_64 random{seed};
        for (int cut = 0; cut < 8; ++cut) {
            const std::size_t evaluated = random() % samples.size();
            // With or without advance() after the last sample before the restart.
            const TimePoint next = evaluated < samples.size() ? samples[evaluated].at : end;
            const TimePoint last = evaluated > 0 ? samples[evaluated - 1].at : kStart;
            const TimePoint until = last + (next - last) / static_cast<std::int64_t>(1 + random() % 3);

            SkillDetector before{options};
            std::vector<EpisodeEvent> events;
            for (std::size_t i = 0; i < evaluated; ++i) {
                before.add(samples[i], events);
            }
            before.advance(until, events);
            SkillDetector after{options};
            for (std::size_t i = 0; i < evaluated; ++i) {
                if (samples[i].at > until - options.baseline_window) {
                    after.preload(samples[i]);
                }
            }
            std::array<std::optional<Episode>, SkillDetector::channel_count> episodes;
            for (const auto channel : kChannels) {
                episodes[channel] = before.episode(channel);
                open_at_cut += episodes[channel] ? 1 : 0;
            }
            after.begin(until, episodes);
            ASSERT_TRUE(outcome_of(after, {}, until) == outcome_of(before, {}, until))
                << "seed " << seed << ", at " << evaluated;
            for (std::size_t i = evaluated; i < samples.size(); ++i) {
                after.add(samples[i], events);
            }
            after.advance(end, events);
            ASSERT_TRUE(outcome_of(after, events, end) == expected)
                << "seed " << seed << ", restarted at " << evaluated;
        }
    }
    EXPECT_GT(open_at_cut, 50);
}

TEST(DetectorProperties, an_episode_starts_once_and_ends_once) {
    for (std::uint64_t seed = 100; seed < 140; ++seed) {
        const auto samples = random_history(seed, 600);
        const Outcome outcome = never_stopped(samples, options_for(seed), samples.back().at + hours(49));
        bool open[2] = {false, false};
        TimePoint last = TimePoint::min();
        for (const EpisodeEvent& event : outcome.events) {
            bool& is_open = open[event.deviation.type == AnomalyType::pattern_shift ? 1 : 0];
            EXPECT_NE(is_open, event.kind == EpisodeEvent::Kind::started);
            is_open = event.kind == EpisodeEvent::Kind::started;
            EXPECT_GE(event.at, last);
            last = event.at;
        }
        EXPECT_FALSE(open[0] || open[1]) << "no episode is open two days after the last sample";
    }
}

TEST(DetectorProperties, garbage_gives_finite_scores) {
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
        std::mt19937_64 random{seed};
        auto samples = random_history(seed, 500);
        for (Sample& sample : samples) {
            switch (random() % 8) {
                case 0:
                    sample.at -= hours(random() % 30);
                    break;
                case 1:
                    sample.duration_seconds = std::exp(std::uniform_real_distribution<>{-800.0, 700.0}(random));
                    break;
                case 2:
                    sample.duration_seconds = 0.0;
                    break;
                case 3:
                    sample.duration_seconds = 1e8;
                    break;
                case 4:
                    sample.at = kStart - hours(24 * 365 * 60) + seconds(random() % 1000);
                    break;
                default:
                    break;
            }
        }
        if (seed % 2 == 0) {
            std::ranges::sort(samples, {}, &Sample::at);
        }
        const DetectorOptions options = options_for(seed);
        SkillDetector detector{options};
        std::vector<EpisodeEvent> events;
        for (const Sample& sample : samples) {
            detector.add(sample, events);
            ASSERT_TRUE(std::isfinite(detector.score().value_or(0.0)));
        }
        for (const EpisodeEvent& event : events) {
            const Deviation& d = event.deviation;
            for (const double value : {d.baseline_value, d.observed_value, d.z, d.tail_probability}) {
                ASSERT_TRUE(std::isfinite(value));
            }
            ASSERT_GE(d.tail_probability, 0.0);
            ASSERT_LE(d.tail_probability, 1.0);
        }
    }
}

}  // namespace
}  // namespace session_buddy::anomaly
